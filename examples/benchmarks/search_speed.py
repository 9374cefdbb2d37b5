"""Times a search for a loss with several programs, in one run.

    python examples/benchmarks/search_speed.py

All search the 12 numbers of a Taylor loss of order 4 on the same tasks, 28x28
images with 40% of the labels wrong, with an MLP and with a CNN:

    keras_tuner       plain Keras Tuner, `RandomSearch`, on TensorFlow
    keras_tuner_lean  the same without checkpoints, validating at the end only
    tensorflow        `keras_arl.search.LossTuner` on TensorFlow
    tensorflow_jit    the same with `Trainer(jit_compile=True)`
    jax               `keras_arl.search.LossTuner` on JAX
    jax_single        the same, not vectorised; for --popsize=64 on a GPU
    evosax            JAX, optax and evosax by hand, without Keras

Each runs in a fresh process, in turn, --rounds times. The first trial includes
building and compiling. Trials per second count the trials after the first, and
all that happens between them: the median over the rounds. A ratio compares two
runs of the same round, and is the median over the rounds. `of peak` compares
with the speed of a large float32 matrix product on the same device, by the
multiplications that a training needs. The rows go to --output as CSV, too. In
the end, trials that take no time measure the cost of the search itself.
"""

import csv
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import numpy as np
import search_speed_tasks as shared
from absl import flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import program

_BACKENDS = {
    "keras_tuner": "tensorflow",
    "keras_tuner_lean": "tensorflow",
    "tensorflow": "tensorflow",
    "tensorflow_jit": "tensorflow",
    "jax": "jax",
    "jax_single": "jax",
    "evosax": "jax",
}
_DEFAULT_CONTENDERS = [name for name in _BACKENDS if name != "jax_single"]
# Module to look for, and what to install if it is not there.
_NEEDS = {
    "jax": {"jax": "jax"},
    "jax_single": {"jax": "jax"},
    "evosax": {"jax": "jax", "optax": "optax", "evosax": "evosax"},
}
_OVERHEAD = "overhead"
_REFERENCES = ("keras_tuner", "keras_tuner_lean", "evosax")
# Contender, the one it is compared with, and the least ratio by family.
_BARS = [
    ("tensorflow_jit", "keras_tuner", {"mlp": 9, "cnn": 3.5}),
    ("jax", "keras_tuner", {"mlp": 18, "cnn": 6}),
    ("jax", "evosax", {"mlp": 0.9, "cnn": 0.9}),
]
_PACKAGES = [
    "tensorflow",
    "jax",
    "keras",
    "keras-tuner",
    "evosax",
    "optax",
    "numpy",
]

_TRIALS = flags.DEFINE_integer("trials", 24, "Trials a run.", 2)
_PLAIN_TRIALS = flags.DEFINE_integer(
    "plain_trials", 6, "Trials a run of the keras_tuners.", 2
)
_POPSIZE = flags.DEFINE_integer("popsize", 8, "Candidates a generation.", 4)
_OVERHEAD_TRIALS = flags.DEFINE_integer(
    "overhead_trials", 3120, "Trials of no length in the end.", 300
)
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds.", 1)
_FAMILIES = flags.DEFINE_list(
    "families", list(shared.FAMILIES), "Of " + ", ".join(shared.FAMILIES) + "."
)
_CONTENDERS = flags.DEFINE_list(
    "contenders",
    _DEFAULT_CONTENDERS,
    "Of " + ", ".join(_BACKENDS) + ".",
)
_OUTPUT = flags.DEFINE_string(
    "output", "results/search_speed.csv", "The table to write."
)
_CHILD = flags.DEFINE_list(
    "child", None, "Internal: one run, of this contender and family."
)


