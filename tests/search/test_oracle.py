import collections
import json

import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine.trial import TrialStatus

from keras_arl.losses import TaylorLoss
from keras_arl.search import CMAESOracle
from keras_arl.search import files
from keras_arl.search.journal import Journal
from keras_arl.search.schedule import Stage
from keras_arl.search.space import parameter_names
from tests.search.toy import TARGET
from tests.search.toy import ToyTuner
from tests.search.toy import toy


def distance(vector):
    return np.sqrt(np.sum((np.array(vector) - TARGET) ** 2))


def test_it_solves_a_landscape(tmp_path):
    tuner = toy(tmp_path, generations=100, popsize=12, sigma0=0.5)
    tuner.search(verbose=0)
    assert distance(tuner.oracle.x0) > 2
    assert distance(tuner.oracle.best()) < 0.05
    best = [row["best"] for row in tuner.oracle.history()]
    assert best[-1] > best[0]


def test_it_solves_a_noisy_landscape_with_failures(tmp_path):
    tuner = toy(
        tmp_path,
        generations=60,
        popsize=12,
        tasks=2,
        sigma0=0.5,
        noise=0.05,
        fail=lambda values: values["candidate"] in (1, 2, 3, 4),
    )
    tuner.search(verbose=0)
    assert distance(tuner.oracle.best()) < 0.6
    history = tuner.oracle.history()
    assert {row["failed"] for row in history} == {4}
    assert history[0]["fitness"][1:5] == [None] * 4


def test_candidates_of_a_generation_meet_the_same_tasks(tmp_path):
    tuner = toy(tmp_path, generations=3, popsize=5, tasks=2, final_tasks=4)
    tuner.search(verbose=0)
    rows = tuner.results()
    assert len(rows) == tuner.oracle.max_trials == 3 * 5 * 2 + 4 * 4
    seeds = collections.defaultdict(set)
    for row in rows:
        key = (row["phase"], row["generation"], row["task"])
        seeds[key].add(row["task_seed"])
    assert all(len(s) == 1 for s in seeds.values())
    # Every generation, and the selection, has tasks of its own.
    assert len(set.union(*seeds.values())) == 3 * 2 + 4
    assert [row["trial_id"] for row in rows] == [
        f"{n:02d}" for n in range(len(rows))
    ]
    counts = collections.Counter(
        (r["generation"], r["candidate"])
        for r in rows
        if r["phase"] != "search"
    )
    assert counts == {(3, k): 4 for k in range(4)}


def test_fitness_is_the_mean_over_the_tasks(tmp_path):
    tuner = toy(tmp_path, generations=2, popsize=4, tasks=3, noise=1.0)
    tuner.search(verbose=0)
    rows = tuner.results()
    for generation, told in enumerate(tuner.oracle.history()):
        for candidate in range(4):
            scores = [
                row["score"]
                for row in rows
                if (row["phase"], row["generation"], row["candidate"])
                == ("search", generation, candidate)
            ]
            assert len(scores) == 3
            assert told["fitness"][candidate] == pytest.approx(np.mean(scores))
        assert told["best"] == max(told["fitness"])
        assert told["mean"] == pytest.approx(np.mean(told["fitness"]))


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_the_seed_determines_the_search(tmp_path, seed):
    found = []
    for run in range(2):
        tuner = toy(tmp_path / str(run), generations=3, seed=seed, noise=0.1)
        np.random.seed(run)
        tuner.search(verbose=0)
        found.append(tuner.oracle.best())
        assert tuner.oracle.seed == seed
    assert found[0] == found[1]
    other = toy(tmp_path / "other", generations=3, seed=seed + 1, noise=0.1)
    other.search(verbose=0)
    assert other.oracle.best() != found[0]


