"""What every classification loss shares: labels, logits and dtype safety."""

import keras
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

    Args:
        from_logits: Whether predictions are logits. Defaults to `False`:
            class probabilities.
        reduction: As in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: Name of the loss.
        dtype: Dtype of the computation. Defaults to `None`: Keras's `floatx`.
    """

    def __init__(
        self,
        from_logits=False,
        reduction="sum_over_batch_size",
        name=None,
        dtype=None,
    ):
        super().__init__(
            name=name, reduction=reduction, dtype=_at_least_float32(dtype)
        )
        self.from_logits = from_logits

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

    def get_config(self):
        return {
            **super().get_config(),
            "from_logits": self.from_logits,
            "dtype": self.dtype,
        }


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
