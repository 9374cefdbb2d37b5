"""The job of a search, evaluated: the one function that workers call."""

import functools
import math
import threading
import traceback

import keras
import keras_tuner
import numpy as np

from keras_arl.analysis import is_trainable
from keras_arl.backend import on_host
from keras_arl.losses import CrossEntropy
from keras_arl.methods.kinds import base_loss
from keras_arl.methods.kinds import is_learner
from keras_arl.methods.kinds import named
from keras_arl.methods.method_trainer import MethodTrainer
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
        A dictionary from position to `Result`. An exception of a training is
        a result, so that an exception of this function is not the task's.
    """
    with _one_at_a_time:
        found = {}
        for results in evaluator.results(job):
            found |= results
        return found


class Evaluator(Kept):
    """What all jobs of a search share: tasks, methods and how to train.

    A process to which it is sent keeps the first one that comes, with the
    compiled programs of its trainer, for the jobs that follow.

    Args:
        tasks: Function from a seed to a `keras_arl.tasks.Task`.
        space: A `SearchSpace`.
        trainer: A `keras_arl.training.Trainer` or `PlainTrainer`.
        last_epochs: Number of last epochs whose accuracies are averaged.
        trial_timeout: Seconds that a trial may take, or `None`.
    """

    def __init__(self, tasks, space, trainer, last_epochs, trial_timeout):
        super().__init__(tasks, space, trainer, last_epochs, trial_timeout)
        self._tasks = tasks
        self._space = space
        self._trainer = trainer
        self._method_trainer = MethodTrainer(trainer)
        self._last_epochs = last_epochs
        self._trial_timeout = trial_timeout
        # The task that was used last, whose data are in memory.
        self._seed, self._task = None, None
        self._is_checked = False

    @property
    def trains_together(self):
        """Whether all candidates of a task are best evaluated by one job."""
        return self._trainer.trains_together and self._trial_timeout is None

    def trains_tasks_together(self, here):
        """Whether tasks are best evaluated by one job, too.

        Args:
            here: Whether it is this process that evaluates, so that it may be
                asked whether it has an accelerator.
        """
        if not self.trains_together:
            return False
        if self._trainer.vectorize is None and not here:
            return False
        return self._trainer.vectorizes()

    def results(self, job):
        """Evaluates the candidates of a job.

        Args:
            job: A `Job`.

        Yields:
            Dictionaries from position to `Result`, each as soon as it is there.
        """
        to_train = []
        # A candidate is one method for all tasks whose models it fits.
        method_of = functools.cache(self._method)
        teaches = functools.cache(_teaches)
        for seed, candidates in job.by_task.items():
            together = self.trains_together
            try:
                # Each candidate begins a pipeline of its own.
                together = together and self._task_of(seed).in_memory
            except keras_tuner.errors.FatalError:
                raise
            except Exception as error:
                yield {position: _failure(error) for position, _ in candidates}
                continue
            for position, candidate in candidates:
                if not together:
                    yield {position: self._one(seed, candidate)}
                    continue
                task = self._task_of(seed)
                try:
                    with on_host():
                        method = method_of(candidate, task.from_logits)
                        is_able = teaches(method, task.num_classes)
                except Exception as error:
                    yield {position: _failure(error)}
                    continue
                if not is_able:
                    yield {position: Result(0.0, NOT_TRAINED)}
                elif is_learner(method):
                    train = functools.partial(self._trained, task, method)
                    yield {position: _caught(train)}
                else:
                    to_train.append((position, (task, method)))
        yield from self._together(to_train)

    def _together(self, to_train):
        positions = [position for position, _ in to_train]
        pairs = [pair for _, pair in to_train]
        missing = set(positions)
        try:
            for found in self._trainer.evaluate_pairs(pairs, self._last_epochs):
                results = {positions[k]: _result(found[k]) for k in found}
                missing -= set(results)
                yield results
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            yield {position: _failure(error) for position in missing}

    def _one(self, seed, vector):
        return _caught(
            lambda: time_limit.run(
                lambda: self._train(seed, vector),
                self._trial_timeout,
                may_exit=not self.is_at_home,
            )
        )

    def _train(self, seed, vector):
        task = self._task_of(seed)
        method = self._method(vector, task.from_logits)
        if not _teaches(method, task.num_classes):
            return Result(0.0, NOT_TRAINED)
        return self._trained(task, method)

    def _trained(self, task, method):
        return _result(
            self._method_trainer.evaluate(task, method, self._last_epochs)
        )

    def _method(self, vector, from_logits):
        if vector is None:
            return CrossEntropy(from_logits=from_logits)
        if isinstance(vector, str):
            return named(vector, from_logits=from_logits)
        return self._space.to_method(vector, from_logits=from_logits)

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


def _caught(train):
    """The result of a training; an exception in its place is one, too."""
    try:
        return train()
    except keras_tuner.errors.FatalError:
        raise
    except Exception as error:
        return _failure(error)


def _teaches(method, num_classes):
    loss = base_loss(method)
    return isinstance(loss, CrossEntropy) or is_trainable(loss, num_classes)


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
