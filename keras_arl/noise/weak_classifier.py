"""Noise of a weak classifier: wrong labels where examples look alike."""

import numpy as np

from keras_arl.noise.relabelling import relabel
from keras_arl.noise.streams import generator
from keras_arl.noise.transition import check_rate

# Keep the streams apart from others of the same seed.
_TAUGHT, _WRONG = 0x7765616B, 0x7765616C
# Examples of each class that the classifier knows.
_EXAMPLES = 5


def weak_classifier_labels(features, labels, rate, num_classes, seed):
    """Replaces labels by the mistakes of a weak classifier.

    People and programs that label by rules mistake what looks alike, and make
    the same mistake again. Here the rule is the nearest mean of five examples a
    class, chosen at random. Of its mistakes as many are taken, at random, as
    `rate` asks for, all of them where there are fewer: the report has the
    realised rate.

    Args:
        features: Array of shape `(n, ...)` of finite numbers.
        labels: Array of n class indices, the true classes.
        rate: Share of labels that are to be wrong, in [0, 1).
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
    >>> noisy, report = keras_arl.noise.weak_classifier_labels(
    ...     digits.images / 16, digits.target, rate=0.1, num_classes=10, seed=0
    ... )
    >>> round(report.rate, 2)
    0.1
    """
    check_rate(rate)

    def draw(features, clean):
        guesses = _nearest_mean(features, clean, generator(seed, _TAUGHT))
        mistakes = np.flatnonzero(guesses != clean)
        chosen = generator(seed, _WRONG).permutation(mistakes)
        chosen = chosen[: round(rate * len(clean))]
        noisy = clean.copy()
        noisy[chosen] = guesses[chosen]
        return noisy

    return relabel(draw, features, labels, num_classes)


def _nearest_mean(features, classes, rng):
    """The class of the nearest mean of a few examples, for each example."""
    present = np.unique(classes)
    means = np.stack(
        [
            features[rng.permutation(np.flatnonzero(classes == c))[:_EXAMPLES]]
            .mean(axis=0)
            for c in present
        ]
    )  # fmt: skip
    # The squared distance but for what all means have in common.
    distances = np.sum(means**2, axis=1) - 2 * features @ means.T
    return present[np.argmin(distances, axis=1)]
