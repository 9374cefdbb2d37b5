"""Search spaces: what a vector's numbers are, and which method they make."""

import dataclasses

import numpy as np

from keras_arl.losses import ARL
from keras_arl.losses import BatchTaylorLoss
from keras_arl.losses import ScheduledTaylorLoss
from keras_arl.losses import TaylorLoss
from keras_arl.losses.taylor import polynomial


class SearchSpace:
    """Base of the spaces that `CMAESOracle` searches.

    A subclass has `names`, one for each number of a vector, and implements
    `starting_point` and `to_method`. It is a frozen dataclass of plain values,
    by which the search that is continued is compared with the one begun.
    """

    # Of each number, in units of the search's `sigma0`; `None`: all of them 1.
    step_sizes = None

    def starting_point(self, x0):
        """The vector that a search starts from, a list of floats.

        Args:
            x0: What `CMAESOracle` was given, or `None`.
        """
        raise NotImplementedError

    def to_method(self, vector, **kwargs):
        """The method of a vector.

        Args:
            vector: A number for each name.
            **kwargs: Further arguments of the loss or the learner, such as
                `from_logits`.

        Returns:
            A loss; or of a space of learners a `functools.partial`, which makes
            the learner of a model.
        """
        raise NotImplementedError

    def scaled(self, vector):
        """The numbers of the candidate that CMA-ES proposes a vector for."""
        return list(vector)

    def get_config(self):
        """The space as plain values, a dictionary."""
        return {"space": type(self).__name__, **dataclasses.asdict(self)}

    def _checked(self, x0):
        if len(x0) != len(self.names):
            raise ValueError(
                f"`x0` must hold {len(self.names)} numbers: "
                f"{', '.join(self.names)}. Received {len(x0)} values"
            )
        if not np.isfinite(x0).all():
            raise ValueError(f"`x0` must be finite. Received: x0={list(x0)}")
        return [float(x) for x in x0]


