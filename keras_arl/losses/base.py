"""What every classification loss shares: labels, logits and dtype safety."""

import contextlib
import inspect
import re
import warnings

import keras
import numpy as np
from keras import ops

from keras_arl.backend import is_traced
from keras_arl.backend import is_tracing
from keras_arl.backend import read_on_host
from keras_arl.backend import share_of_replica
from keras_arl.checks import check_integer
from keras_arl.losses import labels as reading
from keras_arl.losses.numbers import Number
from keras_arl.losses.predictions import Logits
from keras_arl.losses.predictions import Probabilities

_NO_MEANS = (None, "none", "sum")


class ClassificationLoss(keras.losses.Loss):
    """Base of the losses over class probabilities.

    It turns what Keras hands to a loss into what a loss needs. Labels are told
    apart by shape: with predictions of shape `(..., C)`, labels of shape
    `(...)` or `(..., 1)` are class indices and labels of shape `(..., C)` are
    one-hot or soft. A subclass implements two methods, both returning one
    value per sample:

    * `index_loss(labels, predictions)`: `labels` int32 of shape `(...)`.
    * `soft_loss(targets, predictions)`: `targets` of shape `(..., C)`.

    `predictions` are `Probabilities` or `Logits` of `predictions.py`.

    Computation is in `dtype`, widened to float32 where it is narrower, so that
    a mixed precision policy costs no accuracy and class indices stay exact.
    With float16 let the model return logits, or probabilities in float32.

    **Labels that are none** never score silently: class indices outside
    0..C-1, fractional ones, and soft labels that are no probabilities of sum 1.
    Where values can be seen (eager execution on every backend) they raise a
    `ValueError`. In a compiled function (TensorFlow graphs, `jax.jit`,
    `torch.compile`) the loss of that sample is NaN and its gradient zero, so
    that the logged loss shows it and `keras.callbacks.TerminateOnNaN` stops.
    That holds for masked and zero-weighted samples, too.

    **Samples that are left out** have loss 0 and no gradient, whatever their
    prediction is: those of class `ignore_class`, which a mean does not count,
    as in `keras.losses.SparseCategoricalCrossentropy`, and one-hot labels of
    zeros alone. The mean counts the latter, as that of
    `keras.losses.CategoricalCrossentropy` does, unless there is an
    `ignore_class`, of which `one_hot(-1)` and `one_hot(255)` are such labels.

    **Sample weights** have the shape of the labels or of their first axes: with
    predictions of shape `(B, W, C)`, weights of shape `(B,)` are of examples.

    **Files.** After `import keras_arl` a `.keras` file with one of these losses
    loads without `custom_objects`.

    **Numbers that can be fed.** A class names those of its numbers that may
    change once it is compiled: `hyperparameters = ("q",)`. Its constructor
    assigns them, `self.q = q`, and its formula reads them by
    `self.number("q")`, without a Python condition on the value. They are
    constants until `hyper_variables` is called; from then on a compiled loss
    reads variables, and `loss.q = 0.5` changes what it computes. A
    `keras_arl.training.Trainer` compiles one program for all losses of a class
    that differ in such numbers alone, if the class itself declares
    `hyperparameters`, were it `()`: then all else that its losses differ in
    must be in `get_config`, which adds the declared numbers by itself. A
    subclass that declares nothing shares nothing.

    Args:
        from_logits: Whether predictions are logits. Defaults to `False`:
            class probabilities.
        reduction: As in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: Name of the loss. Defaults to `None`: the class's in snake case.
        dtype: Dtype of the computation, at least float32. Defaults to `None`:
            Keras's `floatx`.
        ignore_class: Class that is left out, such as -1 or 255 for pixels
            without a label; an integer, which need not be in 0..C-1. Of
            one-hot and soft labels, those with their largest value there are.
            Defaults to `None`: no class.
        axis: Axis of the classes in the predictions and in one-hot labels; 1
            for images with channels first. Defaults to `-1`.

    Raises:
        ValueError: If an argument is no integer; when called, if shapes do not
            fit or a label is none.

    Example:

    >>> loss = keras_arl.losses.GCE(q=0.7, from_logits=True)
    >>> loss
    GCE(q=0.7, from_logits=True)
    >>> (variable,) = loss.hyper_variables()
    >>> loss.q = 0.5
    >>> float(variable)
    0.5
    """

    hyperparameters = ()
    # Whether something moves the numbers that should be.
    is_moved = False

    def __init__(
        self,
        from_logits=False,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
        ignore_class=None,
        axis=-1,
    ):
        super().__init__(
            name=name or _snake_case(type(self).__name__),
            reduction=reduction,
            dtype=_at_least_float32(dtype),
        )
        self.from_logits = from_logits
        if ignore_class is not None:
            ignore_class = check_integer("ignore_class", ignore_class)
        self.ignore_class = ignore_class
        self.axis = check_integer("axis", axis)
        self._is_constant_of_a_trace = False
        # The numbers that a function of JAX's reads from the host at each call,
        # instead of keeping those it was traced with: NumPy arrays by name.
        self.read_anew = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in cls.hyperparameters:
            if not hasattr(cls, name):
                setattr(cls, name, Number(name))

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true = reading.as_array(y_true, "y_true")
        y_pred = reading.as_array(y_pred, "y_pred")
        if sample_weight is not None:
            sample_weight = reading.weight_per_label(
                reading.as_array(sample_weight, "sample_weight"),
                self._with_classes_last(y_pred),
            )
        if not self.from_logits and _is_float16(y_pred):
            warnings.warn(
                "Gradients of float16 probabilities overflow, and an optimizer "
                "that scales its loss then skips the step: give the output "
                'layer `dtype="float32"`.',
                stacklevel=2,
            )
        loss = super().__call__(y_true, y_pred, sample_weight)
        if self.ignore_class is None or self.reduction in _NO_MEANS:
            return loss
        # Of what the mean counts, the share that is not left out.
        counted = _Counted(self, self.reduction, dtype=self.dtype)
        if self.reduction != "mean_with_sample_weight":
            sample_weight = None
        share = counted(y_true, y_pred, sample_weight)
        return share_of_replica(ops.divide_no_nan(loss, share))

    def call(self, y_true, y_pred):
        labels, y_pred = self._read(y_true, y_pred)
        if labels.is_ignored is not None:
            # The gradient of a NaN would spread, of a prediction without label.
            y_pred = ops.where(
                labels.is_ignored[..., None], 1 / y_pred.shape[-1], y_pred
            )
        predictions = (Logits if self.from_logits else Probabilities)(y_pred)
        predictions.is_ignored = labels.is_ignored
        if labels.is_index:
            losses = self.index_loss(labels.values, predictions)
        else:
            losses = self.soft_loss(labels.values, predictions)
        if labels.is_ignored is not None:
            losses = ops.where(labels.is_ignored, 0.0, losses)
        return ops.where(labels.is_valid, losses, float("nan"))

    def _read(self, y_true, y_pred):
        """Labels, and the predictions with the classes last."""
        if self.axis != -1 and len(y_true.shape) == len(y_pred.shape):
            y_true = self._with_classes_last(y_true)
        y_pred = self._with_classes_last(y_pred)
        return reading.read(y_true, y_pred, self.ignore_class), y_pred

    def _with_classes_last(self, x):
        if self.axis == -1:
            return x
        rank = len(x.shape)
        if not (-rank < self.axis < rank and self.axis):
            raise ValueError(
                f"`axis` must be one of 1..{rank - 1} or -{rank - 1}..-1 for "
                f"predictions of shape {tuple(x.shape)}. Received: "
                f"axis={self.axis}"
            )
        return ops.moveaxis(x, self.axis, -1)

    def index_loss(self, labels, predictions):
        raise NotImplementedError

    def soft_loss(self, targets, predictions):
        raise NotImplementedError

    @property
    def parts(self):
        """The losses that this one is made of, a dictionary by attribute."""
        return {
            name: value
            for name, value in vars(self).items()
            if isinstance(value, ClassificationLoss)
        }

    def hyper_variables(self):
        """The numbers that can be fed, as variables.

        The first call makes them, of the parts of a composed loss too. It has
        to come before the loss is compiled. On JAX a compiled function keeps,
        as for every variable that it is not handed, the values it was traced
        with; hand them in through a `keras.StatelessScope`.

        Returns:
            A list of non-trainable variables: those of `hyperparameters`, then
            those of the parts.
        """
        for name in self.hyperparameters:
            if not isinstance(vars(self)[name], keras.Variable):
                self._make_variable(name, vars(self)[name])
        variables = [vars(self)[name] for name in self.hyperparameters]
        for part in self.parts.values():
            variables += part.hyper_variables()
        return variables

    def hyper_values(self, epoch=None, epochs=None):
        """Values of `hyper_variables`, a list of NumPy arrays.

        Args:
            epoch: Number of an epoch, from 0, for the values that moving
                numbers have there. Defaults to `None`: the present values.
            epochs: Number of epochs of the training.
        """
        moved = {} if epoch is None else self.moving_numbers(epoch, epochs)
        values = [
            np.asarray(
                ops.convert_to_numpy(moved.get(name, vars(self)[name])),
                self.dtype,
            )
            for name in self.hyperparameters
        ]
        for part in self.parts.values():
            values += part.hyper_values(epoch, epochs)
        return values

    def moving_numbers(self, epoch, epochs):
        """Those of `hyperparameters` that move over a training.

        A `keras_arl.training.Trainer` moves them; `fit` needs `LossSchedule`.

        Args:
            epoch: Number of the epoch, from 0.
            epochs: Number of epochs of the training.

        Returns:
            A dictionary from names to values; of most losses it is empty.
        """
        return {}

    @property
    def moves(self):
        """Whether numbers of the loss, or of its parts, move."""
        return bool(self.moving_numbers(0, 1)) or any(
            part.moves for part in self.parts.values()
        )

    def number(self, name):
        """One of `hyperparameters` as a formula reads it.

        Args:
            name: Its name.

        Returns:
            A float; a tensor if there is a variable of it.
        """
        value = vars(self)[name]
        if not isinstance(value, keras.Variable):
            return value
        value = ops.convert_to_tensor(value)
        if keras.config.backend() == "jax" and not is_traced(value):
            if name in self.read_anew and is_tracing():
                return read_on_host(lambda: self.read_anew[name])
            # Within `jax.jit`, what is computed from a constant is traced.
            self._is_constant_of_a_trace |= is_traced(value + 0)
        return value

    def _make_variable(self, name, value):
        vars(self)[name] = keras.Variable(
            value, trainable=False, dtype=self.dtype, name=name
        )

    def _make_first_variable(self, name, value):
        """Makes a variable where a loss may make one, else a number."""
        vars(self)[name] = value
        if is_tracing():
            return
        # Keras makes none in a `keras.StatelessScope` either.
        with contextlib.suppress(ValueError):
            self._make_variable(name, value)

    def get_config(self):
        numbers = {name: getattr(self, name) for name in self.hyperparameters}
        return {
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in numbers.items()
            },
            **super().get_config(),
            "from_logits": self.from_logits,
            "dtype": self.dtype,
            "ignore_class": self.ignore_class,
            "axis": self.axis,
        }

    def __repr__(self):
        name, parts = type(self).__name__, self.parts
        try:
            config = self.get_config()
        except Exception:
            # TensorFlow asks while it traces, when a variable has no value.
            return f"{name}(...)"
        defaults = ClassificationLoss(name=_snake_case(name)).get_config()
        # Arrays would fill pages.
        shown = {
            key
            for key, value in config.items()
            if key not in defaults and not isinstance(value, list)
        }
        own = [
            repr(parts[key]) if key in parts else f"{key}={config[key]!r}"
            for key in inspect.signature(type(self)).parameters
            if key in parts or key in shown
        ]
        shared = [
            f"{key}={config[key]!r}"
            for key, default in defaults.items()
            if config.get(key, default) != default
        ]
        return f"{name}({', '.join(own + shared)})"


def _is_float16(x):
    return keras.backend.standardize_dtype(x.dtype) == "float16"


class _Counted(keras.losses.Loss):
    """1 for the samples that a loss does not leave out, 0 for the others."""

    def __init__(self, loss, reduction, dtype):
        super().__init__(reduction=reduction, dtype=dtype)
        self._loss = loss

    def call(self, y_true, y_pred):
        labels, _ = self._loss._read(y_true, y_pred)
        return ops.cast(ops.logical_not(labels.is_ignored), self.dtype)


def _snake_case(name):
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _at_least_float32(dtype):
    policy = keras.dtype_policies.get(dtype or keras.config.floatx())
    compute_dtype = policy.compute_dtype
    return "float64" if compute_dtype == "float64" else "float32"
