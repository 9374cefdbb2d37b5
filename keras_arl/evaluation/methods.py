"""What a method of a comparison is, and how a task is trained with it."""

import collections
import dataclasses
import functools
import typing

import keras
import numpy as np

from keras_arl.evaluation.learner_fit import LearnerFit
from keras_arl.evaluation.learner_fit import built_learner
from keras_arl.evaluation.learner_fit import check_meta_data
from keras_arl.learners import Learner
from keras_arl.training import PlainTrainer
from keras_arl.training import mappings
from keras_arl.training.keys import program_key
from keras_arl.training.start import Start

# As many programs as a `Trainer` keeps.
MOST_PROGRAMS = 32


@dataclasses.dataclass(frozen=True)
class WithMetaData:
    """A method that also trains on a task's clean examples, as on the others.

    Beside learners that need clean examples it tells what these examples are
    worth to who has no such learner.

    Args:
        method: A loss or a learner, as `compare` takes it.

    Example:

    >>> methods = {
    ...     "CE": keras_arl.losses.CrossEntropy(),
    ...     "CE, with the clean examples": keras_arl.evaluation.WithMetaData(
    ...         keras_arl.losses.CrossEntropy()
    ...     ),
    ...     "L2B": keras_arl.learners.L2B,
    ... }
    """

    method: typing.Any

    def extended(self, task):
        """The task with its clean examples among the training examples."""
        check_meta_data(task, type(self).__name__)
        both = keras.tree.map_structure(
            lambda *arrays: np.concatenate(arrays), task.train, task.meta_data
        )
        return dataclasses.replace(task, train=both)


def checked(methods):
    """The methods of `compare`, a dictionary."""
    if not isinstance(methods, dict) or not methods:
        raise ValueError(
            "`methods` must be a dictionary of at least one method. "
            f"Received: methods={methods!r}"
        )
    for name, method in methods.items():
        if isinstance(method, Learner):
            raise ValueError(
                "A learner is named by its class, since each training makes "
                "its own model: `keras_arl.learners.ELR`, or with settings "
                "`functools.partial(keras_arl.learners.ELR, weight=1.0)`. "
                f"Received: methods[{name!r}]={method!r}"
            )
    return methods


class Methods:
    """Trains with losses and with learners.

    Args:
        trainer: What trains with losses, a `keras_arl.training.Trainer` or
            `PlainTrainer`. Beside the latter learners are made anew for each
            training, too; else they are kept, with what was compiled for them.
    """

    def __init__(self, trainer):
        self._trainer = trainer
        self._keeps = not isinstance(trainer, PlainTrainer)
        self._learners = collections.OrderedDict()

    def accuracies(self, task, method):
        """Trains with a method; returns the clean accuracy after each epoch."""
        if isinstance(method, WithMetaData):
            task, method = method.extended(task), method.method
        if not _is_learner(method):
            return self._trainer.accuracies(task, method)
        if not self._keeps:
            return LearnerFit(built_learner(task, method)).accuracies(task)
        kind = _kind_of_training(task)
        learner = built_learner(task, method, kind.rewrite)
        key = program_key(task, method)
        if key in self._learners:
            self._learners.move_to_end(key)
            Start.of(learner).assign_to(self._learners[key].learner)
        else:
            mappings.keep(self._learners, key, kind(learner), MOST_PROGRAMS)
        return self._learners[key].accuracies(task)


def _is_learner(method):
    if isinstance(method, functools.partial):
        method = method.func
    return isinstance(method, type) and issubclass(method, Learner)


def _kind_of_training(task):
    if keras.config.backend() == "jax" and task.in_memory:
        from keras_arl.evaluation.learner_program import LearnerProgram

        return LearnerProgram
    return LearnerFit
