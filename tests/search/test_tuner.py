import csv
import dataclasses
import pathlib
import random

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import keras_arl
from keras_arl import losses
from keras_arl.analysis import is_trainable
from keras_arl.losses import TaylorLoss
from keras_arl.search import CMAESOracle
from keras_arl.search import LossTuner
from keras_arl.search.numbers_space import NumbersSpace
from keras_arl.search.space import BatchTaylorSpace
from keras_arl.search.space import ScheduledTaylorSpace
from keras_arl.search.space import TaylorSpace
from keras_arl.tasks import ArchitectureConfig
from keras_arl.tasks import Task
from keras_arl.tasks import TaskFamily
from keras_arl.tasks import TaskSpace
from keras_arl.tasks import build_task
from keras_arl.tasks import sample_task
from keras_arl.training import Trainer
from tests.search.toy import ToyTrainer
from tests.search.toy import toy
from tests.search.toy import toy_task

SPACE = TaskSpace(
    noises=(("symmetric", 0.2), ("symmetric", 0.4)),
    optimizers=(("sgd", 0.1),),
    epochs=(25,),
    num_train=400,
)
# Whole epochs in XLA: hundreds of steps of a small network each.
TRAINER = Trainer(jit_compile=True)
# The programs of all searches on points.
OF_POINTS = Trainer()


