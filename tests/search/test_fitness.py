"""What candidates are compared by."""

import numpy as np
import pytest

from keras_arl.search.schedule import Generation
from tests.search.toy import outcome
from tests.search.toy import toy

SETTINGS = {
    "generations": 3, "popsize": 4, "tasks_per_generation": 2,
    "selection_tasks": 3, "noise": 0.3,
}  # fmt: skip


def test_fitness_by_rank():
    # Candidates by tasks; the first task's scores are ten times as far apart.
    scores = [10.0, 0.2, 20.0, 0.1, 30.0, 0.1, 0.0, None]
    generation = Generation(
        phase="search",
        number=1,
        first_trial=0,
        candidates=[[0.0]] * 4,
        task_seeds=[1, 2],
        fitness_kind="rank",
    )
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
    generation = Generation(
        phase="search",
        number=1,
        first_trial=0,
        candidates=[[0.0]] * 2,
        task_seeds=[1, 2, 3],
        fitness_kind="regret",
        panel=("sce",),
    )
    assert list(generation.rivals) == [-6, -5, -4, -3, -2, -1]
    assert [generation.candidate(k) for k in (-6, -1)] == ["sce", None]
    regrets = [0.9 - 0.8, 0.8 - 0.9, 0.7 - 0.7]
    assert generation.fitness(scores, rivals) == [
        pytest.approx((sum(regrets) / 3 - 0.1) / 2),
        None,
    ]


def test_a_search_by_regret_goes_on_where_it_stopped(tmp_path):
    settings = {**SETTINGS, "fitness": "regret", "panel": ("sce", "gce")}
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    part = toy(tmp_path / "part", stop_after=30, **settings)
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
