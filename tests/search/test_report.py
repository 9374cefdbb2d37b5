import math

import keras
import numpy as np
import pytest

import keras_arl
from keras_arl.losses import TaylorLoss
from keras_arl.search import compare_losses
from keras_arl.search import format_table
from keras_arl.search import fresh_configs
from keras_arl.search import report_configs
from keras_arl.search import summarise
from keras_arl.tasks import TaskFamily
from keras_arl.tasks import TaskSpace
from keras_arl.tasks import sample_task
from tests.search.toy import toy


def test_report_tasks_are_not_among_those_of_a_search():
    space = TaskSpace()
    configs = report_configs(space, runs=4, seed=0)
    assert len(configs) == 8
    assert {c.evaluation for c in configs} == {"test"}
    searched = [sample_task(seed, space) for seed in range(300)]
    assert not {c.architecture for c in configs} & {
        c.architecture for c in searched
    }
    assert not {(c.noise, c.noise_rate) for c in configs} & set(space.noises)
    assert {c.architecture.family for c in configs} == {"mlp", "cnn"}
    assert report_configs(space, runs=4, seed=0) == configs
    assert report_configs(space, runs=4, seed=1) != configs


def test_fresh_tasks_are_drawn_as_in_a_search():
    tasks = TaskFamily((TaskSpace(), TaskSpace(noises=(("pair_flip", 0.4),))))
    configs = fresh_configs(tasks, 40, seed=0)
    assert configs == fresh_configs(tasks, 40, seed=0)
    assert configs != fresh_configs(tasks, 40, seed=1)
    assert {config.evaluation for config in configs} == {"test"}
    assert {config.num_evaluation for config in configs} == {None}
    kinds = {(config.noise, config.noise_rate) for config in configs}
    assert ("pair_flip", 0.4) in kinds
    assert len(kinds) > 3


def test_a_summary_by_dataset():
    rows = [
        {"loss": "CE", "dataset": name, "noise_rate": 0.1, "accuracy": accuracy}
        for name, accuracy in (("iris", 0.9), ("iris", 0.7), ("wine", 0.5))
    ]
    summary = summarise(rows, by=("dataset",))
    assert [(row["dataset"], row["mean"]) for row in summary] == [
        ("iris", pytest.approx(0.8)),
        ("wine", 0.5),
    ]
    assert format_table(summary).split() == (
        ["loss", "iris", "wine", "CE", "80.0", "±", "14.1", "50.0", "±", "nan"]
    )


def test_a_comparison_is_fair_and_honest():
    space = TaskSpace(epochs=(2,), num_train=200)
    configs = report_configs(space, runs=2, noises=(("symmetric", 0.3),))
    losses = {
        "CE": keras.losses.SparseCategoricalCrossentropy(),
        "same": "sparse_categorical_crossentropy",
        "infinite": TaylorLoss([0, -1e38, 1e38], order=2, reduction="sum"),
    }
    rows = compare_losses(losses, configs, verbose=0)
    assert len(rows) == 6
    by_loss = {
        name: [row["accuracy"] for row in rows if row["loss"] == name]
        for name in losses
    }
    # Same examples, wrong labels, initial weights and batches.
    assert by_loss["CE"] == by_loss["same"]
    assert all(math.isnan(a) for a in by_loss["infinite"])
    summary = {row["loss"]: row for row in summarise(rows)}
    assert summary["CE"]["mean"] == pytest.approx(np.mean(by_loss["CE"]))
    assert summary["CE"]["std"] == pytest.approx(np.std(by_loss["CE"], ddof=1))
    assert summary["CE"]["runs"] == 2
    assert summary["infinite"]["diverged"] == 2
    table = format_table(list(summary.values())).splitlines()
    assert table[0].split() == ["loss", "digits", "symmetric", "0.3"]
    assert "(2 diverged)" in table[3]


def test_provenance(tmp_path):
    tuner = toy(tmp_path, generations=1, popsize=4)
    tuner.search(verbose=0)
    how = keras_arl.search.provenance(tuner, "python x.py")
    assert how["command"] == "python x.py"
    assert how["seed"] == 0
    assert how["versions"]["keras"] == keras.version()
    assert how["search"]["popsize"] == 4
    assert how["search"]["tasks"] == 1
    assert set(how) == {
        "command",
        "seed",
        "versions",
        "search",
        "tasks",
        "last_epochs",
        "trainer",
        "backend",
        "score",
        "date",
    }
    winner = tuner.oracle.selection()[0]
    assert how["score"]["clean_validation_accuracy"] == winner["score"]
