"""Numbers of a loss that can be fed: what a loss keeps of them."""

import contextlib
import warnings

import keras
import numpy as np
from keras import ops


class Number:
    """A number that can be fed, as an attribute: a float, or a tuple of them.

    What it is made of, a float or a variable, is in the loss's `__dict__`.
    """

    def __init__(self, name):
        self._name = name

    def __get__(self, loss, owner=None):
        if loss is None:
            return self
        try:
            value = vars(loss)[self._name]
        except KeyError:
            raise AttributeError(self._name) from None
        return floats(value) if isinstance(value, keras.Variable) else value

    def __set__(self, loss, value):
        # Once the constructor has set it, and checked it.
        if self._name in vars(loss) and "hyperparameters" in vars(type(loss)):
            type(loss).from_config({**loss.get_config(), self._name: value})
        set_number(loss, self._name, value)
        warn_if_constant_of_a_trace(loss)


def set_number(loss, name, value):
    """Sets a number of a loss, or the variable that there is of it."""
    variable = vars(loss).get(name)
    if isinstance(variable, keras.Variable):
        variable.assign(value)
        if name in loss.read_anew:
            loss.read_anew[name] = np.asarray(value, variable.dtype)
    else:
        vars(loss)[name] = value


@contextlib.contextmanager
def fed(loss, values):
    """Within it, a loss and its parts compute by other numbers.

    For functions that are traced, which would keep those of a variable.

    Args:
        loss: A `ClassificationLoss`.
        values: Tensors, in the order of its `hyper_values`.
    """
    owners = list(_owners(loss))
    before = [vars(owner)[name] for owner, name in owners]
    try:
        for (owner, name), value in zip(owners, values, strict=True):
            vars(owner)[name] = value
        yield
    finally:
        for (owner, name), value in zip(owners, before, strict=True):
            vars(owner)[name] = value


def _owners(loss):
    for name in loss.hyperparameters:
        yield loss, name
    for part in loss.parts.values():
        yield from _owners(part)


def floats(variable):
    """The value of a variable, a float or a tuple of them."""
    # The shortest decimal that names the stored float32: 0.1, not
    # 0.10000000149011612.
    values = [float(str(x)) for x in np.ravel(ops.convert_to_numpy(variable))]
    return tuple(values) if len(variable.shape) else values[0]


def warn_if_constant_of_a_trace(loss):
    """Warns that a function of JAX keeps the numbers it was traced with."""
    if loss._is_constant_of_a_trace:
        loss._is_constant_of_a_trace = False
        warnings.warn(
            "This loss was traced by `jax.jit` with its numbers as constants; "
            "that compiled function keeps the old ones. Compile the model "
            "again, or pass `loss.hyper_variables()` as inputs through "
            "`keras.StatelessScope`.",
            stacklevel=3,
        )