def test_the_order_in_which_trials_end_does_not_matter(tmp_path):
    def run(shuffled):
        oracle = CMAESOracle(generations=3, popsize=6, tasks=2, seed=5)
        rng = np.random.default_rng(0)
        oracle._set_project_dir(tmp_path, f"shuffled_{shuffled}")
        oracle.verbose = 0
        while oracle.phase == "search":
            trials = []
            while True:
                trial = oracle.create_trial(f"worker {len(trials)}")
                if trial.status == TrialStatus.IDLE:
                    break
                trials.append(trial)
            assert len(trials) == 12
            if shuffled:
                rng.shuffle(trials)
            for trial in trials:
                values = trial.hyperparameters.values
                vector = [values[n] for n in parameter_names(4)]
                oracle.update_trial(
                    trial.trial_id, {"val_accuracy": -distance(vector)}
                )
                trial.status = TrialStatus.COMPLETED
                oracle.end_trial(trial)
        # The mean of the last distribution is among the finalists.
        return oracle.history(), oracle.create_trial("x").hyperparameters.values

    assert run(False) == run(True)


def whole_and_interrupted(tmp_path, settings, stop_after):
    """A finished search, and one of the same settings that Ctrl-C ended."""
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    part = toy(tmp_path / "part", stop_after=stop_after, **settings)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    return whole, part


@pytest.mark.parametrize("stop_after", [0, 1, 7, 8, 9, 23, 24, 25, 30])
def test_resume_equals_uninterrupted(tmp_path, stop_after):
    settings = {"generations": 3, "popsize": 4, "tasks": 2, "noise": 0.3}
    whole, part = whole_and_interrupted(tmp_path, settings, stop_after)
    rest = toy(tmp_path / "part", **settings)
    rest.search(verbose=0)
    # Nothing is run twice, nothing left out.
    assert part.ran + rest.ran == whole.ran
    assert rest.results() == whole.results()
    assert rest.oracle.best() == whole.oracle.best()
    again = toy(tmp_path / "part", **settings)
    again.search(verbose=0)
    assert again.ran == []
    assert again.oracle.best() == whole.oracle.best()


def test_state_is_small_readable_and_holds_no_pickle(tmp_path):
    tuner = toy(tmp_path, generations=3, popsize=4, tasks=2)
    tuner.search(verbose=0)
    files = sorted(path.name for path in (tmp_path / "loss_search").iterdir())
    assert files == [
        "generation_0000.jsonl",
        "generation_0001.jsonl",
        "generation_0002.jsonl",
        "search.json",
        "selection.jsonl",
        "tuner.json",
    ]
    state = json.loads((tmp_path / "loss_search/search.json").read_text())
    assert state["settings"] == tuner.oracle.settings()
    text = (tmp_path / "loss_search/generation_0001.jsonl").read_text()
    stage, *ends = [json.loads(line) for line in text.splitlines()]
    rows = [row for row in tuner.results() if row["generation"] == 1]
    assert [end["score"] for end in ends] == [row["score"] for row in rows]
    assert stage["task_seeds"] == [row["task_seed"] for row in rows[:2]]
    assert stage["candidates"][3][0] == rows[6]["theta_10"]


def test_a_trial_adds_a_line_and_rewrites_nothing(tmp_path):
    oracle = CMAESOracle(generations=3, popsize=4, tasks=2, seed=0)
    oracle._set_project_dir(tmp_path, "lines")
    before = {}
    for k in range(3 * 4 * 2):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5})
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
        after = {
            path.name: path.read_text()
            for path in (tmp_path / "lines").iterdir()
        }
        changed = {name for name in after if after[name] != before.get(name)}
        assert changed == {f"generation_{k // 8:04d}.jsonl"}
        (name,) = changed
        assert after[name].startswith(before.get(name, ""))
        assert len(after[name].splitlines()) == 1 + k % 8 + 1
        before = after


def test_a_generation_is_handed_out_whole(tmp_path):
    oracle = CMAESOracle(generations=2, popsize=4, tasks=3, seed=0)
    oracle._set_project_dir(tmp_path, "whole")
    single = oracle.create_trial("worker")
    assert oracle.create_trial("worker").trial_id == single.trial_id
    rest = oracle.create_generation("tuner")
    assert len(rest) == 4 * 3 - 1
    ids = {trial.trial_id for trial in [single, *rest]}
    assert len(ids) == 4 * 3
    again = oracle.create_generation("tuner")
    assert {trial.trial_id for trial in [single, *again]} == ids
    with pytest.raises(RuntimeError, match=r"generation 0.*other tuners"):
        oracle.create_generation("other")
    assert oracle.create_trial("other").status == TrialStatus.IDLE


