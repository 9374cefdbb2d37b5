"""How much noise labels really got."""

import typing

import numpy as np

from keras_arl.checks import check_num_classes
from keras_arl.noise.labels import check_labels


class NoiseReport(typing.NamedTuple):
    """The noise that labels really got.

    Attributes:
        rate: Share of wrong labels, a float.
        transition: Transition matrix of shape `(C, C)`: row i holds the shares
            of the observed labels among examples of class i. The row of a
            class without examples is NaN.
    """

    rate: float
    transition: np.ndarray


def measure_noise(labels, noisy_labels, num_classes):
    """Compares noisy labels with the true ones.

    Args:
        labels: Array of class indices, the true classes, of any shape.
        noisy_labels: Array of as many, the observed ones.
        num_classes: Number of classes C, at least 2.

    Returns:
        A `NoiseReport`, the pair `(rate, transition)`.

    Raises:
        ValueError: If the arrays differ in length or are empty, or a label is
            outside 0..C-1.

    Example:

    >>> rate, T = keras_arl.noise.measure_noise(
    ...     np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), num_classes=2
    ... )
    >>> rate
    0.25
    >>> T
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    check_num_classes(num_classes)
    labels = check_labels(labels, num_classes).ravel()
    noisy_labels = check_labels(noisy_labels, num_classes).ravel()
    if len(labels) != len(noisy_labels) or not len(labels):
        raise ValueError(
            "True and noisy labels must be as many, and at least one. "
            f"Received: {len(labels)} and {len(noisy_labels)}"
        )
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (labels, noisy_labels), 1)
    totals = counts.sum(axis=1, keepdims=True)
    transition = np.full_like(counts, np.nan)
    np.divide(counts, totals, out=transition, where=totals > 0)
    return NoiseReport(float(np.mean(labels != noisy_labels)), transition)
