"""Trains a task with any method."""

import keras
import numpy as np

from keras_arl.methods.kinds import WithMetaData
from keras_arl.methods.kinds import is_learner
from keras_arl.methods.learner_fit import LearnerFit
from keras_arl.methods.learner_fit import built_learner
from keras_arl.training import PlainTrainer
from keras_arl.training import fitting
from keras_arl.training.keys import task_key
from keras_arl.training.program_store import ProgramStore

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
        self._learners = ProgramStore(
            getattr(trainer, "max_programs", MOST_PROGRAMS)
        )

    def evaluate(self, task, method, last_epochs=1):
        """Mean clean accuracy of the last epochs of a training."""
        if not is_learner(method):
            return self._trainer.evaluate(task, method, last_epochs)
        return float(np.mean(self._learned(task, method, last_epochs)))

    def accuracies(self, task, method):
        """Trains with a method; returns the clean accuracy after each epoch."""
        if isinstance(method, WithMetaData):
            task, method = method.extended(task), method.method
        if not is_learner(method):
            return self._trainer.accuracies(task, method)
        return self._learned(task, method, task.epochs)

    def _learned(self, task, method, last_epochs):
        """Accuracies after the last epochs of a learner's training, a list."""
        last_epochs = fitting.checked_last_epochs(last_epochs, task.epochs)
        if not self._keeps:
            learner = built_learner(task, method)
            return LearnerFit(learner).accuracies(task, learner, last_epochs)
        kind = _kind_of_training(task)
        learner = built_learner(task, method, kind.rewrite)
        key = *task_key(task), kind.key(learner, method)
        self._learners.prepare(key, task)
        program = self._learners.get(key)
        if program is None:
            program = kind(learner)
            self._learners.keep(key, program)
        return program.accuracies(task, learner, last_epochs)


def _kind_of_training(task):
    if keras.config.backend() == "jax" and task.in_memory:
        from keras_arl.methods.learner_program import LearnerProgram

        return LearnerProgram
    return LearnerFit
