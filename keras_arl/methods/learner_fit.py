"""Trains a learner on a task, on the batches that losses meet."""

import keras

from keras_arl.learners.batch import indexed
from keras_arl.training import fitting
from keras_arl.training.batches import orders_of
from keras_arl.training.batches import take
from keras_arl.training.start import Start
from keras_arl.training.start import built_model


def built_learner(task, method, rewrite=None):
    """A compiled learner at the start of a training, with all its variables.

    Args:
        task: A `Task`.
        method: Function from a model to a learner.
        rewrite: Function from the task's model to the one that is trained.
            Defaults to `None`: none.
    """

    def wrapped(model):
        if rewrite is not None:
            model = rewrite(model, task.batch_size)
        learner = method(model)
        if learner.base_loss.from_logits != task.from_logits:
            raise ValueError(
                f"The task has from_logits={task.from_logits}, and so must its "
                "learner: `functools.partial(keras_arl.learners."
                f"{type(learner).__name__}, from_logits={task.from_logits})`. "
                f"Received: from_logits={learner.base_loss.from_logits}"
            )
        if learner.needs_index and task.in_memory:
            learner.num_examples = len(task.train[1])
            learner.build_memory()
        return learner

    return built_model(task, loss=None, rewrite=wrapped)


class LearnerFit:
    """Trains a learner by its `fit`.

    Args:
        learner: What `built_learner` returns.
    """

    rewrite = None

    def __init__(self, learner):
        self.learner = learner

    @staticmethod
    def key(learner, method):
        """What trainings must have in common to share a kept learner."""
        return method

    def accuracies(self, task, learner, last_epochs):
        """Trains; returns the clean accuracy after each of the last epochs.

        Args:
            task: A `Task`.
            learner: One at the start of the training, as which this one begins.
            last_epochs: Number of last epochs that are evaluated.
        """
        begin_as(self.learner, learner)
        train = task.train
        callbacks = fitting.schedules_of(self.learner.base_loss)
        if task.in_memory:
            train = TaskBatches(task, self.learner.needs_index)
            callbacks.append(
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, logs: train.begin_epoch(epoch)
                )
            )
        return fitting.fit(
            self.learner,
            fitting.FitData(train, task.validation, None),
            task.epochs,
            last_epochs,
            callbacks,
            meta_data=meta_data_for(self.learner, task),
        )


def begin_as(kept, learner):
    """Brings a learner to the start that another one is at."""
    if kept is not learner:
        Start.of(learner).assign_to(kept)


class TaskBatches(keras.utils.PyDataset):
    """The batches of a task in memory, in its own order.

    Args:
        task: A `Task`.
        has_index: Whether the examples' indices are beside the labels.
    """

    def __init__(self, task, has_index):
        super().__init__()
        self._task = task
        self._has_index = has_index
        self._orders = orders_of(task)
        self._epoch = 0

    def begin_epoch(self, epoch):
        """Sets the epoch whose batches come next."""
        self._epoch = epoch

    def __len__(self):
        return fitting.steps_per_epoch(self._task)

    def __getitem__(self, step):
        size = self._task.batch_size
        rows = self._orders[self._epoch][step * size : (step + 1) * size]
        x, y = take(self._task.train, rows)
        return x, indexed(y, rows) if self._has_index else y


def meta_data_for(learner, task):
    """The clean examples of a task, `None` for a learner without need."""
    if not learner.needs_meta_data:
        return None
    check_meta_data(task, type(learner).__name__)
    return task.meta_data


def check_meta_data(task, name):
    """Raises a `ValueError` if a task has no clean examples."""
    if task.meta_data is None:
        raise ValueError(
            f"{name} trains on a few clean examples, too: the `meta_data` of "
            "a `keras_arl.tasks.Task`. This task has none."
        )
