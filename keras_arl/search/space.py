"""The search space: a vector of the coefficients, then the centre."""

from keras_arl.losses import TaylorLoss
from keras_arl.losses.taylor import polynomial


def parameter_names(order):
    """Names of a vector's entries: theta_ij in order, then the centre."""
    return [
        *(f"theta_{i}{j}" for i, j in polynomial.exponents(order)),
        "center_p",
        "center_y",
    ]


def starting_point(name, order):
    """The vector of a known loss, by its name."""
    if name not in _STARTS:
        raise ValueError(
            f"`x0` must be one of {tuple(_STARTS)} or numbers. "
            f"Received: x0={name!r}"
        )
    return _STARTS[name](order)


def _taylor_cross_entropy(order):
    # Of -y log p in p - 1/2; of a class-aware loss, in a power of p.
    center = 0.5
    theta = [
        (-1) ** i / (i * center**i) if j == 1 else 0.0
        for i, j in polynomial.exponents(order)
    ]
    return [*theta, center, 0.0]


def _linear(order):
    # Of a class-aware loss it is generalised cross-entropy of
    # q = log 2 / log C, as steep as cross-entropy at uniform predictions.
    theta = [
        -2.0 if pair == (1, 1) else 0.0 for pair in polynomial.exponents(order)
    ]
    return [*theta, 0.5, 0.0]


_STARTS = {"ce": _taylor_cross_entropy, "linear": _linear}


def to_loss(vector, order, class_aware=False, **kwargs):
    """The `TaylorLoss` of a vector, scaled; `kwargs` are other arguments.

    A vector means a loss up to its scale, which is the learning rate's
    business: with ten classes the steepest pull on a logit is 1, as
    cross-entropy's.
    """
    count = polynomial.num_coefficients(order)
    theta, center = vector[:count], vector[count:]
    pull = polynomial.steepest_pull(theta, center, order, class_aware)
    if pull > 0:
        theta = [value / pull for value in theta]
    return TaylorLoss(
        theta, center=center, order=order, class_aware=class_aware, **kwargs
    )
