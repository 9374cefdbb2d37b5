"""What a search finds, whatever interrupts it: in one process."""

import collections
import json
import math

import keras_tuner
import numpy as np
import pytest

from keras_arl.losses import TaylorLoss
from keras_arl.losses.taylor import polynomial
from keras_arl.search import CMAESOracle
from keras_arl.search.generation import SELECTION
from tests.search.toy import BASELINE
from tests.search.toy import SPACE
from tests.search.toy import outcome
from tests.search.toy import target
from tests.search.toy import toy
from tests.search.toy import vector_of

SETTINGS = {
    "generations": 3, "popsize": 4, "tasks_per_generation": 2,
    "selection_tasks": 3, "noise": 0.3,
}  # fmt: skip


def distance(loss):
    return np.sqrt(np.sum((vector_of(loss) - target()) ** 2))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    tuner = toy(tmp_path_factory.mktemp("whole"), **SETTINGS)
    tuner.search(verbose=0)
    return tuner


def test_it_solves_a_landscape(tmp_path):
    tuner = toy(tmp_path, generations=60, popsize=12)
    tuner.search(verbose=0)
    assert distance(SPACE.to_method(SPACE.scaled(tuner.oracle.x0))) > 0.3
    assert distance(tuner.best_loss()) < 0.05


def test_it_solves_a_noisy_landscape_with_failures(tmp_path):
    tuner = toy(
        tmp_path,
        generations=25,
        popsize=12,
        tasks_per_generation=2,
        noise=0.02,
        fails=lambda count, task, loss: (
            count < 20 * 24 and count % 24 in (1, 2, 3, 4)
        ),
    )
    tuner.search(verbose=0)
    assert distance(tuner.best_loss()) < 0.4
    first = tuner.oracle.history()[0]
    assert first["failed"] == 4
    assert first["fitness"][1:5] == [None] * 4


def test_candidates_of_a_generation_meet_the_same_tasks(whole):
    rows = whole.results()
    assert len(rows) == whole.oracle.max_trials == 3 * 4 * 2 + 4 * 3
    seeds = collections.defaultdict(set)
    for row in rows:
        seeds[row["phase"], row["generation"], row["task"]].add(
            row["task_seed"]
        )
    assert all(len(s) == 1 for s in seeds.values())
    # Every generation, and the selection, has tasks of its own.
    assert len(set.union(*seeds.values())) == 3 * 2 + 3
    assert [row["trial_id"] for row in rows] == [
        f"{n:02d}" for n in range(len(rows))
    ]


def test_fitness_is_the_mean_over_the_tasks(whole):
    rows = whole.results()
    for number, told in enumerate(whole.oracle.history(), start=1):
        assert (told["generation"], told["baseline"]) == (number, BASELINE)
        for candidate in range(4):
            scores = [
                row["score"]
                for row in rows
                if (row["phase"], row["generation"], row["candidate"])
                == ("search", number, candidate)
            ]
            assert len(scores) == 2
            assert told["fitness"][candidate] == pytest.approx(
                np.mean(scores) - BASELINE
            )
        assert told["best"] == max(told["fitness"])
        assert told["mean"] == pytest.approx(np.mean(told["fitness"]))


def test_the_seed_determines_the_search(tmp_path, whole):
    np.random.seed(3)
    again = toy(tmp_path / "again", **SETTINGS)
    again.search(verbose=0)
    assert outcome(again) == outcome(whole)
    assert again.oracle.seed == 0
    other = toy(tmp_path / "other", seed=1, **SETTINGS)
    other.search(verbose=0)
    assert other.oracle.best() != whole.oracle.best()


