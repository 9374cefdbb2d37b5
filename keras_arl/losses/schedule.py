"""Callbacks that change a loss over the epochs."""

import keras
import numpy as np

from keras_arl.checks import check_at_least
from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.numbers import set_number

# What a schedule is of.
_EXPECTED = "a loss that changes over a training, as ScheduledTaylorLoss"


class LossSchedule(keras.callbacks.Callback):
    """Moves a loss over the epochs of a training.

    Before each epoch it sets the numbers of a loss that changes over a
    training, such as `ScheduledTaylorLoss`. They depend on the epoch and on the
    number of epochs alone, so that a training that goes on with `initial_epoch`
    goes on with the right ones.

    Args:
        loss: The loss that the model is compiled with, or a part of it.
            Defaults to `None`: that loss and its parts, all that move.
        epochs: Number of epochs of the whole training, where `fit` is called
            for a part of them. Defaults to `None`: that of `fit`.

    Raises:
        ValueError: If it has no numbers that move; when the training begins, if
            the model is compiled with another one, or `fit` has more than
            `epochs`.

    Example:

    >>> loss = keras_arl.losses.ScheduledTaylorLoss(
    ...     [0, -1, 0, 0, 0, 0], [0, -1, 0, 0], order=3
    ... )
    >>> model = keras.Sequential([keras.layers.Dense(2, "softmax")])
    >>> model.compile(loss=loss)
    >>> x, y = np.zeros((8, 3)), np.zeros(8)
    >>> schedule = keras_arl.losses.LossSchedule()
    >>> history = model.fit(x, y, epochs=4, callbacks=[schedule], verbose=0)
    >>> loss.progress
    0.875
    """

    def __init__(self, loss=None, epochs=None):
        super().__init__()
        if loss is not None and not _moves(loss):
            raise ValueError(
                f"`loss` must be {_EXPECTED}. Received: loss={loss}"
            )
        self._given = loss
        self._losses = []
        self.epochs = epochs
        if epochs is not None:
            self.epochs = check_at_least("epochs", epochs, 1)

    def _numbers(self, loss, epoch):
        epochs = self.epochs or self.params["epochs"]
        return loss.moving_numbers(epoch, epochs)

    def on_train_begin(self, logs=None):
        # A learner has its loss apart from that of `compile`.
        losses = [self.model.loss, getattr(self.model, "base_loss", None)]
        found = [loss for loss in _losses_of(losses) if _moves(loss)]
        # One within a function is not found, so that what is given must do.
        self._losses = found if self._given is None else [self._given]
        if not self._losses or (found and self._losses[0] not in found):
            raise ValueError(
                f"The model must be compiled with {_EXPECTED}, that of "
                f"the schedule. A loaded model has its own, which a schedule "
                "without `loss` finds. Received: "
                f"loss={self._given!r}, and a model with {found}"
            )
        if self.epochs is not None and self.params["epochs"] > self.epochs:
            raise ValueError(
                f"`fit` trains up to epoch {self.params['epochs']}, later than "
                f"the schedule's last one. Received: epochs={self.epochs}"
            )
        are_new = []
        for loss in self._losses:
            loss.is_moved = True
            are_new.append(_have_read_anew(loss, self._numbers(loss, 0)))
        if any(are_new):
            # What was compiled before keeps the numbers it was traced with.
            self.model.make_train_function(force=True)
            self.model.make_test_function(force=True)

    def on_epoch_begin(self, epoch, logs=None):
        for loss in self._losses:
            for name, value in self._numbers(loss, epoch).items():
                set_number(loss, name, value)


def _moves(loss):
    is_ours = isinstance(loss, ClassificationLoss)
    return is_ours and bool(loss.moving_numbers(0, 1))


def move(loss, epoch, epochs):
    """Moves a loss and its parts without `fit`.

    The first call has to come before the loss is compiled.

    Args:
        loss: A loss of this package.
        epoch: Number of the epoch, from 0.
        epochs: Number of epochs of the training.
    """
    loss.is_moved = True
    numbers = loss.moving_numbers(epoch, epochs)
    _have_read_anew(loss, numbers)
    for name, value in numbers.items():
        set_number(loss, name, value)
    for part in loss.parts.values():
        move(part, epoch, epochs)


def _have_read_anew(loss, numbers):
    """Has JAX read numbers in each step, so that no change is a new trace.

    Args:
        loss: The loss.
        numbers: Their values, a dictionary by name.

    Returns:
        Whether JAX did not do so before.
    """
    is_known = numbers.keys() <= loss.read_anew.keys()
    if is_known or keras.config.backend() != "jax":
        return False
    for name, value in numbers.items():
        loss.read_anew[name] = np.asarray(value, loss.dtype)
    return True


def _losses_of(loss):
    """All losses of this package in a model's losses and their parts."""
    found = []
    for part in keras.tree.flatten(loss):
        if isinstance(part, ClassificationLoss):
            found += [part, *_losses_of(list(part.parts.values()))]
    return found