def main():
    for flag, known in ((_FAMILIES, shared.FAMILIES), (_CONTENDERS, _BACKENDS)):
        if len(set(program.listed(flag, known))) < len(flag.value):
            program.fail(f"--{flag.name} must name each once, not {flag.value}")
    if _CHILD.value:
        run_contender(*_CHILD.value)
        return
    for contender in _CONTENDERS.value:
        for module, package in _NEEDS.get(contender, {}).items():
            if importlib.util.find_spec(module) is None:
                program.fail(
                    f"{contender} needs {module}: pip install {package}, or "
                    "leave it out with --contenders"
                )
    run()


def run():
    output = pathlib.Path(_OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} "
        f"cores; Python {platform.python_version()}, {versions()}"
    )
    peaks = {"CPU": 0.0}
    runs = {
        (family, contender): []
        for family in _FAMILIES.value
        for contender in _CONTENDERS.value
    }
    for number in range(1, _ROUNDS.value + 1):
        peaks["CPU"] = max(peaks["CPU"], numpy_peak())
        for family, contender in runs:
            start = time.perf_counter()
            result = in_fresh_process(contender, family)
            runs[family, contender].append(result)
            if result["peak"]:
                device = result["device"]
                peaks[device] = max(peaks.get(device, 0), result["peak"])
            print(
                f"round {number}/{_ROUNDS.value}, {family}, {contender} on "
                f"{result['device']}: {len(result['seconds'])} trials, first "
                f"{result['seconds'][0]:.2f} s, then "
                f"{1 / speed(result):.3f} s each, "
                f"{time.perf_counter() - start:.0f} s in all",
                flush=True,
            )
    for device, peak in peaks.items():
        print(f"{device}: float32 matrix products at {peak / 1e9:.0f} GFLOP/s")
    rows = [
        summarise(family, contender, runs, peaks) for family, contender in runs
    ]
    print_table(rows)
    print_bars(rows)
    print_overhead(in_fresh_process(_OVERHEAD, _FAMILIES.value[0]))
    with output.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    print(f"Written to {output}")


def versions():
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def numpy_peak():
    """Floating-point operations a second of the CPU, best of 10 products."""
    square = np.ones((2048, 2048), "float32")
    return best_speed(10, 1, lambda: square @ square)


def best_speed(repeats, products, function):
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return products * 2 * 2048**3 / best


def in_fresh_process(contender, family):
    """Runs a contender; returns what `run_contender` printed."""
    plain = contender.startswith("keras_tuner")
    trials = _PLAIN_TRIALS.value if plain else _TRIALS.value
    command = [
        sys.executable,
        __file__,
        f"--child={contender},{family}",
        f"--trials={trials}",
        f"--popsize={_POPSIZE.value}",
        f"--overhead_trials={_OVERHEAD_TRIALS.value}",
    ]
    environment = {
        **os.environ,
        "KERAS_BACKEND": _BACKENDS.get(contender, "tensorflow"),
    }
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        program.fail(
            f"{contender} with {family} failed: {lines[-1]} (to see it all: "
            f"KERAS_BACKEND={environment['KERAS_BACKEND']} "
            f"{' '.join(command)})"
        )
    return json.loads(result.stdout.strip().splitlines()[-1])


def run_contender(contender, family):
    """One run, in its own process; prints a line of JSON."""
    if contender == _OVERHEAD:
        import search_speed_keras

        ends, size = search_speed_keras.overhead(
            _OVERHEAD_TRIALS.value, popsize=12
        )
        seconds = np.diff(ends).tolist()
        print(json.dumps({"seconds": seconds, "bytes": size}))
        return
    popsize = min(_POPSIZE.value, max(4, _TRIALS.value))
    if contender == "evosax":
        import search_speed_evosax

        ends, accuracies = search_speed_evosax.search(
            family, _TRIALS.value, popsize
        )
    else:
        import search_speed_keras

        if contender.startswith("keras_tuner"):
            ends, accuracies = search_speed_keras.keras_tuner_search(
                family, _TRIALS.value, lean=contender == "keras_tuner_lean"
            )
        else:
            ends, accuracies = search_speed_keras.loss_tuner(
                family,
                _TRIALS.value,
                popsize,
                jit_compile=contender == "tensorflow_jit",
                vectorize=False if contender == "jax_single" else None,
            )
    device, peak = device_and_peak()
    result = {
        "seconds": np.diff(ends).tolist(),
        # keras_tuner has the first generation's task only.
        "accuracy": statistics.fmean(accuracies[:popsize]),
        "device": device,
        "peak": peak,
    }
    print(json.dumps(result))


