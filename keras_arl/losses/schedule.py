"""What the callbacks share that change a loss over the epochs."""

import keras
import numpy as np


class LossSchedule(keras.callbacks.Callback):
    """Base of the callbacks that set numbers of a loss before each epoch.

    A subclass implements `numbers(epoch)`, a dictionary from names of
    hyperparameters, which are variables, to floats. They depend on the epoch
    alone, so that a training that goes on with `initial_epoch` goes on with the
    right ones. On JAX a change compiles the training step anew.

    Args:
        loss: The loss that the model is compiled with.
        cls: The class that it must be of.

    Raises:
        ValueError: If it is not of that class.
    """

    def __init__(self, loss, cls):
        super().__init__()
        if not isinstance(loss, cls):
            raise ValueError(
                f"`loss` must be a {cls.__name__}. Received: loss={loss}"
            )
        self.loss = loss

    def numbers(self, epoch):
        raise NotImplementedError

    def on_epoch_begin(self, epoch, logs=None):
        before = self.loss.hyper_values()
        for name, value in self.numbers(epoch).items():
            vars(self.loss)[name].assign(value)
        pairs = zip(before, self.loss.hyper_values(), strict=True)
        changed = any(np.any(old != new) for old, new in pairs)
        if changed and keras.config.backend() == "jax":
            # A function that JAX compiled keeps the numbers it was traced with.
            self.model.make_train_function(force=True)
            self.model.make_test_function(force=True)
