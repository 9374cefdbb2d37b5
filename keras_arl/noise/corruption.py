"""Drawing wrong labels, so that an example keeps one label for good.

The noise is a function of (seed, example index): the i-th example of a set
compares the i-th number of a seeded stream with its row of the transition
matrix. Epochs, shuffling, batching and parallel calls cannot change it, and
arrays and `tf.data` pipelines of the same examples get the same labels.
"""

import numpy as np

from keras_arl.noise.labels import check_fits
from keras_arl.noise.labels import check_labels
from keras_arl.noise.pipelines import check_cardinality
from keras_arl.noise.pipelines import check_order_is_stable
from keras_arl.noise.pipelines import check_pairs
from keras_arl.noise.streams import generator
from keras_arl.noise.transition import check_transition

# Keeps this stream apart from others of the same seed.
_PURPOSE = 0x6C6162656C


def corrupt_labels(labels, transition, seed):
    """Replaces labels by draws from a transition matrix.

    Args:
        labels: Integer array of shape `(n,)`, the true classes.
        transition: Transition matrix of shape `(C, C)`, rows summing to 1.
        seed: Non-negative integer.

    Returns:
        An array of the shape and dtype of `labels`.

    Raises:
        ValueError: If the labels are not integers of one axis, one is outside
            0..C-1, the matrix is not row-stochastic, or the seed is negative.

    Example:

    >>> T = keras_arl.noise.pair_flip(0.5, num_classes=10)
    >>> keras_arl.noise.corrupt_labels(np.arange(10), T, seed=0)
    array([0, 1, 3, 3, 5, 6, 6, 8, 8, 9])
    """
    thresholds = _thresholds(transition)
    labels = check_labels(labels, len(thresholds))
    uniforms = generator(seed, _PURPOSE).random(len(labels))
    noisy = np.empty_like(labels)
    for true_class, row in enumerate(thresholds):
        members = labels == true_class
        noisy[members] = np.searchsorted(row, uniforms[members], side="right")
    return noisy


def with_noisy_labels(dataset, transition, seed):
    """Replaces the labels of a `tf.data` pipeline by noisy ones.

    Apply it to the examples in their stored order, before `shuffle`, `batch`
    and `repeat`: an example's noise belongs to its position. A pipeline whose
    order differs from pass to pass is refused as far as its first elements
    show it.

    Args:
        dataset: Unbatched `tf.data.Dataset` of pairs `(image, label)`, the
            labels integer scalars, of known and finite cardinality (use
            `tf.data.experimental.assert_cardinality` where TensorFlow does
            not know it).
        transition: Transition matrix of shape `(C, C)`, rows summing to 1.
        seed: Non-negative integer.

    Returns:
        A `tf.data.Dataset` of the same pairs and the same element spec. A
        label outside 0..C-1 raises `tf.errors.InvalidArgumentError` when the
        pipeline reaches it.

    Raises:
        ValueError: If the dataset has another form, an unknown or infinite
            cardinality or an order that changes, the matrix is not
            row-stochastic, or the seed is negative.

    Example:

    >>> images, labels = np.zeros((1000, 8, 8, 1)), np.arange(1000) % 10
    >>> clean = tf.data.Dataset.from_tensor_slices((images, labels))
    >>> T = keras_arl.noise.symmetric(0.4, num_classes=10)
    >>> train = keras_arl.noise.with_noisy_labels(clean, T, seed=0)
    >>> train = train.cache().shuffle(1000).batch(32)
    """
    import tensorflow as tf

    thresholds = _thresholds(transition)
    num_classes = len(thresholds)
    label_spec = check_pairs(dataset)
    check_fits(num_classes, label_spec.dtype.as_numpy_dtype)
    cardinality = check_cardinality(dataset)
    check_order_is_stable(dataset)
    uniforms = tf.constant(generator(seed, _PURPOSE).random(cardinality))
    thresholds = tf.constant(thresholds)
    message = (
        f"Labels must be in 0..{num_classes - 1}, the classes of the "
        "transition matrix."
    )

    def replace_label(index, example):
        image, label = example
        inside = tf.logical_and(label >= 0, label < num_classes)
        with tf.control_dependencies(
            [tf.debugging.Assert(inside, [message, "Received:", label])]
        ):
            row = thresholds[tf.cast(label, tf.int64)]
        passed = tf.cast(uniforms[index] >= row, tf.int32)
        return image, tf.cast(tf.reduce_sum(passed), label_spec.dtype)

    return dataset.enumerate().map(
        replace_label, num_parallel_calls=tf.data.AUTOTUNE
    )


def _thresholds(transition):
    """Cumulative rows; the last entry can never be passed."""
    thresholds = np.cumsum(check_transition(transition), axis=1)
    # Rounding may leave the sum of a row below 1, but no draw may go past the
    # last class that has a probability.
    positive = np.asarray(transition) > 0
    last = positive.shape[1] - 1 - positive[:, ::-1].argmax(axis=1)
    for row, column in enumerate(last):
        thresholds[row, column:] = 1.0
    return thresholds
