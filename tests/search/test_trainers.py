"""A search with each of the trainers: on what it reports, and what it costs."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import time

import keras
import pytest

from keras_arl.search import CMAESOracle
from keras_arl.search import LossTuner
from keras_arl.search import MemorySpace
from keras_arl.search import NumbersSpace
from keras_arl.search.space import TaylorSpace
from keras_arl.tasks import ArchitectureConfig
from keras_arl.tasks import TaskFamily
from keras_arl.tasks import TaskSpace
from keras_arl.training import PlainTrainer
from keras_arl.training import Trainer
from tests.training.models import mlp
from tests.training.models import task as small_task

SPACE = TaskSpace(
    epochs=(2,),
    num_train=150,
    num_evaluation=200,
)
_TRACE_SECONDS = 0.1


def search(
    directory, trainer, tasks, generations=2, num_tasks=1, baseline=True,
    **kwargs,
):  # fmt: skip
    oracle = CMAESOracle(
        generations=generations, popsize=4, tasks_per_generation=num_tasks,
        selection_tasks=1, seed=0, **kwargs,
    )  # fmt: skip
    tuner = LossTuner(
        oracle,
        tasks=tasks,
        trainer=trainer,
        directory=directory,
        baseline=baseline,
    )
    tuner.search(verbose=0)
    return tuner


def loss_of(row):
    space = TaylorSpace(4, True)
    return space.to_method([row[name] for name in space.names])


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="exact on TensorFlow"
)
def test_a_search_reports_what_new_models_report(tmp_path):
    mlps = tuple(
        ArchitectureConfig("mlp", (units,), "relu", False, 0.0)
        for units in (8, 16)
    )
    tasks = TaskFamily(dataclasses.replace(SPACE, architectures=mlps))
    tuner = search(tmp_path, Trainer(), tasks, 1, baseline=False)
    rows = tuner.results()
    assert len({row["task_seed"] for row in rows}) == 2
    # The last candidates, on programs that have trained others.
    for row in (rows[3], rows[-1]):
        task = tasks(row["task_seed"])
        assert row["score"] == PlainTrainer().evaluate(task, loss_of(row))
    # So that either continues what the other began.
    assert Trainer().get_config() == PlainTrainer().get_config()


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="trains together on JAX"
)
def test_a_candidate_that_its_loss_refuses_fails_alone(tmp_path):
    mlps = (ArchitectureConfig("mlp", (8,), "relu", False, 0.0),)
    tasks = TaskFamily(dataclasses.replace(SPACE, architectures=mlps))
    space = NumbersSpace("gce", ("q",))
    tuner = search(tmp_path, Trainer(), tasks, 1, space=space, x0=[0.9])
    messages = [row["message"] for row in tuner.results()]
    refused = ["`q` must be" in text for text in messages]
    assert 0 < sum(refused) < len(refused)
    assert not any(messages[k] for k in range(len(refused)) if not refused[k])


def test_a_search_of_learners(tmp_path):
    space = MemorySpace()
    mlps = (ArchitectureConfig("mlp", (8,), "relu", False, 0.0),)
    tasks = TaskFamily(dataclasses.replace(SPACE, architectures=mlps))
    kwargs = {"space": space, "fitness": "regret", "panel": ("ELR",)}
    tuner = search(tmp_path, Trainer(), tasks, generations=1, **kwargs)
    rows = tuner.results()
    assert {row["status"] for row in rows} == {"COMPLETED"}
    assert len({row["score"] for row in rows}) > 1
    learner = tuner.best_method(from_logits=True)(mlp())
    assert learner.base_loss.from_logits
    found = dict(zip(space.names, tuner.oracle.best(), strict=True))
    assert learner.weight == found["weight"]
    with pytest.raises(ValueError, match=r"`best_method\(\)\(model\)`"):
        tuner.best_loss()
    if keras.config.backend() == "jax":
        # It is found again, by new programs.
        again = search(tmp_path / "again", Trainer(), tasks, 1, **kwargs)
        assert again.results() == rows


@pytest.fixture(scope="module")
def alone():
    """What trains one at a time, and what it compiled."""
    return Trainer(vectorize=False)


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="trains together on JAX"
)
@pytest.mark.parametrize("vectorize", [False, True])
def test_a_search_that_trains_together(tmp_path, vectorize, alone):
    trainer = Trainer(vectorize=vectorize)
    assert trainer.trains_together

    def tasks(seed):
        return small_task(seed=seed, architecture="mlp")

    tuner = search(tmp_path, trainer, tasks, num_tasks=2, sigma0=0.6)
    rows = tuner.results()
    assert [row["trial_id"] for row in rows] == [
        f"{k:02d}" for k in range(tuner.oracle.max_trials)
    ]
    trained = 0
    for row in rows[:6]:
        if row["message"]:
            assert row["score"] == 0.0
            continue
        expected = alone.evaluate(tasks(row["task_seed"]), loss_of(row))
        assert row["score"] == pytest.approx(expected, abs=0.0101)
        trained += 1
    assert trained >= 3


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="trains together on JAX"
)
def test_pipelines_train_one_by_one(tmp_path):
    tf = pytest.importorskip("tensorflow")

    def tasks(seed):
        tf.random.set_seed(0)
        arrays = small_task(epochs=1)
        pairs = tf.data.Dataset.from_tensor_slices
        return dataclasses.replace(
            arrays,
            train=pairs(arrays.train).shuffle(90, seed=1).batch(30),
            validation=pairs(arrays.validation).batch(100),
        )

    # Each training compiles.
    tuner = search(tmp_path, Trainer(), tasks, 1, baseline=False)
    rows = tuner.results()
    assert len(rows) == tuner.oracle.max_trials == 4 + 2
    # Each candidate begins with the first epoch of the shuffle.
    rows = [row for row in rows if row["score"]]
    for row in rows[-2:]:
        expected = PlainTrainer().evaluate(tasks(0), loss_of(row))
        assert row["score"] == expected


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="trains together on JAX"
)
def test_errors_before_training_fail_the_trials(tmp_path):
    def tasks(seed):
        # Only some have epochs enough.
        return small_task(epochs=1 + seed % 3, architecture="mlp")

    oracle = CMAESOracle(
        generations=3, popsize=4, tasks_per_generation=1, seed=0,
    )  # fmt: skip
    tuner = LossTuner(
        oracle, tasks, last_epochs=2, directory=tmp_path, baseline=False
    )
    # The third generation's task has one epoch, which all trials fail of.
    message = r"(?s)generation 3 failed in some trial.*last_epochs=2"
    with pytest.raises(RuntimeError, match=message):
        tuner.search(verbose=0)
    assert [row["status"] for row in tuner.results()] == ["COMPLETED"] * 8


class SlowToTrace(keras.layers.Layer):
    """Takes Python a while, which compiled programs do not meet again."""

    def call(self, x):
        time.sleep(_TRACE_SECONDS)
        return x


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="nothing is compiled"
)
def test_progress_shows_the_seconds_of_compilations(tmp_path, capsys):
    def model():
        return keras.Sequential([mlp(), SlowToTrace()])

    trainer = Trainer(vectorize=True)
    oracle = CMAESOracle(
        generations=2, popsize=4, tasks_per_generation=1, selection_tasks=1,
        seed=0,
    )  # fmt: skip
    begun = time.monotonic()
    LossTuner(
        oracle,
        lambda seed: small_task(model, seed, architecture="slow"),
        trainer=trainer,
        directory=tmp_path,
        baseline=False,
    ).search()
    assert _TRACE_SECONDS < trainer.compile_seconds < time.monotonic() - begun
    first, second = capsys.readouterr().out.split("Generation 2/2")
    *_, seconds = first.split("seconds compiling: ")
    assert float(seconds.split()[0]) == pytest.approx(
        trainer.compile_seconds, abs=1e-4
    )
    assert "seconds compiling" not in second


def test_another_trainer_is_refused_on_resume(tmp_path):
    class Other(PlainTrainer):
        def get_config(self):
            return {"trainer": "other"}

    LossTuner(
        CMAESOracle(seed=0), TaskFamily(), trainer=Other(), directory=tmp_path
    ).save()
    with pytest.raises(ValueError, match="trainer: 'other' there"):
        LossTuner(CMAESOracle(seed=0), TaskFamily(), directory=tmp_path)


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="TensorFlow needs itself"
)
def test_a_search_on_jax_needs_no_tensorflow(tmp_path):
    result = run_python(
        f"""