@pytest.mark.parametrize("stop_after", [0, 1, 7, 8, 9, 24, 30])
def test_resume_equals_uninterrupted(tmp_path, whole, stop_after):
    part = toy(tmp_path, stop_after=stop_after, **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    rest = toy(tmp_path, **SETTINGS)
    rest.search(verbose=0)
    # Nothing is run twice, nothing left out.
    assert part.trainer.ran + rest.trainer.ran == whole.trainer.ran
    assert rest.results() == whole.results()
    assert outcome(rest) == outcome(whole)
    again = toy(tmp_path, **SETTINGS)
    again.search(verbose=0)
    assert again.trainer.ran == []
    assert outcome(again) == outcome(whole)


def test_a_search_goes_on_in_the_same_process(tmp_path, whole):
    part = toy(tmp_path, stop_after=5, **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    part.trainer.stop_after = None
    part.search(verbose=0)
    assert outcome(part) == outcome(whole)


def test_a_search_without_a_seed_can_be_resumed(tmp_path):
    settings = {**SETTINGS, "seed": None}
    part = toy(tmp_path, stop_after=5, **settings)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    rest = toy(tmp_path, **settings)
    rest.search(verbose=0)
    seed = part.oracle.seed
    assert rest.oracle.seed == seed
    same = toy(tmp_path / "whole", **{**settings, "seed": seed})
    same.search(verbose=0)
    assert outcome(rest) == outcome(same)


def test_failures_in_a_row_do_not_end_the_search(tmp_path):
    def fails(count, task, loss):
        return count % 8 < 7

    tuner = toy(tmp_path, generations=3, popsize=8, fails=fails)
    tuner.search(verbose=0)
    failed = [row for row in tuner.results() if row["status"] == "FAILED"]
    assert len(failed) >= 3 * 7
    assert all("ValueError: boom" in row["message"] for row in failed)


def test_finalists_that_all_failed_are_told(tmp_path, capsys):
    tuner = toy(
        tmp_path,
        generations=1,
        popsize=4,
        fails=lambda count, task, loss: count >= 4,
        panel=("sce",),
    )
    # So do cross-entropy and the panel, for another reason.
    evaluate = tuner.trainer.evaluate

    def failing(task, loss, last_epochs):
        if not isinstance(loss, TaylorLoss) and tuner.oracle.phase == SELECTION:
            raise ValueError("no rival")
        return evaluate(task, loss, last_epochs)

    tuner.trainer.evaluate = failing
    tuner.search()
    shown = capsys.readouterr().out
    assert "Cross-entropy failed: ValueError: no rival" in shown
    assert "sce failed: ValueError: no rival" in shown
    with pytest.raises(RuntimeError, match=r"(?s)Every finalist failed.*boom"):
        tuner.best_loss()


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_generation_without_a_fitness_stops_and_is_repeated(tmp_path, tasks):
    # Of two tasks one is well, and still no candidate has a fitness.
    settings = {**SETTINGS, "tasks_per_generation": tasks}
    expected = toy(tmp_path / "whole", **settings)
    expected.search(verbose=0)
    size = 4 * tasks

    def fails(count, task, loss):
        return size <= count < size + 4

    broken = toy(tmp_path / "part", fails=fails, **settings)
    with pytest.raises(
        RuntimeError, match=rf"(?s)Every candidate of generation 2.*boom {size}"
    ):
        broken.search(verbose=0)
    assert len(broken.results()) == size
    mended = toy(tmp_path / "part", **settings)
    mended.search(verbose=0)
    assert mended.results() == expected.results()
    assert outcome(mended) == outcome(expected)


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_trial_that_raises_is_run_again_as_configured(
    tmp_path, whole, retries
):
    seen = collections.Counter()
    victim = whole.trainer.ran[9]

    def fails(count, task, loss):
        which = task.seed, loss.coefficients
        seen[which] += 1
        return which == victim and seen[which] <= 2

    tuner = toy(
        tmp_path, fails=fails, max_retries_per_trial=retries, **SETTINGS
    )
    tuner.search(verbose=0)
    assert seen[victim] == min(retries, 2) + 1
    failed = [row for row in tuner.results() if row["status"] == "FAILED"]
    if retries == 2:
        assert tuner.results() == whole.results()
    else:
        assert "boom" in failed[0]["message"]


def test_early_convergence_goes_on_to_the_selection(tmp_path, capsys):
    # A step size that pycma deems converged at once.
    tuner = toy(tmp_path, generations=9, popsize=4, sigma0=1e-13)
    tuner.search()
    assert tuner.oracle.phase == "selection"
    assert tuner.oracle.generation < 9
    size = tuner.oracle.present.size
    assert f"{size}/{size}" in capsys.readouterr().out


def test_selection_takes_the_best_on_fresh_tasks(tmp_path):
    tuner = toy(
        tmp_path, generations=4, popsize=6, noise=0.5, selection_tasks=3
    )
    tuner.search(verbose=0)
    selection = tuner.oracle.selection()
    assert {row["name"] for row in selection} == {
        "generation 2", "generation 3", "generation 4", "mean",
    }  # fmt: skip
    scores = [row["score"] for row in selection]
    assert scores == sorted(scores, reverse=True)
    assert tuner.oracle.best() == selection[0]["vector"]
    rows = [row for row in tuner.results() if row["phase"] == "selection"]
    means = collections.defaultdict(list)
    for row in rows:
        means[row["candidate"]].append(row["score"])
    assert max(np.mean(v) for v in means.values()) == pytest.approx(scores[0])
    # Finalists are the best of their generations, not the luckiest of all.
    for position, number in enumerate((2, 3, 4)):
        searched = [
            row
            for row in tuner.results()
            if (row["phase"], row["generation"]) == ("search", number)
        ]
        best = max(searched, key=lambda row: row["score"])
        for name in SPACE.names:
            assert rows[position * 3][name] == best[name]


def test_a_restart_begins_at_the_start_with_other_draws(tmp_path):
    settings = {**SETTINGS, "generations": 2}
    once = toy(tmp_path / "once", **settings)
    once.search(verbose=0)
    twice = toy(tmp_path / "twice", restarts=1, **settings)
    twice.search(verbose=0)

    def of_generation(tuner, number):
        return [
            [row[name] for name in SPACE.names]
            for row in tuner.results()
            if (row["phase"], row["generation"]) == ("search", number)
        ]

    # The first run is the search without restarts, generation 3 begins anew.
    assert of_generation(twice, 2) == of_generation(once, 2)
    assert twice.oracle.generation == 4
    assert [row["run"] for row in twice.oracle.history()] == [1, 1, 2, 2]
    first, anew = (np.array(of_generation(twice, k)) for k in (1, 3))
    assert not np.isin(anew, first).any()
    seeds = {row["task_seed"] for row in twice.results()}
    assert len(seeds) == 4 * 2 + 3
    # Every run's finalists meet in one selection.
    assert {row["name"] for row in twice.oracle.selection()} == {
        "generation 1", "generation 2", "mean of run 1",
        "generation 3", "generation 4", "mean of run 2",
    }  # fmt: skip
    assert len(twice.results()) == twice.oracle.max_trials
    part = toy(tmp_path / "part", restarts=1, stop_after=21, **settings)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    rest = toy(tmp_path / "part", restarts=1, **settings)
    rest.search(verbose=0)
    assert outcome(rest) == outcome(twice)


def test_a_run_that_has_converged_restarts_at_the_start(tmp_path):
    tuner = toy(tmp_path, generations=9, popsize=4, sigma0=1e-13, restarts=1)
    tuner.search(verbose=0)
    runs = [row["run"] for row in tuner.oracle.history()]
    assert runs.count(1) == runs.count(2) < 9
    start = SPACE.scaled(tuner.oracle.x0)
    for row in tuner.oracle.selection():
        assert row["vector"] == pytest.approx(start, rel=1e-6)


def test_results_before_the_end(tmp_path):
    tuner = toy(tmp_path, generations=2, popsize=4)
    with pytest.raises(RuntimeError, match="0 of 17 trials are done"):
        tuner.best_loss()
    assert tuner.results() == []
    assert tuner.oracle.history() == []


def test_the_defaults_are_the_recommended_ones():
    settings = CMAESOracle(seed=0).settings()
    assert settings["class_aware"] is True
    assert settings["tasks_per_generation"] == 8
    assert settings["selection_tasks"] == 24
    assert settings["x0"] == SPACE.starting_point("linear")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"popsize": 3}, "`popsize` must be an integer of at least 4"),
        ({"space": 4}, "`space` must be a .*SearchSpace.*space=4"),
        ({"panel": "sce"}, "`panel` must be a tuple.*panel='sce'"),
        ({"panel": ["zce"]}, "zce"),
        ({"generations": 0}, "`generations`.*generations=0"),
        ({"tasks_per_generation": 1.5}, r"tasks_per_generation=1\.5"),
        ({"selection_tasks": 0}, "selection_tasks=0"),
        ({"restarts": -1}, "`restarts`.*at least 0.*restarts=-1"),
        ({"seed": -1}, "`seed`.*seed=-1"),
        ({"sigma0": 0.0}, r"sigma0=0\.0"),
        ({"max_retries_per_trial": -1}, "`max_retries_per_trial`.*least 0"),
        ({"trial_timeout": -1}, "`trial_timeout`.*trial_timeout=-1"),
        ({"trial_timeout": math.inf}, "trial_timeout=inf"),
        ({"x0": [1.0]}, "12 numbers: theta_10.*Received 1 values"),
        ({"x0": [np.nan] * 12}, "`x0` must be finite"),
        ({"x0": "mae"}, r"\('ce', 'linear', 'arl'\).*x0='mae'"),
        (
            {"racing": True, "tasks_per_generation": 2},
            "`racing` needs at least 3 tasks.*tasks_per_generation=2",
        ),
        ({"fitness": "best"}, r"\('mean', 'rank', 'regret'\).*fitness='best'"),
        (
            {"objective": keras_tuner.Objective("val_loss", "min")},
            "maximise.*val_loss",
        ),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CMAESOracle(**arguments)


