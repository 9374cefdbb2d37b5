"""The oracle among Keras Tuner's own tuners, in one process."""

import gc
import math

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine.trial import TrialStatus

from keras_arl.search import CMAESOracle


def tune(directory, oracle, stop_after=None):
    """A real search by Keras Tuner's own tuner; one in four trains."""
    x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    losses = []

    class Trainings(keras_tuner.HyperModel):
        def build(self, hp):
            keras.utils.set_random_seed(0)
            model = keras.Sequential(
                [keras.Input((2,)), keras.layers.Dense(2, "softmax")]
            )
            # Keras Tuner builds one model before there is a trial.
            if "theta_10" in hp.values:
                if len(losses) == stop_after:
                    raise KeyboardInterrupt
                losses.append(oracle.loss(hp))
                # A graph of each training would take a minute.
                model.compile(
                    "sgd", losses[-1], metrics=["accuracy"], run_eagerly=True
                )
            return model

        def fit(self, hp, model, *args, **kwargs):
            if hp.values["candidate"] == 0:
                return super().fit(hp, model, *args, **kwargs)
            return {
                "val_accuracy": 1 / (1 + abs(float(model.loss(y, model(x)))))
            }

    tuner = keras_tuner.Tuner(
        oracle=oracle, hypermodel=Trainings(), directory=directory
    )
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    return losses


def oracle_of_keras_tuner():
    return CMAESOracle(
        generations=2, popsize=4, tasks_per_generation=1, finalists=1,
        selection_tasks=1, seed=0,
    )  # fmt: skip


def test_keras_tuners_own_search_runs_it(tmp_path):
    # Keras Tuner collects garbage twice a trial, among all that tests left.
    gc.freeze()
    oracle = oracle_of_keras_tuner()
    losses = tune(tmp_path / "whole", oracle)
    assert oracle.finished
    assert len(losses) == oracle.max_trials == 2 * 4 + 2
    rows = [oracle.trials[k].score for k in sorted(oracle.trials)]
    assert all(0 <= score <= 1 for score in rows)
    best = oracle.get_best_trials(1)[0]
    assert best.score == max(rows)
    # Interrupted and continued it is the same search.
    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "part", oracle_of_keras_tuner(), stop_after=6)
    rest = oracle_of_keras_tuner()
    assert len(tune(tmp_path / "part", rest)) == len(losses) - 6
    assert rest.history() == oracle.history()
    assert rest.best() == oracle.best()


def test_trials_that_others_have_are_not_handed_out_again(tmp_path):
    oracle = CMAESOracle(
        generations=1, popsize=4, tasks_per_generation=1, seed=0
    )
    oracle._set_project_dir(tmp_path, "two")
    trials = [oracle.create_trial(f"tuner {k}") for k in range(4)]
    assert len({trial.trial_id for trial in trials}) == 4
    again = oracle.create_trial("tuner 1")
    assert again.trial_id == trials[1].trial_id
    assert oracle.create_trial("late").status == TrialStatus.IDLE
    for k, trial in enumerate(trials):
        score = math.nan if k == 2 else 0.25 * k
        oracle.update_trial(trial.trial_id, {"val_accuracy": score})
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
    assert oracle.history()[0]["fitness"] == [0.0, 0.25, None, 0.75]
    message = oracle.trials[trials[2].trial_id].message
    assert message == "ended without a finite val_accuracy"


def test_tuners_of_keras_tuner_have_no_panel():
    oracle = CMAESOracle(fitness="regret", panel=("sce",), seed=0)
    with pytest.raises(ValueError, match=r"panel=\('sce',\) and fitness='reg"):
        oracle.create_trial("tuner")


def test_a_race_is_run_trial_by_trial(tmp_path):
    oracle = CMAESOracle(
        generations=1, popsize=4, tasks_per_generation=3, racing=True, seed=0
    )
    oracle._set_project_dir(tmp_path, "race")
    met = []
    while (trial := oracle.create_trial("tuner")).hyperparameters.values[
        "phase"
    ] == "search":
        candidate, task = (
            trial.hyperparameters.values[name] for name in ("candidate", "task")
        )
        met.append((candidate, task))
        score = 0.1 * candidate + 0.01 * task
        oracle.update_trial(trial.trial_id, {"val_accuracy": score})
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
    first = [(candidate, 0) for candidate in range(4)]
    assert met == [*first, (2, 1), (2, 2), (3, 1), (3, 2)]
    states = [oracle.trials[key].status for key in sorted(oracle.trials)][:6]
    assert states == 2 * [
        TrialStatus.COMPLETED, TrialStatus.STOPPED, TrialStatus.STOPPED
    ]  # fmt: skip
