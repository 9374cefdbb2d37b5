"""Searches whose trials are arithmetic, so that tests can run many."""

import json
import pathlib
import time

import numpy as np

from keras_arl import distribute
from keras_arl.search import CMAESOracle
from keras_arl.search import LossTuner
from keras_arl.search.space import parameter_names

TARGET = np.linspace(-1, 1, 12)


class ToyTuner(LossTuner):
    """Scores a candidate by its distance to TARGET and its task's noise."""

    noise = 0.0
    # Seconds that a trial takes.
    duration = 0.0
    stop_after = None
    fail = staticmethod(lambda values: False)

    def __init__(self, oracle, directory, **kwargs):
        self.ran = []
        super().__init__(
            oracle, tasks=lambda seed: None, directory=directory, **kwargs
        )

    def run_trial(self, trial):
        values = trial.hyperparameters.values
        if len(self.ran) == self.stop_after:
            raise KeyboardInterrupt
        self.ran.append(trial.trial_id)
        if self.fail(values):
            raise ValueError(f"boom {trial.trial_id}")
        time.sleep(self.duration)
        vector = np.array([values[n] for n in parameter_names(4)])
        luck = np.random.default_rng(
            [values["task_seed"], values["candidate"]]
        ).normal()
        score = -np.sum((vector - TARGET) ** 2) + self.noise * luck
        return {self.oracle.objective.name: float(score)}


def toy(directory, **kwargs):
    """A `ToyTuner`; its attributes and the oracle's arguments by name."""
    attributes = {
        name: kwargs.pop(name)
        for name in ("noise", "duration", "stop_after", "fail")
        if name in kwargs
    }
    arguments = {
        name: kwargs.pop(name)
        for name in ("overwrite", "chief_timeout")
        if name in kwargs
    }
    kwargs.setdefault("seed", 0)
    result = ToyTuner(CMAESOracle(**kwargs), directory=directory, **arguments)
    for name, value in attributes.items():
        setattr(result, name, value)
    return result


def search(directory, settings, trials_file=None):
    """Runs a search, or a worker's part of it; a process of its own can.

    Args:
        directory: Directory of the search; the chief writes `best.json` there.
        settings: Arguments of `toy`.
        trials_file: File that a line is added to as each trial begins.
    """
    tuner = toy(directory, **settings)
    if trials_file is not None:
        run_trial = tuner.run_trial

        def noted(trial):
            with open(trials_file, "a") as file:
                file.write(f"{trial.trial_id}\n")
            return run_trial(trial)

        tuner.run_trial = noted
    tuner.search()
    if not distribute.is_worker():
        path = pathlib.Path(directory, "best.json")
        path.write_text(json.dumps(outcome(tuner)))


def outcome(tuner):
    """What two searches that are to be the same must agree in."""
    return {
        "best": tuner.oracle.best(),
        "history": tuner.oracle.history(),
        "selection": tuner.oracle.selection(),
    }
