"""How a search found its loss."""

import datetime
import importlib.metadata
import platform

_PACKAGES = (
    "cma",
    "jax",
    "keras",
    "keras-arl",
    "keras-tuner",
    "numpy",
    "scikit-learn",
    "tensorflow",
    "torch",
)


def provenance(tuner, command):
    """How a finished search found its loss, for `keras_arl.losses.save`.

    Args:
        tuner: A `keras_arl.search.LossTuner` whose search is finished.
        command: The command line, a string.

    Returns:
        A dictionary: command, seed, versions, search (all its settings), score,
        date.

    Example:

    >>> oracle = keras_arl.search.CMAESOracle(
    ...     generations=1,
    ...     popsize=4,
    ...     tasks_per_generation=1,
    ...     selection_tasks=1,
    ...     seed=0,
    ... )
    >>> tuner = keras_arl.search.LossTuner(
    ...     oracle, tasks=keras_arl.tasks.TaskFamily(), directory="results"
    ... )
    >>> tuner.search(verbose=0)
    >>> how = keras_arl.evaluation.provenance(tuner, "python my_search.py")
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
        "search": tuner.settings(),
        "score": {
            "clean_validation_accuracy": winner["score"],
            "minus_cross_entropy": winner["gain"],
            "selection_tasks": tuner.oracle.selection_tasks,
            "candidate": winner["name"],
        },
        "date": datetime.date.today().isoformat(),
    }
