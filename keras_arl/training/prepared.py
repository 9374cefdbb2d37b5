"""What all trainings of a task share."""

import dataclasses
import functools
import threading
import typing
import weakref

import keras

from keras_arl.training import batches
from keras_arl.training import fitting
from keras_arl.training.start import start_of

_BUILDING = threading.RLock()


class NotCompiledError(Exception):
    """A kind of program declines a training that another kind does better."""


def check_not_overridden(model, names):
    """Raises `NotCompiledError` if a model does something in a way of its own.

    Args:
        model: A `keras.Model`.
        names: What Keras does, names of attributes of `keras.Model`.
    """
    for name in names:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise NotCompiledError


@dataclasses.dataclass(frozen=True)
class Arrays:
    """The data of a task as arrays of a backend.

    Args:
        train: Pair (x, noisy labels).
        validation: Pair (x, clean labels).
        orders: Order of the examples, of shape `(epochs, examples)`.
    """

    train: tuple
    validation: tuple
    orders: typing.Any


class PreparedTask:
    """Initial values and data of a task, each made once, when needed.

    It does not keep the task alive, by whose life its own is measured.

    Args:
        task: A `Task`.
    """

    def __init__(self, task):
        self._task = weakref.ref(task)
        self._arrays = None

    @functools.cached_property
    def start(self):
        """Values of all variables at the start of a training."""
        # Building a model sets the global seed; `cached_property` has no lock
        # since Python 3.12.
        with _BUILDING:
            return start_of(self._task())

    @functools.cached_property
    def fit_data(self):
        """The data as `fit` takes them."""
        return fitting.data_of(self._task())

    def arrays(self, convert):
        """The data in memory, converted once by a backend's function."""
        if self._arrays is None:
            task = self._task()
            self._arrays = Arrays(
                *(
                    keras.tree.map_structure(convert, part)
                    for part in (
                        task.train,
                        task.validation,
                        batches.orders_of(task),
                    )
                )
            )
        return self._arrays