def test_a_trial_that_ended_is_not_counted_again(tmp_path):
    oracle = CMAESOracle(generations=1, popsize=4, seed=0)
    oracle._set_project_dir(tmp_path, "twice")
    for k in range(4):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"val_accuracy": 0.25 * k})
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
        trial.status = TrialStatus.FAILED
        oracle.end_trial(trial)
    assert oracle.history()[0]["fitness"] == [0.0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("popsize", 6),
        ("generations", 9),
        ("order", 3),
        ("tasks", 2),
        ("sigma0", 0.7),
        ("final_tasks", 5),
    ],
)
def test_changed_settings_are_refused_on_resume(tmp_path, name, value):
    settings = {"generations": 2, "popsize": 4, "seed": 0}
    part = toy(tmp_path, stop_after=3, **settings)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    with pytest.raises(ValueError, match=rf"{name}=.* there, {value!r} asked"):
        toy(tmp_path, **{**settings, name: value})
    anew = toy(tmp_path, **{**settings, name: value, "overwrite": True})
    assert anew.oracle.trials == {}


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_another_version_of_the_state_is_refused(tmp_path, version):
    toy(tmp_path, generations=1, popsize=4).search(verbose=0)
    path = tmp_path / "loss_search" / "search.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "version": version}))
    message = rf"version {version}; .*continues version 5"
    with pytest.raises(ValueError, match=message):
        toy(tmp_path, generations=1, popsize=4)


def test_state_of_the_first_version_is_refused(tmp_path):
    toy(tmp_path, generations=1, popsize=4).search(verbose=0)
    folder = tmp_path / "loss_search"
    (folder / "search.json").rename(folder / "oracle.json")
    tuner = toy(tmp_path, generations=1, popsize=4)
    with pytest.raises(ValueError, match=r"version 1; .*continues version 5"):
        tuner.search(verbose=0)


def test_a_line_that_was_not_written_whole_is_a_trial_to_run(tmp_path):
    settings = {"generations": 2, "popsize": 4, "noise": 0.3}
    whole = whole_and_interrupted(tmp_path, settings, stop_after=6)[0]
    path = tmp_path / "part" / "loss_search" / "generation_0001.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    rest = toy(tmp_path / "part", **settings)
    rest.search(verbose=0)
    assert rest.ran == whole.ran[5:]
    assert rest.results() == whole.results()
    assert rest.oracle.best() == whole.oracle.best()


@pytest.mark.parametrize(
    "name", ["search.json", "tuner.json", "generation_0000.jsonl"]
)
def test_a_damaged_file_is_named(tmp_path, name):
    toy(tmp_path, generations=1, popsize=4).search(verbose=0)
    path = tmp_path / "loss_search" / name
    path.write_text("{oops\n" + path.read_text())
    with pytest.raises(ValueError, match=f"{name} is damaged, or.*begin anew"):
        toy(tmp_path, generations=1, popsize=4)


def test_a_trial_that_was_interrupted_as_it_ended(tmp_path, monkeypatch):
    settings = {"generations": 2, "popsize": 4, "noise": 0.3}
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    part = toy(tmp_path / "part", **settings)
    append = Journal.append

    def interrupted(journal, stage, end):
        append(journal, stage, end)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            part.search(verbose=0)
    # In the same process too it is read from the file.
    part.search(verbose=0)
    assert part.ran == whole.ran
    assert part.oracle.best() == whole.oracle.best()
    rest = toy(tmp_path / "part", **settings)
    assert rest.results() == whole.results()
    assert rest.oracle.best() == whole.oracle.best()


