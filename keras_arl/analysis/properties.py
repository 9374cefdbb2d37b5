"""What can be said of a loss without training with it."""

import numpy as np

from keras_arl.analysis import probing
from keras_arl.checks import check_num_classes
from keras_arl.losses.taylor import polynomial
from keras_arl.losses.taylor.changing import ChangingTaylorLoss
from keras_arl.losses.taylor.taylor_loss import TaylorLoss

# Of the largest: below it a slope counts as none.
_NO_SLOPE = 1e-6
_SMALLEST = 1e-7
# Nodes and weights of the quadrature along a path.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def symmetry_gap(loss, num_classes):
    """How far a loss is from being symmetric.

    A loss L(p, k) of prediction p and label k is symmetric if the sum over all
    labels k is the same for every p; then symmetric noise below (C - 1) / C
    does not move its minimum. With S(p) the mean over k of L(p, k),

    ```
    gap = (max over p of S - min over p of S)
          / (max over p, k of L - min over p, k of L)
    ```

    The extremes are taken over the corners of the simplex, even mixtures of
    some classes, a path from the uniform prediction to a corner, and random
    predictions with a fixed seed, whose probabilities are at least 1e-7: some
    losses, such as cross-entropy, have no upper bound.
    All C labels of C + 258 predictions are evaluated: a second with a thousand
    classes, too long with ten thousand. Give a loss whose values hardly differ
    the dtype float64.

    Args:
        loss: A `keras.losses.Loss` over class indices, or a function
            `(y_true, y_pred)` of class indices and probabilities.
        num_classes: Number of classes C, at least 2.

    Returns:
        A float in [0, 1]; 0 for a symmetric loss, up to rounding.

    Raises:
        ValueError: If `num_classes` is not an integer of at least 2.

    Example:

    >>> round(keras_arl.analysis.symmetry_gap(keras_arl.losses.MAE(), 10), 4)
    0.0
    >>> ce = keras_arl.losses.CrossEntropy()
    >>> round(keras_arl.analysis.symmetry_gap(ce, 10), 2)
    0.76

    Reference:
        - Ghosh, Kumar & Sastry, "Robust Loss Functions under Label Noise for
          Deep Neural Networks", AAAI 2017, arXiv 1712.09482
    """
    check_num_classes(num_classes)
    predictions = _spread_predictions(num_classes)
    means, lowest, highest = 0.0, np.inf, -np.inf
    for label in range(num_classes):
        labels = np.full(len(predictions), label)
        values = probing.values(loss, labels, predictions)
        means = means + values / num_classes
        lowest = min(lowest, values.min())
        highest = max(highest, values.max())
    if highest == lowest:
        return 0.0
    return float((means.max() - means.min()) / (highest - lowest))


def asymmetry_ratio(loss, num_classes):
    """How little of other labels' losses outweighs the labelled class's.

    For a loss l(p_y) of the labelled class's probability, Zhou et al. define

    ```
    r = infimum of (l(u) - l(u + v)) / (l(0) - l(v))
        over u >= 0, v > 0, u + v <= 1
    ```

    what a label gains when its class takes over all of another class's
    probability v, over what the other label loses. The loss is asymmetric,
    so that its minimum is at the most frequent label, where that label is
    more than 1 / r times as frequent as the next one. Here the loss is taken
    as a function of the whole prediction, the rest 1 - u - v shared evenly by
    the other classes, which for l(p_y) is the same. With two classes
    u + v = 1.

    The infimum is taken over a grid with v >= 0.001: what only less than a
    thousandth of the probability would show does not count. For losses with
    an unbounded slope at 0, such as cross-entropy, GCE and NCE, the infimum
    over all v is 0 and the value here is that at v = 0.001, for GCE with q
    about q * 0.001^(1 - q). For losses that depend on other classes than the
    label's the ratio says less than for l(p_y): the normalised losses are
    symmetric whatever it is.

    Args:
        loss: A `keras.losses.Loss` over class indices, or a function
            `(y_true, y_pred)` of class indices and probabilities, that treats
            all classes alike.
        num_classes: Number of classes C, at least 2.

    Returns:
        A float of at most 1, up to rounding. 1 is completely asymmetric:
        robust to any noise that leaves the true label the most frequent one.
        Below 0, or minus infinity, where the loss rises with its label's
        probability.

    Raises:
        ValueError: If `num_classes` is not an integer of at least 2, the loss
            treats the classes differently, is not finite, or is constant.

    Example:

    >>> loss = keras_arl.losses.AGCE(a=1.0, q=0.5)
    >>> round(keras_arl.analysis.asymmetry_ratio(loss, 10), 2)  # (1 / 2)^0.5
    0.71

    Reference:
        - Zhou et al., "Asymmetric Loss Functions for Learning with Noisy
          Labels", ICML 2021, arXiv 2106.03110
    """
    check_num_classes(num_classes)
    _check_classes_are_alike(loss, num_classes)
    moved = np.geomspace(0.001, 1, 61)
    shares = np.linspace(0, 1, 31) if num_classes > 2 else np.ones(1)
    v, u = (x.ravel() for x in np.meshgrid(moved, shares))
    u = u * (1 - v)
    start = np.zeros((len(u), num_classes))
    start[:, 0], start[:, 1] = u, v
    if num_classes > 2:
        start[:, 2:] = ((1 - u - v) / (num_classes - 2))[:, None]
    step = np.zeros_like(start)
    step[:, 0], step[:, 1] = v, -v
    gain = -_change(loss, np.zeros(len(u)), start, step)
    cost = _change(loss, np.ones(len(u)), start, step)
    smallest = _NO_SLOPE * max(np.abs(gain).max(), np.abs(cost).max())
    if smallest == 0:
        raise ValueError(
            "The loss must depend on the prediction. It is constant"
        )
    # Where the other label loses nothing there is nothing to outweigh.
    counts = cost > smallest
    if (gain[~counts] < -smallest).any():
        return -np.inf
    return float((gain[counts] / cost[counts]).min(initial=1.0))


