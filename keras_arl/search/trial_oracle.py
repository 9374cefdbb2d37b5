"""The trials of a generation, as Keras Tuner knows them."""

import collections
import math

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial
from keras_tuner.engine.trial import TrialStatus

from keras_arl.search.generation import DROPPED
from keras_arl.search.job import Result
from keras_arl.search.journal import Journal


class TrialOracle(keras_tuner.Oracle):
    """Hands out the trials of a generation to a tuner of Keras Tuner.

    A subclass has `present`, the present `Generation`, `missing`, `finished`,
    `space`, `settings` and `further_settings`, and `record`, which takes
    results.
    """

    def _forget_trials(self):
        """Begins without any trial."""
        self.trials, self.start_order, self.end_order = {}, [], []
        # Score of the baseline, `None` if it failed, by the task's seed.
        self.baselines = {}
        self._begin_generation()

    def _begin_generation(self):
        # By position in the generation: results, who is at work on a trial,
        # and how often a trial raised an exception.
        self._results = {}
        self._holders = {}
        self._num_raised = collections.Counter()

    def _forget_generation(self):
        for position in self._results:
            if position < 0:
                continue
            trial_id = self._trial_id(position)
            del self.trials[trial_id]
            self.start_order.remove(trial_id)
            self.end_order.remove(trial_id)
        self._begin_generation()

    def _take(self, results):
        for position, result in results.items():
            self._results[position] = result
            if position in self.present.baselines:
                seed = self.present.task_seeds[position]
                self.baselines[seed] = result.score
            if position < 0:
                continue
            trial = self._new_trial(position)
            trial.score = result.score
            trial.message = result.message or None
            if result.score is not None:
                trial.status = TrialStatus.COMPLETED
            elif result.message == DROPPED:
                trial.status = TrialStatus.STOPPED
            else:
                trial.status = TrialStatus.FAILED
            self.end_order.append(trial.trial_id)

    def needs_another_run(self, position, result):
        """Notes an exception; says whether the trial is to be run again."""
        self._num_raised[position] += result.raised
        return (
            result.raised
            and self._num_raised[position] <= self.max_retries_per_trial
        )

    def _trial_id(self, position):
        width = len(str(self.max_trials))
        return f"{self.present.first_trial + position:0{width}d}"

    def _new_trial(self, position):
        hyperparameters = self.get_space()
        hyperparameters.values = self.present.hyperparameters(
            position, self.space.names
        )
        trial_id = self._trial_id(position)
        if trial_id not in self.trials:
            self.start_order.append(trial_id)
        trial = Trial(hyperparameters, trial_id, TrialStatus.RUNNING)
        self.trials[trial_id] = trial
        return trial

    def create_trial(self, tuner_id):
        """Hands out a trial, for the tuners of Keras Tuner.

        Args:
            tuner_id: Identifies the tuner that asks. One that has a trial is
                given the same again.

        Returns:
            A `Trial` with status `"RUNNING"`; with status `"IDLE"` while
            others have all trials of the generation, and `"STOPPED"` when the
            search is finished.
        """
        if self.finished:
            return Trial(self.get_space(), status=TrialStatus.STOPPED)
        free = (
            position
            for position in self.missing
            if self._holders.get(position, tuner_id) == tuner_id
        )
        position = next(free, None)
        if position is None:
            return Trial(self.get_space(), status=TrialStatus.IDLE)
        self._holders[position] = tuner_id
        trial = self._new_trial(position)
        self.ongoing_trials[tuner_id] = trial
        return trial

    def populate_space(self, trial_id):
        """The hyperparameters of a trial, as Keras Tuner asks for them."""
        return {
            "status": TrialStatus.RUNNING,
            "values": self.trials[trial_id].hyperparameters.values,
        }

    def update_trial(self, trial_id, metrics, step=0):
        if self.objective.name not in metrics:
            raise ValueError(
                f"Metrics must include {self.objective.name!r}. Received: "
                f"{sorted(metrics)}"
            )
        trial = self.trials[trial_id]
        for name, value in metrics.items():
            # Keras Tuner warns of NaN.
            if math.isnan(value):
                continue
            if not trial.metrics.exists(name):
                trial.metrics.register(name, direction="max")
            trial.metrics.update(name, value, step=step)
        return trial

    def end_trial(self, trial):
        """Takes the end of a trial that `create_trial` handed out.

        Args:
            trial: The `Trial` with its status: `"COMPLETED"` with metrics,
                `"FAILED"`, or `"INVALID"` if it raised an exception, which its
                message shows.

        Raises:
            RuntimeError: If no candidate of a generation could be scored, by
                exceptions.
            OSError: If it cannot be written.
        """
        position = int(trial.trial_id) - self.present.first_trial
        self._holders.pop(position, None)
        self.ongoing_trials = {
            holder: other
            for holder, other in self.ongoing_trials.items()
            if other.trial_id != trial.trial_id
        }
        result = self._result_of(trial)
        if not self.needs_another_run(position, result):
            self.record({position: result})

    def _result_of(self, trial):
        name, message = self.objective.name, trial.message or ""
        # What was reported of it may be with the trial kept here.
        for metrics in (trial.metrics, self.trials[trial.trial_id].metrics):
            if trial.status != TrialStatus.COMPLETED or not metrics.exists(
                name
            ):
                continue
            with np.errstate(over="ignore"):
                score = float(np.float32(metrics.get_best_value(name)))
            if math.isfinite(score):
                return Result(score, message)
        raised = trial.status == TrialStatus.INVALID
        message = message or f"ended without a finite {name}"
        return Result(None, message, raised)

    @property
    def _journal(self):
        if self._open_journal is None:
            self._open_journal = Journal(self._project_dir)
        return self._open_journal

    _open_journal = None

    def _set_project_dir(self, *args, **kwargs):
        super()._set_project_dir(*args, **kwargs)
        self._open_journal = None

    def save(self):
        """Writes the settings, once; each result is written as it comes."""
        if not self._journal.exists:
            self._journal.write_settings(
                {**self.settings(), **self.further_settings}
            )

    def _save_trial(self, trial):
        # The base class's file for each trial: the journal holds its result.
        pass
