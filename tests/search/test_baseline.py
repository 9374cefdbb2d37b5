"""Cross-entropy, which is trained on each task beside the candidates."""

import json
import math
import pathlib

import numpy as np
import pytest

from keras_arl.losses import CrossEntropy
from tests.search.toy import BASELINE
from tests.search.toy import ToyTrainer
from tests.search.toy import outcome
from tests.search.toy import toy

SETTINGS = {
    "generations": 2, "popsize": 4, "tasks_per_generation": 2,
    "selection_tasks": 2, "finalists": 1,
}  # fmt: skip


class WatchedTrainer(ToyTrainer):
    """Scores of cross-entropy are those of a function of its number."""

    def __init__(self, baseline=lambda number: BASELINE):
        super().__init__(noise=0.3)
        self.baseline = baseline
        self.baselines = []

    def evaluate(self, task, loss, last_epochs):
        if not isinstance(loss, CrossEntropy):
            return super().evaluate(task, loss, last_epochs)
        self.baselines.append(task.seed)
        score = self.baseline(len(self.baselines) - 1)
        if score is None:
            raise ValueError("no cross-entropy")
        return score


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    tuner = toy(directory, WatchedTrainer(), **SETTINGS)
    tuner.search(verbose=0)
    return tuner


def test_each_task_is_trained_on_with_cross_entropy_once(whole):
    seeds = {row["task_seed"] for row in whole.results()}
    assert sorted(whole.trainer.baselines) == sorted(seeds)
    assert len(seeds) == 2 * 2 + 2
    assert {row["cross_entropy"] for row in whole.results()} == {BASELINE}


def test_the_search_does_not_depend_on_it(tmp_path, whole):
    def without(rows):
        return [{**row, "cross_entropy": None} for row in rows]

    tuner = toy(tmp_path, ToyTrainer(noise=0.3), baseline=False, **SETTINGS)
    tuner.search(verbose=0)
    assert tuner.results() == without(whole.results())
    assert tuner.oracle.best() == whole.oracle.best()
    # Fitness is what CMA-ES is told.
    for alone, beside in zip(
        tuner.oracle.history(), whole.oracle.history(), strict=True
    ):
        assert alone["baseline"] is None
        assert beside["baseline"] == BASELINE
        np.testing.assert_allclose(
            alone["fitness"],
            np.array(beside["fitness"]) + BASELINE,
            atol=1e-12,
        )
    with pytest.raises(ValueError, match="baseline: False there, True asked"):
        toy(tmp_path, **SETTINGS)


def test_a_failed_baseline_leaves_its_task_out(tmp_path, capsys):
    scores = [0.25, None, None, None, 0.5, 0.75]
    trainer = WatchedTrainer(scores.__getitem__)
    tuner = toy(tmp_path, trainer, **SETTINGS)
    tuner.search()
    assert "Cross-entropy failed: ValueError: no" in capsys.readouterr().out
    first, second = tuner.oracle.history()
    scored = [
        row["score"]
        for row in tuner.results()
        if (row["generation"], row["task"]) == (1, 0)
    ]
    assert first["fitness"] == pytest.approx(np.array(scored) - 0.25)
    assert first["baseline"] == 0.25
    assert math.isnan(second["baseline"])
    assert all(map(math.isnan, second["fitness"]))
    best = tuner.oracle.selection()[0]
    assert best["gain"] == pytest.approx(best["score"] - 0.625)
    # What was written down is the same.
    again = toy(tmp_path, **SETTINGS)
    np.testing.assert_equal(outcome(again), outcome(tuner))
    assert again.results() == tuner.results()


def test_an_interrupted_search_trains_it_no_second_time(tmp_path, whole):
    part = WatchedTrainer()
    part.stop_after = 11
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path, part, **SETTINGS).search(verbose=0)
    rest = toy(tmp_path, WatchedTrainer(), **SETTINGS)
    rest.search(verbose=0)
    assert part.baselines + rest.trainer.baselines == whole.trainer.baselines
    assert outcome(rest) == outcome(whole)
    path = pathlib.Path(tmp_path, "loss_search", "results.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    of_baseline = [line for line in lines if line.get("trial", 0) is None]
    assert [line["task_seed"] for line in of_baseline] == (
        whole.trainer.baselines
    )


def test_candidates_are_means_over_their_tasks(whole):
    rows = whole.results()
    candidates = whole.candidates()
    assert len(candidates) == 2 * 4 + 2
    for number, candidate in enumerate(candidates):
        of_trials = rows[2 * number : 2 * number + 2]
        scores = [row["score"] for row in of_trials]
        assert candidate["scores"] == scores
        assert candidate["score"] == pytest.approx(np.mean(scores))
        assert candidate["gain"] == pytest.approx(np.mean(scores) - BASELINE)
        loss = whole.oracle.space.to_method(
            [of_trials[0][name] for name in whole.oracle.space.names]
        )
        numbers = [candidate[name] for name in whole.oracle.space.names]
        assert numbers == pytest.approx([*loss.coefficients, *loss.center])
