"""Trains a task with any method."""

import collections

import keras
import numpy as np

from keras_arl.methods.kinds import WithMetaData
from keras_arl.methods.kinds import is_learner
from keras_arl.methods.learner_fit import LearnerFit
from keras_arl.methods.learner_fit import built_learner
from keras_arl.training import PlainTrainer
from keras_arl.training import fitting
from keras_arl.training import mappings
from keras_arl.training.keys import task_key
from keras_arl.training.start import Start

# As many programs as a `Trainer` keeps by default.
MOST_PROGRAMS = 32


class MethodTrainer:
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

    def evaluate(self, task, method, last_epochs=1):
        """Mean clean accuracy of the last epochs of a training."""
        if not is_learner(method):
            return self._trainer.evaluate(task, method, last_epochs)
        last_epochs = fitting.checked_last_epochs(last_epochs, task.epochs)
        accuracies = self.accuracies(task, method, last_epochs)
        return float(np.mean(accuracies[-last_epochs:]))

    def accuracies(self, task, method, last_epochs=None):
        """Trains with a method; returns the clean accuracy after each epoch.

        Args:
            task: A `keras_arl.tasks.Task`.
            method: A loss or a learner, as `compare` takes it.
            last_epochs: Number of last epochs that are needed. Defaults to
                `None`: all.
        """
        if isinstance(method, WithMetaData):
            task, method = method.extended(task), method.method
        if not is_learner(method):
            return self._trainer.accuracies(task, method)
        if not self._keeps:
            return LearnerFit(built_learner(task, method)).accuracies(task)
        kind = _kind_of_training(task)
        learner = built_learner(task, method, kind.rewrite)
        key = *task_key(task), kind.key(learner, method)
        if key in self._learners:
            self._learners.move_to_end(key)
            Start.of(learner).assign_to(self._learners[key].learner)
        else:
            mappings.keep(
                self._learners,
                key,
                kind(learner),
                getattr(self._trainer, "max_programs", MOST_PROGRAMS),
            )
        return self._learners[key].accuracies(
            task, learner, last_epochs or task.epochs
        )


def _kind_of_training(task):
    if keras.config.backend() == "jax" and task.in_memory:
        from keras_arl.methods.learner_program import LearnerProgram

        return LearnerProgram
    return LearnerFit
