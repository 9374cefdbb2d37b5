"""Searches whose trainings are arithmetic, so that tests can run many."""

import json
import os
import pathlib
import time

import keras
import numpy as np

from keras_arl.losses import TaylorLoss
from keras_arl.search import CMAESOracle
from keras_arl.search import LossTuner
from keras_arl.search.space import TaylorSpace
from keras_arl.tasks import Task

_HERE = pathlib.Path(__file__)
QUICK_START = str(_HERE.with_name("quick_start"))
# Workers of toys train nothing. With Keras on NumPy, and without what the
# directory leaves out, a worker starts in a sixth of the time.
QUICK_WORKERS = {
    "KERAS_BACKEND": "numpy",
    "PYTHONPATH": os.pathsep.join([QUICK_START, str(_HERE.parents[2])]),
}

SPACE = TaylorSpace(order=4, class_aware=True)


def vector_of(loss):
    return np.array([*loss.coefficients, *loss.center])


def target():
    """The best loss: a neighbour of the starting point, as steep."""
    start = np.array(SPACE.starting_point("linear"))
    return np.array(SPACE.scaled([*(start + np.linspace(-0.3, 0.3, 12))]))


def toy_model():
    return keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(10, "softmax")]
    )


def toy_task(seed):
    """A task of which only the seed is looked at, after the first one."""
    data = np.zeros((1, 1)), np.zeros(1, "int64")
    return Task(data, data, build_model=toy_model, num_classes=10, seed=seed)


# The toy score of cross-entropy, the baseline of each task.
BASELINE = 0.25


class ToyTrainer:
    """Scores a loss by its distance to `target()` and its task's noise.

    Cross-entropy always has the same score, and is no training that counts.

    Args:
        noise: Standard deviation of the noise, a function of task and loss.
            By default tasks hardly differ.
        duration: Seconds that a training takes.
        stop_after: Number of trainings after which Ctrl-C comes.
        fails: Function from the number of trainings before, the task and the
            loss to whether the training raises an exception.
        log: File that a line is added to as each training begins.
    """

    trains_together = False

    def __init__(
        self, noise=1e-6, duration=0.0, stop_after=None, fails=None, log=None
    ):
        self.noise = noise
        self.duration = duration
        self.stop_after = stop_after
        self.fails = fails
        self.log = log
        # Task seed and loss of each training in this process.
        self.ran = []

    def evaluate(self, task, loss, last_epochs):
        if not isinstance(loss, TaylorLoss):
            return BASELINE
        if len(self.ran) == self.stop_after:
            raise KeyboardInterrupt
        count = len(self.ran)
        self.ran.append((task.seed, loss.coefficients))
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{os.getpid()} {task.seed} {loss.center}\n")
        if self.fails is not None and self.fails(count, task, loss):
            raise ValueError(f"boom {count}")
        self.hold(task, loss)
        distance = np.sum((vector_of(loss) - target()) ** 2)
        digits = abs(hash(loss.coefficients)) % 2**32
        luck = np.random.default_rng([task.seed, digits]).normal()
        return float(np.exp(-distance + self.noise * luck))

    def hold(self, task, loss):
        """What takes the time of a training."""
        time.sleep(self.duration)

    def get_config(self):
        return {"trainer": "toy"}


def toy(directory, trainer=None, **kwargs):
    """A `LossTuner` with a `ToyTrainer`; arguments of both by name."""
    of_trainer = {
        name: kwargs.pop(name)
        for name in ("noise", "duration", "stop_after", "fails", "log")
        if name in kwargs
    }
    of_tuner = {
        name: kwargs.pop(name)
        for name in ("overwrite", "job_timeout", "baseline")
        if name in kwargs
    }
    kwargs.setdefault("seed", 0)
    kwargs.setdefault("tasks_per_generation", 1)
    return LossTuner(
        CMAESOracle(**kwargs),
        toy_task,
        trainer=trainer or ToyTrainer(**of_trainer),
        directory=directory,
        **of_tuner,
    )


def search(directory, settings, executor=None):
    """Runs a search and writes `best.json`; a process of its own can."""
    tuner = toy(directory, **settings)
    tuner.search(executor=executor)
    path = pathlib.Path(directory, "best.json")
    path.write_text(json.dumps(outcome(tuner)))


def outcome(tuner):
    """What two searches that are to be the same must agree in."""
    return {
        "best": tuner.oracle.best(),
        "history": tuner.oracle.history(),
        "selection": tuner.oracle.selection(),
    }
