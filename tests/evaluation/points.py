"""A task of one's own, small enough for real trainings in every test."""

import dataclasses
import threading

import keras
import numpy as np

from keras_arl import evaluation
from keras_arl import losses
from keras_arl import noise
from keras_arl import tasks

METHODS = {
    "CE": losses.CrossEntropy(),
    "NCE+RCE": losses.get("nce+rce"),
    "infinite": losses.TaylorLoss([0, -1e38, 1e38], order=2, reduction="sum"),
}


def points_task(seed, noise_rate=0.2, epochs=3):
    """Two classes of points."""
    x = np.random.default_rng(seed).normal(size=(80, 2)).astype("float32")
    y = (x[:, 0] > 0).astype(int)
    wrong = noise.corrupt_labels(y, noise.symmetric(noise_rate, 2), seed)
    return tasks.Task(
        train=(x[:48], wrong[:48]),
        validation=(x[48:], y[48:]),
        build_model=lambda: keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(2, "softmax")]
        ),
        num_classes=2,
        optimizer=keras.optimizers.Adam(0.1),
        epochs=epochs,
        seed=seed,
        architecture="linear",
    )


@dataclasses.dataclass(frozen=True)
class Points:
    """The configuration of such a task."""

    noise_rate: float
    seed: int
    group: str | None = None

    def build(self):
        return points_task(self.seed, self.noise_rate)


CONFIGS = [Points(rate, seed) for rate in (0.2, 0.4) for seed in (0, 1)]


class CountingTrainer:
    """Trains nothing; notes what it is asked for."""

    def __init__(self):
        self.asked = []

    def accuracies(self, task, loss):
        self.asked.append((task.seed, loss))
        return [0.25, 0.75, 0.5]


class StuckTrainer(CountingTrainer):
    """Never comes to an end with the third."""

    def accuracies(self, task, loss):
        if len(self.asked) == 2:
            threading.Event().wait()
        return super().accuracies(task, loss)


def compare_until_stuck(path):
    """A comparison that a process of its own can run, to be killed."""
    evaluation.compare(METHODS, CONFIGS, StuckTrainer(), path=path, verbose=0)
