"""What candidates are compared by."""

import numpy as np
import pytest

from keras_arl.search import CMAESOracle
from keras_arl.search.generation import DROPPED
from keras_arl.search.generation import Generation
from keras_arl.search.job import Result
from keras_arl.search.schedule import Schedule
from tests.search.toy import QUICK_WORKERS
from tests.search.toy import outcome
from tests.search.toy import toy

SETTINGS = {
    "generations": 3, "popsize": 4, "tasks_per_generation": 2,
    "selection_tasks": 3, "noise": 0.3,
}  # fmt: skip


def generation_of(num_candidates, num_tasks, **kwargs):
    return Generation(
        phase="search",
        number=1,
        first_trial=0,
        candidates=[[0.0]] * num_candidates,
        task_seeds=list(range(1, num_tasks + 1)),
        **kwargs,
    )


def test_fitness_by_rank():
    # Candidates by tasks; the first task's scores are ten times as far apart.
    scores = [10.0, 0.2, 20.0, 0.1, 30.0, 0.1, 0.0, None]
    generation = generation_of(4, 2, fitness_kind="rank")
    assert generation.fitness(scores) == [
        pytest.approx((1 / 3 + 1) / 2),
        pytest.approx((2 / 3 + 0.5) / 2),
        pytest.approx((1 + 0.5) / 2),
        None,
    ]


def test_fitness_by_regret():
    # Of three tasks the worst one alone counts as much as all three together.
    scores = [0.9, 0.8, 0.7, 0.6, 0.6, None]
    rivals = [0.5, 0.9, 0.7, 0.8, None, 0.6]
    generation = generation_of(2, 3, fitness_kind="regret", panel=("sce",))
    assert list(generation.rivals) == [-6, -5, -4, -3, -2, -1]
    assert [generation.candidate(k) for k in (-6, -1)] == ["sce", None]
    regrets = [0.9 - 0.8, 0.8 - 0.9, 0.7 - 0.7]
    assert generation.fitness(scores, rivals) == [
        pytest.approx((sum(regrets) / 3 - 0.1) / 2),
        None,
    ]


def test_cross_entropy_is_a_rival_once():
    oracle = CMAESOracle(fitness="regret", panel=("CE", "gce"), seed=0)
    assert Schedule(oracle.settings(), oracle.space).ask().panel == ("gce",)


def test_a_search_by_regret_goes_on_where_it_stopped(tmp_path):
    settings = {
        **SETTINGS, "generations": 1, "fitness": "regret",
        "panel": ("sce", "gce"),
    }  # fmt: skip
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    part = toy(tmp_path / "part", stop_after=10, **settings)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    rest = toy(tmp_path / "part", **settings)
    rest.search(verbose=0)
    assert outcome(rest) == outcome(whole)


def test_a_search_by_rank_selects_by_score(tmp_path):
    tuner = toy(tmp_path, fitness="rank", **SETTINGS)
    tuner.search(verbose=0)
    best = tuner.oracle.selection()[0]
    rows = [row for row in tuner.results() if row["phase"] == "selection"]
    assert best["score"] == pytest.approx(
        max(
            np.mean([r["score"] for r in rows if r["candidate"] == k])
            for k in range(4)
        )
    )


def test_half_of_the_candidates_goes_on_after_a_third_of_the_tasks():
    generation = generation_of(3, 3, racing=True)
    results = {0: Result(0.5), 3: Result(0.7), 6: Result(0.6)}
    assert generation.missing({}, False) == [0, 3, 6]
    assert generation.missing({}, True) == [-3, 0, 3, 6]
    assert generation.dropped({0: Result(0.5)}, False) == {}
    dropped = generation.dropped(results, False)
    assert {k: result.message for k, result in dropped.items()} == {
        1: DROPPED, 2: DROPPED
    }  # fmt: skip
    results |= dropped
    assert generation.missing(results, False) == [4, 5, 7, 8]
    # The baseline decides by regret, too.
    assert generation.missing(results, True) == [-3]
    assert generation.missing(results | {-3: Result(0.5)}, True) == [
        -2, -1, 4, 5, 7, 8
    ]  # fmt: skip
    assert generation.dropped(results, False) == {}


def test_what_is_dropped_is_behind_what_was_not_and_in_order():
    generation = generation_of(3, 3, racing=True)
    scores = [0.9, None, None, 0.1, 0.1, 0.1, 0.8, None, None]
    results = {
        position: Result(score, "" if score else DROPPED)
        for position, score in enumerate(scores)
    }
    told = generation.told(generation.fitness(scores), results)
    assert told[1] == pytest.approx(0.1)
    assert told[2] < told[0] < told[1]


def test_a_race_by_regret_saves_trainings_and_goes_on_where_it_stopped(
    tmp_path, monkeypatch
):
    settings = {
        **SETTINGS, "generations": 2, "popsize": 6, "tasks_per_generation": 6,
        "racing": True, "fitness": "regret", "panel": ("sce",),
    }  # fmt: skip
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    rows = [row for row in whole.results() if row["phase"] == "search"]
    left_out = [row for row in rows if row["status"] == "STOPPED"]
    assert len(rows) == 2 * 6 * 6
    assert len(left_out) == 2 * 3 * 4
    assert len(whole.trainer.ran) == len(whole.results()) - len(left_out)
    # In the middle of a third, after one, and among the others.
    for stop_after in (7, 5, 3):
        part = toy(tmp_path / "part", stop_after=stop_after, **settings)
        with pytest.raises(KeyboardInterrupt):
            part.search(verbose=0)
    rest = toy(tmp_path / "part", **settings)
    rest.search(verbose=0)
    assert outcome(rest) == outcome(whole)
    assert rest.results() == whole.results()
    for name, value in QUICK_WORKERS.items():
        monkeypatch.setenv(name, value)
    several = toy(tmp_path / "several", **settings)
    several.search(verbose=0, executor=2)
    assert outcome(several) == outcome(whole)
