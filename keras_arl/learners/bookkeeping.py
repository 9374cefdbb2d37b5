"""What a learner does between epochs, as callbacks that `fit` adds."""

import keras
from keras import ops


class Bookkeeping(keras.callbacks.Callback):
    """Tells learner and data the epoch; logs what the learner is about.

    Args:
        learner: The `Learner`.
        data: Its `TrainingData`.
    """

    def __init__(self, learner, data):
        super().__init__()
        self._learner = learner
        self._data = data

        self._epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = self._learner.counted(epoch)
        self._learner.begin_epoch(self._epoch)
        seed = int(ops.convert_to_numpy(self._learner.seed))
        self._data.begin_epoch(seed, self._epoch)

    def on_epoch_end(self, epoch, logs=None):
        values = self._learner.end_epoch(self._epoch)
        if logs is not None:
            logs.update(values)


class LearningRate(keras.callbacks.Callback):
    """Tells a learner the learning rate that other callbacks have set.

    Args:
        learner: The `Learner`.
    """

    def __init__(self, learner):
        super().__init__()
        self._learner = learner

    def on_epoch_begin(self, epoch, logs=None):
        self._learner.set_learning_rate()


def with_bookkeeping(callbacks, learner, data):
    """The callbacks of a `fit` between those of a learner.

    Args:
        callbacks: What `fit` got.
        learner: The `Learner`.
        data: Its `TrainingData`.

    Returns:
        A list.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    elif isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    # The first writes into the logs that the others read; the last reads the
    # learning rate that the others set.
    return [
        Bookkeeping(learner, data),
        *(callbacks or []),
        LearningRate(learner),
    ]
