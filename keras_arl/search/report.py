"""What a search was worth: losses side by side on tasks it has not seen."""

import dataclasses
import datetime
import importlib.metadata
import platform

import keras
import numpy as np

from keras_arl.tasks import ArchitectureConfig
from keras_arl.tasks import TaskConfig
from keras_arl.tasks import build_task
from keras_arl.training import Trainer
from keras_arl.training import TrainingDivergedError

# Neither the widths nor the noise rates are among those that
# `keras_arl.tasks` samples.
_ARCHITECTURES = (
    ArchitectureConfig("mlp", (96, 96), "relu", False, 0.0),
    ArchitectureConfig("cnn", (24, 48), "relu", True, 0.1),
)
_NOISES = (("symmetric", 0.3), ("symmetric", 0.5))
# Keeps these seeds apart from those of a search's own tasks.
_PURPOSE = 3
_FIGURES = ("loss", "mean", "std", "runs", "diverged")
_PACKAGES = (
    "cma",
    "jax",
    "keras",
    "keras-arl",
    "keras-tuner",
    "numpy",
    "scikit-learn",
    "tensorflow",
)


def report_configs(space, runs=3, seed=0, noises=_NOISES):
    """Configurations of tasks that no search over `space` has seen.

    The examples to evaluate on are the whole test part of the dataset, which no
    search touches; architectures and noise rates are not among the default
    ones.

    Args:
        space: The `keras_arl.tasks.TaskSpace` of the search.
        runs: Number of seeds per dataset and noise; an MLP and a CNN, of the
            space's families, alternate. Defaults to `3`.
        seed: Non-negative integer. Defaults to `0`.
        noises: Pairs (noise, rate).

    Returns:
        A list of `keras_arl.tasks.TaskConfig`.

    Example:

    >>> space = keras_arl.tasks.TaskSpace()
    >>> configs = keras_arl.search.report_configs(space, runs=3)
    >>> [config.noise_rate for config in configs]
    [0.3, 0.3, 0.3, 0.5, 0.5, 0.5]
    """
    seeds = np.random.SeedSequence([seed, _PURPOSE]).generate_state(runs)
    architectures = [a for a in _ARCHITECTURES if a.family in space.families]
    return [
        TaskConfig(
            dataset=dataset,
            num_train=space.num_train,
            num_evaluation=None,
            evaluation="test",
            noise=noise,
            noise_rate=rate,
            architecture=architectures[run % len(architectures)],
            optimizer="adam",
            learning_rate=0.002,
            epochs=max(space.epochs),
            batch_size=space.batch_size,
            seed=int(task_seed),
        )
        for dataset in space.datasets
        for noise, rate in noises
        for run, task_seed in enumerate(seeds)
    ]


def fresh_configs(tasks, count, seed=0):
    """Configurations of tasks drawn as in a search, on data it has not seen.

    Args:
        tasks: The `keras_arl.tasks.TaskFamily` of the search.
        count: Number of tasks.
        seed: Non-negative integer. Defaults to `0`.

    Returns:
        A list of `keras_arl.tasks.TaskConfig`, evaluated on the whole test
        parts of their datasets.

    Example:

    >>> tasks = keras_arl.tasks.TaskFamily()
    >>> configs = keras_arl.search.fresh_configs(tasks, count=2)
    >>> [config.evaluation for config in configs]
    ['test', 'test']
    """
    seeds = np.random.SeedSequence([seed, _PURPOSE]).generate_state(count)
    return [
        dataclasses.replace(
            tasks.sample(int(task_seed >> 1)),
            evaluation="test",
            num_evaluation=None,
        )
        for task_seed in seeds
    ]


def compare_losses(losses, configs, trainer=None, verbose=1):
    """Trains with every loss on every task.

    Args:
        losses: Dictionary from a name to anything `model.compile` takes as a
            loss, for class indices and probabilities.
        configs: List of `keras_arl.tasks.TaskConfig`. All losses meet the same
            examples, wrong labels, initial weights and batches.
        trainer: What trains the models, as for `LossTuner`. Defaults to
            `None`: a new `keras_arl.training.Trainer()`.
        verbose: `1` for a progress bar, `0` for silence. Defaults to `1`.

    Returns:
        A list of dictionaries, one per training: `loss`, the task's fields,
        and `accuracy`, the clean accuracy of the last epoch, NaN if the
        training diverged.

    Example:

    >>> space = keras_arl.tasks.TaskSpace()
    >>> configs = keras_arl.search.report_configs(space, runs=1)
    >>> losses = {"ARL": keras_arl.ARL()}
    >>> rows = keras_arl.search.compare_losses(losses, configs, verbose=0)
    >>> [(row["loss"], row["accuracy"] > 0.5) for row in rows]
    [('ARL', True), ('ARL', True)]
    """
    bar = keras.utils.Progbar(
        len(losses) * len(configs), verbose=verbose, unit_name="training"
    )
    trainer = Trainer() if trainer is None else trainer
    rows = []
    for config in configs:
        task = build_task(config)
        for name, loss in losses.items():
            try:
                accuracy = trainer.evaluate(task, loss)
            except TrainingDivergedError:
                accuracy = float("nan")
            rows.append(
                {
                    "loss": name,
                    **dataclasses.asdict(config),
                    "accuracy": accuracy,
                }
            )
            bar.add(1)
    return rows


