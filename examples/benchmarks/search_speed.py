"""Times a search for a loss with several programs, in one run.

    python examples/benchmarks/search_speed.py

All search the 12 numbers of a Taylor loss of order 4 on the same tasks, 28x28
images with 40% of the labels wrong, with an MLP and with a CNN:

    keras_tuner       plain Keras Tuner, `RandomSearch`, on TensorFlow
    keras_tuner_lean  the same without checkpoints, validating at the end only
    tensorflow        `keras_arl.search.LossTuner` on TensorFlow
    tensorflow_jit    the same with `Trainer(jit_compile=True)`
    jax               `keras_arl.search.LossTuner` on JAX
    jax_single        the same, not vectorised, where there is a GPU
    evosax            JAX, optax and evosax by hand, without Keras
    vmap              the same, vectorised over candidates and tasks

    python examples/benchmarks/search_speed.py --widths=64x1,64x8,64x16 \
        --contenders=jax,jax_single,vmap

is for a GPU: generations of 64 candidates on 1, 8 and 16 tasks.

Each runs in a fresh process, in turn, --rounds times. The first trial includes
building and compiling, and with it those that are trained in one program with
it. Trials per second count the trials after these, and all that happens between
them: the median over the rounds. A ratio compares two runs of the same round,
and is the median over the rounds. `of peak` compares with the speed of a large
matrix product on the same device, by the multiplications that a training needs;
`of floor` with the larger of two times, that of these products and that of the
bytes that trainings have to move. The rows go to --output as CSV, too. In the
end, trials that take no time measure the cost of the search itself.
"""

import csv
import importlib.metadata
import importlib.util
import itertools
import json
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

import numpy as np
import search_speed_table
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
    "vmap": "jax",
}
_FOR_GPUS = ("jax_single", "vmap")
_DEFAULT_CONTENDERS = [name for name in _BACKENDS if name not in _FOR_GPUS]
# Those whose trainings are one program where there is a GPU.
_WIDE = ("jax", "vmap")
# Module to look for, and what to install if it is not there.
_NEEDS = {
    "jax": {"jax": "jax"},
    "jax_single": {"jax": "jax"},
    "evosax": {"jax": "jax", "optax": "optax", "evosax": "evosax"},
    "vmap": {"jax": "jax", "optax": "optax", "evosax": "evosax"},
}
_OVERHEAD, _KERNELS = "overhead", "kernels"
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
_WIDTHS = flags.DEFINE_list(
    "widths",
    ["8x1"],
    "Candidates and tasks of a generation; all but the first for "
    + " and ".join(_WIDE)
    + " alone.",
)
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
    "child", None, "Internal: one run, of this contender, family and width."
)


def main():
    for flag, known in ((_FAMILIES, shared.FAMILIES), (_CONTENDERS, _BACKENDS)):
        if len(set(program.listed(flag, known))) < len(flag.value):
            program.fail(f"--{flag.name} must name each once, not {flag.value}")
    for width in _WIDTHS.value:
        if (
            not re.fullmatch(r"[1-9]\d*x[1-9]\d*", width)
            or int(width.partition("x")[0]) < 4
        ):
            program.fail(
                "--widths must be of the form 64x8, at least four candidates "
                f"on so many tasks, not {width!r}"
            )
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
    runs = {
        (family, contender, width): []
        for family in _FAMILIES.value
        for contender in _CONTENDERS.value
        for width in _WIDTHS.value
        if width == _WIDTHS.value[0] or contender in _WIDE
    }
    for number in range(1, _ROUNDS.value + 1):
        for family, contender, width in runs:
            start = time.perf_counter()
            result = in_fresh_process(contender, family, width)
            runs[family, contender, width].append(result)
            print(
                f"round {number}/{_ROUNDS.value}, {family}, {contender} "
                f"({width}) on {result['device']}: {len(result['seconds'])} "
                f"trials, first {result['seconds'][0]:.2f} s, then "
                f"{1 / speed(result):.4f} s each, "
                f"{time.perf_counter() - start:.0f} s in all",
                flush=True,
            )
    ceilings = {}
    for result in itertools.chain.from_iterable(runs.values()):
        known = ceilings.get(result["device"], (0.0, 0.0))
        ceilings[result["device"]] = tuple(map(max, known, result["ceilings"]))
    for device, (flops, bandwidth) in ceilings.items():
        print(
            f"{device}: matrix products at {flops / 1e9:.0f} GFLOP/s, copies "
            f"at {bandwidth / 1e9:.0f} GB/s"
        )
    rows = [summarise(key, runs, ceilings) for key in runs]
    search_speed_table.print_table(rows)
    search_speed_table.print_bars(rows)
    print_kernels(rows)
    print_overhead(in_fresh_process(_OVERHEAD))
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


