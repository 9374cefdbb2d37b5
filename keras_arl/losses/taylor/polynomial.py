"""The Taylor polynomial itself, as plain numbers: layout and checks.

One sample's loss is, up to a constant, the sum over classes c of

    sum over i >= 1, i + j <= order of
        theta_ij * (p_c - a)^i * (y_c - b)^j

with p the class probabilities, y the label and (a, b) the centre.
"""

import math
import numbers

import numpy as np

MAX_ORDER = 6
FEWEST_CLASSES = 10
# Of a training, in which its share that is done is 0.5.
MIDDLE = 0.5
# Of a pull, in units of the largest coefficient.
_ROUNDING = 1e-9


def exponents(order):
    """Pairs (i, j) in the order of the coefficients: i ascending, then j."""
    check_order(order)
    return [(i, j) for i in range(1, order + 1) for j in range(order - i + 1)]


def change_exponents(order):
    """Triples (i, j, k) of the terms that change over a training.

    In the order of the changes: k ascending from 1, then i, then j.
    """
    check_order(order)
    return [
        (i, j, k)
        for k in range(1, order)
        for i, j in (exponents(order - k) if order > k else ())
    ]


def num_coefficients(order):
    """How many coefficients a polynomial of this order has."""
    return len(exponents(order))


def check_order(order, smallest=1):
    """Raises a `ValueError` unless `order` is an integer of up to 6."""
    if (
        not isinstance(order, numbers.Integral)
        or isinstance(order, bool)
        or not smallest <= order <= MAX_ORDER
    ):
        raise ValueError(
            f"`order` must be an integer from {smallest} to {MAX_ORDER}. "
            f"Received: order={order!r}"
        )


def check_coefficients(coefficients, order, dtype="float32"):
    """Returns the coefficients as a tuple of floats, or raises.

    They must be finite in `dtype`, in which the loss is computed.
    """
    return _finite_vector(
        "coefficients", coefficients, num_coefficients(order), dtype
    )


def check_changes(changes, order, dtype="float32"):
    """Returns the changes as a tuple of floats, or raises."""
    length = len(change_exponents(order))
    return _finite_vector("changes", changes, length, dtype)


def check_center(center, dtype="float32"):
    """Returns the centre (a, b) as a tuple of floats, or raises."""
    return _finite_vector("center", center, 2, dtype)


def _finite_vector(name, values, length, dtype):
    try:
        vector = np.asarray(values, dtype="float64")
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be {length} finite numbers. "
            f"Received: {name}={values!r}"
        ) from None
    if vector.shape != (length,):
        raise ValueError(
            f"`{name}` must be {length} finite numbers. "
            f"Received an array of shape {vector.shape}: {values!r}"
        )
    with np.errstate(over="ignore"):
        finite = np.isfinite(vector.astype(dtype)).all()
    if not finite:
        raise ValueError(
            f"`{name}` must be {length} finite numbers of {dtype}. "
            f"Received: {name}={vector.tolist()}"
        )
    return tuple(vector.tolist())


def coefficient_matrix_indices(order):
    """Positions of theta_ij in the coefficient vector, as a matrix.

    Entry (i - 1, j) is the position of theta_ij; where no such term exists it
    is `num_coefficients(order)`, one past the end, so that a vector padded
    with one zero can be gathered into the matrix.
    """
    pairs = exponents(order)
    indices = np.full((order, order), len(pairs), dtype="int32")
    for position, (i, j) in enumerate(pairs):
        indices[i - 1, j] = position
    return indices


def horner(coefficients, x):
    """The sum over k >= 1 of coefficients[k - 1] * x^k.

    Args:
        coefficients: A list; of a tensor's entries one by `unstack`, since an
            index takes five operations of TensorFlow's to be compiled.
        x: A number, array or tensor.
    """
    *lower, total = coefficients
    total = total * x
    for coefficient in reversed(lower):
        total = (total + coefficient) * x
    return total


def change_matrix(order):
    """Which coefficients a term that changes is added to.

    Returns:
        An array of 0 and 1, a row for each coefficient and a column for each
        change.
    """
    pairs = exponents(order)
    matrix = np.zeros((len(pairs), len(change_exponents(order))))
    for column, (i, j, _) in enumerate(change_exponents(order)):
        matrix[pairs.index((i, j)), column] = 1
    return matrix


def coefficients_at(coefficients, changes, order, progress):
    """The coefficients at a time of the training, an array.

    Args:
        coefficients: Those at its middle.
        changes: In the order of `change_exponents`.
        order: Order of the polynomial.
        progress: Share of the training that is done.
    """
    time = progress - MIDDLE
    powers = [time**k for _, _, k in change_exponents(order)]
    return coefficients + change_matrix(order) @ (changes * np.array(powers))


def univariate(coefficients, center, order, label):
    """Polynomial in p that one class contributes when its label is fixed.

    Returns a `numpy.polynomial.Polynomial` in p - a, without constant term.
    """
    powers = np.zeros(order + 1)
    for theta, (i, j) in zip(coefficients, exponents(order), strict=True):
        powers[i] += theta * (label - center[1]) ** j
    return np.polynomial.Polynomial(powers)


def class_scale(num_classes):
    """The exponent and the weight of another class of a class-aware loss.

    With fewer than ten classes the exponent is that for ten. With the larger
    exponent for two or three classes, a loss that resists noise with ten
    classes has almost no gradient at classes that the network has yet to learn.
    """
    effective = max(num_classes, FEWEST_CLASSES)
    return math.log(2) / math.log(effective), 1 / (effective - 1)


def steepest_pull(coefficients, center, order, class_aware=False):
    """The largest gradient of a logit that a sample of ten classes meets.

    It is the largest |dL/dz| of the labelled class's logit z over its
    probability, where the other classes share the rest: 1 for cross-entropy,
    0.25 for minus the probability. It is 0 where it is lost in rounding.
    """
    # Where it peaks it is flat; 999 values find it to 1e-5 of itself.
    p = np.arange(1, 1000) / 1000
    others = FEWEST_CLASSES - 1
    rest = (1 - p) / others
    exponent, weight = class_scale(FEWEST_CLASSES) if class_aware else (1, 1)
    largest = max(abs(theta) for theta in coefficients)
    if largest == 0:
        return 0.0
    slopes = [
        univariate(
            np.asarray(coefficients) / largest, center, order, label
        ).deriv()(probability**exponent - center[0])
        * probability ** (exponent - 1)
        for label, probability in ((1.0, p), (0.0, rest))
    ]
    pull = np.max(np.abs(p * (1 - p) * (slopes[0] - weight * slopes[1])))
    return float(pull * largest) if pull > _ROUNDING else 0.0
