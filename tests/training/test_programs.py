"""What the programs of JAX do by themselves."""

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

on_jax = pytest.mark.skipif(BACKEND != "jax", reason="a program for JAX")


@pytest.fixture(scope="module")
def alone():
    """What trains one at a time, and what it compiled."""
    return Trainer(vectorize=False)


@on_jax
def test_what_fails_as_one_program_falls_back():
    class FailsOnce(keras.layers.Layer):
        failed = False

        def call(self, x, training=False):
            if training and not FailsOnce.failed:
                FailsOnce.failed = True
                raise MemoryError("no room for this program")
            return x

    def model():
        return keras.Sequential([keras.Input(SIZE), FailsOnce(), *mlp().layers])

    trainer = Trainer()
    problem = task(model, epochs=1)
    with pytest.warns(UserWarning, match="It cannot be that the training is"):
        found = trainer.evaluate(problem, GCE)
    assert found == PLAIN.evaluate(problem, GCE)


@on_jax
def test_losses_trained_together():
    trainer, vectorized = Trainer(), Trainer(vectorize=True)
    infinite = TaylorLoss([0, -1e38, 0, 0, 0, 0, 3e38, 0, 0, 0], order=4)
    problem = task(cnn, architecture="net")
    every = [TAYLOR, OTHER, infinite]
    together = list(vectorized.evaluate_all(problem, every, last_epochs=2))
    # In threads, and as if there were no other loss.
    threaded = list(trainer.evaluate_all(problem, every, last_epochs=2))
    alone = [trainer.evaluate(problem, loss, 2) for loss in every[:2]]
    assert threaded[:2] == alone
    assert together[:2] == pytest.approx(alone, abs=BOUND)
    assert isinstance(threaded[2], TrainingDivergedError)
    assert str(together[2]) == str(threaded[2])


@on_jax
def test_tasks_trained_together():
    """Each with data, weights, a learning rate and losses of its own.

    Other numbers of a class share a program, and two classes do not.
    """
    trainer, vectorized = Trainer(), Trainer(vectorize=True)
    tasks = [
        task(
            functools.partial(mlp, seed, dropout=0.2),
            seed,
            optimizer=keras.optimizers.Adam(0.01 * (seed + 1)),
            architecture="net",
            epochs=2,
        )
        for seed in range(3)
    ]

    def broken():
        raise RuntimeError("no model")

    tasks.append(task(broken, architecture="net", epochs=2))
    # Some tasks have fewer losses than others; NCE has no numbers.
    pairs = [
        *((each, TAYLOR) for each in tasks),
        (tasks[1], OTHER),
        *((each, losses.NCE()) for each in [*tasks[:2], tasks[0]]),
    ]
    expected = {}
    for found in trainer.evaluate_pairs(pairs):
        expected |= found
    groups = list(vectorized.evaluate_pairs(pairs))
    together = {key: value for found in groups for key, value in found.items()}
    assert set(together) == set(expected) == set(range(len(pairs)))
    assert sorted(map(len, groups)) == [3, 5]
    for key, value in expected.items():
        if isinstance(value, Exception):
            assert str(together[key]) == str(value) == "no model"
        else:
            assert together[key] == pytest.approx(value, abs=BOUND)


