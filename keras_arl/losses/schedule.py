"""What the callbacks share that change a loss over the epochs."""

import keras
import numpy as np

from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.base import set_number


class LossSchedule(keras.callbacks.Callback):
    """Base of the callbacks that set numbers of a loss before each epoch.

    A subclass implements `numbers(epoch)`, a dictionary from names of
    hyperparameters, which are variables, to floats. They depend on the epoch
    alone, so that a training that goes on with `initial_epoch` goes on with the
    right ones. On JAX a change compiles the training step anew.

    Args:
        loss: The loss that the model is compiled with; `None`: the one of that
            class that is found there.
        cls: The class that it must be of.

    Raises:
        ValueError: If it is not of that class; when the training begins, if
            the model is compiled with another one.
    """

    def __init__(self, loss, cls):
        super().__init__()
        if not isinstance(loss, (cls, type(None))):
            raise ValueError(
                f"`loss` must be a {cls.__name__}. Received: loss={loss}"
            )
        self.loss = self._given = loss
        self._cls = cls

    def numbers(self, epoch):
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        # A learner has its loss apart from that of `compile`.
        losses = [self.model.loss, getattr(self.model, "base_loss", None)]
        found = _losses_of(losses, self._cls)
        # One within a function is not found, so that what is given must do.
        if self._given is None and len(found) == 1:
            self.loss = found[0]
        elif self._given is None or (found and self._given not in found):
            raise ValueError(
                f"The model must be compiled with the {self._cls.__name__} of "
                f"the schedule. A loaded model has its own, which a schedule "
                "without `loss` finds. Received: "
                f"loss={self._given!r}, and a model with {found}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        before = self.loss.hyper_values()
        for name, value in self.numbers(epoch).items():
            set_number(self.loss, name, value)
        pairs = zip(before, self.loss.hyper_values(), strict=True)
        changed = any(np.any(old != new) for old, new in pairs)
        if changed and keras.config.backend() == "jax":
            # A function that JAX compiled keeps the numbers it was traced with.
            self.model.make_train_function(force=True)
            self.model.make_test_function(force=True)


def _losses_of(loss, cls):
    """Those of a class among a model's losses and their parts, a list."""
    found = []
    for part in keras.tree.flatten(loss):
        if isinstance(part, cls):
            found.append(part)
        if isinstance(part, ClassificationLoss):
            found += _losses_of(list(part.parts.values()), cls)
    return found
