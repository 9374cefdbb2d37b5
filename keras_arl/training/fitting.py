"""How `fit` trains a model of a task, and what its accuracy is."""

import dataclasses
import math
import typing

import keras

from keras_arl.losses import LossSchedule
from keras_arl.training import batches
from keras_arl.training import keys


class TrainingDivergedError(RuntimeError):
    """The loss became NaN or infinite while training."""


@dataclasses.dataclass(frozen=True)
class FitData:
    """What `fit` trains and validates on.

    Args:
        train: A pipeline; of arrays, the batches of all epochs.
        validation: A pipeline, or a pair of arrays.
        steps_per_epoch: `None` for a pipeline that ends with each epoch.
    """

    train: typing.Any
    validation: typing.Any
    steps_per_epoch: int | None


def data_of(task):
    """The data of a task as `fit` takes them, a `FitData`."""
    if not task.in_memory:
        return FitData(task.train, task.validation, None)
    return FitData(
        batches.training_batches(
            *task.train, batches.orders_of(task), task.batch_size
        ),
        batches.evaluation_batches(*task.validation),
        steps_per_epoch(task),
    )


def steps_per_epoch(task):
    """Number of batches an epoch of a task, `None` for a pipeline."""
    if not task.in_memory:
        return None
    return -(-len(task.train[1]) // task.batch_size)


def compiled_model(task, loss, **kwargs):
    """Builds the model of a task and compiles it.

    Args:
        task: A `Task`.
        loss: Anything that `model.compile` takes as a loss.
        **kwargs: Further arguments of `model.compile`.

    Returns:
        A `keras.Model` with an optimizer of its own.
    """
    keras.utils.set_random_seed(task.seed)
    model = task.build_model()
    compile_model(model, task, loss, **kwargs)
    return model


def compile_model(model, task, loss, **kwargs):
    """Compiles a model with a copy of the task's optimizer."""
    model.compile(
        optimizer=_copy_optimizer(task.optimizer),
        loss=loss,
        metrics=["accuracy"],
        **kwargs,
    )


def schedules_of(loss):
    """The callbacks of `fit` that move the numbers of a loss, a list."""
    return [LossSchedule()] if keys.moves(loss) else []


def fit(model, data, epochs, last_epochs, callbacks=(), **kwargs):
    """Fits a compiled model.

    Args:
        model: A compiled `keras.Model`.
        data: A `FitData`.
        epochs: Number of epochs.
        last_epochs: Number of last epochs that are evaluated.
        callbacks: Further callbacks.
        **kwargs: Further arguments of `model.fit`.

    Returns:
        The accuracy on the validation data after each of them, a list.

    Raises:
        TrainingDivergedError: If a loss is not finite.
        ValueError: If a callback ends the training early.
    """
    history = model.fit(
        data.train,
        epochs=epochs,
        steps_per_epoch=data.steps_per_epoch,
        validation_data=data.validation,
        validation_batch_size=(
            batches.EVALUATION_BATCH
            if isinstance(data.validation, tuple)
            else None
        ),
        validation_freq=list(range(epochs - last_epochs + 1, epochs + 1)),
        callbacks=[_StopWhenDiverged(), *callbacks],
        shuffle=False,
        verbose=0,
        **kwargs,
    ).history
    for name in ("loss", "val_loss"):
        check_finite(name, history.get(name, ()), epochs)
    if len(history["loss"]) < epochs:
        raise ValueError(
            "A callback ended the training, whose last epochs are what counts, "
            f"after {len(history['loss'])} of {epochs} epochs."
        )
    return [float(accuracy) for accuracy in history["val_accuracy"]]


def check_finite(name, losses, epochs):
    """Raises `TrainingDivergedError` at the first loss that is not finite.

    Args:
        name: What the losses are, for the message.
        losses: A number an epoch.
        epochs: Number of epochs that were asked for.
    """
    for epoch, value in enumerate(losses, start=1):
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"diverged: {name} became {value} within {epoch} of {epochs} "
                "epochs"
            )


def checked_last_epochs(last_epochs, epochs):
    """The number of last epochs to evaluate, all where it is `None`.

    Raises:
        ValueError: If it is not in 1..epochs.
    """
    if last_epochs is None:
        return epochs
    if not 1 <= last_epochs <= epochs:
        raise ValueError(
            f"`last_epochs` must be in 1..{epochs}, the epochs of "
            f"the task. Received: last_epochs={last_epochs}"
        )
    return last_epochs


class _StopWhenDiverged(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            self.model.stop_training = True


def _copy_optimizer(optimizer):
    return keras.optimizers.deserialize(
        keras.optimizers.serialize(keras.optimizers.get(optimizer))
    )
