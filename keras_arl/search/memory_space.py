"""The search space of Taylor polynomials that remember examples."""

import dataclasses
import functools
import math

from keras_arl.learners import TaylorMemory
from keras_arl.losses.taylor import polynomial
from keras_arl.search.space import SearchSpace
from keras_arl.search.space import TaylorSpace

# Of the memory, where a search starts: an `ELR` with the smaller weight that a
# bounded loss needs, which holds an example the more the surer the memory is.
_START = {"weight": 1.0, "beta": 0.7, "power": 1.0, "start": 0.1}


@dataclasses.dataclass(frozen=True)
class MemorySpace(SearchSpace):
    """Taylor polynomials with a memory of each example, `TaylorMemory`.

    A vector holds the numbers of the loss without memory, the changes, if they
    are searched, then `weight`, `beta`, `power` and `start`. Of these CMA-ES
    searches the logarithm of the weight and of the power, and of the other two
    that of x / (1 - x).

    Args:
        loss: The space of the loss without memory, a `TaylorSpace`; with a
            `ScheduledTaylorSpace` candidates depend on the memory and on the
            share of the training that is done. Defaults to `TaylorSpace()`.
        changes: Whether the polynomial depends on the memory, too. Defaults to
            `False`.

    Example:

    >>> space = keras_arl.search.MemorySpace()
    >>> space.names[-4:]
    ['weight', 'beta', 'power', 'start']
    >>> method = space.to_method(space.scaled(space.starting_point("arl")))
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> method(model).beta
    0.7
    """

    loss: TaylorSpace = dataclasses.field(default_factory=TaylorSpace)
    changes: bool = False

    @property
    def names(self):
        """Names of a vector's entries."""
        return [
            *self.loss.names,
            *(f"memory_{i}{j}{k}" for i, j, k in self._changes),
            *_START,
        ]

    @property
    def _changes(self):
        if not self.changes:
            return []
        return polynomial.change_exponents(self.loss.order)

    def starting_point(self, x0):
        """The vector that a search starts from, a list of floats.

        Args:
            x0: A number for each name, the last four as `TaylorMemory` takes
                them; or numbers or a name for the loss without memory.
        """
        given = [] if x0 is None or isinstance(x0, str) else [*x0]
        if len(given) == len(self.names):
            size = len(self.loss.names)
            vector = [
                *self.loss.starting_point(given[:size]),
                *self._checked(given)[size:-4],
            ]
            memory = dict(zip(_START, given[-4:], strict=True))
        else:
            vector = [
                *self.loss.starting_point(x0),
                *[0.0] * len(self._changes),
            ]
            memory = _START
        for name, (inverse, _) in _SCALES.items():
            try:
                vector.append(inverse(memory[name]))
            except (ValueError, ZeroDivisionError):
                raise ValueError(
                    f"`{name}` cannot be where a search starts. Received: "
                    f"{name}={memory[name]}"
                ) from None
        return vector

    def numbers_of(self, method):
        """The numbers of a method, what `starting_point` takes.

        Args:
            method: A loss of the space `loss`, or what makes a `TaylorMemory`
                with such a loss.

        Raises:
            ValueError: If the space does not hold it.
        """
        if not isinstance(method, functools.partial):
            return self.loss.numbers_of(method)
        given = method.keywords
        changes = [*given["changes"]] or [0.0] * len(self._changes)
        if len(changes) != len(self._changes):
            raise ValueError(
                f"The polynomial depends on the memory. Expected one of {self}"
            )
        memory = [given[name] for name in _START]
        return [*self.loss.numbers_of(given["loss"]), *changes, *memory]

    def scaled(self, vector):
        """The numbers of the candidate that CMA-ES proposes a vector for."""
        size = len(self.loss.names)
        memory = [
            scale(value)
            for (_, scale), value in zip(
                _SCALES.values(), vector[-4:], strict=True
            )
        ]
        return [*self.loss.scaled(vector[:size]), *vector[size:-4], *memory]

    def to_method(self, vector, **kwargs):
        """What makes the `TaylorMemory` of a vector of a model.

        Args:
            vector: A number for each name.
            **kwargs: Further arguments of the loss, such as `from_logits`.
        """
        size = len(self.loss.names)
        return functools.partial(
            TaylorMemory,
            loss=self.loss.to_method(vector[:size], **kwargs),
            changes=vector[size:-4],
            **dict(zip(_START, vector[-4:], strict=True)),
        )

    def get_config(self):
        """The space as plain values, a dictionary."""
        return {
            "space": type(self).__name__,
            "loss": self.loss.get_config(),
            "changes": self.changes,
        }


def _log_odds(x):
    return math.log(x / (1 - x))


def _share(x):
    return 1 / (1 + math.exp(-x))


# By name: from a number to what CMA-ES searches, and back.
_SCALES = {
    "weight": (math.log, math.exp),
    "beta": (_log_odds, _share),
    "power": (math.log, math.exp),
    "start": (_log_odds, _share),
}