def test_a_search_whose_settings_were_not_written_begins_anew(tmp_path):
    # As if the process had ended between its two files of settings.
    toy(tmp_path, generations=1, popsize=4, seed=7).save()
    (tmp_path / "loss_search" / "search.json").unlink()
    other = toy(tmp_path, generations=1, popsize=5, seed=8)
    other.search(verbose=0)
    again = toy(tmp_path, generations=1, popsize=5, seed=8)
    assert again.oracle.best() == other.oracle.best()


def test_a_search_goes_on_in_the_same_process(tmp_path):
    settings = {"generations": 2, "popsize": 4, "noise": 0.3}
    whole, part = whole_and_interrupted(tmp_path, settings, stop_after=5)
    part.stop_after = None
    part.search(verbose=0)
    assert part.oracle.best() == whole.oracle.best()


def test_changed_candidates_are_refused_on_resume(tmp_path):
    toy(tmp_path, generations=2, popsize=4).search(verbose=0)
    path = tmp_path / "loss_search" / "generation_0001.jsonl"
    header, *ends = path.read_text().splitlines()
    stage = files.parse_sealed(header, path)
    stage["candidates"][2][5] += 1.0
    path.write_text("\n".join([files.seal(stage), *ends]) + "\n")
    message = r"generation_0001.jsonl holds other candidates"
    with pytest.raises(ValueError, match=message):
        toy(tmp_path, generations=2, popsize=4)


def test_failures_in_a_row_do_not_end_the_search(tmp_path):
    tuner = toy(
        tmp_path,
        generations=3,
        popsize=8,
        fail=lambda values: values["candidate"] < 7,
    )
    tuner.search(verbose=0)
    rows = tuner.results()
    assert len(rows) == tuner.oracle.max_trials
    failed = [row for row in rows if row["status"] == "FAILED"]
    assert len(failed) == 3 * 7 + 4 * 3
    assert all("ValueError: boom" in row["message"] for row in failed)


def test_finalists_that_all_failed_are_told(tmp_path):
    tuner = toy(
        tmp_path,
        generations=1,
        popsize=4,
        fail=lambda values: values["phase"] == "selection",
    )
    tuner.search(verbose=0)
    with pytest.raises(RuntimeError, match=r"(?s)Every finalist failed.*boom"):
        tuner.best_loss()


def test_a_generation_that_raises_whole_stops_and_is_repeated(tmp_path):
    settings = {"generations": 3, "popsize": 4}
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    broken = toy(
        tmp_path / "part",
        fail=lambda values: values["generation"] == 1,
        **settings,
    )
    with pytest.raises(
        RuntimeError, match=r"(?s)Every candidate of generation 1.*boom 04"
    ):
        broken.search(verbose=0)
    mended = toy(tmp_path / "part", **settings)
    mended.search(verbose=0)
    assert mended.results() == whole.results()
    assert mended.oracle.best() == whole.oracle.best()


def test_a_task_that_no_candidate_survives_stops_the_search(tmp_path):
    # Half of the trials are well, and no candidate has a fitness.
    settings = {"generations": 3, "popsize": 4, "tasks": 2}
    broken = toy(tmp_path, fail=lambda values: values["task"] == 1, **settings)
    with pytest.raises(
        RuntimeError, match=r"(?s)Every candidate of generation 0.*boom 01"
    ):
        broken.search(verbose=0)
    assert broken.results() == []
    mended = toy(tmp_path, **settings)
    mended.search(verbose=0)
    assert len(mended.ran) == mended.oracle.max_trials


def test_the_first_finalist_that_failed_is_told(tmp_path):
    tuner = toy(
        tmp_path,
        generations=1,
        popsize=4,
        fail=lambda values: (
            (values["phase"], values["task"]) == ("selection", 1)
        ),
    )
    tuner.search(verbose=0)
    with pytest.raises(RuntimeError, match=r"(?s)Every finalist.*boom 05"):
        tuner.best_loss()


