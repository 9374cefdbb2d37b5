"""Transition matrices: how probable each wrong label is, class by class.

Row i of a matrix holds the probabilities of the observed labels of examples
whose true class is i; every row sums to 1.
"""

import numbers

import numpy as np

from keras_arl.checks import check_num_classes
from keras_arl.checks import check_number
from keras_arl.noise.streams import generator

# Keeps the stream apart from others of the same seed.
_CLASS_DEPENDENT = 0x636C6173

# Published class-dependent mappings {true class: wrong class}.
# 7 -> 1, 2 -> 7, 5 <-> 6, 3 -> 8: Patrini et al., CVPR 2017; Ma et al., 2020.
MNIST_MAPPING = {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}
# boot -> sneaker, sneaker -> sandal, pullover -> shirt, coat <-> dress:
# Zhang & Sabuncu, NeurIPS 2018.
FASHION_MNIST_MAPPING = {9: 7, 7: 5, 2: 6, 4: 3, 3: 4}
# truck -> automobile, bird -> airplane, deer -> horse, cat <-> dog:
# Patrini et al., CVPR 2017.
CIFAR10_MAPPING = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}


def symmetric(rate, num_classes):
    """Symmetric (uniform) noise: every wrong class is equally likely.

    `T[i, i] = 1 - rate` and `T[i, j] = rate / (C - 1)` elsewhere. `rate` is
    the probability that a label is wrong: the true class is not among those
    that a wrong label is drawn from. Papers that draw from all C classes, the
    true one included, at rate r have `rate = r * (C - 1) / C` here.

    Args:
        rate: Probability that a label is wrong, in [0, 1).
        num_classes: Number of classes C, at least 2.

    Returns:
        A float64 array of shape `(C, C)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> keras_arl.noise.symmetric(0.4, num_classes=3)
    array([[0.6, 0.2, 0.2],
           [0.2, 0.6, 0.2],
           [0.2, 0.2, 0.6]])
    """
    check_rate(rate)
    check_num_classes(num_classes)
    matrix = np.full((num_classes, num_classes), rate / (num_classes - 1))
    np.fill_diagonal(matrix, 1 - rate)
    return matrix


def pair_flip(rate, num_classes):
    """Pair flip: each class is mistaken for the next one, the last for 0.

    Args:
        rate: Probability that a label is wrong, in [0, 1).
        num_classes: Number of classes C, at least 2.

    Returns:
        A float64 array of shape `(C, C)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> keras_arl.noise.pair_flip(0.25, num_classes=3)
    array([[0.75, 0.25, 0.  ],
           [0.  , 0.75, 0.25],
           [0.25, 0.  , 0.75]])

    Reference:
        - Han et al., "Co-teaching", NeurIPS 2018, arXiv 1804.06872
    """
    check_num_classes(num_classes)
    mapping = {i: (i + 1) % num_classes for i in range(num_classes)}
    return asymmetric(rate, mapping, num_classes)


def class_dependent(rate, num_classes, seed):
    """Class-dependent noise: each class is mistaken in a way of its own.

    The wrong labels of a class are shared among the other classes by numbers
    drawn at random (a Dirichlet distribution of concentration 0.5: few classes
    get most of them), and classes are wrong with rates of their own, drawn
    evenly from 0 to twice `rate`.

    Args:
        rate: Probability that a label is wrong, the mean over the classes, in
            [0, 0.5).
        num_classes: Number of classes C, at least 2.
        seed: Non-negative integer.

    Returns:
        A float64 array of shape `(C, C)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> T = keras_arl.noise.class_dependent(0.3, num_classes=4, seed=0)
    >>> round(float(1 - T.diagonal().mean()), 2)
    0.3
    """
    check_rate(rate, below=0.5)
    check_num_classes(num_classes)
    rng = generator(seed, _CLASS_DEPENDENT)
    return draw_matrix(draw_rates(rate, num_classes, rng), rng)


def draw_rates(mean, number, rng):
    """Rates from 0 to twice their mean, evenly spread, in a random order."""
    return rng.permutation(2 * mean * (np.arange(number) + 0.5) / number)


def draw_matrix(rates, rng):
    """A transition matrix of each class's rate; its mistakes are drawn."""
    num_classes = len(rates)
    matrix = np.zeros((num_classes, num_classes))
    for true, rate in enumerate(rates):
        shares = rng.dirichlet(np.full(num_classes - 1, 0.5))
        matrix[true] = np.insert(rate * shares, true, 1 - rate)
    return matrix


def asymmetric(rate, mapping, num_classes):
    """Asymmetric (class-dependent) noise: some classes turn into another.

    Classes that the mapping does not name keep their labels. The published
    mappings are `MNIST_MAPPING`, `FASHION_MNIST_MAPPING` and
    `CIFAR10_MAPPING`.

    Args:
        rate: Probability that a label of a mapped class is wrong, in [0, 1).
        mapping: Dictionary from a true class to the class it is mistaken for.
        num_classes: Number of classes C, at least 2.

    Returns:
        A float64 array of shape `(C, C)`.

    Raises:
        ValueError: If an argument is out of range, or a class maps to itself.

    Example:

    >>> keras_arl.noise.asymmetric(0.5, {0: 2}, num_classes=3)
    array([[0.5, 0. , 0.5],
           [0. , 1. , 0. ],
           [0. , 0. , 1. ]])

    Reference:
        - Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a
          Loss Correction Approach", CVPR 2017, arXiv 1609.03683
        - Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep
          Neural Networks with Noisy Labels", NeurIPS 2018, arXiv 1805.07836
    """
    check_rate(rate)
    check_num_classes(num_classes)
    matrix = np.eye(num_classes)
    for true, wrong in mapping.items():
        for label in (true, wrong):
            if not _is_integer(label) or not 0 <= label < num_classes:
                raise ValueError(
                    f"`mapping` must name classes in 0..{num_classes - 1}. "
                    f"Received: {true!r} -> {wrong!r}"
                )
        if true == wrong:
            raise ValueError(
                "`mapping` must map a class to another one. "
                f"Received: {true!r} -> {wrong!r}"
            )
        matrix[true, true] = 1 - rate
        matrix[true, wrong] = rate
    return matrix


def check_transition(transition):
    """Returns a transition matrix as a float64 array, or raises.

    Args:
        transition: Anything that may be a row-stochastic square matrix.

    Raises:
        ValueError: If it is not square, has an entry outside [0, 1], or a row
            that does not sum to 1.

    Example:

    >>> keras_arl.noise.check_transition([[0.9, 0.1], [0.2, 0.7]])
    Traceback (most recent call last):
    ValueError: Each row of a transition matrix must sum to 1. Received: ...
    """
    matrix = np.asarray(transition, dtype="float64")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            "A transition matrix must be square. "
            f"Received an array of shape {matrix.shape}"
        )
    if not ((matrix >= 0) & (matrix <= 1)).all():
        raise ValueError(
            "A transition matrix holds probabilities in [0, 1]. "
            f"Received values from {matrix.min()} to {matrix.max()}"
        )
    sums = matrix.sum(axis=1)
    if not np.allclose(sums, 1, rtol=0, atol=1e-6):
        worst = int(np.argmax(np.abs(sums - 1)))
        raise ValueError(
            "Each row of a transition matrix must sum to 1. "
            f"Received: row {worst} sums to {sums[worst]}"
        )
    return matrix


def check_rate(rate, below=1):
    """Raises unless a noise rate is a number from 0 to below a limit."""
    check_number(
        "rate", rate, f"a number in [0, {below})", lambda x: 0 <= x < below
    )


def _is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
