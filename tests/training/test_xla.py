"""What the programs of TensorFlow and of its XLA do by themselves."""

import functools

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import TaylorLoss
from keras_arl.training import PlainTrainer
from keras_arl.training import Trainer
from keras_arl.training import fitting
from tests.training.models import SIZE
from tests.training.models import cnn
from tests.training.models import mlp
from tests.training.models import task

PLAIN = PlainTrainer()
TAYLOR = TaylorLoss([0, -1, 0, 0.5, 0, 0, 0, 0, 0, 0], order=4)
OTHER = TaylorLoss([0, -2, 0, 0, 0, 0.5, 0, 0, 0, 0], order=4)
GCE = losses.GCE()

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="programs for TensorFlow"
)


def test_convolutions_in_xla():
    problem = task(cnn)
    expected = PLAIN.evaluate(problem, TAYLOR, last_epochs=3)
    found = Trainer(jit_compile=True).evaluate(problem, TAYLOR, last_epochs=3)
    assert found == pytest.approx(expected, abs=0.0101)


def test_a_step_is_traced_once():
    traced = []

    def loss(y_true, y_pred):
        traced.append(1)
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    Trainer().evaluate(task(mlp, seed=1), loss)
    # In the training step and in that of the evaluation.
    assert len(traced) == 2


def test_whole_epochs_in_xla_are_those_of_keras_in_xla():
    trainer = Trainer(jit_compile=True)
    first, second = (
        task(functools.partial(mlp, dropout=0.3), seed, architecture="net")
        for seed in (0, 1)
    )
    # So that the second finds a program that has trained.
    trainer.evaluate(first, OTHER)
    model = fitting.compiled_model(second, TAYLOR, jit_compile=True)
    expected = np.mean(fitting.fit(model, fitting.data_of(second), 4, 3))
    found = trainer.evaluate(second, TAYLOR, last_epochs=3)
    assert found == pytest.approx(expected, abs=0.0101)


class OwnStep(keras.Sequential):
    """Trains on nothing: every gradient is dropped."""

    def train_step(self, *args):
        kept = [keras.ops.copy(v) for v in self.trainable_variables]
        result = super().train_step(*args)
        for variable, value in zip(self.trainable_variables, kept, strict=True):
            variable.assign(value)
        return result


def test_a_models_own_train_step_is_used():
    problem = task(lambda: OwnStep(mlp().layers), epochs=3)
    found = Trainer(jit_compile=True).accuracies(problem, GCE)
    assert len(set(found)) == 1
    assert found == PLAIN.accuracies(problem, GCE)


def test_what_xla_cannot_compile_falls_back():
    import tensorflow as tf

    class Host(keras.layers.Layer):
        def call(self, x):
            shape = x.shape
            x = tf.py_function(lambda a: a, [x], x.dtype)
            x.set_shape(shape)
            return x

    def model():
        return keras.Sequential([keras.Input(SIZE), Host(), *mlp().layers])

    trainer = Trainer(jit_compile=True)
    problem = task(model, epochs=1)
    with pytest.warns(UserWarning, match="It cannot be that XLA"):
        found = trainer.evaluate(problem, GCE)
    assert found == PLAIN.evaluate(problem, GCE)
    assert trainer.evaluate(problem, GCE) == found