@on_jax
def test_what_memory_does_not_hold_is_trained_in_parts(monkeypatch):
    from keras_arl.training.programs import vectorized

    sizes = []

    def noted(compiled, bytes_of=vectorized._bytes):
        sizes.append(bytes_of(compiled))
        return sizes[-1]

    monkeypatch.setattr(vectorized, "_bytes", noted)
    tasks = [task(seed=seed, architecture="net") for seed in range(3)]
    pairs = [(each, losses.GCE(q)) for each in tasks for q in (0.2, 0.5, 0.8)]
    (expected,) = Trainer(vectorize=True).evaluate_pairs(pairs)

    monkeypatch.setattr(vectorized, "_memory", lambda: limit)
    # First a task or two at once, then losses of one task in parts.
    for limit in (sizes[0] // 2, sizes[0] // 4):
        del sizes[:]
        (found,) = Trainer(vectorize=True).evaluate_pairs(pairs)
        assert sizes[0] > limit >= sizes[-1]
        assert found == pytest.approx(expected, abs=BOUND)


@on_jax
def test_a_compilation_without_end_is_given_up(alone):
    trainer = Trainer(vectorize=True, compile_timeout=0.0)
    problem = task(architecture="net", epochs=1)
    pair = [TAYLOR, OTHER]
    with pytest.warns(UserWarning, match="one at a time.*longer than 0 s"):
        found = list(trainer.evaluate_all(problem, pair))
    assert found == [alone.evaluate(problem, loss) for loss in pair]


@on_jax
def test_the_precision_of_products_is_a_setting(alone):
    problem = task(architecture="net", epochs=1)
    rough = Trainer(matmul_precision="bfloat16")
    assert alone.get_config() != rough.get_config()
    # XLA's products on a CPU have one precision.
    assert rough.evaluate(problem, TAYLOR) == alone.evaluate(problem, TAYLOR)


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
def test_a_model_that_cannot_be_vectorised_falls_back(alone):
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

    vectorized = Trainer(vectorize=True)
    problem = task(model, epochs=1, architecture="callback")
    pair = [TAYLOR, OTHER]
    with pytest.warns(UserWarning, match="cannot be vectorised.*one at a time"):
        together = list(vectorized.evaluate_all(problem, pair))
    # Once is enough.
    assert list(vectorized.evaluate_all(problem, pair)) == together
    assert together == [alone.evaluate(problem, loss) for loss in pair]


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
def test_what_a_model_does_otherwise_is_done_on_jax(kind, alone):
    problem = task(lambda: kind(mlp().layers), epochs=1)
    pair = [TAYLOR, OTHER]
    expected = [PLAIN.evaluate(problem, loss) for loss in pair]
    usual = task(architecture="net", epochs=1)
    assert expected[0] < alone.evaluate(usual, TAYLOR)
    assert alone.evaluate(problem, TAYLOR) == expected[0]
    vectorized = Trainer(vectorize=True)
    assert list(vectorized.evaluate_all(problem, pair)) == expected


def without_cache_settings():
    names = ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")
    return {key: os.environ[key] for key in os.environ if key not in names}


@on_jax
def test_a_process_takes_no_device_to_begin_and_keeps_its_programs(tmp_path):
    """A device only when it trains; the programs for the next process."""
    program = """
import jax, pickle
def refuse():
    raise SystemExit("asked for a device")
kept = jax.default_backend, jax.devices
jax.default_backend = jax.devices = refuse
import keras_arl
trainer = pickle.loads(pickle.dumps(keras_arl.training.Trainer()))
print(trainer.trains_together, trainer.get_config())
jax.default_backend, jax.devices = kept
from tests.training.models import task
trainer.evaluate(task(epochs=1), keras_arl.losses.GCE())
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={
            **without_cache_settings(),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "KERAS_BACKEND": "jax",
            "XDG_CACHE_HOME": str(tmp_path),
        },
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "True {'trainer': 'compiled'}"
    (machine,) = (tmp_path / "keras_arl" / "jax").iterdir()
    assert any("train" in file.name for file in machine.iterdir())


@on_jax
@pytest.mark.parametrize(
    ("directory", "enabled"), [("elsewhere", True), (None, False)]
)
def test_settings_of_jax_for_its_cache_win(
    directory, enabled, tmp_path, monkeypatch
):
    import jax

    from keras_arl.training.programs import compilation_cache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names = ("jax_enable_compilation_cache", "jax_compilation_cache_dir")
    before = [getattr(jax.config, name) for name in names]
    jax.config.update("jax_enable_compilation_cache", enabled)
    jax.config.update("jax_compilation_cache_dir", directory)
    try:
        compilation_cache.use_compilation_cache()
        assert jax.config.jax_compilation_cache_dir == directory
    finally:
        for name, value in zip(names, before, strict=True):
            jax.config.update(name, value)
    assert not any(tmp_path.iterdir())
