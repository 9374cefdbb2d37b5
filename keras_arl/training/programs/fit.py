"""A model that is kept and fitted again, on TensorFlow.

Keras's own training step in Keras's own loop: what it reports is, bit for bit,
what a new model reports.
"""

import keras

from keras_arl.training import batches
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
        _make_metrics(self._model, task)

    def run(self, task, prepared, loss, last_epochs):
        """Trains with a loss; returns the clean accuracy after each epoch."""
        keys.assign_loss(self._loss, loss)
        prepared.start.assign_to(self._model)
        return fitting.fit(
            self._model,
            prepared.fit_data,
            task.epochs,
            last_epochs,
            fitting.schedules_of(self._loss),
        )


def _make_metrics(model, task):
    """Makes the metrics' variables.

    TensorFlow traces a step that makes variables a second time, which is a
    quarter of what a program's first training costs.
    """
    output = getattr(model, "output", None)
    if isinstance(model, keras.Sequential):
        output, *_ = getattr(model, "outputs", None) or [None]
    if (
        not task.in_memory
        or not isinstance(output, keras.KerasTensor)
        or None in output.shape[1:]
        or type(model).compute_metrics is not keras.Model.compute_metrics
    ):
        return
    x, y = (batches.take(part, slice(0, 1)) for part in task.train)
    y_pred = keras.ops.zeros((1, *output.shape[1:]), output.dtype)
    model.compute_metrics(x, y, y_pred)