def device_and_peak():
    """Name of the device that Keras computes on; its peak if no CPU."""
    import keras

    if keras.config.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform == "cpu":
            return "CPU", None
        name = device.device_kind
    else:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return "CPU", None
        details = tf.config.experimental.get_device_details(gpus[0])
        name = details.get("device_name", "GPU")
    square = keras.ops.ones((2048, 2048), "float32")

    def products():
        for _ in range(100):
            product = keras.ops.matmul(square, square)
        float(product[0, 0])

    return name, best_speed(5, 100, products)


def speed(result):
    """Trials per second after the first, new tasks and generations included."""
    return 1 / statistics.fmean(result["seconds"][1:])


def summarise(family, contender, runs, peaks):
    """The row of a contender."""
    results = runs[family, contender]
    speeds = [speed(result) for result in results]
    trials_per_second = statistics.median(speeds)
    ratios = {}
    for other in _REFERENCES:
        pairs = zip(speeds, map(speed, runs.get((family, other), ())))
        quotients = [a / b for a, b in pairs]
        ratios[other] = (
            round(statistics.median(quotients), 4) if quotients else None
        )
    peak = peaks[results[0]["device"]]
    return {
        "family": family,
        "contender": contender,
        "device": results[0]["device"],
        "rounds": len(results),
        "trials": len(results[0]["seconds"]),
        "first_trial_s": round(
            statistics.median(r["seconds"][0] for r in results), 4
        ),
        "trials_per_s": round(trials_per_second, 4),
        **{f"ratio_to_{other}": ratios[other] for other in _REFERENCES},
        "fraction_of_peak": round(
            trials_per_second * shared.flops(family) / peak, 5
        ),
        "accuracy": round(
            statistics.fmean(result["accuracy"] for result in results), 4
        ),
    }


def print_table(rows):
    print(
        f"\n{'family':8}{'contender':18}{'first, s':>9}{'trials/s':>10}"
        f"{'/keras_tuner':>14}{'/lean':>7}{'/evosax':>9}{'of peak':>9}"
        f"{'accuracy':>10}"
    )
    for row in rows:
        ratios = [
            "-" if ratio is None else f"{ratio:.2f}"
            for ratio in (row[f"ratio_to_{other}"] for other in _REFERENCES)
        ]
        print(
            f"{row['family']:8}{row['contender']:18}"
            f"{row['first_trial_s']:9.2f}{row['trials_per_s']:10.2f}"
            f"{ratios[0]:>14}{ratios[1]:>7}{ratios[2]:>9}"
            f"{row['fraction_of_peak']:9.1%}{row['accuracy']:10.3f}"
        )
    print()


def print_bars(rows):
    for contender, other, bars in _BARS:
        for row in rows:
            ratio = row[f"ratio_to_{other}"]
            if row["contender"] != contender or ratio is None:
                continue
            bar = bars[row["family"]]
            print(
                f"{row['family']}: {contender} at least {bar} times {other}: "
                f"{'met' if ratio >= bar else 'missed'} ({ratio:.2f})"
            )


def print_overhead(result):
    seconds = result["seconds"]
    early, late = (
        1e3 * statistics.median(seconds[first : first + 100])
        for first in (100, _OVERHEAD_TRIALS.value - 100)
    )
    print(
        f"The search itself: {early:.2f} ms a trial at trial 100, {late:.2f} "
        f"ms at trial {_OVERHEAD_TRIALS.value} ({late / early:.2f} times), "
        f"{result['bytes'] / len(seconds):.0f} bytes of disk a trial"
    )


if __name__ == "__main__":
    program.start(main)
