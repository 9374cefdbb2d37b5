"""Noise of annotators of different skill, each with a part of the inputs."""

import numpy as np

from keras_arl.noise.corruption import corrupt_labels
from keras_arl.noise.relabelling import relabel
from keras_arl.noise.streams import generator
from keras_arl.noise.transition import check_rate
from keras_arl.noise.transition import draw_matrix
from keras_arl.noise.transition import draw_rates

# Keep the streams apart from others of the same seed.
_DIRECTION, _SKILLS, _MISTAKES = range(0x616E6E6F, 0x616E6E72)
_ANNOTATORS = 5


def annotator_labels(features, labels, rate, num_classes, seed):
    """Replaces labels by those of five annotators of different skill.

    Each annotator labels a fifth of the examples, neighbours along a direction
    of the features that is drawn at random. Annotators are wrong with rates of
    their own, spread evenly from 0 to twice `rate`, and mistake each class in
    a way of their own: the wrong labels of a class are shared among the other
    classes by a Dirichlet distribution of concentration 0.5. So the noise
    depends on the class and on the region of the inputs.

    Args:
        features: Array of shape `(n, ...)` of finite numbers.
        labels: Array of n class indices, the true classes.
        rate: Probability that a label is wrong, the mean over the annotators,
            in [0, 0.5).
        num_classes: Number of classes C, at least 2.
        seed: Non-negative integer.

    Returns:
        The pair of the noisy labels, an array of the shape and dtype of
        `labels`, and a `keras_arl.noise.NoiseReport`.

    Raises:
        ValueError: If the arrays do not fit each other, a feature is not
            finite, a label is no class index, or an argument is out of range.

    Example:

    >>> digits = sklearn.datasets.load_digits()
    >>> noisy, report = keras_arl.noise.annotator_labels(
    ...     digits.images / 16, digits.target, rate=0.3, num_classes=10, seed=0
    ... )
    >>> abs(report.rate - 0.3) < 0.03
    True
    """
    check_rate(rate, below=0.5)

    def draw(features, clean):
        direction = generator(seed, _DIRECTION).normal(size=features.shape[1])
        order = np.argsort(features @ direction, kind="stable")
        rng = generator(seed, _SKILLS)
        skills = draw_rates(rate, _ANNOTATORS, rng)
        seeds = generator(seed, _MISTAKES).integers(2**32, size=_ANNOTATORS)
        noisy = clean.copy()
        for part, skill, own in zip(
            np.array_split(order, _ANNOTATORS), skills, seeds, strict=True
        ):
            matrix = draw_matrix(np.full(num_classes, skill), rng)
            noisy[part] = corrupt_labels(clean[part], matrix, int(own))
        return noisy

    return relabel(draw, features, labels, num_classes)
