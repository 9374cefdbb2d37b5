"""Drawing wrong labels, so that an example keeps one label for good.

The noise is a function of (seed, example index): the i-th example of a set
compares the i-th number of a seeded stream with its row of the transition
matrix. Epochs, shuffling, batching and parallel calls cannot change it, and
arrays and `tf.data` pipelines of the same examples get the same labels.
"""

import numpy as np

from keras_arl.noise.labels import check_labels
from keras_arl.noise.pipelines import check_cardinality
from keras_arl.noise.pipelines import check_places
from keras_arl.noise.pipelines import find_label
from keras_arl.noise.pipelines import with_label
from keras_arl.noise.streams import generator
from keras_arl.noise.transition import check_transition

# Keeps this stream apart from others of the same seed.
_PURPOSE = 0x6C6162656C


def corrupt_labels(labels, transition, seed):
    """Replaces labels by draws from a transition matrix.

    Args:
        labels: Array of class indices, the true classes: whole numbers of any
            dtype, of shape `(n,)`, `(n, 1)` or, where each pixel is an
            example, `(n, height, width)`.
        transition: Transition matrix of shape `(C, C)`, rows summing to 1.
        seed: Non-negative integer.

    Returns:
        An array of the shape and dtype of `labels`.

    Raises:
        ValueError: If the labels are no class indices, one is outside 0..C-1,
            the matrix is not row-stochastic, or the seed is negative.

    Example:

    >>> T = keras_arl.noise.pair_flip(0.5, num_classes=10)
    >>> keras_arl.noise.corrupt_labels(np.arange(10), T, seed=0)
    array([0, 1, 3, 3, 5, 6, 6, 8, 8, 9])
    """
    thresholds = _thresholds(transition)
    clean = check_labels(labels, len(thresholds))
    uniforms = generator(seed, _PURPOSE).random(clean.shape)
    noisy = np.empty_like(clean)
    for true_class, row in enumerate(thresholds):
        members = clean == true_class
        noisy[members] = np.searchsorted(row, uniforms[members], side="right")
    return noisy.astype(np.asarray(labels).dtype)


def with_noisy_labels(dataset, transition, seed, label="label"):
    """Replaces the labels of a `tf.data` pipeline by noisy ones.

    Apply it to the examples in their stored order, before `shuffle`, random
    augmentation, `batch` and `repeat`: an example's noise belongs to its
    position. A pipeline that yields other examples from pass to pass is
    refused at once where its first elements show it, and otherwise ends in an
    error as soon as another example comes in a position.

    Args:
        dataset: Unbatched `tf.data.Dataset` of pairs `(image, label)`, triples
            with a sample weight, or dictionaries; the labels class indices,
            scalars or of shape `(1,)`; of known and finite cardinality (use
            `tf.data.experimental.assert_cardinality` where TensorFlow does
            not know it).
        transition: Transition matrix of shape `(C, C)`, rows summing to 1.
        seed: Non-negative integer.
        label: Name of the label in elements that are dictionaries, such as
            those of TFDS. Defaults to `"label"`.

    Returns:
        A `tf.data.Dataset` of the same element spec. When the pipeline reaches
        a label outside 0..C-1, or another example than in the pass before, it
        raises `tf.errors.InvalidArgumentError`. What it remembers for that is
        why no `tf.train.Checkpoint` can hold its iterators.

    Raises:
        ValueError: If the dataset has another form, an unknown or infinite
            cardinality, an order that changes or examples that come again, the
            matrix is not row-stochastic, or the seed is negative.

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
    place, spec = find_label(dataset, label, num_classes)
    cardinality = check_cardinality(dataset)
    check_place = check_places(dataset)
    uniforms = tf.constant(generator(seed, _PURPOSE).random(cardinality))
    thresholds = tf.constant(thresholds)
    message = (
        f"Labels must be whole numbers in 0..{num_classes - 1}, the classes of "
        "the transition matrix. Received:"
    )

    def replace_label(position, element):
        check_place(position, element)
        # 256 classes are too many for a comparison in uint8.
        true_class = tf.cast(element[place], tf.int64)
        valid = (
            (true_class >= 0)
            & (true_class < num_classes)
            & (tf.cast(true_class, spec.dtype) == element[place])
        )
        with tf.control_dependencies(
            [
                tf.raw_ops.Assert(
                    condition=tf.reshape(valid, ()),
                    data=[message, element[place]],
                )
            ]
        ):
            row = tf.gather(thresholds, tf.reshape(true_class, ()))
        passed = tf.cast(uniforms[position] >= row, tf.int32)
        noisy = tf.reshape(tf.reduce_sum(passed), spec.shape)
        return with_label(element, place, tf.cast(noisy, spec.dtype))

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