@pytest.mark.parametrize("ended", [0, 2, 3])
def test_resume_after_an_interruption_between_a_file_and_memory(
    tmp_path, monkeypatch, ended
):
    settings = {"generations": 3, "popsize": 4, "noise": 0.3}
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    part = toy(tmp_path / "part", **settings)
    append = Journal.append

    def interrupted(journal, stage, end):
        append(journal, stage, end)
        if end["position"] == ended:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            part.search(verbose=0)
    rest = toy(tmp_path / "part", **settings)
    rest.search(verbose=0)
    assert part.ran + rest.ran == whole.ran
    assert rest.results() == whole.results()
    assert rest.oracle.history() == whole.oracle.history()
    assert rest.oracle.best() == whole.oracle.best()


def test_a_search_without_a_seed_can_be_resumed(tmp_path):
    part = toy(tmp_path, generations=2, popsize=4, seed=None, stop_after=5)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    rest = toy(tmp_path, generations=2, popsize=4, seed=None)
    rest.search(verbose=0)
    assert rest.oracle.seed == part.oracle.seed
    whole = toy(
        tmp_path / "whole", generations=2, popsize=4, seed=part.oracle.seed
    )
    whole.search(verbose=0)
    assert rest.oracle.best() == whole.oracle.best()


def test_early_convergence_goes_on_to_the_selection(tmp_path, capsys):
    # A step size that pycma deems converged at once.
    tuner = toy(tmp_path, generations=9, popsize=4, sigma0=1e-13)
    tuner.search()
    assert tuner.oracle.phase == "selection"
    assert tuner.oracle.generation < 9
    assert tuner.oracle.selection()
    size = tuner.oracle.stage_size
    assert f"{size}/{size}" in capsys.readouterr().out


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_trial_that_raises_is_run_again_as_configured(tmp_path, retries):
    counts = collections.Counter()

    def twice(values):
        key = (values["phase"], values["generation"], values["candidate"])
        counts[key] += 1
        return key == ("search", 1, 2) and counts[key] <= 2

    settings = {"generations": 3, "popsize": 4, "noise": 0.3}
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    tuner = toy(
        tmp_path / "part",
        fail=twice,
        max_retries_per_trial=retries,
        **settings,
    )
    tuner.search(verbose=0)
    row = tuner.results()[4 + 2]
    assert tuner.ran.count(row["trial_id"]) == min(retries, 2) + 1
    if retries == 2:
        assert tuner.results() == whole.results()
    else:
        assert row["status"] == "FAILED"
        assert "boom 06" in row["message"]


def test_nan_scores_rank_last(tmp_path):
    class Diverging(ToyTuner):
        def run_trial(self, trial):
            result = super().run_trial(trial)
            if trial.hyperparameters.values["candidate"] == 0:
                return {"val_accuracy": float("nan")}
            return result

    tuner = Diverging(
        CMAESOracle(generations=2, popsize=4, seed=0), tmp_path / "run"
    )
    tuner.search(verbose=0)
    assert [row["fitness"][0] for row in tuner.oracle.history()] == [None, None]
    assert (
        tuner.results()[0]["message"] == "ended without a finite val_accuracy"
    )


