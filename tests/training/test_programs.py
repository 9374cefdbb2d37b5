"""What the programs of TensorFlow's XLA and of JAX do by themselves."""

import functools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import TaylorLoss
from keras_arl.training import PlainTrainer
from keras_arl.training import Trainer
from keras_arl.training import TrainingDivergedError
from keras_arl.training import fitting
from tests.training.models import BOUND
from tests.training.models import NUM_CLASSES
from tests.training.models import SIZE
from tests.training.models import Counting
from tests.training.models import check_agrees
from tests.training.models import cnn
from tests.training.models import counting_model
from tests.training.models import mlp
from tests.training.models import task

BACKEND = keras.config.backend()
PLAIN = PlainTrainer()
TAYLOR = TaylorLoss([0, -1, 0, 0.5, 0, 0, 0, 0, 0, 0], order=4)
OTHER = TaylorLoss([0, -2, 0, 0, 0, 0.5, 0, 0, 0, 0], order=4)
GCE = losses.GCE()

on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="a program for TensorFlow"
)
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="a program for JAX")


@on_tensorflow
@pytest.mark.parametrize(
    ("model", "trainings"),
    [(mlp, [(0, TAYLOR), (1, OTHER)]), (cnn, [(0, TAYLOR)])],
)
def test_whole_epochs_in_xla(model, trainings):
    trainer = Trainer(jit_compile=True)
    for seed, loss in trainings:
        problem = task(model, seed, architecture="net")
        expected = PLAIN.evaluate(problem, loss, last_epochs=3)
        found = trainer.evaluate(problem, loss, last_epochs=3)
        assert found == pytest.approx(expected, abs=0.0101)


@on_tensorflow
def test_dropout_in_xla_is_that_of_keras_in_xla():
    problem = task(functools.partial(mlp, dropout=0.3), seed=1)
    model = fitting.compiled_model(problem, TAYLOR, jit_compile=True)
    expected = np.mean(fitting.fit(model, fitting.data_of(problem), 4, 3))
    found = Trainer(jit_compile=True).evaluate(problem, TAYLOR, last_epochs=3)
    assert found == pytest.approx(expected, abs=0.0101)


class OwnStep(keras.Sequential):
    """Trains on nothing: every gradient is dropped."""

    def train_step(self, *args):
        kept = [keras.ops.copy(v) for v in self.trainable_variables]
        result = super().train_step(*args)
        for variable, value in zip(self.trainable_variables, kept, strict=True):
            variable.assign(value)
        return result


@on_tensorflow
def test_a_models_own_train_step_is_used():
    problem = task(lambda: OwnStep(mlp().layers), epochs=3)
    expected = PLAIN.evaluate(problem, GCE)
    assert expected != PLAIN.evaluate(task(mlp, epochs=3), GCE)
    trainer = Trainer(jit_compile=True)
    assert trainer.evaluate(problem, GCE) == expected


@on_tensorflow
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


@on_jax
@pytest.mark.parametrize("model", [mlp, cnn])
def test_losses_trained_together(model):
    trainer, vectorized = Trainer(), Trainer(vectorize=True)
    infinite = TaylorLoss([0, -1e38, 0, 0, 0, 0, 3e38, 0, 0, 0], order=4)
    problem = task(model, architecture="net")
    every = [TAYLOR, OTHER, infinite]
    together = list(vectorized.evaluate_all(problem, every, last_epochs=2))
    # In threads, and as if there were no other loss.
    threaded = list(trainer.evaluate_all(problem, every, last_epochs=2))
    alone = [trainer.evaluate(problem, loss, 2) for loss in every[:2]]
    assert threaded[:2] == alone
    assert together[:2] == pytest.approx(alone, abs=BOUND)
    assert isinstance(threaded[2], TrainingDivergedError)
    assert str(together[2]) == str(threaded[2])
    # Other numbers of any class; losses of two classes are trained alone, and
    # those without numbers.
    for group in ([GCE, losses.GCE(0.3)], [TAYLOR, GCE], [losses.NCE()] * 2):
        group = [type(loss).from_config(loss.get_config()) for loss in group]
        expected = [trainer.evaluate(problem, loss) for loss in group]
        found = list(vectorized.evaluate_all(problem, group))
        assert found == pytest.approx(expected, abs=BOUND)


