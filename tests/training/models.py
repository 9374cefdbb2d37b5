"""Small tasks on random points, whose trainings take milliseconds."""

import keras
import numpy as np
import pytest

from keras_arl import noise
from keras_arl.tasks import Task
from keras_arl.training import PlainTrainer

SIZE = (8, 8, 1)
NUM_CLASSES = 3


def images(count, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(NUM_CLASSES, size=count)
    x = rng.normal(size=(count, *SIZE)).astype("float32")
    x += np.linspace(-1, 1, 64).reshape(SIZE) * (y - 1)[:, None, None, None]
    return x.astype("float32"), y


def mlp(seed=0, dropout=0.0, normalized=False):
    layers = [
        keras.Input(SIZE),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
    ]
    if normalized:
        layers.append(keras.layers.BatchNormalization(momentum=0.9))
    if dropout:
        layers.append(keras.layers.Dropout(dropout, seed=seed))
    layers.append(keras.layers.Dense(NUM_CLASSES, activation="softmax"))
    return keras.Sequential(layers)


def cnn(**kwargs):
    inputs = keras.Input(SIZE)
    x = keras.layers.Conv2D(4, 3, padding="same", strides=2, **kwargs)(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.Activation("elu")(x)
    x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Flatten()(x)
    outputs = keras.layers.Dense(NUM_CLASSES, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def task(build_model=mlp, seed=0, **kwargs):
    """A task with its data in memory; 90 examples make an uneven batch."""
    x, y = images(390, seed)
    noisy = noise.corrupt_labels(
        y[:90], noise.symmetric(0.3, NUM_CLASSES), seed
    )
    kwargs.setdefault("epochs", 4)
    kwargs.setdefault("optimizer", keras.optimizers.Adam(0.01))
    return Task(
        train=(x[:90], noisy),
        validation=(x[90:], y[90:]),
        build_model=build_model,
        num_classes=NUM_CLASSES,
        batch_size=20,
        seed=seed,
        **kwargs,
    )


# What reassociated sums may change: three of 300 examples.
BOUND = 0.0 if keras.config.backend() != "jax" else 0.0101


def check_agrees(trainer, problem, loss, last_epochs=1):
    """A trainer reports what a new model does; returns what it reports."""
    found = trainer.evaluate(problem, loss, last_epochs)
    expected = PlainTrainer().evaluate(problem, loss, last_epochs)
    assert found == pytest.approx(expected, abs=BOUND + 1e-12)
    return found


class Counting(keras.layers.Layer):
    """Counts how often Python, not a compiled program, runs it."""

    calls = 0

    def call(self, x):
        Counting.calls += 1
        return x


def counting_model():
    return keras.Sequential([keras.Input(SIZE), Counting(), *mlp().layers])
