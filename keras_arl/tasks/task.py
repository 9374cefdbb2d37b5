"""A task: data, a model and a training recipe; it tells how a loss does."""

import collections.abc
import dataclasses
import math
import typing

import keras
import numpy as np


class TrainingDivergedError(RuntimeError):
    """The loss became NaN or infinite while training."""


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One training problem on which a loss is scored.

    Args:
        train: Batched `tf.data.Dataset` of pairs `(x, noisy label)`.
        validation: Batched `tf.data.Dataset` of pairs `(x, clean label)`.
        build_model: Function without arguments that returns an uncompiled
            `keras.Model` with outputs of shape `(batch, num_classes)`.
        num_classes: Number of classes.
        optimizer: Name of an optimizer or a `keras.optimizers.Optimizer`,
            which is copied for each training. Defaults to `"adam"`.
        epochs: Number of epochs. Defaults to `10`.
        from_logits: Whether the model returns logits. Defaults to `False`.
        seed: Global seed of Keras and the backend at the start of a training,
            for model functions that seed nothing themselves. Defaults to `0`.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> T = keras_arl.noise.symmetric(0.3, num_classes=2)
    >>> noisy = keras_arl.noise.corrupt_labels(y, T, seed=0)
    >>> task = keras_arl.tasks.Task(
    ...     train=tf.data.Dataset.from_tensor_slices((x, noisy)).batch(50),
    ...     validation=tf.data.Dataset.from_tensor_slices((x, y)).batch(50),
    ...     build_model=lambda: keras.Sequential(
    ...         [keras.Input((2,)), keras.layers.Dense(2, "softmax")]
    ...     ),
    ...     num_classes=2,
    ...     optimizer=keras.optimizers.Adam(0.05),
    ... )
    >>> task.evaluate(keras_arl.ARL()) > 0.9
    True
    """

    train: typing.Any
    validation: typing.Any
    build_model: collections.abc.Callable[[], keras.Model]
    num_classes: int
    optimizer: str | keras.optimizers.Optimizer = "adam"
    epochs: int = 10
    from_logits: bool = False
    seed: int = 0

    def evaluate(self, loss, last_epochs=1):
        """Trains a new model with a loss and returns its clean accuracy.

        The best epoch is not looked for: nobody has a clean set to stop by.

        Args:
            loss: Anything that `model.compile` takes as a loss.
            last_epochs: Number of last epochs whose accuracies are averaged.
                Defaults to `1`.

        Returns:
            Mean accuracy on the validation pipeline, a float in [0, 1].

        Raises:
            TrainingDivergedError: If the training loss, or the loss on the
                validation data, is not finite.
            ValueError: If `last_epochs` is not in 1..epochs.
        """
        if not 1 <= last_epochs <= self.epochs:
            raise ValueError(
                f"`last_epochs` must be in 1..{self.epochs}, the epochs of "
                f"the task. Received: last_epochs={last_epochs}"
            )
        keras.utils.set_random_seed(self.seed)
        model = self.build_model()
        model.compile(
            optimizer=_copy_optimizer(self.optimizer),
            loss=loss,
            metrics=["accuracy"],
        )
        first = self.epochs - last_epochs + 1
        history = model.fit(
            self.train,
            epochs=self.epochs,
            validation_data=self.validation,
            validation_freq=list(range(first, self.epochs + 1)),
            callbacks=[_StopWhenDiverged()],
            shuffle=False,
            verbose=0,
        ).history
        for name in ("loss", "val_loss"):
            for value in history.get(name, ()):
                if not math.isfinite(value):
                    raise TrainingDivergedError(
                        f"diverged: {name} became {value} within "
                        f"{len(history['loss'])} of {self.epochs} epochs"
                    )
        return float(np.mean(history["val_accuracy"]))


class _StopWhenDiverged(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            self.model.stop_training = True


def _copy_optimizer(optimizer):
    return keras.optimizers.deserialize(
        keras.optimizers.serialize(keras.optimizers.get(optimizer))
    )
