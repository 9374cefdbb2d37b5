"""Instance-dependent noise: what an example looks like decides its label.

It is a function of (seed, example index) and the example itself: arrays and
`tf.data` pipelines of the same examples get the same labels.
"""

import functools

import numpy as np
import scipy.stats

from keras_arl.checks import check_num_classes
from keras_arl.noise.labels import as_vectors
from keras_arl.noise.labels import check_features
from keras_arl.noise.labels import check_labels
from keras_arl.noise.measurement import measure_noise
from keras_arl.noise.pipelines import check_cardinality
from keras_arl.noise.pipelines import check_places
from keras_arl.noise.pipelines import find_label
from keras_arl.noise.pipelines import with_label
from keras_arl.noise.streams import generator
from keras_arl.noise.transition import check_rate

# Keep the streams apart from others of the same seed.
_RATES, _FLIPS, _CHOICES, _PROJECTIONS = range(0x696E7374, 0x696E7378)
# Standard deviation of the examples' flip rates, as published.
_SPREAD = 0.1
# Examples projected at a time.
_CHUNK = 4096


def instance_dependent_labels(features, labels, rate, num_classes, seed):
    """Replaces labels by wrong ones that depend on the example.

    Part-dependent label noise of Xia et al. Each example has a flip rate of
    its own, drawn from a normal distribution around `rate` with standard
    deviation 0.1, truncated to [0, 1]. With its features x, its class y and a
    matrix W_y of standard normal numbers of shape `(S, C)`, which the seed
    fixes, a wrong label is drawn from `softmax(x W_y)` without class y.

    Truncation raises a rate close to 0: 0.1 becomes 0.13 on average; 0 is no
    noise. The larger the features, the more certain the choice: with pixels
    in 0..255, as in the authors' program, it is nearly always the class with
    the largest projection.

    Args:
        features: Array of shape `(n, ...)` of finite numbers, S per example.
        labels: Array of n class indices, the true classes.
        rate: Mean of the flip rates before truncation, in [0, 1).
        num_classes: Number of classes C, at least 2. The matrices take
            C * S * C numbers of memory.
        seed: Non-negative integer.

    Returns:
        The pair of the noisy labels, an array of the shape and dtype of
        `labels`, and a `keras_arl.noise.NoiseReport` of the realised rate and
        transition matrix.

    Raises:
        ValueError: If the arrays do not fit each other, a feature is not
            finite, a label is no class index, or an argument is out of range.

    Example:

    >>> digits = sklearn.datasets.load_digits()
    >>> noisy, report = keras_arl.noise.instance_dependent_labels(
    ...     digits.images / 16, digits.target, rate=0.4, num_classes=10, seed=0
    ... )
    >>> round(report.rate, 2)
    0.37

    Reference:
        - Xia et al., "Part-dependent Label Noise: Towards Instance-dependent
          Label Noise", NeurIPS 2020, arXiv 2006.07836
    """
    check_rate(rate)
    check_num_classes(num_classes)
    clean = check_labels(labels, num_classes).ravel()
    features = check_features(features, clean)
    chunks = (
        (features[start : start + _CHUNK], clean[start : start + _CHUNK])
        for start in range(0, len(clean), _CHUNK)
    )
    noisy = _corrupt(chunks, len(clean), rate, num_classes, seed)
    report = measure_noise(clean, noisy, num_classes)
    labels = np.asarray(labels)
    return noisy.astype(labels.dtype).reshape(labels.shape), report