def in_fresh_process(contender, family="mlp", width="8x1"):
    """Runs a contender; returns what `run_contender` printed."""
    plain = contender.startswith("keras_tuner")
    trials = _PLAIN_TRIALS.value if plain else _TRIALS.value
    if contender in _WIDE:
        trials = max(trials, 3 * math.prod(map(int, width.split("x"))))
    command = [
        sys.executable,
        __file__,
        f"--child={contender},{family},{width}",
        f"--trials={trials}",
        f"--overhead_trials={_OVERHEAD_TRIALS.value}",
    ]
    # Each of the measurements in the end runs where there is one of them.
    some = "tensorflow" if importlib.util.find_spec("tensorflow") else "jax"
    backend = {**_BACKENDS, _KERNELS: "jax"}.get(contender, some)
    environment = {**os.environ, "KERAS_BACKEND": backend}
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


def run_contender(contender, family, width):
    """One run, in its own process; prints a line of JSON."""
    popsize, tasks = map(int, width.split("x"))
    if contender == _OVERHEAD:
        import search_speed_keras

        ends, size = search_speed_keras.overhead(
            _OVERHEAD_TRIALS.value, popsize=12
        )
        seconds = np.diff(ends).tolist()
        print(json.dumps({"seconds": seconds, "bytes": size}))
        return
    if contender == _KERNELS:
        import search_speed_device

        number, busy = search_speed_device.kernels(family, popsize, tasks)
        print(json.dumps({"kernels": number, "busy_ms": busy}))
        return
    if contender == "evosax":
        import search_speed_evosax

        ends, accuracies = search_speed_evosax.search(
            family, _TRIALS.value, popsize
        )
    elif contender == "vmap":
        import search_speed_vmap

        ends, accuracies = search_speed_vmap.search(
            family, _TRIALS.value, popsize, tasks
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
                tasks,
                jit_compile=contender == "tensorflow_jit",
                vectorize=False if contender == "jax_single" else None,
            )
    import search_speed_device

    device, *ceilings = search_speed_device.ceilings()
    result = {
        "seconds": np.diff(ends).tolist(),
        # keras_tuner has the first generation's task only.
        "accuracy": statistics.fmean(accuracies[: popsize * tasks]),
        "device": device,
        "ceilings": ceilings,
    }
    print(json.dumps(result))


def speed(result):
    """Trials per second after those that waited for the compilation."""
    # The others of a vectorised generation end with the first.
    seconds = itertools.dropwhile(lambda x: x == 0, result["seconds"][1:])
    return 1 / statistics.fmean(seconds)


def summarise(key, runs, ceilings):
    """The row of a contender."""
    family, contender, width = key
    results = runs[key]
    speeds = [speed(result) for result in results]
    trials_per_second = statistics.median(speeds)
    ratios = {}
    for other in search_speed_table.REFERENCES:
        of_other = runs.get((family, other, width))
        if other not in _WIDE:
            of_other = runs.get((family, other, _WIDTHS.value[0]))
        pairs = zip(speeds, map(speed, of_other or ()))
        quotients = [a / b for a, b in pairs]
        ratios[other] = (
            round(statistics.median(quotients), 4) if quotients else None
        )
    flops, bandwidth = ceilings[results[0]["device"]]
    products = shared.flops(family) / flops
    floor = max(products, shared.least_bytes(family) / bandwidth)
    return {
        "family": family,
        "contender": contender,
        "width": width,
        "device": results[0]["device"],
        "rounds": len(results),
        "trials": len(results[0]["seconds"]),
        "first_trial_s": round(
            statistics.median(r["seconds"][0] for r in results), 4
        ),
        "trials_per_s": round(trials_per_second, 4),
        **{
            f"ratio_to_{other}": ratios[other]
            for other in search_speed_table.REFERENCES
        },
        "fraction_of_peak": round(trials_per_second * products, 5),
        "fraction_of_floor": round(trials_per_second * floor, 5),
        "accuracy": round(
            statistics.fmean(result["accuracy"] for result in results), 4
        ),
    }


def print_kernels(rows):
    """What a step of our vectorised programs launches on a GPU."""
    for row in rows:
        if row["contender"] != "jax" or row["device"] == "CPU":
            continue
        family, width = row["family"], row["width"]
        found = in_fresh_process(_KERNELS, family, width)
        trainings = math.prod(map(int, width.split("x")))
        per_step = trainings / shared.STEPS
        print(
            f"{family} {width}: {found['kernels']:.1f} kernels and "
            f"{found['busy_ms']:.3f} ms a step, which has "
            f"{per_step * shared.flops(family) / 1e9:.1f} GFLOP and at least "
            f"{per_step * shared.least_bytes(family) / 1e6:.0f} MB"
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