@on_jax
def test_the_number_of_losses_is_no_reason_to_trace():
    trainer = Trainer(vectorize=True)
    problem = task(counting_model, architecture="counting")
    every = [losses.GCE(0.1 * k) for k in range(1, 6)]
    five = list(trainer.evaluate_all(problem, every))
    Counting.calls = 0
    assert list(trainer.evaluate_all(problem, every[:3])) == five[:3]
    assert Counting.calls == 0


@on_jax
def test_a_model_that_cannot_be_vectorised_falls_back():
    import jax

    class Callback(keras.layers.Layer):
        """A function of the host, which JAX cannot vectorise."""

        def call(self, x):
            @jax.custom_jvp
            def host(x):
                shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
                return jax.pure_callback(np.asarray, shape, x)

            host.defjvp(lambda xs, ts: (host(*xs), ts[0]))
            return host(x)

    def model():
        return keras.Sequential(
            [keras.Input(SIZE), *mlp().layers[:2], Callback(), mlp().layers[2]]
        )

    trainer, vectorized = Trainer(), Trainer(vectorize=True)
    problem = task(model, epochs=1, architecture="callback")
    pair = [TAYLOR, OTHER]
    with pytest.warns(UserWarning, match="cannot be vectorised.*one at a time"):
        together = list(vectorized.evaluate_all(problem, pair))
    # Once is enough.
    assert list(vectorized.evaluate_all(problem, pair)) == together
    assert together == [trainer.evaluate(problem, loss) for loss in pair]


@on_jax
def test_convolutions_that_stay_convolutions():
    def depthwise():
        return keras.Sequential(
            [
                keras.Input(SIZE),
                keras.layers.DepthwiseConv2D(3),
                keras.layers.Flatten(),
                keras.layers.Dense(NUM_CLASSES, activation="softmax"),
            ]
        )

    problem = task(depthwise, architecture="depthwise")
    check_agrees(Trainer(), problem, TAYLOR, last_epochs=2)


class OwnMetrics(keras.Sequential):
    """Reports something else as its accuracy."""

    def compute_metrics(self, *args, **kwargs):
        return {**super().compute_metrics(*args, **kwargs), "accuracy": 0.25}


class OwnTest(keras.Sequential):
    """Sees every second example when it is evaluated."""

    def test_step(self, *args):
        *state, (x, y) = args
        return super().test_step(*state, (x[::2], y[::2]))


@pytest.mark.parametrize("kind", [OwnMetrics, OwnTest])
def test_what_a_model_measures_otherwise_is_measured_so(kind):
    problem = task(lambda: kind(mlp().layers), epochs=2)
    found = Trainer(jit_compile=True).evaluate(problem, GCE)
    assert found == PLAIN.evaluate(problem, GCE)


class OwnStepOnJax(keras.Sequential):
    """Trains on nothing."""

    def train_step(self, state, data):
        logs, _ = super().train_step(state, data)
        return logs, state


class OwnLoss(keras.Sequential):
    """Learns the labels upside down."""

    def compute_loss(self, *args, **kwargs):
        return -super().compute_loss(*args, **kwargs)


@on_jax
@pytest.mark.parametrize("kind", [OwnStepOnJax, OwnLoss])
def test_what_a_model_does_otherwise_is_done_on_jax(kind):
    problem = task(lambda: kind(mlp().layers), epochs=3)
    pair = [TAYLOR, OTHER]
    expected = [PLAIN.evaluate(problem, loss) for loss in pair]
    assert expected[0] < PLAIN.evaluate(task(mlp, epochs=3), TAYLOR)
    for trainer in (Trainer(), Trainer(vectorize=True)):
        assert trainer.evaluate(problem, TAYLOR) == expected[0]
        assert list(trainer.evaluate_all(problem, pair)) == expected


@on_jax
def test_a_process_that_never_trains_takes_no_device():
    program = """
import jax, pickle
def refuse():
    raise SystemExit("asked for a device")
jax.default_backend = jax.devices = refuse
import keras_arl
trainer = pickle.loads(pickle.dumps(keras_arl.training.Trainer()))
print(trainer.trains_together, trainer.get_config())
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "True {'trainer': 'compiled'}"
