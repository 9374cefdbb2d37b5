"""Times a search that many workers share: processes, and a Dask cluster.

    python examples/benchmarks/search_scaling.py

The trainings do nothing, so that only the cost of sharing is measured. In the
first part a training sleeps for --trial_seconds, in the second it takes no
time. Columns of the table:

  of ideal   speed, divided by that of workers who are busy all the time
  driver ms  processor time that the search itself takes for a trial

The first generation is not timed, since workers start during it. Dask's workers
are processes of this machine, too.
"""

import csv
import os
import pathlib
import platform
import sys
import tempfile
import time

from absl import flags

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import program

_ENGINES = flags.DEFINE_list(
    "engines", ["processes", "dask"], "Engines: processes, dask."
)
_WORKERS = flags.DEFINE_list(
    "workers", ["1", "2", "4", "8"], "Numbers of workers."
)
_TRIAL_SECONDS = flags.DEFINE_float(
    "trial_seconds", 0.25, "Length of a trial in the first part."
)
_SECONDS = flags.DEFINE_float(
    "seconds", 10.0, "Length of what is timed of a run, about."
)
_OUTPUT = flags.DEFINE_string("output", None, "CSV file for the rows.")

_POPSIZE = 48
# Of ideal, by the number of workers; on Dask 5 points less.
_BARS = {1: 0.95, 2: 0.95, 4: 0.85, 8: 0.80}
_DASK_LESS = 0.05
_MOST_MS = 2.0
# Sizes the runs of trials that take no time.
_TRIALS_PER_SECOND = 100


class SleepingTrainer:
    """Its trainings take some seconds and do nothing."""

    trains_together = False

    def __init__(self, seconds):
        self._seconds = seconds

    def evaluate(self, task, loss, last_epochs):
        time.sleep(self._seconds)
        return task.seed / 2**31

    def get_config(self):
        return {"trainer": "sleeping"}


def no_task(seed):
    import keras
    import numpy as np

    from keras_arl.tasks import Task

    def build_model():
        return keras.Sequential(
            [keras.Input((1,)), keras.layers.Dense(2, "softmax")]
        )

    data = np.zeros((1, 1)), np.zeros(1, "int64")
    return Task(data, data, build_model, num_classes=2, seed=seed)


def timed_oracle(**kwargs):
    """An oracle that notes the times at which generations are whole."""
    from keras_arl.search import CMAESOracle

    class TimedOracle(CMAESOracle):
        def record(self, results):
            before = self.generation
            super().record(results)
            if self.generation > before:
                now = time.perf_counter(), time.process_time()
                self.times.append(now)

    oracle = TimedOracle(**kwargs)
    oracle.times = []
    return oracle


def main():
    engines = program.listed(_ENGINES, ("processes", "dask"))
    try:
        counts = [int(count) for count in _WORKERS.value]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        program.fail(f"--workers must be positive integers: {_WORKERS.value}")
    program.import_quietly("keras_arl")
    print(f"{os.cpu_count()} cores ({platform.machine()})\n")
    print("engine     workers  trial s  trials  trials/s  of ideal  driver ms")
    rows = []
    for engine in engines:
        for seconds in (_TRIAL_SECONDS.value, 0.0):
            for count in counts:
                rows.append(time_run(engine, count, seconds))
                show(rows[-1])
    if _OUTPUT.value is not None:
        with open(_OUTPUT.value, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    print()
    for row in rows:
        tell_bars(row)


def time_run(engine, count, seconds):
    """Times one search, a row of the table."""
    from keras_arl.search import LossTuner

    ideal = count / seconds if seconds else None
    trials = (ideal or _TRIALS_PER_SECOND) * _SECONDS.value
    oracle = timed_oracle(
        generations=1 + max(round(trials / _POPSIZE), 1),
        popsize=_POPSIZE,
        tasks_per_generation=1,
        selection_tasks=1,
        finalists=1,
        seed=0,
    )
    with tempfile.TemporaryDirectory() as directory:
        tuner = LossTuner(
            oracle,
            no_task,
            trainer=SleepingTrainer(seconds),
            baseline=False,
            directory=directory,
        )
        if engine == "processes":
            tuner.search(verbose=0, executor=count)
        else:
            search_on_dask(tuner, count)
    (first, first_cpu), (last, last_cpu) = oracle.times[0], oracle.times[-1]
    timed = _POPSIZE * (oracle.generations - 1)
    speed = timed / (last - first)
    return {
        "engine": engine,
        "workers": count,
        "trial_seconds": seconds,
        "trials": timed,
        "trials_per_s": speed,
        "of_ideal": speed / ideal if ideal else None,
        "driver_ms_per_trial": 1000 * (last_cpu - first_cpu) / timed,
    }


def search_on_dask(tuner, count):
    try:
        import distributed
    except ImportError:
        program.fail("--engines=dask needs: pip install 'keras-arl[cluster]'")
    with (
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        tuner.search(verbose=0, executor=client)


def show(row):
    of_ideal = "" if row["of_ideal"] is None else f"{row['of_ideal']:.0%}"
    print(
        f"{row['engine']:9}  {row['workers']:7d}  {row['trial_seconds']:7.2f}  "
        f"{row['trials']:6d}  {row['trials_per_s']:8.1f}  {of_ideal:>8}  "
        f"{row['driver_ms_per_trial']:9.2f}",
        flush=True,
    )


def tell_bars(row):
    """Says whether a row reaches what it is meant to."""
    which = f"{row['engine']}, {row['workers']} workers"
    if row["of_ideal"] is not None and row["workers"] in _BARS:
        bar = _BARS[row["workers"]]
        bar -= _DASK_LESS * (row["engine"] == "dask")
        verdict = "reached" if row["of_ideal"] >= bar else "missed"
        print(
            f"{which}: {row['of_ideal']:.0%} of ideal, at least {bar:.0%}: "
            f"{verdict}"
        )
    elif row["of_ideal"] is None and row["engine"] == "processes":
        cost = row["driver_ms_per_trial"]
        verdict = "reached" if cost < _MOST_MS else "missed"
        print(f"{which}: {cost:.2f} ms, below {_MOST_MS:g}: {verdict}")


program.positive(_TRIAL_SECONDS, _SECONDS)

if __name__ == "__main__":
    program.start(main)