def with_instance_dependent_labels(dataset, rate, num_classes, seed):
    """Replaces the labels of a `tf.data` pipeline by instance-dependent ones.

    See `instance_dependent_labels`, which gives the same labels for the same
    examples. One pass over the pipeline draws them; from then on an example
    keeps its label by its position, so apply it to the examples in their
    stored order, before augmentation, `shuffle`, `batch` and `repeat`.

    Args:
        dataset: Unbatched `tf.data.Dataset` of pairs `(features, label)`, or
            triples with a sample weight, the features one tensor of a fixed
            shape and the labels class indices, scalars or of shape `(1,)`; of
            known and finite cardinality.
        rate: Mean of the flip rates before truncation, in [0, 1).
        num_classes: Number of classes C, at least 2.
        seed: Non-negative integer.

    Returns:
        The pair of a `tf.data.Dataset` of the same element spec, which raises
        `tf.errors.InvalidArgumentError` at another example than in the pass
        before, and a `keras_arl.noise.NoiseReport` of the realised rate and
        transition matrix.

    Raises:
        ValueError: If the dataset has another form, an unknown or infinite
            cardinality, an order that changes or examples that come again, a
            feature is not finite, a label is no class index, or an argument is
            out of range.

    Example:

    >>> digits = sklearn.datasets.load_digits()
    >>> clean = tf.data.Dataset.from_tensor_slices(
    ...     (digits.images / 16, digits.target)
    ... )
    >>> train, report = keras_arl.noise.with_instance_dependent_labels(
    ...     clean, rate=0.4, num_classes=10, seed=0
    ... )
    >>> train = train.cache().shuffle(2000).batch(32)

    Reference:
        - Xia et al., "Part-dependent Label Noise: Towards Instance-dependent
          Label Noise", NeurIPS 2020, arXiv 2006.07836
    """
    import tensorflow as tf

    check_rate(rate)
    check_num_classes(num_classes)
    place, label_spec = find_label(dataset, None, num_classes)
    feature_spec = dataset.element_spec[0]
    if (
        not isinstance(feature_spec, tf.TensorSpec)
        or not feature_spec.shape.is_fully_defined()
    ):
        raise ValueError(
            "The features must be one tensor of a fixed shape. "
            f"Received: feature spec {feature_spec}"
        )
    count = check_cardinality(dataset)
    if not count:
        raise ValueError("The dataset must not be empty. Received: no example")
    check_place = check_places(dataset)

    def checked(position, element):
        check_place(position, element)
        return position, element

    # The pass that draws the labels is one of those that must be the same.
    dataset = dataset.enumerate().map(
        checked, num_parallel_calls=tf.data.AUTOTUNE
    )
    seen = []

    def chunks():
        for _, element in dataset.batch(_CHUNK).as_numpy_iterator():
            seen.append(check_labels(element[place], num_classes).ravel())
            yield element[0], seen[-1]

    noisy = _corrupt(chunks(), count, rate, num_classes, seed)
    report = measure_noise(np.concatenate(seen), noisy, num_classes)
    noisy = tf.cast(noisy.reshape(-1, *label_spec.shape), label_spec.dtype)
    return dataset.map(
        lambda position, element: with_label(element, place, noisy[position]),
        num_parallel_calls=tf.data.AUTOTUNE,
    ), report


def _corrupt(chunks, count, rate, num_classes, seed):
    """Noisy labels, int64 of shape `(count,)`, of chunks of examples."""
    flip_rates = _flip_rates(rate, generator(seed, _RATES).random(count))
    flipped = generator(seed, _FLIPS).random(count) < flip_rates
    choices = generator(seed, _CHOICES).random(count)
    noisy = np.empty(count, dtype="int64")
    projection = functools.cache(
        functools.partial(_projection, seed, num_classes)
    )
    start = 0
    for features, labels in chunks:
        features = as_vectors(features)
        here = slice(start, start + len(labels))
        noisy[here] = labels
        for true_class in np.unique(labels[flipped[here]]):
            members = flipped[here] & (labels == true_class)
            scores = features[members] @ projection(
                features.shape[1], int(true_class)
            )
            # Half of the range: two scores are subtracted from each other.
            if not (np.abs(scores) < np.finfo("float64").max / 2).all():
                raise ValueError(
                    "Features are too large to be projected. Received values "
                    f"up to {np.abs(features).max():g}"
                )
            noisy[here][members] = _wrong_classes(
                scores, true_class, choices[here][members]
            )
        start += len(labels)
    return noisy


def _flip_rates(rate, uniforms):
    if rate == 0:
        return np.zeros_like(uniforms)
    lowest, highest = -rate / _SPREAD, (1 - rate) / _SPREAD
    return scipy.stats.truncnorm.ppf(
        uniforms, lowest, highest, loc=rate, scale=_SPREAD
    )


def _projection(seed, num_classes, size, true_class):
    stream = generator(seed, _PROJECTIONS, true_class)
    return stream.standard_normal((size, num_classes))


def _wrong_classes(scores, true_class, uniforms):
    """Draws of the softmax of scores without the true class."""
    scores[:, true_class] = -np.inf
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    passed = np.cumsum(weights, axis=1)
    # Below the total even where the product is rounded up to it.
    drawn = np.minimum(uniforms * passed[:, -1], np.nextafter(passed[:, -1], 0))
    return (drawn[:, None] >= passed).sum(axis=1)
