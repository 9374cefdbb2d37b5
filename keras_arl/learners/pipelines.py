"""Training data as a learner's step needs it: `tf.data`."""

import numpy as np

from keras_arl.learners import batch as batches
from keras_arl.learners.batches import unpack
from keras_arl.noise.pipelines import check_places


def with_index(dataset):
    """Attaches to each example of a `tf.data` pipeline its index.

    It comes first in a pipeline: before `shuffle`, `batch`, `filter`, `repeat`
    and random augmentation, on a source whose order is the same in every epoch
    (`shuffle_files=False`, no undeterministic `interleave`). A pipeline that
    yields other examples from pass to pass is refused at once where its first
    elements show it, and otherwise ends in an error as soon as another example
    comes in a position.

    Args:
        dataset: A `tf.data.Dataset` of examples, not batches: (x, y) or
            (x, y, sample_weight).

    Returns:
        A `tf.data.Dataset` in which y is a dictionary of `"label"` and
        `"index"`, an int32.

    Raises:
        ValueError: If the elements are no pairs or triples of one example
            each, two passes differ where they begin, or examples come again.

    Example:

    >>> dataset = tf.data.Dataset.from_tensor_slices((np.eye(3), [2, 0, 1]))
    >>> dataset = keras_arl.learners.with_index(dataset)
    >>> dataset = dataset.shuffle(3).batch(3)
    >>> x, y = next(iter(dataset))
    >>> bool(np.all(np.argmax(x, axis=1) == y["index"]))
    True
    """
    import tensorflow as tf

    _check_elements(dataset.element_spec)
    check_place = check_places(dataset, "attach the index")

    def attach(index, item):
        check_place(index, item)
        x, y, *rest = item
        return x, batches.indexed(y, tf.cast(index, tf.int32)), *rest

    return dataset.enumerate().map(attach)


def _check_elements(spec):
    is_tuple = isinstance(spec, tuple) and len(spec) in (2, 3)
    shape = getattr(spec[1], "shape", None) if is_tuple else None
    if shape is None or (shape.rank and shape[0] is None):
        raise ValueError(
            "The dataset must yield examples, not batches: (x, y) or (x, y, "
            f"sample_weight), y one label. Received: element_spec={spec}"
        )


class Pipeline:
    """A batched `tf.data` pipeline with what a learner's step needs beside it.

    Args:
        dataset: A `tf.data.Dataset` of batches (x, y) or (x, y, sample_weight).
        has_index: Whether the examples' indices are needed.
        class_weight: Dictionary from class to weight, or `None`.
        meta: Clean examples: a tuple of arrays (x, y), a `tf.data.Dataset` of
            batches, or `None`.
        meta_batch_size: Size of a clean batch of arrays. Defaults to `None`:
            the size of a training batch.
    """

    num_examples = None

    def __init__(self, dataset, has_index, class_weight, meta, meta_batch_size):
        self.first = unpack(next(iter(dataset)))
        if has_index:
            _check_order(self.first, dataset)
            if not batches.is_indexed(self.first[1]):
                dataset = _by_position(dataset)
        if class_weight is not None:
            dataset = _weighted(dataset, class_weight)
        if meta is not None:
            size = meta_batch_size or len(batches.labels_of(self.first[1]))
            dataset = _with_meta(dataset, _meta_batches(meta, size))
        self.dataset = dataset

    def begin_epoch(self, seed, epoch):
        """The order is the pipeline's own."""


def _check_order(first, dataset):
    """Raises where two iterations show that the order changes or repeats."""
    import tensorflow as tf

    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "A learner that remembers its examples must see each once an "
            "epoch. Received: an endless `tf.data.Dataset`; leave out `repeat`."
        )
    again = unpack(next(iter(dataset)))
    labels = [_by_index(y) for _, y, _ in (first, again)]
    if any(
        not np.array_equal(labels[0][i], labels[1][i])
        for i in labels[0].keys() & labels[1].keys()
    ):
        raise ValueError(
            "A learner that remembers its examples needs the same index for "
            "the same example in every epoch, but the first batch came in "
            "another order when it was read a second time. Attach the index "
            "before the pipeline reorders: "
            "`keras_arl.learners.with_index(dataset).shuffle(...).batch(...)`."
        )


def _by_index(y):
    labels = np.asarray(batches.labels_of(y))
    index = y[batches.INDEX] if batches.is_indexed(y) else range(len(labels))
    return dict(zip(np.asarray(index).tolist(), labels, strict=True))


def _by_position(dataset):
    """Indices by the order in which examples come."""
    import tensorflow as tf

    def attach(start, item):
        x, y, *rest = item
        end = start + tf.shape(y)[0]
        return end, (x, batches.indexed(y, tf.range(start, end)), *rest)

    return dataset.scan(np.int32(0), attach)


def _weighted(dataset, class_weight):
    import tensorflow as tf

    largest = max(class_weight)
    known = [class_weight.get(c, 1.0) for c in range(largest + 2)]
    known = tf.constant([*known[:-1], 1.0], tf.float32)

    def attach(*item):
        x, y, sample_weight = unpack(item)
        classes = batches.labels_of(y)
        if classes.shape.rank == 2:
            is_index = classes.shape[1] == 1
            classes = classes[:, 0] if is_index else tf.argmax(classes, axis=1)
        # Classes that are not named have the weight 1.
        classes = tf.minimum(tf.cast(classes, tf.int32), largest + 1)
        weights = tf.gather(known, classes)
        if sample_weight is not None:
            given = tf.cast(sample_weight, weights.dtype)
            weights *= tf.reshape(given, [-1])
        return x, y, weights

    return dataset.map(attach)


def _meta_batches(meta, size):
    import tensorflow as tf

    if isinstance(meta, tf.data.Dataset):
        return meta.repeat()
    dataset = tf.data.Dataset.from_tensor_slices(meta)
    count = int(dataset.cardinality())
    dataset = dataset.shuffle(count).repeat()
    return dataset.batch(min(size, count), drop_remainder=True)


def _with_meta(dataset, meta):
    import tensorflow as tf

    def attach(item, clean):
        x, *rest = item
        return batches.with_meta(x, clean), *rest

    return tf.data.Dataset.zip((dataset, meta)).map(attach)
