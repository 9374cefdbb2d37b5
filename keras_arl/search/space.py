"""The search space: a vector of the coefficients, then the centre."""

import dataclasses

import numpy as np

from keras_arl.losses import TaylorLoss
from keras_arl.losses.taylor import polynomial


@dataclasses.dataclass(frozen=True)
class TaylorSpace:
    """Taylor polynomials, each a vector of numbers.

    Args:
        order: Order of the polynomial.
        class_aware: As in `TaylorLoss`.
    """

    order: int
    class_aware: bool

    @property
    def names(self):
        """Names of a vector's entries: theta_ij in order, then the centre."""
        return [
            *(f"theta_{i}{j}" for i, j in polynomial.exponents(self.order)),
            "center_p",
            "center_y",
        ]

    def starting_point(self, x0):
        """The vector that a search starts from.

        Args:
            x0: Numbers, or the name of a known loss: `"ce"` or `"linear"`.

        Returns:
            A list of floats.

        Raises:
            ValueError: If the name is unknown, or the numbers are too few, too
                many or not finite.
        """
        if isinstance(x0, str):
            if x0 not in _STARTS:
                raise ValueError(
                    f"`x0` must be one of {tuple(_STARTS)} or numbers. "
                    f"Received: x0={x0!r}"
                )
            theta, center = _STARTS[x0]
            pairs = polynomial.exponents(self.order)
            return [*(float(theta(i, j)) for i, j in pairs), *center]
        if len(x0) != len(self.names):
            raise ValueError(
                f"`x0` must hold {len(self.names) - 2} coefficients and the "
                f"centre. Received {len(x0)} values"
            )
        if not np.isfinite(x0).all():
            raise ValueError(f"`x0` must be finite. Received: x0={list(x0)}")
        return [float(x) for x in x0]

    def scaled(self, vector):
        """The vector of the same loss, as steep as cross-entropy.

        The scale of a loss is the learning rate's business: with ten classes
        the steepest gradient of a logit is 1, as cross-entropy's.

        Args:
            vector: Coefficients, then centre.

        Returns:
            A list of floats.
        """
        theta, center = vector[:-2], vector[-2:]
        steepest = polynomial.steepest_pull(
            theta, center, self.order, self.class_aware
        )
        if steepest > 0:
            theta = [value / steepest for value in theta]
        return [*theta, *center]

    def to_loss(self, vector, **kwargs):
        """The `TaylorLoss` of a vector.

        Args:
            vector: Coefficients, then centre.
            **kwargs: Further arguments of `TaylorLoss`.
        """
        return TaylorLoss(
            vector[:-2],
            center=vector[-2:],
            order=self.order,
            class_aware=self.class_aware,
            **kwargs,
        )


# Coefficients theta_ij as functions of i and j, and the centre. "ce" is the
# Taylor polynomial of -y log p in p - 1/2, or of a class-aware loss in a power
# of p. "linear" is, of a class-aware loss, generalised cross-entropy with
# q = log 2 / log C; it is as steep as cross-entropy at uniform predictions.
_STARTS = {
    "ce": (
        lambda i, j: (-1) ** i / (i * 0.5**i) if j == 1 else 0.0,
        (0.5, 0.0),
    ),
    "linear": (
        lambda i, j: -2.0 if (i, j) == (1, 1) else 0.0,
        (0.5, 0.0),
    ),
}
