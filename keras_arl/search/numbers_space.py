"""The search space of a known method's numbers."""

import dataclasses
import math

from keras_arl.methods.kinds import named
from keras_arl.methods.kinds import published
from keras_arl.search.space import SearchSpace


@dataclasses.dataclass(frozen=True)
class NumbersSpace(SearchSpace):
    """The numbers of a known loss or learner, such as alpha and beta of SCE.

    CMA-ES searches their logarithms, so that a step changes a number by a
    factor. A candidate whose numbers the method refuses has failed trials, and
    ranks behind all others.

    Of the learners, `ELR` and `TaylorMemory` are compiled once on JAX for all
    candidates; others, and on other backends all, for each candidate anew.

    Args:
        method: Name of a loss, as `keras_arl.losses.get` takes it, or of a
            learner, such as `"ELR"`.
        numbers: Names of those of its arguments that are searched, each of
            which has a value above 0 in the published setting.

    Raises:
        ValueError: If an argument is none of the method's, or has no such
            value.

    Example:

    >>> space = keras_arl.search.NumbersSpace("sce", ("alpha", "beta"))
    >>> space.to_method([0.5, 2.0])
    SCE(alpha=0.5, beta=2.0, log_zero=-4.0)
    >>> space = keras_arl.search.NumbersSpace("ELR", ("weight", "beta"))
    >>> space.to_method([1.0, 0.5]).keywords
    {'weight': 1.0, 'beta': 0.5}
    """

    method: str
    numbers: tuple[str, ...]

    def __post_init__(self):
        object.__setattr__(self, "numbers", tuple(self.numbers))
        arguments = published(self.method)
        for name in self.numbers or ("numbers",):
            value = arguments.get(name)
            if not isinstance(value, (int, float)) or not value > 0:
                raise ValueError(
                    "`numbers` must be names of arguments that have a value "
                    f"above 0 in {arguments}. Received: {self.numbers}"
                )

    @property
    def names(self):
        """Names of a vector's entries, those of the numbers."""
        return list(self.numbers)

    def starting_point(self, x0):
        """The logarithms that a search starts from, a list of floats.

        Args:
            x0: Numbers above 0, or `None` for the published ones.
        """
        if x0 is None:
            arguments = published(self.method)
            x0 = [arguments[name] for name in self.numbers]
        x0 = self._checked(x0)
        if min(x0) <= 0:
            raise ValueError(f"`x0` must be above 0. Received: x0={x0}")
        return [math.log(x) for x in x0]

    def scaled(self, vector):
        """The numbers of a vector of their logarithms."""
        return [math.exp(x) for x in vector]

    def to_method(self, vector, **kwargs):
        """The loss or learner with the numbers of a vector."""
        numbers = dict(zip(self.numbers, vector, strict=True))
        return named(self.method, **numbers, **kwargs)