@dataclasses.dataclass(frozen=True)
class TaylorSpace(SearchSpace):
    """Taylor polynomials of prediction and label, `TaylorLoss`.

    A vector holds the coefficients, then the centre.

    Args:
        order: Order of the polynomial, 2 to 6. Defaults to `4`.
        class_aware: As in `TaylorLoss`. Defaults to `True`.

    Example:

    >>> keras_arl.search.TaylorSpace(order=2).names
    ['theta_10', 'theta_11', 'theta_20', 'center_p', 'center_y']
    """

    order: int = 4
    class_aware: bool = True

    def __post_init__(self):
        # A polynomial of order 1 has no term with the label.
        polynomial.check_order(self.order, smallest=2)

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
            x0: Numbers, or the name of a known loss: `"ce"`, `"linear"` or
                `"arl"`. `None` is `"linear"`.

        Returns:
            A list of floats.

        Raises:
            ValueError: If the name is unknown, or the numbers are too few, too
                many or not finite.
        """
        if x0 is None:
            x0 = "linear"
        if isinstance(x0, str):
            if x0 == "arl":
                return self.numbers_of(ARL())
            if x0 not in _STARTS:
                raise ValueError(
                    f"`x0` must be one of {(*_STARTS, 'arl')} or numbers. "
                    f"Received: x0={x0!r}"
                )
            theta, center = _STARTS[x0]
            pairs = polynomial.exponents(self.order)
            return [*(float(theta(i, j)) for i, j in pairs), *center]
        return self._checked(x0)

    def numbers_of(self, loss):
        """The vector of a loss, a list of floats.

        Args:
            loss: A `TaylorLoss` of this order.

        Raises:
            ValueError: If the space does not hold it.
        """
        if hasattr(loss, "changes"):
            raise ValueError(
                f"The loss has a third variable. Expected one of {self}. "
                f"Received: {loss!r}"
            )
        return self._unmoved(loss)

    def _unmoved(self, loss):
        if not isinstance(loss, TaylorLoss):
            raise ValueError(f"Expected one of {self}. Received: {loss!r}")
        if (loss.order, loss.class_aware) != (self.order, self.class_aware):
            raise ValueError(
                f"The loss has order={loss.order} and class_aware="
                f"{loss.class_aware}. Expected one of {self}"
            )
        return [*loss.coefficients, *loss.center]

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

    def to_method(self, vector, **kwargs):
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


class _ChangingTaylorSpace(TaylorSpace):
    """Base of the spaces of polynomials with a third variable.

    A vector holds the coefficients, the centre, then the changes.
    """

    _kind = None

    @property
    def names(self):
        """Names of a vector's entries: theta_ij, the centre, theta_ijk."""
        return [
            *super().names,
            *(f"theta_{i}{j}{k}" for i, j, k in self._changes),
        ]

    @property
    def _changes(self):
        return polynomial.change_exponents(self.order)

    def starting_point(self, x0):
        """The vector that a search starts from.

        Args:
            x0: As in `TaylorSpace`; also the numbers of a polynomial that does
                not move.

        Returns:
            A list of floats.
        """
        if x0 is None or isinstance(x0, str):
            x0 = TaylorSpace(self.order, self.class_aware).starting_point(x0)
        if len(x0) == len(self.names) - len(self._changes):
            x0 = [*x0, *[0.0] * len(self._changes)]
        return self._checked(x0)

    def numbers_of(self, loss):
        """As `TaylorSpace.numbers_of`; a loss may have changes or none."""
        static = self._unmoved(loss)
        if not isinstance(loss, self._kind):
            super().numbers_of(loss)
            return [*static, *[0.0] * len(self._changes)]
        return [*static, *loss.changes]

    def scaled(self, vector):
        """As `TaylorSpace.scaled`, where the third variable is steepest."""
        theta, center, changes = self._parts(vector)
        steepest = max(
            polynomial.steepest_pull(
                polynomial.coefficients_at(theta, changes, self.order, time),
                center,
                self.order,
                self.class_aware,
            )
            for time in _TIMES
        )
        if steepest > 0:
            theta = [value / steepest for value in theta]
            changes = [value / steepest for value in changes]
        return [*theta, *center, *changes]

    def to_method(self, vector, **kwargs):
        """The loss of a vector.

        Args:
            vector: Coefficients, centre, changes.
            **kwargs: Further arguments of the loss.
        """
        theta, center, changes = self._parts(vector)
        return self._kind(
            theta,
            changes,
            center=center,
            order=self.order,
            class_aware=self.class_aware,
            **kwargs,
        )

    def _parts(self, vector):
        count = polynomial.num_coefficients(self.order)
        theta, center, changes = np.split(np.array(vector), [count, count + 2])
        return theta.tolist(), center.tolist(), changes.tolist()


@dataclasses.dataclass(frozen=True)
class ScheduledTaylorSpace(_ChangingTaylorSpace):
    """Taylor polynomials that move over a training, `ScheduledTaylorLoss`.

    A vector holds the coefficients, the centre, then the changes.

    Args:
        order: Order of the polynomial, 2 to 6. Defaults to `4`.
        class_aware: As in `TaylorLoss`. Defaults to `True`.

    Example:

    >>> len(keras_arl.search.ScheduledTaylorSpace().names)
    22
    """

    _kind = ScheduledTaylorLoss


@dataclasses.dataclass(frozen=True)
class BatchTaylorSpace(_ChangingTaylorSpace):
    """Taylor polynomials that depend on the batch, `BatchTaylorLoss`.

    A vector holds the coefficients, the centre, then the changes.

    Args:
        order: Order of the polynomial, 2 to 6. Defaults to `4`.
        class_aware: As in `TaylorLoss`. Defaults to `True`.

    Example:

    >>> space = keras_arl.search.BatchTaylorSpace()
    >>> vector = space.starting_point("arl")
    >>> type(space.to_method(vector)).__name__
    'BatchTaylorLoss'
    """

    _kind = BatchTaylorLoss


# Of the third variable, where the steepest gradient is looked for.
_TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)
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
