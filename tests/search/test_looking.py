"""What shows a search while it runs and afterwards, on one toy search."""

import json
import logging
import pathlib
import urllib.request

import pytest

from keras_arl import search
from tests.search.toy import toy

SETTINGS = {
    "generations": 2, "popsize": 4, "tasks_per_generation": 2,
    "selection_tasks": 3, "finalists": 1, "noise": 0.3,
}  # fmt: skip


class Watching(search.SearchCallback):
    """Notes what it is called for."""

    def __init__(self):
        self.heard = []

    def on_search_begin(self, tuner):
        self.heard.append("begin")

    def on_trial_end(self, tuner, row):
        assert row in tuner.results()
        self.heard.append(row["trial_id"])

    def on_generation_end(self, tuner, row):
        assert row == tuner.oracle.history()[-1]
        self.heard.append(f"generation {row['generation']}")

    def on_search_end(self, tuner):
        assert tuner.oracle.finished
        self.heard.append("end")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A search that was interrupted, its callbacks, and TensorBoard's files."""
    directory = tmp_path_factory.mktemp("watched")
    first, second = Watching(), Watching()
    with pytest.raises(KeyboardInterrupt):
        toy(
            directory,
            stop_after=9,
            fails=lambda count, *_: count == 2,
            **SETTINGS,
        ).search(
            verbose=0, callbacks=[first, search.TensorBoard(directory / "logs")]
        )
    tuner = toy(directory, **SETTINGS)
    tuner.search(
        verbose=0, callbacks=[second, search.TensorBoard(directory / "logs")]
    )
    return tuner, directory / "logs", first.heard, second.heard


def test_callbacks_hear_of_everything_once(watched):
    tuner, _, first, second = watched
    assert first[0] == second[0] == "begin"
    assert second[-1] == "end"
    heard = first[1:] + second[1:-1]
    # By tasks, as they end.
    assert sorted(each for each in heard if each.isdigit()) == sorted(
        row["trial_id"] for row in tuner.results()
    )
    assert first.count("generation 1") == second.count("generation 2") == 1
    assert first.index("generation 1") == 1 + 8


@pytest.fixture(scope="module")
def ask(watched):
    """Asks a TensorBoard that shows the search."""
    program = pytest.importorskip("tensorboard.program")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = program.TensorBoard()
    # Its other reader is a process of its own, which nothing ends.
    server.configure(
        logdir=str(watched[1]), port=0, reload_interval=0, load_fast="false"
    )
    url = server.launch()

    def ask(path, content=None):
        request = urllib.request.Request(
            f"{url}data/plugin/{path}",
            data=content and json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    return ask


def test_tensorboard_shows_candidates_with_score_and_gain(watched, ask):
    tuner = watched[0]
    answer = ask(
        "hparams/session_groups",
        {
            "experimentName": "",
            "allowedStatuses": ["STATUS_UNKNOWN"],
            "colParams": [],
            "startIndex": 0,
            "sliceSize": 100,
        },
    )
    shown = json.loads(answer)["sessionGroups"]
    by_name = {each["name"]: each for each in shown}
    candidates = tuner.candidates()
    assert len(by_name) == len(candidates) == 2 * 4 + 2
    for row in candidates:
        name = (
            f"{row['phase']} {row['generation']}, candidate {row['candidate']}"
        )
        values = by_name[name]["hparams"]
        assert values["theta_11"] == pytest.approx(row["theta_11"])
        assert values["phase"] == row["phase"]
        metrics = {
            each["name"]["tag"]: each["value"]
            for each in by_name[name].get("metricValues", ())
        }
        expected = {key: row[key] for key in ("score", "gain")}
        if row["score"] is None:
            assert metrics == {}
        else:
            assert metrics == pytest.approx(expected)
    assert sum(row["score"] is None for row in candidates) == 1


def test_tensorboard_waits_for_cross_entropy_on_all_tasks(tmp_path):
    tuner = toy(tmp_path, stop_after=6, **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    assert any(row["gain"] is not None for row in tuner.candidates())
    search.TensorBoard(tmp_path / "logs").on_search_begin(tuner)
    assert not (tmp_path / "logs").exists()


def test_tensorboard_shows_fitness_and_the_loss_by_generation(watched, ask):
    tuner = watched[0]
    for name, tag in (("best", "best"), ("baseline", "cross_entropy")):
        points = json.loads(
            ask(f"scalars/scalars?run=generations&tag=fitness/{tag}")
        )
        assert [(step, pytest.approx(value)) for _, step, value in points] == [
            (row["generation"], row[name]) for row in tuner.oracle.history()
        ]
    images = json.loads(ask("images/images?run=generations&tag=loss&sample=0"))
    assert [each["step"] for each in images] == [1, 2]
    for image in images:
        content = ask(f"images/individualImage?{image['query']}")
        assert content.startswith(b"\x89PNG")


def test_pictures_show_what_the_tables_hold(watched, tmp_path):
    tuner = watched[0]
    history = tuner.oracle.history()
    figure = search.plot_fitness(history)
    lines = {
        line.get_label(): line.get_xydata()
        for line in figure.axes[0].get_lines()
    }
    best = lines["best of the generation"]
    assert best.tolist() == [
        [row["generation"], 100 * row["best"]] for row in history
    ]
    # Four candidates a generation, one of which failed.
    assert lines["a candidate"].shape == (2 * 4 - 1, 2)
    assert lines["cross-entropy"][:, 1].tolist() == [0, 0]
    assert set(lines) == {
        text.get_text() for text in figure.legends[0].get_texts()
    }
    figure.savefig(tmp_path / "fitness.png")
    # After a restart a line of its own, with no other name in the legend.
    anew = [{**row, "run": 2, "generation": 9} for row in history]
    lines_of_two = search.plot_fitness([*history, *anew]).axes[0].get_lines()
    assert len(lines_of_two) == len(lines) + 2
    coefficients = search.plot_coefficients(tuner.candidates())
    drawn = [line.get_label() for line in coefficients.axes[0].get_lines()]
    assert drawn == tuner.oracle.space.names


def test_a_study_of_optuna_holds_the_candidates(watched, tmp_path):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tuner = watched[0]
    storage = f"sqlite:///{tmp_path}/search.db"
    search.to_optuna(tuner, storage)
    study = optuna.load_study(study_name="loss_search", storage=storage)
    candidates = tuner.candidates()
    assert len(study.trials) == len(candidates)
    best = max(row["gain"] for row in candidates if row["gain"] is not None)
    assert study.best_value == pytest.approx(best)
    for trial, row in zip(study.trials, candidates, strict=True):
        assert trial.params["center_p"] == pytest.approx(row["center_p"])
        assert trial.user_attrs["generation"] == row["generation"]
        assert (trial.value is None) == (row["score"] is None)
    assert "FAIL" in {trial.state.name for trial in study.trials}
    with pytest.raises(ValueError, match="no candidates"):
        search.to_optuna(toy(pathlib.Path(tmp_path, "new"), **SETTINGS))