def test_state_is_small_readable_and_holds_no_pickle(whole):
    folder = whole.project_dir
    texts = {}
    for name in ("search.json", "results.jsonl"):
        with open(f"{folder}/{name}") as file:
            texts[name] = file.read()
    settings = json.loads(texts["search.json"])["settings"]
    assert settings.items() >= whole.oracle.settings().items()
    lines = [json.loads(line) for line in texts["results.jsonl"].splitlines()]
    heads = [line for line in lines if "candidates" in line]
    assert [head["generation"] for head in heads] == [1, 2, 3, 4]
    rows = whole.results()
    scores = {k["trial"]: k["score"] for k in lines if "trial" in k}
    assert scores.pop(None) == BASELINE
    assert [scores[k] for k in range(len(rows))] == [r["score"] for r in rows]
    for name, value in zip(SPACE.names, heads[1]["candidates"][3]):
        assert rows[8 + 6][name] == value


def test_rows_hyperparameters_and_the_best_loss_tell_one_story(whole):
    loss = whole.best_loss()
    best = [*loss.coefficients, *loss.center]
    assert whole.oracle.best() == pytest.approx(best, rel=1e-6)
    hyperparameters = [
        hp
        for hp in whole.get_best_hyperparameters(len(whole.results()))
        if hp["phase"] == "selection"
    ]
    rows = [row for row in whole.results() if row["phase"] == "selection"]
    for each in ([row[n] for n in SPACE.names] for row in rows):
        trained = SPACE.to_method(each)
        steepest = polynomial.steepest_pull(each[:-2], each[-2:], 4, True)
        assert steepest == pytest.approx(1)
        assert trained.coefficients == pytest.approx(each[:-2], rel=1e-6)
    found = [[hp[name] for name in SPACE.names] for hp in hyperparameters]
    assert whole.oracle.best() in found
    index = found.index(whole.oracle.best())
    chosen = whole.oracle.loss(hyperparameters[index])
    assert (chosen.coefficients, chosen.center) == (
        loss.coefficients,
        loss.center,
    )
