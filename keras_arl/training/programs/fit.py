"""A model that is kept and fitted again, on TensorFlow.

Keras's own training step in Keras's own loop: what it reports is, bit for bit,
what a new model reports.
"""

from keras_arl.training import fitting
from keras_arl.training import keys
from keras_arl.training.start import built_model


class FitProgram:
    """A compiled model that `fit` trains again and again.

    Args:
        task: The first `Task` of its kind.
        loss: The first loss of its kind.
    """

    is_pure = False
    description = "the model is kept and fitted again"

    def __init__(self, task, loss):
        self._loss = keys.own_copy(loss)
        # The loop over the batches is part of TensorFlow's graph where their
        # number is known.
        steps = fitting.steps_per_epoch(task) or 1
        self._model = built_model(task, self._loss, steps_per_execution=steps)

    def run(self, task, prepared, loss, last_epochs):
        """Trains with a loss; returns the clean accuracy after each epoch."""
        keys.assign_loss(self._loss, loss)
        prepared.start.assign_to(self._model)
        return fitting.fit(
            self._model, prepared.fit_data, task.epochs, last_epochs
        )
