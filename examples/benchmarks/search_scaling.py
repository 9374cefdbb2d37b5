"""Times a search that many workers share, as Keras Tuner's service has it.

    python examples/benchmarks/search_scaling.py

Every worker is a process of its own, and every trial goes through the chief on
127.0.0.1, which has it on the disk before it answers. In the first part trials
do nothing but take --trial_seconds, which shows what sharing costs: `of ideal`
compares with that many workers that never wait. In the second part trials take
no time, which shows how many the chief serves while the workers use the same
cores. `chief_ms_per_trial` is the processor time of the chief alone. A run
begins when all workers are there; its first generation is not timed.

From the chief's figures follows, on paper, what limits a search with 1,000
workers. The rows go to --output as CSV too.
"""

import csv
import os
import pathlib
import platform
import sys
import tempfile

from absl import app
from absl import flags

_WORKERS = flags.DEFINE_list(
    "workers", ["1", "2", "4", "8", "16"], "Numbers of workers."
)
_TRIAL_SECONDS = flags.DEFINE_float(
    "trial_seconds", 0.25, "Length of a trial in the first part."
)
_SECONDS = flags.DEFINE_float(
    "seconds", 10.0, "Length of what is timed of a run, at least, about."
)
_OUTPUT = flags.DEFINE_string("output", None, "CSV file for the rows.")

_RUN = str(pathlib.Path(__file__).with_name("search_scaling_run.py"))
# What a slow chief serves: it sizes the runs of trials that take no time.
_LEAST_TRIALS_PER_SECOND = 100
_BARS = {"two workers over one": 1.8, "trials a second of the chief": 100}
_MANY = 1000


def main(argv):
    if len(argv) > 1:
        fail(f"unexpected argument {argv[1]!r}; flags begin with --")
    counts = checked_counts()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print(f"{os.cpu_count()} cores ({platform.machine()})\n")
    rows = []
    try:
        for seconds in (_TRIAL_SECONDS.value, 0.0):
            for count in counts:
                rows.append(time_run(count, seconds))
                show(rows)
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, RuntimeError, ValueError) as error:
        fail(str(error))
    if _OUTPUT.value is not None:
        with open(_OUTPUT.value, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    print_verdict(rows)


def checked_counts():
    try:
        counts = [int(count) for count in _WORKERS.value]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        fail(f"--workers must be positive integers, not {_WORKERS.value}")
    for flag in (_TRIAL_SECONDS, _SECONDS):
        if not flag.value > 0:
            fail(f"--{flag.name} must be positive, not {flag.value}")
    return counts


def time_run(count, trial_seconds):
    """Times one search, a row of the table."""
    import search_scaling_run

    from keras_arl import distribute

    ideal = count / trial_seconds if trial_seconds else None
    trials = round((ideal or _LEAST_TRIALS_PER_SECOND) * _SECONDS.value)
    run = (count, trial_seconds, trials)
    workers = distribute.LocalWorkers(
        count, command=[sys.executable, _RUN, *map(str, run)]
    )
    with tempfile.TemporaryDirectory() as directory:
        measured = search_scaling_run.search(directory, *run, workers)
    return {
        "workers": count,
        "trial_seconds": trial_seconds,
        **measured,
        "of_ideal": measured["trials_per_s"] / ideal if ideal else None,
    }


def show(rows):
    """Prints the last row, with a header above the first."""
    if len(rows) == 1:
        print("workers  trial s  trials  trials/s  of ideal  chief ms/trial")
    row = rows[-1]
    of_ideal = "" if row["of_ideal"] is None else f"{row['of_ideal']:.0%}"
    print(
        f"{row['workers']:7d}  {row['trial_seconds']:7.2f}  "
        f"{row['trials']:6d}  {row['trials_per_s']:8.1f}  {of_ideal:>8}  "
        f"{row['chief_ms_per_trial']:14.2f}",
        flush=True,
    )


def print_verdict(rows):
    speed = {
        row["workers"]: row["trials_per_s"]
        for row in rows
        if row["trial_seconds"]
    }
    instant = [row for row in rows if not row["trial_seconds"]]
    best = max(instant, key=lambda row: row["trials_per_s"])
    figures = {"trials a second of the chief": best["trials_per_s"]}
    if {1, 2} <= speed.keys():
        figures["two workers over one"] = speed[2] / speed[1]
    print()
    for name, value in figures.items():
        verdict = "reached" if value >= _BARS[name] else "missed"
        print(f"{name}: {value:.2f} (at least {_BARS[name]}: {verdict})")
    served = best["trials_per_s"]
    alone = 1000 / min(row["chief_ms_per_trial"] for row in instant)
    print(
        f"\nOn paper, {_MANY} workers: the chief serves {served:.0f} trials a "
        f"second here, where workers use its cores, and at most {alone:.0f} by "
        f"its processor time. All are kept at work if a trial takes "
        f"{_MANY / served:.1f} s or longer ({_MANY / alone:.1f} s). What "
        f"limits then is a generation: with fewer than {_MANY} trials some "
        "workers have none, and all wait for its slowest trial."
    )


def fail(message):
    sys.exit(f"search_scaling: {message}")


def parse_flags(argv):
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        fail(str(error))


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
