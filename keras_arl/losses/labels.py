"""What comes to a loss, read: labels and sample weights for predictions.

Predictions have shape `(..., C)` here: the axis of the classes is the last.
"""

from typing import Any
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_arl.backend import is_traced

# How far a label's sum may be from 1: labels may come in half precision.
_TOLERANCE = 0.01
_FORM = (
    "Soft and one-hot labels must be probabilities that sum to 1 over the "
    "classes (all zeros leave a sample out; weights go to `sample_weight`). "
    "Received {count} others, among them: {examples}"
)


class Labels(NamedTuple):
    """Labels for predictions of shape `(..., C)`.

    Attributes:
        values: Class indices, int32 of shape `(...)`, or soft labels of shape
            `(..., C)`. Those that do not count are replaced by valid ones.
        is_index: Whether they are class indices.
        is_valid: Boolean tensor of shape `(...)`.
        is_ignored: The same of the labels that are left out; `None`: none is.
    """

    values: Any
    is_index: bool
    is_valid: Any
    is_ignored: Any


def as_array(values, name):
    """Lists as an array; everything else as it is."""
    if hasattr(values, "nested_row_splits"):
        raise ValueError(
            f"`{name}` is ragged: fill it up, as by `{name}.to_tensor(-1)`, "
            "and give the loss `ignore_class=-1`"
        )
    if not isinstance(values, (list, tuple)):
        return values
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(
            f"`{name}` must have rows of one length. Fill up what is shorter, "
            "labels by -1 with `ignore_class=-1` in the loss. Received: "
            f"{name}={values!r:.100}"
        ) from None


def num_classes(y_pred):
    """The size of the last axis of predictions, checked."""
    shape = _shape(y_pred, "y_pred")
    if len(shape) < 2:
        raise ValueError(
            "Predictions must have shape (..., num_classes) with at least one "
            f"batch axis. Received: y_pred.shape={shape}"
        )
    size = shape[-1]
    if size is None:
        raise ValueError(
            "The number of classes must be known when the loss is built. "
            f"Received: y_pred.shape={shape}"
        )
    if size < 2:
        raise ValueError(
            "Predictions must have at least two classes; a binary problem has "
            "two softmax outputs here, not one sigmoid. "
            f"Received: y_pred.shape={shape}"
        )
    return size


def read(y_true, y_pred, ignore_class=None):
    """Reads labels, of any form that `ClassificationLoss` takes.

    Args:
        y_true: Tensor of labels.
        y_pred: Tensor of predictions of shape `(..., C)`.
        ignore_class: As in `ClassificationLoss`.

    Returns:
        `Labels`.

    Raises:
        ValueError: If the shapes do not fit, or a label whose value can be
            seen is none.
    """
    size = num_classes(y_pred)
    if not _is_index_form(y_true, y_pred):
        if y_true.shape[-1] is None:
            y_true = ops.reshape(y_true, ops.shape(y_pred))
        return _read_targets(ops.cast(y_true, y_pred.dtype), size, ignore_class)
    if len(y_true.shape) == len(y_pred.shape):
        y_true = ops.squeeze(y_true, axis=-1)
    return _read_indices(y_true, size, ignore_class)


def _read_indices(labels, size, ignore_class):
    is_class = ops.logical_and(
        ops.logical_and(labels >= 0, labels <= size - 1),
        ops.equal(labels, ops.floor(labels)),
    )
    is_valid, is_ignored = is_class, None
    if ignore_class is not None:
        is_ignored = ops.equal(labels, ignore_class)
        is_valid = ops.logical_or(is_class, is_ignored)
    if _is_visibly_wrong(is_valid):
        wrong = _numpy(labels)[~_numpy(is_valid)]
        quoted = ", ".join(f"{label:g}" for label in wrong.ravel()[:5])
        raise ValueError(
            f"Class indices must be integers in 0..{size - 1}"
            + ("" if ignore_class is None else f" or {ignore_class}")
            + "; `ignore_class` of the loss leaves out one other. "
            f"Received {wrong.size} others, among them: {quoted}"
        )
    indices = ops.cast(ops.where(is_class, labels, 0), "int32")
    return Labels(indices, True, is_valid, is_ignored)