import sys
for name in ("tensorflow", "tensorflow_datasets"):
    sys.modules[name] = None
from keras_arl import losses, search, tasks, training
oracle = search.CMAESOracle(
    generations=1, popsize=4, finalists=1, tasks_per_generation=1,
    selection_tasks=1, seed=0,
)
# One program for all: it takes seconds to compile.
small = tasks.ArchitectureConfig("mlp", (8,), "relu", False, 0.0)
space = tasks.TaskSpace(
    architectures=(small,), num_train=100, epochs=(1,),
    optimizers=(("sgd", 0.1),),
)
family = tasks.TaskFamily(space)
tuner = search.LossTuner(
    oracle, family, directory="{tmp_path}", baseline=False
)
tuner.search(verbose=0)
print([row["status"] for row in tuner.results()])
# Compiles anew for each training, of which one shows what it imports.
print(0 <= training.PlainTrainer().evaluate(family(0), losses.GCE()) <= 1)
"""
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("COMPLETED") == 6
    assert result.stdout.endswith("True\n")


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the backend that leaked"
)
def test_memory_is_flat_over_many_trials(tmp_path):
    """Two networks; what plain trials leave behind is 8 MB each."""
    result = run_python(
        f"""
import gc
import psutil
from keras_arl import search, tasks, training
from keras_arl.tasks import ArchitectureConfig
pool = tuple(
    ArchitectureConfig("mlp", (8 + k,), "relu", False, 0.0) for k in range(2)
)
space = tasks.TaskSpace(
    architectures=pool, num_train=64, num_evaluation=64, epochs=(1,),
    optimizers=(("sgd", 0.1),),
)
class Trainer(training.Trainer):
    count = 0
    def evaluate(self, *args):
        self.count += 1
        if self.count in (20, 80):
            gc.collect()
            print(psutil.Process().memory_info().rss)
        return super().evaluate(*args)
oracle = search.CMAESOracle(
    generations=4, popsize=20, finalists=1, tasks_per_generation=1,
    selection_tasks=1, seed=0,
)
tuner = search.LossTuner(
    oracle, tasks.TaskFamily(space), trainer=Trainer(), directory="{tmp_path}",
    baseline=False,
)
tuner.search(verbose=0)
"""
    )
    assert result.returncode == 0, result.stderr
    early, late = map(int, result.stdout.split())
    assert late < 1.2 * early