def test_selection_takes_the_best_on_fresh_tasks(tmp_path):
    tuner = toy(tmp_path, generations=4, popsize=6, noise=0.5, final_tasks=3)
    tuner.search(verbose=0)
    selection = tuner.oracle.selection()
    assert selection[0]["name"] in {
        "generation 1", "generation 2", "generation 3", "mean",
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
    for position, generation in enumerate((1, 2, 3)):
        searched = [
            row
            for row in tuner.results()
            if (row["phase"], row["generation"]) == ("search", generation)
        ]
        best = max(searched, key=lambda row: row["score"])
        finalist = rows[position * 3]
        for name in parameter_names(4):
            assert finalist[name] == best[name]


def test_results_before_the_end(tmp_path):
    tuner = toy(tmp_path, generations=2, popsize=4)
    with pytest.raises(RuntimeError, match="0 of 17 trials are done"):
        tuner.best_loss()
    assert tuner.results() == []
    assert tuner.oracle.history() == []


def test_names_and_sizes_by_order():
    assert parameter_names(2) == [
        "theta_10", "theta_11", "theta_20", "center_p", "center_y",
    ]  # fmt: skip
    assert len(CMAESOracle(order=4).x0) == 12
    for order in range(2, 7):
        assert len(CMAESOracle(order=order, seed=0).x0) == (
            order * (order + 1) // 2 + 2
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"popsize": 3}, "`popsize` must be an integer of at least 4"),
        ({"order": 1}, "`order` must be an integer of at least 2"),
        ({"order": 7}, "1 to 6"),
        ({"generations": 0}, "`generations`.*generations=0"),
        ({"tasks": 1.5}, r"`tasks`.*tasks=1\.5"),
        ({"seed": -1}, "`seed`.*seed=-1"),
        ({"sigma0": 0.0}, "`sigma0` must be positive"),
        ({"max_retries_per_trial": -1}, "`max_retries_per_trial`.*least 0"),
        ({"lease": 0.0}, r"`lease` must be a positive.*lease=0\.0"),
        ({"trial_timeout": -1}, "`trial_timeout`.*trial_timeout=-1"),
        ({"x0": [1.0]}, "10 coefficients.*Received 1 values"),
        ({"x0": [np.nan] * 12}, "`x0` must be finite"),
        ({"x0": "mae"}, r"\('ce', 'linear'\).*x0='mae'"),
        ({"fitness": "best"}, r"\('mean', 'rank'\).*fitness='best'"),
        (
            {"objective": keras_tuner.Objective("val_loss", "min")},
            "maximise.*val_loss",
        ),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CMAESOracle(**arguments)


def test_starting_points_are_known_losses():
    p = np.array([[0.3, 0.5, 0.2]])
    linear = unscaled(CMAESOracle(x0="linear").x0)
    assert float(linear(np.array([1]), p)) == pytest.approx(-1.0 + 1.0)
    # Within the Taylor polynomial's error: (2p - 1)^5 / 5 and less.
    ce = unscaled(CMAESOracle(x0="ce").x0)
    at_half = float(ce(np.array([1]), np.array([[0.3, 0.5, 0.2]])))
    at_more = float(ce(np.array([1]), np.array([[0.2, 0.6, 0.2]])))
    assert at_half - at_more == pytest.approx(np.log(0.6 / 0.5), abs=1e-3)


def unscaled(vector):
    return TaylorLoss(vector[:10], center=vector[10:])


def test_fitness_by_rank():
    # Candidates by tasks; the first task's scores are ten times as far apart.
    scores = [10.0, 0.2, 20.0, 0.1, 30.0, 0.1, 0.0, None]
    stage = Stage(
        phase="search",
        generation=0,
        first_trial=0,
        candidates=[[0.0]] * 4,
        task_seeds=[1, 2],
        by_rank=True,
    )
    assert stage.fitness(scores) == [
        pytest.approx((1 / 3 + 1) / 2),
        pytest.approx((2 / 3 + 0.5) / 2),
        pytest.approx((1 + 0.5) / 2),
        None,
    ]


def test_a_search_by_rank_selects_by_score(tmp_path):
    settings = {"generations": 6, "popsize": 6, "tasks": 2, "noise": 0.1}
    ranked = toy(tmp_path / "rank", fitness="rank", **settings)
    ranked.search(verbose=0)
    for row in ranked.oracle.history():
        assert row["mean"] == pytest.approx(0.5)
    best = ranked.oracle.selection()[0]
    assert best["score"] < 0
    again = toy(tmp_path / "rank", fitness="rank", **settings)
    assert again.oracle.best() == best["vector"]
    with pytest.raises(ValueError, match="fitness='rank' there, 'mean' asked"):
        toy(tmp_path / "rank", **settings)


def test_a_class_aware_search(tmp_path):
    tuner = toy(tmp_path, generations=1, popsize=4, class_aware=True)
    tuner.search(verbose=0)
    assert tuner.best_loss().class_aware
    assert tuner.oracle.settings()["class_aware"]
    with pytest.raises(ValueError, match="class_aware=True there, False asked"):
        toy(tmp_path, generations=1, popsize=4)