def _read_targets(targets, size, ignore_class):
    sums = ops.sum(targets, axis=-1)
    is_label = ops.logical_and(
        ops.min(targets, axis=-1) >= -_TOLERANCE,
        ops.abs(sums - 1) <= _TOLERANCE,
    )
    is_ignored = ops.all(ops.equal(targets, 0), axis=-1)
    is_valid = ops.logical_or(is_label, is_ignored)
    if _is_visibly_wrong(is_valid):
        wrong = _numpy(targets)[~_numpy(is_valid)]
        quoted = ", ".join(_quoted(row) for row in wrong[:2])
        raise ValueError(_FORM.format(count=len(wrong), examples=quoted))
    if ignore_class is not None:
        is_ignored = ops.logical_or(
            is_ignored, ops.equal(ops.argmax(targets, axis=-1), ignore_class)
        )
    counts = ops.logical_and(is_label, ops.logical_not(is_ignored))
    targets = ops.where(counts[..., None], targets, 1 / size)
    return Labels(targets, False, is_valid, is_ignored)


def weight_per_label(sample_weight, y_pred):
    """Sample weights, each repeated for all labels that it holds for.

    Args:
        sample_weight: Weights of the first axes of the labels: of shape
            `(batch_size,)` a weight for each example, of the labels' shape
            `(...)` for each label. Axes of size 1 are repeated.
        y_pred: Tensor of predictions of shape `(..., C)`.

    Returns:
        A tensor of shape `(...)`.

    Raises:
        ValueError: If the shapes do not fit.
    """
    num_classes(y_pred)
    *expected, _ = _shape(y_pred, "y_pred")
    weights = ops.convert_to_tensor(sample_weight)
    shape = given = _shape(weights, "sample_weight")
    if len(shape) == len(expected) + 1 and shape[-1] == 1:
        shape = shape[:-1]
        weights = ops.squeeze(weights, axis=-1)
    missing = len(expected) - len(shape)
    shape = (*shape, *[1] * missing)
    if missing < 0 or not all(
        a == 1 or a is None or b is None or a == b
        for a, b in zip(shape, expected, strict=True)
    ):
        raise ValueError(
            "`sample_weight` must have the shape of the labels, "
            f"{tuple(expected)}, or of their first axes. Received: "
            f"sample_weight.shape={given}"
        )
    for _ in range(missing):
        weights = ops.expand_dims(weights, axis=-1)
    # A new tensor, since on PyTorch Keras multiplies it by a mask in place.
    return ops.multiply(weights, ops.ones(ops.shape(y_pred)[:-1]))


def _is_index_form(y_true, y_pred):
    """Whether the labels are class indices rather than one-hot or soft."""
    *batch_shape, size = _shape(y_pred, "y_pred")
    shape = _shape(y_true, "y_true")
    if _compatible(shape, batch_shape):
        return True
    if _compatible(shape[:-1], batch_shape):
        if shape[-1] == 1:
            return True
        # Where the size is not known before the run, it has to be C.
        if shape[-1] in (None, size):
            return False
    batch_shape = tuple(batch_shape)
    raise ValueError(
        "Labels must be class indices of shape "
        f"{batch_shape} or {(*batch_shape, 1)}, or one-hot or soft labels of "
        f"shape {(*batch_shape, size)}, for predictions of shape "
        f"{(*batch_shape, size)} (of another axis than the last for the "
        "classes, `axis` tells the loss). Received: y_true.shape="
        f"{shape}"
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


def _is_visibly_wrong(is_valid):
    return not is_traced(is_valid) and not bool(ops.all(is_valid))


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _quoted(row):
    text = ", ".join(f"{value:g}" for value in row[:10])
    return f"[{text}{', ...' if len(row) > 10 else ''}] with sum {row.sum():g}"
