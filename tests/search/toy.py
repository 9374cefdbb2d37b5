"""Searches whose trials are arithmetic, so that tests can run many."""

import numpy as np

from keras_arl.search import CMAESOracle
from keras_arl.search import LossTuner
from keras_arl.search.space import parameter_names

TARGET = np.linspace(-1, 1, 12)


class ToyTuner(LossTuner):
    """Scores a candidate by its distance to TARGET and its task's noise."""

    noise = 0.0
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
        vector = np.array([values[n] for n in parameter_names(4)])
        luck = np.random.default_rng(
            [values["task_seed"], values["candidate"]]
        ).normal()
        score = -np.sum((vector - TARGET) ** 2) + self.noise * luck
        return {self.oracle.objective.name: float(score)}


def toy(directory, **kwargs):
    tuner = {
        name: kwargs.pop(name)
        for name in ("noise", "stop_after", "fail", "overwrite")
        if name in kwargs
    }
    overwrite = tuner.pop("overwrite", False)
    kwargs.setdefault("seed", 0)
    result = ToyTuner(
        CMAESOracle(**kwargs), directory=directory, overwrite=overwrite
    )
    for name, value in tuner.items():
        setattr(result, name, value)
    return result
