"""The job of a search, evaluated: the one function that workers call."""

import math
import threading
import traceback

import keras
import keras_tuner
import numpy as np

from keras_arl.analysis import is_trainable
from keras_arl.losses import CrossEntropy
from keras_arl.search import time_limit
from keras_arl.search.job import Result
from keras_arl.tasks.checking import TaskError
from keras_arl.tasks.checking import check_task
from keras_arl.training import TrainingDivergedError
from keras_arl.training.kept import Kept

NOT_TRAINED = (
    "not trained: at uniform predictions the loss does not raise the labelled "
    "class's probability"
)
# Dask's workers may run jobs in several threads; there is one trainer.
_one_at_a_time = threading.Lock()


def evaluate(evaluator, job):
    """Evaluates the candidates of a job.

    Args:
        evaluator: The `Evaluator` of the search.
        job: A `Job`.

    Returns:
        A `Result` for each candidate, a list. An exception of a training is
        one of them, so that an exception of this function is not the task's.
    """
    with _one_at_a_time:
        return list(evaluator.results(job))


class Evaluator(Kept):
    """What all jobs of a search share: tasks, losses and how to train.

    A process to which it is sent keeps the first one that comes, with the
    compiled programs of its trainer, for the jobs that follow.

    Args:
        tasks: Function from a seed to a `keras_arl.tasks.Task`.
        space: A `TaylorSpace`.
        trainer: A `keras_arl.training.Trainer` or `PlainTrainer`.
        last_epochs: Number of last epochs whose accuracies are averaged.
        trial_timeout: Seconds that a trial may take, or `None`.
    """

    def __init__(self, tasks, space, trainer, last_epochs, trial_timeout):
        super().__init__(tasks, space, trainer, last_epochs, trial_timeout)
        self._tasks = tasks
        self._space = space
        self._trainer = trainer
        self._last_epochs = last_epochs
        self._trial_timeout = trial_timeout
        # The task that was used last, whose data are in memory.
        self._seed, self._task = None, None
        self._is_checked = False

    @property
    def trains_together(self):
        """Whether all candidates of a task are best evaluated by one job."""
        return self._trainer.trains_together and self._trial_timeout is None

    def results(self, job):
        """A `Result` for each candidate of a job, each as soon as it is there.

        Args:
            job: A `Job`.

        Returns:
            An iterator.
        """
        if not self.trains_together:
            return (self._one(job.task_seed, each) for each in job.candidates)
        try:
            task = self._task_of(job.task_seed)
            if not task.in_memory:
                return (self._one(job.task_seed, c) for c in job.candidates)
            return self._together(task, job.candidates)
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            return iter([_failure(error)] * len(job.candidates))

    def _together(self, task, candidates):
        losses = [self._loss(each, task) for each in candidates]
        teaches = [self._teaches(loss, task) for loss in losses]
        # Two programs, so that the candidates are trained as without it.
        kinds = [candidate is None for candidate in candidates]
        to_train = {kind: [] for kind in kinds}
        for kind, loss, each in zip(kinds, losses, teaches, strict=True):
            to_train[kind] += [loss] if each else []
        # Here, so that what it raises is met where the task is made.
        outcomes = {
            kind: self._trainer.evaluate_all(task, chosen, self._last_epochs)
            for kind, chosen in to_train.items()
        }
        return (
            _result(next(outcomes[kind])) if each else Result(0.0, NOT_TRAINED)
            for kind, each in zip(kinds, teaches, strict=True)
        )

    def _one(self, seed, vector):
        try:
            return time_limit.run(
                lambda: self._train(seed, vector),
                self._trial_timeout,
                may_exit=not self.is_at_home,
            )
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            return _failure(error)

    def _train(self, seed, vector):
        task = self._task_of(seed)
        loss = self._loss(vector, task)
        if not self._teaches(loss, task):
            return Result(0.0, NOT_TRAINED)
        return _result(self._trainer.evaluate(task, loss, self._last_epochs))

    def _teaches(self, loss, task):
        return isinstance(loss, CrossEntropy) or is_trainable(
            loss, task.num_classes
        )

    def _loss(self, vector, task):
        if vector is None:
            return CrossEntropy(from_logits=task.from_logits)
        return self._space.to_loss(vector, from_logits=task.from_logits)

    def _task_of(self, seed):
        if seed == self._seed:
            return self._task
        task = self._new_task(seed)
        if not self._is_checked:
            self._check(task)
            # What was begun may go on elsewhere.
            task = self._new_task(seed)
        # A pipeline that shuffles goes on where its last use stopped.
        if task.in_memory:
            self._seed, self._task = seed, task
        return task

    def _new_task(self, seed):
        # Pipelines and models that a user's task leaves unseeded.
        keras.utils.set_random_seed(seed)
        return self._tasks(seed)

    def _check(self, task):
        try:
            check_task(task)
        except TaskError as error:
            # Other trials would end like this one.
            raise keras_tuner.errors.FatalValueError(str(error)) from error
        self._is_checked = True


def _result(outcome):
    """The result of an accuracy, or of an exception in its place."""
    if isinstance(outcome, keras_tuner.errors.FatalError):
        raise outcome
    if isinstance(outcome, Exception):
        return _failure(outcome)
    with np.errstate(over="ignore"):
        score = float(np.float32(outcome))
    if math.isfinite(score):
        return Result(score)
    return Result(None, f"the score is not finite: {score}")


def _failure(error):
    if isinstance(error, TrainingDivergedError):
        return Result(None, str(error))
    return Result(None, "".join(traceback.format_exception(error)), raised=True)
