"""The form in which a batch reaches a learner's step, and back.

Keras hands a step its `x`, `y` and `sample_weight` alone, so that the clean
batch travels in `x` and the examples' indices in `y`.
"""

import typing

import keras
from keras import ops

# Keras weighs the logged loss by the length of the first leaf of `x`, in the
# order of the sorted keys: the training data have to come first.
_DATA = "learner_data"
_META = "learner_meta"
LABEL = "label"
INDEX = "index"


class Batch(typing.NamedTuple):
    """What a training step gets.

    Attributes:
        x: The model's input.
        meta: Clean batch, a tuple (x, y), or `None`.
        labels: int32 tensor of shape `(n,)`, or soft labels of shape `(n, C)`.
        index: int32 tensor of shape `(n,)`, the examples' indices, or `None`.
        sample_weight: Tensor of shape `(n,)`, or `None`.
    """

    x: object
    meta: object
    labels: object
    index: object
    sample_weight: object

    def weighted(self, losses):
        """One loss a sample, times the sample weights where there are any."""
        if self.sample_weight is None:
            return losses
        return losses * ops.cast(self.sample_weight, losses.dtype)


def with_meta(x, meta):
    """Puts a clean batch beside the model's input."""
    return {_DATA: x, _META: meta}


def indexed(label, index):
    """Puts the examples' indices beside the labels."""
    return {LABEL: label, INDEX: index}


def is_indexed(y):
    """Whether labels have indices beside them."""
    return isinstance(y, dict) and y.keys() == {LABEL, INDEX}


def data_of(x):
    """The model's input."""
    return x[_DATA] if _is_packed(x) else x


def labels_of(y):
    """The labels as they came."""
    return y[LABEL] if is_indexed(y) else y


def unpack(x, y, sample_weight):
    """The `Batch` of what Keras hands to a training step."""
    meta = x[_META] if _is_packed(x) else None
    index = ops.cast(y[INDEX], "int32") if is_indexed(y) else None
    if sample_weight is not None and len(sample_weight.shape) == 2:
        sample_weight = ops.squeeze(sample_weight, axis=-1)
    labels = standard_labels(labels_of(y))
    return Batch(data_of(x), meta, labels, index, sample_weight)


def standard_labels(labels):
    """Class indices as int32 of shape `(n,)`; soft labels as they are.

    A number that is not whole, which is no class, becomes -1.
    """
    if len(labels.shape) == 2 and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, axis=-1)
    if len(labels.shape) != 1:
        return labels
    if keras.backend.is_float_dtype(labels.dtype):
        is_whole = ops.equal(labels, ops.floor(labels))
        labels = ops.where(is_whole, labels, -1)
    return ops.cast(labels, "int32")


def class_of(labels):
    """The class of each of the labels, int32 of shape `(n,)`."""
    if len(labels.shape) == 1:
        return labels
    return ops.cast(ops.argmax(labels, axis=-1), "int32")


def as_targets(labels, num_classes):
    """The labels as float32 of shape `(n, C)`."""
    if len(labels.shape) == 1:
        return ops.one_hot(labels, num_classes, dtype="float32")
    return ops.cast(labels, "float32")


def _is_packed(x):
    return isinstance(x, dict) and x.keys() == {_DATA, _META}


def slice_of(tree, rows):
    """Rows of all arrays of a nested structure; `None` stays."""
    return keras.tree.map_structure(
        lambda array: None if array is None else array[rows], tree
    )