def small_task(seed):
    """One MLP on digits, so that a few trials tell something."""
    architecture = ArchitectureConfig("mlp", (64,), "relu", False, 0.0)
    config = sample_task(seed, SPACE)
    return build_task(dataclasses.replace(config, architecture=architecture))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A real search on real digits."""
    directory = tmp_path_factory.mktemp("search")
    # The right direction, among coefficients twice as large.
    start = np.zeros(12)
    start[1] = -0.1
    oracle = CMAESOracle(
        generations=3, popsize=8, tasks_per_generation=1, x0=start, sigma0=0.2,
        seed=1, selection_tasks=2, space=TaylorSpace(class_aware=False),
    )  # fmt: skip
    tuner = LossTuner(
        oracle, tasks=small_task, trainer=TRAINER, directory=directory
    )
    tuner.search(verbose=0)
    return tuner


def mean_accuracy(vector):
    loss = TaylorLoss(vector[:10], center=vector[10:])
    # No search has seen these seeds.
    return np.mean(
        [TRAINER.evaluate(small_task(seed), loss) for seed in (901, 902)]
    )


def test_a_search_on_digits_beats_its_first_generation(searched):
    found = searched.best_loss()
    assert is_trainable(found, 10)
    accuracy = mean_accuracy([*found.coefficients, *found.center])
    # Those that cannot teach are left out: beating them is no merit.
    first_generation = [
        mean_accuracy([row[name] for name in TaylorSpace(4, False).names])
        for row in searched.results()
        if row["generation"] == 1 and not row["message"]
    ]
    assert len(first_generation) >= 4
    assert accuracy > np.mean(first_generation)


def test_candidates_that_cannot_teach_are_not_trained(searched):
    rows = searched.results()
    for row in rows:
        theta = [row[n] for n in row if n.startswith("theta")]
        loss = TaylorLoss(theta, center=(row["center_p"], row["center_y"]))
        if is_trainable(loss, 10):
            assert row["message"] == ""
            assert row["score"] > 0.0
        else:
            assert row["score"] == 0.0
            assert row["message"].startswith("not trained: at uniform")
    assert any(row["message"] for row in rows)


def test_results_as_a_table(searched, tmp_path):
    path = tmp_path / "trials.csv"
    searched.write_results(path)
    frame = pd.read_csv(path, keep_default_na=False)
    assert len(frame) == 3 * 8 + 4 * 2
    assert frame["phase"].value_counts().to_dict() == {
        "search": 24,
        "selection": 8,
    }
    assert frame["score"].between(0, 1).all()
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["theta_10"]) == searched.results()[0]["theta_10"]


def test_no_checkpoints_are_written(searched):
    folder = pathlib.Path(searched.project_dir)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".jsonl"}
    assert sum(path.stat().st_size for path in files) < 500_000


def points(seed, build_model=None):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(100, 2)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(100).batch(20)
    return Task(
        dataset,
        dataset,
        # Nothing here is seeded by the user.
        build_model=build_model
        or (
            lambda: keras.Sequential(
                [
                    keras.Input((2,)),
                    keras.layers.Dense(8, activation="relu"),
                    keras.layers.Dropout(0.2),
                    keras.layers.Dense(2),
                ]
            )
        ),
        num_classes=2,
        epochs=3,
        from_logits=True,
        architecture="points",
    )


def own_search(directory, tasks=points, **kwargs):
    return LossTuner(oracle(), tasks=tasks, directory=directory, **kwargs)


def oracle(**kwargs):
    return CMAESOracle(
        space=TaylorSpace(2), generations=1, popsize=4, tasks_per_generation=1,
        selection_tasks=1, seed=3, **kwargs,
    )  # fmt: skip


def test_a_users_own_task_is_reproducible_across_an_interruption(tmp_path):
    class Interrupted(Trainer):
        left = np.inf

        def evaluate(self, task, loss, last_epochs=1):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().evaluate(task, loss, last_epochs)

    trainer = Interrupted()
    whole = own_search(tmp_path / "whole", trainer=trainer, baseline=False)
    whole.search(verbose=0)
    trainer.left = 2
    part = own_search(tmp_path / "part", trainer=trainer, baseline=False)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    rest = own_search(tmp_path / "part", baseline=False)
    rest.search(verbose=0)
    assert rest.results() == whole.results()
    assert rest.best_loss(from_logits=True).from_logits


def test_what_a_task_leaves_unseeded_follows_from_its_seed(tmp_path):
    def drawn_by_tasks(directory, global_seed):
        drawn = []

        def tasks(seed):
            drawn.append((seed, np.random.random(), random.random()))
            return toy_task(seed)

        keras.utils.set_random_seed(global_seed)
        tuner = LossTuner(
            CMAESOracle(generations=1, popsize=4, selection_tasks=1, seed=0),
            tasks,
            trainer=ToyTrainer(),
            directory=directory,
        )
        tuner.search(verbose=0)
        return drawn

    one = drawn_by_tasks(tmp_path / "one", 1)
    assert one == drawn_by_tasks(tmp_path / "two", 2)
    assert len(set(one)) == len({seed for seed, *_ in one}) > 1


def test_exceptions_in_a_users_model_fail_the_trial(tmp_path, capsys):
    calls = []

    def sometimes(seed):
        calls.append(seed)

        def build_model():
            # After one that is looked at alone, and the baseline's.
            if len(calls) == 3:
                raise MemoryError("out of memory in the model")
            return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])

        return points(seed, build_model)

    tuner = own_search(tmp_path, tasks=sometimes)
    tuner.search()
    failed = [row for row in tuner.results() if row["status"] == "FAILED"]
    assert len(failed) == 1
    assert "MemoryError: out of memory in the model" in failed[0]["message"]
    assert "build_model" in failed[0]["message"]
    assert failed[0]["score"] is None
    printed = capsys.readouterr()
    assert "Trial 0 failed: MemoryError: out of memory" in printed.out
    assert "Traceback" not in printed.out + printed.err


def test_divergence_fails_the_trials_and_not_the_search(tmp_path):
    def far_too_fast(seed):
        return dataclasses.replace(
            points(seed), optimizer=keras.optimizers.SGD(1e38)
        )

    tuner = LossTuner(oracle(), tasks=far_too_fast, directory=tmp_path)
    tuner.search(verbose=0)
    rows = tuner.results()
    assert len(rows) == 4 + 2
    assert {row["status"] for row in rows} == {"FAILED"}
    assert all(row["message"].startswith("diverged: ") for row in rows)
    assert np.isnan(tuner.oracle.history()[0]["mean"])
    keras_arl.search.plot_fitness(tuner.oracle.history()).savefig(
        tmp_path / "fitness.png"
    )
    with pytest.raises(
        RuntimeError, match=r"Every finalist failed.*\ndiverged"
    ):
        tuner.best_loss()


def misfit(**changes):
    """A task function: probabilities for two classes, but for the changes."""

    def tasks(seed):
        x = np.random.default_rng(seed).normal(size=(40, 2))
        y = (x[:, 0] > 0).astype(int) + changes.get("more", 0)
        layer = keras.layers.Dense(
            changes.get("outputs", 2), changes.get("activation", "softmax")
        )
        data = (x, y)
        if changes.get("pipeline"):
            data = tf.data.Dataset.from_tensor_slices(data).batch(8)
        return Task(
            data,
            data,
            lambda: keras.Sequential([keras.Input((2,)), layer]),
            num_classes=2,
            from_logits=changes.get("from_logits", False),
            epochs=1,
        )

    return tasks


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"activation": None},
            "from_logits=False.*probabilities.*outputs from",
        ),
        ({"from_logits": True}, "from_logits=True.*logits.*outputs from 0"),
        ({"outputs": 3}, r"shape \(batch, 2\).*shape \(40, 3\)"),
        ({"more": 1}, r"0\.\.1.*\[2, .* in `train`"),
        ({"more": -1, "pipeline": True}, r"0\.\.1.*\[-1"),
    ],
)
def test_a_task_whose_parts_do_not_fit_ends_the_search(
    tmp_path, changes, message
):
    tuner = own_search(tmp_path, tasks=misfit(**changes))
    with pytest.raises(keras_tuner.errors.FatalError, match=message):
        tuner.search(verbose=0)
    assert tuner.results() == []


def test_tasks_that_do_not_use_their_seed_are_told(tmp_path):
    tuner = toy(tmp_path, noise=0.0, tasks_per_generation=2, generations=1)
    with pytest.warns(UserWarning, match="Does the task function use its seed"):
        tuner.search(verbose=0)


def test_changed_tasks_are_refused_on_resume(tmp_path):
    LossTuner(oracle(), TaskFamily(SPACE), directory=tmp_path).save()
    other = TaskFamily(TaskSpace(num_train=200))
    with pytest.raises(ValueError, match=r"(?s)tasks: .*\+num_train: 200"):
        LossTuner(oracle(), other, directory=tmp_path)
    with pytest.raises(ValueError, match="last_epochs: 1 there, 2 asked"):
        LossTuner(
            oracle(), TaskFamily(SPACE), last_epochs=2, directory=tmp_path
        )


def test_progress_shows_generations_and_fitness(tmp_path, capsys):
    toy(
        tmp_path,
        generations=2,
        popsize=4,
        tasks_per_generation=2,
        selection_tasks=3,
    ).search()
    printed = capsys.readouterr().out
    assert "Generation 1/2" in printed
    assert "Generation 2/2" in printed
    assert "Selection on fresh tasks" in printed
    assert "8/8" in printed
    assert "9/9" in printed
    assert "best minus CE: " in printed
    assert "mean minus CE: " in printed


def test_arguments_of_the_wrong_kind(tmp_path):
    with pytest.raises(ValueError, match="`oracle` must be"):
        LossTuner("oracle", points, directory=tmp_path)
    with pytest.raises(ValueError, match="`tasks` must be a function"):
        LossTuner(CMAESOracle(), [points(0)], directory=tmp_path)
    with pytest.raises(ValueError, match="last_epochs=0"):
        LossTuner(CMAESOracle(), points, last_epochs=0, directory=tmp_path)
    with pytest.raises(ValueError, match="job_timeout=0"):
        LossTuner(CMAESOracle(), points, job_timeout=0, directory=tmp_path)
    with pytest.raises(ValueError, match="objective='val_auc'"):
        LossTuner(CMAESOracle(objective="val_auc"), points, directory=tmp_path)
    for kwargs in ({"fitness": "regret"}, {"panel": ("sce",)}):
        with pytest.raises(ValueError, match="need cross-entropy on each task"):
            LossTuner(
                CMAESOracle(**kwargs),
                points,
                baseline=False,
                directory=tmp_path,
            )


def test_what_makes_no_sense_here_says_so(tmp_path):
    tuner = own_search(tmp_path)
    x, y = np.zeros((4, 2)), np.zeros(4)
    for call, message in (
        (lambda: tuner.search(x, y), "`search` takes no data"),
        (lambda: tuner.search(validation_data=(x, y)), "`search` takes no"),
        (tuner.get_best_models, "keeps no models"),
        (tuner.search_space_summary, "no space of hyperparameters"),
    ):
        with pytest.raises((TypeError, NotImplementedError), match=message):
            call()


def test_keras_tuners_variables_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(
        RuntimeError, match=r"KERASTUNER_ORACLE_IP is set.*executor="
    ):
        own_search(tmp_path)


@pytest.mark.parametrize(
    ("space", "kind"),
    [
        (ScheduledTaylorSpace(2), losses.ScheduledTaylorLoss),
        (BatchTaylorSpace(2), losses.BatchTaylorLoss),
        (NumbersSpace("sce", ("alpha", "beta")), losses.SCE),
    ],
)
def test_a_search_finds_a_loss_of_its_space(tmp_path, space, kind):
    settings = {
        "space": space, "generations": 1, "popsize": 4, "seed": 3,
        "tasks_per_generation": 1, "selection_tasks": 1,
        "fitness": "regret", "panel": ("gce",),
    }  # fmt: skip
    tuner = LossTuner(
        CMAESOracle(**settings),
        tasks=points,
        trainer=OF_POINTS,
        directory=tmp_path,
    )
    tuner.search(verbose=0)
    found = tuner.best_loss(from_logits=True)
    assert type(found) is kind
    row = tuner.results()[-1]
    assert 0 <= row["score"] <= 1
    assert set(space.names) <= set(row)
    keras_arl.evaluation.write_report(tuner, tmp_path / "report.html")
    again = LossTuner(CMAESOracle(**settings), tasks=points, directory=tmp_path)
    assert again.best_loss(from_logits=True).get_config() == found.get_config()
