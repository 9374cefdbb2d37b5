"""The search space: a vector of the coefficients, then the centre."""

from keras_arl.losses import TaylorLoss
from keras_arl.losses import polynomial


def parameter_names(order):
    """Names of a vector's entries: theta_ij in order, then the centre."""
    return [
        *(f"theta_{i}{j}" for i, j in polynomial.exponents(order)),
        "center_p",
        "center_y",
    ]


def taylor_cross_entropy(order):
    """The vector of -y log p as a Taylor polynomial in p - 1/2.

    Also of -y log p of a class-aware loss, whose polynomial is in a power of p.
    """
    center = 0.5
    theta = [
        (-1) ** i / (i * center**i) if j == 1 else 0.0
        for i, j in polynomial.exponents(order)
    ]
    return [*theta, center, 0.0]


def linear(order):
    """The vector of -2 y p.

    Of a class-aware loss: generalised cross-entropy of q = log 2 / log C, with
    the gradient of cross-entropy at uniform predictions.
    """
    theta = [
        -2.0 if pair == (1, 1) else 0.0 for pair in polynomial.exponents(order)
    ]
    return [*theta, 0.5, 0.0]


def to_loss(vector, order, **kwargs):
    """The `TaylorLoss` of a vector; `kwargs` are its other arguments."""
    count = polynomial.num_coefficients(order)
    return TaylorLoss(
        vector[:count], center=vector[count:], order=order, **kwargs
    )
