"""The reference: every training builds, compiles and fits a model."""

import copy

import numpy as np

from keras_arl.training import fitting
from keras_arl.training import keys


class PlainTrainer:
    """Builds, compiles and fits a new model for every training.

    For models whose randomness or state is not in their variables, for
    callbacks of `fit`, and as the reference that `Trainer` is compared with.

    Args:
        callbacks: Sequence of `keras.callbacks.Callback`, a copy of each of
            which each training has, such as a `LearningRateScheduler`. They
            must not end a training early. Defaults to none.

    Example:

    >>> trainer = keras_arl.training.PlainTrainer()
    >>> task = keras_arl.tasks.TaskFamily()(seed=1)
    >>> trainer.evaluate(task, keras_arl.ARL()) > 0.5
    True
    """

    trains_together = False

    def __init__(self, callbacks=()):
        self._callbacks = list(callbacks)

    def evaluate(self, task, loss, last_epochs=1):
        """As `keras_arl.training.Trainer.evaluate`."""
        return float(np.mean(self.accuracies(task, loss, last_epochs)))

    def accuracies(self, task, loss, last_epochs=None):
        """As `keras_arl.training.Trainer.accuracies`."""
        last_epochs = fitting.checked_last_epochs(last_epochs, task.epochs)
        data = fitting.data_of(task)
        # Numbers that are fed elsewhere are variables here, too: a compiler
        # rounds what it computes from constants otherwise.
        model = fitting.compiled_model(task, keys.own_copy(loss))
        callbacks = copy.deepcopy(self._callbacks) + fitting.schedules_of(loss)
        return fitting.fit(model, data, task.epochs, last_epochs, callbacks)

    def evaluate_all(self, task, losses, last_epochs=1):
        """As `keras_arl.training.Trainer.evaluate_all`, one by one."""
        fitting.checked_last_epochs(last_epochs, task.epochs)
        return (
            outcome(self.evaluate, task, loss, last_epochs) for loss in losses
        )

    def get_config(self):
        """What determines the numbers it reports, a dictionary."""
        if not self._callbacks:
            return {"trainer": "plain"}
        names = [type(callback).__name__ for callback in self._callbacks]
        return {"trainer": "plain", "callbacks": names}


class PlainProgram:
    """Compiles nothing, in the place of a program that does."""

    is_pure = False
    description = "a new model is built for each training"

    def __init__(self, task, loss):
        pass

    def run(self, task, prepared, loss, last_epochs):
        """Trains with a loss; returns the clean accuracy after each epoch."""
        return PlainTrainer().accuracies(task, loss, last_epochs)


def outcome(evaluate, *args):
    """What `evaluate` returns, or the exception it raises."""
    try:
        return evaluate(*args)
    except Exception as error:
        return error