def summarise(rows, by=("dataset", "noise", "noise_rate")):
    """Mean and spread of `compare_losses`, by loss and by kind of task.

    Args:
        rows: What `compare_losses` returns.
        by: Fields of the tasks that tell their kinds apart.

    Returns:
        A list of dictionaries: `loss`, the fields `by`,
        `mean` and `std` (sample standard deviation) of the accuracies, `runs`
        and `diverged`, how many of the runs diverged; those count in neither
        mean nor spread. In the order of the rows.

    Example:

    >>> task = {"dataset": "digits", "noise": "symmetric", "noise_rate": 0.3}
    >>> rows = [
    ...     {"loss": "ARL", **task, "accuracy": 0.875},
    ...     {"loss": "ARL", **task, "accuracy": 0.625},
    ... ]
    >>> summary = keras_arl.search.summarise(rows)
    >>> summary[0]["mean"], summary[0]["runs"]
    (0.75, 2)
    """
    keys = ("loss", *by)
    groups = {}
    for row in rows:
        group = groups.setdefault(tuple(row[key] for key in keys), [])
        group.append(row["accuracy"])
    summary = []
    for group, values in groups.items():
        finite = [value for value in values if np.isfinite(value)]
        summary.append(
            {
                **dict(zip(keys, group, strict=True)),
                "mean": float(np.mean(finite)) if finite else float("nan"),
                "std": (
                    float(np.std(finite, ddof=1))
                    if len(finite) > 1
                    else float("nan")
                ),
                "runs": len(values),
                "diverged": len(values) - len(finite),
            }
        )
    return summary


def format_table(summary):
    """The summary as text: a row per loss, a column per kind of task.

    Args:
        summary: What `summarise` returns.

    Returns:
        A string; accuracies in percent, mean ± sample standard deviation.

    Example:

    >>> task = {"dataset": "digits", "noise": "symmetric", "noise_rate": 0.3}
    >>> rows = [
    ...     {"loss": "ARL", **task, "accuracy": 0.9},
    ...     {"loss": "ARL", **task, "accuracy": 0.8},
    ... ]
    >>> summary = keras_arl.search.summarise(rows)
    >>> print(keras_arl.search.format_table(summary))
    loss  digits symmetric 0.3
    ARL   85.0 ± 7.1
    """
    losses = list(dict.fromkeys(row["loss"] for row in summary))
    columns = list(dict.fromkeys(_column(row) for row in summary))
    cells = {(row["loss"], _column(row)): _cell(row) for row in summary}
    table = [["loss", *columns]]
    table += [[loss, *(cells[loss, c] for c in columns)] for loss in losses]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True))
        for row in table
    )


def _column(row):
    # What comes between the loss and the figures.
    fields = [row[key] for key in row if key not in _FIGURES]
    return " ".join(
        f"{field:g}" if isinstance(field, float) else str(field)
        for field in fields
    )


def _cell(row):
    text = f"{100 * row['mean']:.1f} ± {100 * row['std']:.1f}"
    return f"{text} ({row['diverged']} diverged)" if row["diverged"] else text


def provenance(tuner, command):
    """How a finished search found its loss, for `keras_arl.losses.save`.

    Args:
        tuner: A `LossTuner` whose search is finished.
        command: The command line, a string.

    Returns:
        A dictionary: command, seed, versions, search (the oracle's settings),
        tasks (what they are sampled from), last_epochs, trainer, backend,
        score, date.

    Example:

    >>> oracle = keras_arl.search.CMAESOracle(
    ...     generations=1, popsize=4, final_tasks=1, seed=0
    ... )
    >>> tuner = keras_arl.search.LossTuner(
    ...     oracle, tasks=keras_arl.tasks.TaskFamily(), directory="results"
    ... )
    >>> tuner.search(verbose=0)
    >>> how = keras_arl.search.provenance(tuner, "python my_search.py")
    >>> keras_arl.losses.save(tuner.best_loss(), "loss.json", provenance=how)
    """
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    winner = tuner.oracle.selection()[0]
    return {
        "command": command,
        "seed": tuner.oracle.seed,
        "versions": versions,
        "search": tuner.oracle.settings(),
        **tuner.get_state(),
        "score": {
            "clean_validation_accuracy": winner["score"],
            "fresh_tasks": tuner.oracle.final_tasks,
            "candidate": winner["name"],
        },
        "date": datetime.date.today().isoformat(),
    }
