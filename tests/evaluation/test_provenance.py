import keras
import pytest

from keras_arl import evaluation
from keras_arl import losses
from keras_arl import search
from tests.evaluation.points import points_task


@pytest.fixture(scope="module")
def tuner(tmp_path_factory):
    """A finished search."""
    oracle = search.CMAESOracle(
        space=search.TaylorSpace(order=2),
        generations=1,
        popsize=4,
        tasks_per_generation=1,
        selection_tasks=2,
        seed=7,
    )
    directory = tmp_path_factory.mktemp("search")
    tuner = search.LossTuner(oracle, tasks=points_task, directory=directory)
    tuner.search(verbose=0)
    return tuner


def test_provenance_tells_how_a_loss_was_found(tuner, tmp_path):
    how = evaluation.provenance(tuner, "python x.py")
    assert set(how) == {
        "command",
        "seed",
        "versions",
        "search",
        "score",
        "date",
    }
    assert how["command"] == "python x.py"
    assert how["seed"] == 7
    assert how["versions"]["keras"] == keras.version()
    assert "cma" in how["versions"]
    assert how["search"] == tuner.settings()
    assert how["search"]["popsize"] == 4
    winner = tuner.oracle.selection()[0]
    assert how["score"] == {
        "clean_validation_accuracy": winner["score"],
        "minus_cross_entropy": winner["gain"],
        "selection_tasks": 2,
        "candidate": winner["name"],
    }
    # It is plain enough for a loss file.
    losses.save(tuner.best_loss(), tmp_path / "loss.json", provenance=how)
