"""The progress of a search on the screen."""

import keras
import numpy as np


class SearchProgress:
    """One Keras progress bar per generation, and one for the selection.

    It shows the best and the mean fitness of the candidates so far; a failed
    trial counts as 0.

    Args:
        oracle: The `CMAESOracle` whose trials are shown, from now on.
        tell_failures: Whether a line tells of each trial that failed in
            another process, divergence apart.
    """

    def __init__(self, oracle, tell_failures):
        self._oracle = oracle
        self._tell_failures = tell_failures
        self._stage = None
        self._num_shown = len(oracle.end_order)

    def update(self):
        """Shows the trials that have ended since."""
        while self._num_shown < len(self._oracle.end_order):
            trial_id = self._oracle.end_order[self._num_shown]
            self._show(self._oracle.trials[trial_id])
            self._num_shown += 1

    def _show(self, trial):
        stage = _stage_of(trial)
        if stage != self._stage:
            self._begin(stage)
        self._add(trial)
        if self._tell_failures and trial.score is None:
            _tell_failure(trial)
        done = sum(len(scores) for scores in self._scores.values())
        fitness = [np.mean(scores) for scores in self._scores.values()]
        self._bar.update(
            done,
            values=[("best", max(fitness)), ("mean", np.mean(fitness))],
            finalize=done == self._bar.target,
        )

    def _begin(self, stage):
        self._stage = stage
        oracle = self._oracle
        phase, generation = stage
        if phase == "search":
            print(f"Generation {generation + 1}/{oracle.generations}")
            size = oracle.popsize * oracle.tasks
        else:
            print("Selection on fresh tasks")
            size = oracle.stage_size
        self._bar = keras.utils.Progbar(
            size,
            stateful_metrics=["best", "mean"],
            unit_name="trial",
        )
        # A resumed search begins within a generation.
        self._scores = {}
        for trial_id in oracle.end_order[: self._num_shown]:
            if _stage_of(oracle.trials[trial_id]) == stage:
                self._add(oracle.trials[trial_id])

    def _add(self, trial):
        candidate = trial.hyperparameters.values["candidate"]
        self._scores.setdefault(candidate, []).append(trial.score or 0.0)


def _tell_failure(trial):
    if trial.message and not trial.message.startswith("diverged"):
        reason = trial.message.strip().rpartition("\n")[2]
        print(f"\nTrial {trial.trial_id} failed: {reason}")


def _stage_of(trial):
    values = trial.hyperparameters.values
    return values["phase"], values["generation"]
