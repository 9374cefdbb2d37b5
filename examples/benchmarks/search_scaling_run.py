"""One run of search_scaling.py: a search whose trials do nothing.

Imported by the chief; a program of its own for the workers.
"""

import math
import sys
import time

from keras_tuner.engine.trial import Trial
from keras_tuner.engine.trial import TrialStatus

from keras_arl import distribute
from keras_arl.search import CMAESOracle
from keras_arl.search import LossTuner

_POPSIZE = 48


class TimedOracle(CMAESOracle):
    """Begins when all workers are there, and notes when trials end."""

    def __init__(self, num_workers, **kwargs):
        super().__init__(**kwargs)
        self.num_workers = num_workers
        self._arrived = set()
        # Wall clock and processor time of this process at each trial's end.
        self.ends = []

    def create_trial(self, tuner_id):
        self._arrived.add(tuner_id)
        if len(self._arrived) < self.num_workers:
            return Trial(self.get_space(), status=TrialStatus.IDLE)
        return super().create_trial(tuner_id)

    def end_trial(self, trial, tuner_id=None):
        has_ended = super().end_trial(trial, tuner_id)
        self.ends.append((time.perf_counter(), time.process_time()))
        return has_ended


class SleepingTuner(LossTuner):
    """Its trials take some seconds and do nothing."""

    trial_seconds = 0.0

    def run_trial(self, trial):
        if self.trial_seconds:
            time.sleep(self.trial_seconds)
        return {self.oracle.objective.name: 0.5}


def search(directory, num_workers, trial_seconds, num_trials, workers=None):
    """Runs a search, or in a worker its part.

    Args:
        directory: A directory for the search.
        num_workers: Number of workers.
        trial_seconds: Seconds that a trial takes.
        num_trials: Least number of trials that are timed.
        workers: A `keras_arl.distribute.LocalWorkers`, for the chief.

    Returns:
        A dictionary of what was measured from the second generation on.
    """
    oracle = TimedOracle(
        num_workers,
        generations=1 + math.ceil(num_trials / _POPSIZE),
        popsize=_POPSIZE,
        final_tasks=1,
        finalists=1,
        seed=0,
    )
    tuner = SleepingTuner(oracle, tasks=no_task, directory=directory)
    tuner.trial_seconds = trial_seconds
    tuner.search(verbose=0, workers=workers)
    timed = oracle.ends[_POPSIZE - 1 : _POPSIZE * oracle.generations]
    (first, first_cpu), (last, last_cpu) = timed[0], timed[-1]
    count = len(timed) - 1
    return {
        "trials": count,
        "seconds": last - first,
        "trials_per_s": count / (last - first),
        "chief_ms_per_trial": 1000 * (last_cpu - first_cpu) / count,
    }


def no_task(seed):
    raise NotImplementedError


if __name__ == "__main__":
    _, count, seconds, trials = sys.argv
    if not distribute.is_worker():
        sys.exit("search_scaling_run: run search_scaling.py instead")
    search("unused", int(count), float(seconds), int(trials))