def is_trainable(loss, num_classes):
    """Whether the loss can teach a network that does not know anything yet.

    At uniform predictions, p_c = 1/C, a gradient step along the logits must
    raise the labelled class's probability, for every label. For a
    `TaylorLoss` it is a closed form: with f_1 and f_0 the polynomials of the
    labelled and of the other classes, the gradient with respect to the
    labelled class's logit is

    ```
    (C - 1) / C^2 * (f_1'(1/C) - f_0'(1/C))
    ```

    and has to be negative. Other losses are differentiated by the backend.

    Args:
        loss: A `keras.losses.Loss` over class indices, or a function
            `(y_true, y_pred)` of class indices and probabilities.
        num_classes: Number of classes C, at least 2.

    Returns:
        `True` if a gradient step raises the labelled class's probability.

    Raises:
        ValueError: If `num_classes` is not an integer of at least 2.

    Example:

    >>> unhinged = keras_arl.losses.TaylorLoss([0, -1, 0], order=2)
    >>> keras_arl.analysis.is_trainable(unhinged, num_classes=10)
    True
    >>> truncated = keras_arl.losses.TruncatedGCE(k=0.5)
    >>> keras_arl.analysis.is_trainable(truncated, num_classes=10)
    False
    """
    check_num_classes(num_classes)
    if isinstance(loss, ChangingTaylorLoss):
        loss = loss.at_first(num_classes)
    if isinstance(loss, TaylorLoss):
        exponent, weight = (
            polynomial.class_scale(num_classes) if loss.class_aware else (1, 1)
        )
        uniform = (1 / num_classes) ** exponent
        other, target = (
            polynomial.univariate(
                loss.coefficients, loss.center, loss.order, label
            ).deriv()(uniform - loss.center[0])
            for label in (0, 1)
        )
        return bool(target < weight * other)
    gradients = probing.logit_gradients(
        loss, np.arange(num_classes), np.zeros((num_classes, num_classes))
    )
    # The probability of class y rises with z_y and falls with the mean of z.
    rises = gradients.mean(axis=1) - np.diag(gradients)
    return bool((rises > _NO_SLOPE * np.abs(gradients).max()).all())


def _change(loss, labels, start, step):
    """How much the loss of each sample changes along a straight path."""
    total = 0.0
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        place = start + (node + 1) / 2 * step
        total += weight / 2 * probing.path_slopes(loss, labels, place, step)
    return total


def _spread_predictions(num_classes):
    """Predictions that show the extremes of a loss, of shape `(n, C)`."""
    uniform = np.full(num_classes, 1 / num_classes)
    corners = np.eye(num_classes)
    sizes = np.unique(np.geomspace(2, num_classes, 8).astype(int))
    mixtures = [corners[:size].mean(axis=0) for size in sizes]
    steps = np.geomspace(1e-7, 1, 50)[:, None]
    path = np.concatenate(
        [
            steps * uniform + (1 - steps) * corners[0],
            (1 - steps) * uniform + steps * corners[0],
        ]
    )
    rng = np.random.default_rng(0)
    random = [
        rng.dirichlet(np.full(num_classes, concentration), size=50)
        for concentration in (0.1, 1.0, 10.0)
    ]
    predictions = np.concatenate([corners, mixtures, path, *random])
    return np.maximum(predictions, _SMALLEST)


def _check_classes_are_alike(loss, num_classes):
    rng = np.random.default_rng(0)
    prediction = rng.dirichlet(np.ones(num_classes))
    rolled = [np.roll(prediction, shift) for shift in range(num_classes)]
    values = probing.values(loss, np.arange(num_classes), rolled)
    if np.ptp(values) > 1e-4 * max(1.0, np.abs(values).max()):
        raise ValueError(
            "The asymmetry ratio is defined for losses that treat all classes "
            "alike. Received one whose value changes from "
            f"{values.min():g} to {values.max():g} when the classes change "
            "places"
        )
