"""Drawing wrong labels, so that an example keeps one label for good.

The noise is a function of (seed, example index): the i-th example of a set
compares the i-th number of a seeded stream with its row of the transition
matrix. Epochs, shuffling, batching and parallel calls cannot change it, and
arrays and `tf.data` pipelines of the same examples get the same labels.
"""

import numbers

import numpy as np

from keras_arl.noise.transition import check_transition

# Keeps this stream apart from others of the same seed.
_PURPOSE = 0x6C6162656C
# Labels compared when a pipeline is checked for a stable order.
_PROBE = 64


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
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "Labels must be an integer array of shape (n,). "
            f"Received: shape {labels.shape}, dtype {labels.dtype}"
        )
    thresholds = _thresholds(transition)
    num_classes = len(thresholds)
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(
            f"Labels must be in 0..{num_classes - 1}, the classes of the "
            f"transition matrix. Received: {labels[outside][:5].tolist()}"
        )
    uniforms = _uniforms(seed, len(labels))
    _check_fits(num_classes, labels.dtype)
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
    label_spec = _check_pairs(dataset)
    _check_fits(num_classes, label_spec.dtype.as_numpy_dtype)
    cardinality = _check_cardinality(dataset)
    _check_order_is_stable(dataset)
    uniforms = tf.constant(_uniforms(seed, cardinality))
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


def _uniforms(seed, count):
    if (
        not isinstance(seed, numbers.Integral)
        or isinstance(seed, bool)
        or seed < 0
    ):
        raise ValueError(
            f"`seed` must be a non-negative integer. Received: seed={seed!r}"
        )
    # Not the plain stream of the seed: data drawn from `default_rng(seed)`
    # would then decide which of its own labels are wrong.
    sequence = np.random.SeedSequence([_PURPOSE, int(seed)])
    return np.random.Generator(np.random.PCG64(sequence)).random(count)


def _check_pairs(dataset):
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(
            "The dataset must yield pairs (image, label). "
            f"Received: element_spec={spec}"
        )
    label = spec[1]
    if not hasattr(label, "shape") or label.shape.rank != 0:
        raise ValueError(
            "Labels must be integer scalars: apply noise before batching, and "
            f"to class indices. Received: label spec {label}"
        )
    if not label.dtype.is_integer:
        raise ValueError(
            f"Labels must be integers. Received: label spec {label}"
        )
    return label


def _check_fits(num_classes, dtype):
    if num_classes - 1 > np.iinfo(dtype).max:
        raise ValueError(
            f"Labels of dtype {np.dtype(dtype)} cannot hold {num_classes} "
            "classes, the size of the transition matrix."
        )


def _check_cardinality(dataset):
    cardinality = int(dataset.cardinality())
    if cardinality < 0:
        kind = "infinite" if cardinality == -1 else "unknown"
        raise ValueError(
            "The dataset must have a known, finite cardinality, so that each "
            "example keeps one label: apply noise before `repeat`, and "
            "`tf.data.experimental.assert_cardinality` after `filter` or "
            f"`from_generator`. Received: {kind} cardinality"
        )
    return cardinality


def _check_order_is_stable(dataset):
    labels = dataset.map(lambda image, label: label).take(_PROBE)
    first, second = (list(labels.as_numpy_iterator()) for _ in range(2))
    if first != second:
        raise ValueError(
            "The dataset yields its labels in another order at each pass, so "
            "that an example could not keep one label: apply noise before "
            "`shuffle`. Received: two passes that differ within the first "
            f"{_PROBE} elements"
        )
