"""What every classification loss shares: labels, logits and dtype safety."""

import inspect
import re
import warnings

import keras
import numpy as np
from keras import ops

from keras_arl.backend import is_traced
from keras_arl.losses.predictions import Logits
from keras_arl.losses.predictions import Probabilities


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

    **Class indices outside 0..C-1** (and fractional ones) never score
    silently. Where values can be seen (eager execution on every backend) they
    raise a `ValueError`. In a compiled function (TensorFlow graphs, `jax.jit`,
    `torch.compile`) the loss of that sample is NaN and its gradient zero, so
    that the logged loss shows it and `keras.callbacks.TerminateOnNaN` stops.
    Masked or zero-weighted samples need a valid index too; use 0.

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

    def __init__(
        self,
        from_logits=False,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        super().__init__(
            name=name or _snake_case(type(self).__name__),
            reduction=reduction,
            dtype=_at_least_float32(dtype),
        )
        self.from_logits = from_logits
        self._is_constant_of_a_trace = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in cls.hyperparameters:
            if not hasattr(cls, name):
                setattr(cls, name, _Number(name))

    def call(self, y_true, y_pred):
        num_classes = _num_classes(y_pred)
        is_index = _is_index_form(y_true, y_pred)
        predictions = (Logits if self.from_logits else Probabilities)(y_pred)
        if not is_index:
            if y_true.shape[-1] is None:
                y_true = ops.reshape(y_true, ops.shape(y_pred))
            return self.soft_loss(y_true, predictions)
        if len(y_true.shape) == len(y_pred.shape):
            y_true = ops.squeeze(y_true, axis=-1)
        valid = ops.logical_and(
            ops.logical_and(y_true >= 0, y_true <= num_classes - 1),
            ops.equal(y_true, ops.floor(y_true)),
        )
        _raise_if_visibly_invalid(y_true, valid, num_classes)
        safe_labels = ops.cast(ops.where(valid, y_true, 0), "int32")
        losses = self.index_loss(safe_labels, predictions)
        return ops.where(valid, losses, float("nan"))

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

    def hyper_values(self):
        """The present values of `hyper_variables`, a list of NumPy arrays."""
        values = [
            np.asarray(ops.convert_to_numpy(vars(self)[name]), self.dtype)
            for name in self.hyperparameters
        ]
        for part in self.parts.values():
            values += part.hyper_values()
        return values

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
            # Within `jax.jit`, what is computed from a constant is traced.
            self._is_constant_of_a_trace |= is_traced(value + 0)
        return value

    def _make_variable(self, name, value):
        vars(self)[name] = keras.Variable(
            value, trainable=False, dtype=self.dtype, name=name
        )

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


class _Number:
    """A number that can be fed, as an attribute: a float, or a tuple of them.

    What it is made of, a float or a variable, is in the loss's `__dict__`.
    """

    def __init__(self, name):
        self._name = name

    def __get__(self, loss, owner=None):
        if loss is None:
            return self
        try:
            value = vars(loss)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None
        return floats(value) if isinstance(value, keras.Variable) else value

    def __set__(self, loss, value):
        variable = vars(loss).get(self._name)
        if not isinstance(variable, keras.Variable):
            vars(loss)[self._name] = value
            return
        variable.assign(value)
        warn_if_constant_of_a_trace(loss)


def floats(variable):
    """The value of a variable, a float or a tuple of them."""
    # The shortest decimal that names the stored float32: 0.1, not
    # 0.10000000149011612.
    values = [float(str(x)) for x in np.ravel(ops.convert_to_numpy(variable))]
    return tuple(values) if len(variable.shape) else values[0]


def warn_if_constant_of_a_trace(loss):
    """Warns that a function of JAX keeps the numbers it was traced with."""
    if loss._is_constant_of_a_trace:
        loss._is_constant_of_a_trace = False
        warnings.warn(
            "This loss was traced by `jax.jit` with its numbers as constants; "
            "that compiled function keeps the old ones. Compile the model "
            "again, or pass `loss.hyper_variables()` as inputs through "
            "`keras.StatelessScope`.",
            stacklevel=3,
        )


def _snake_case(name):
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _at_least_float32(dtype):
    policy = keras.dtype_policies.get(dtype or keras.config.floatx())
    compute_dtype = policy.compute_dtype
    return "float64" if compute_dtype == "float64" else "float32"


def _num_classes(y_pred):
    shape = _shape(y_pred, "y_pred")
    if len(shape) < 2:
        raise ValueError(
            "Predictions must have shape (..., num_classes) with at least one "
            f"batch axis. Received: y_pred.shape={shape}"
        )
    num_classes = shape[-1]
    if num_classes is None:
        raise ValueError(
            "The number of classes must be known when the loss is built. "
            f"Received: y_pred.shape={shape}"
        )
    if num_classes < 2:
        raise ValueError(
            "Predictions must have at least two classes; a binary problem has "
            "two softmax outputs here, not one sigmoid. "
            f"Received: y_pred.shape={shape}"
        )
    return num_classes


def _is_index_form(y_true, y_pred):
    """Whether the labels are class indices rather than one-hot or soft."""
    *batch_shape, num_classes = _shape(y_pred, "y_pred")
    shape = _shape(y_true, "y_true")
    if _compatible(shape, batch_shape):
        return True
    if _compatible(shape[:-1], batch_shape):
        if shape[-1] == 1:
            return True
        # Where the size is not known before the run, it has to be C.
        if shape[-1] in (None, num_classes):
            return False
    batch_shape = tuple(batch_shape)
    raise ValueError(
        "Labels must be class indices of shape "
        f"{batch_shape} or {(*batch_shape, 1)}, or one-hot or soft labels of "
        f"shape {(*batch_shape, num_classes)}, for predictions of shape "
        f"{(*batch_shape, num_classes)}. Received: y_true.shape={shape}"
    )


def _shape(tensor, name):
    try:
        return tuple(tensor.shape)
    except ValueError:
        raise ValueError(
            f"`{name}` must have a known number of axes, which "
            "`tensor.set_shape` or `tf.ensure_shape` gives it. "
            f"Received: {name}.shape={tensor.shape}"
        ) from None


def _compatible(shape, expected):
    return len(shape) == len(expected) and all(
        a is None or b is None or a == b
        for a, b in zip(shape, expected, strict=True)
    )


def _raise_if_visibly_invalid(labels, valid, num_classes):
    if is_traced(valid) or bool(ops.all(valid)):
        return
    wrong = ops.convert_to_numpy(labels)[~ops.convert_to_numpy(valid)]
    quoted = ", ".join(f"{label:g}" for label in wrong.ravel()[:5])
    raise ValueError(
        f"Class indices must be integers in 0..{num_classes - 1}. "
        f"Received {wrong.size} others, among them: {quoted}"
    )
