"""Whether a method is better than another one, in words."""

import math

import numpy as np
import scipy.stats

# With fewer tasks an interval says more of its assumptions than of the tasks.
_FEWEST_TASKS = 5
_NOT_TASKS = ("method", "last_epochs", "accuracy", "best")


def paired_difference(rows, method, reference, level=0.95):
    """The difference of two methods' accuracies on the same tasks.

    The interval is Student's t interval of the mean of the differences, one a
    task: with as few as 5 tasks the bootstrap of `rank_methods`, which is for
    many problems, is too narrow. A training that diverged counts as an accuracy
    of 0.

    Args:
        rows: What `compare` returns. Each task must have one row of each of the
            two methods; rows of other methods do not matter.
        method: Name of a method.
        reference: Name of the method that it is compared with.
        level: Level of the interval, in (0, 1). Defaults to `0.95`.

    Returns:
        A dictionary: `tasks`, their number; `mean`, the mean over the tasks of
        the method's accuracy minus the reference's; `low` and `high`, the ends
        of the interval (NaN with fewer than two tasks); `diverged`, the number
        of the method's trainings that diverged.

    Raises:
        ValueError: If a task has not exactly one row of each of the two.

    Example:

    >>> rows = [
    ...     {"method": name, "seed": seed, "accuracy": accuracy}
    ...     for seed in range(5)
    ...     for name, accuracy in (("found", 0.75 + seed / 8), ("ARL", 0.5))
    ... ]
    >>> keras_arl.evaluation.paired_difference(rows, "found", "ARL")["mean"]
    0.5
    """
    if not 0 < level < 1:
        raise ValueError(f"`level` must be in (0, 1). Received: level={level}")
    found, other = (_by_task(rows, name) for name in (method, reference))
    if found.keys() != other.keys():
        raise ValueError(
            f"Each task needs a row of {method!r} and one of {reference!r}. "
            f"Received {len(found)} and {len(other)} tasks, "
            f"{len(found.keys() & other.keys())} of them the same"
        )
    differences = np.nan_to_num(
        [[found[task], other[task]] for task in found], nan=0.0
    )
    differences = differences[:, 0] - differences[:, 1]
    mean, count = float(differences.mean()), len(differences)
    half = math.nan
    if count > 1:
        quantile = scipy.stats.t.ppf((1 + level) / 2, count - 1)
        half = float(quantile * scipy.stats.sem(differences))
    return {
        "tasks": count,
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "diverged": int(np.isnan(list(found.values())).sum()),
    }


def verdict(rows, method="found", references=None, name=None, level=0.95):
    """Says in words whether a method is better than others.

    It is said to beat another one where the whole interval of
    `paired_difference` is above 0. Fewer than 5 tasks cannot judge.

    Args:
        rows: What `compare` returns.
        method: Name of the method. Defaults to `"found"`.
        references: Names of the methods that it is compared with, each by
            itself. Defaults to `None`: all others.
        name: What the sentences call the method. Defaults to `None`: the loss
            found, for `"found"`, else its name.
        level: Level of the interval, in (0, 1). Defaults to `0.95`.

    Returns:
        A string, a line for each reference.

    Raises:
        ValueError: If there is no other method, or a task has not exactly one
            row of each.

    Example:

    What a search is worth, by the rows of `compare` on tasks that it has not
    seen:

    >>> rows = [
    ...     {"method": name, "seed": seed, "accuracy": accuracy}
    ...     for seed in range(5)
    ...     for name, accuracy in (("found", 0.75 + seed / 50), ("ARL", 0.5))
    ... ]
    >>> print(keras_arl.evaluation.verdict(rows))  # doctest: +ELLIPSIS
    The loss found beats ARL by 29.0 points, ... on 5 fresh tasks.
    """
    if references is None:
        references = dict.fromkeys(row["method"] for row in rows)
        references.pop(method, None)
    if not references:
        raise ValueError(
            f"There must be a method beside {method!r} to compare it with."
        )
    if name is None:
        name = "the loss found" if method == "found" else method
    return "\n".join(
        _sentence(
            name, other, paired_difference(rows, method, other, level), level
        )
        for other in references
    )


def _sentence(name, other, found, level):
    points = 100 * found["mean"]
    number = found["tasks"]
    tasks = f"{number} fresh task{'s' if number > 1 else ''}"
    interval = (
        f"{100 * level:g}% interval {100 * found['low']:.1f} to "
        f"{100 * found['high']:.1f}, on {tasks}"
    )
    if number < _FEWEST_TASKS:
        text = (
            f"Whether {name} beats {other} cannot be judged on {tasks}: it is "
            f"{points:+.1f} points there, and {_FEWEST_TASKS} tasks are the "
            "fewest that judge."
        )
    elif found["low"] > 0:
        text = f"{name} beats {other} by {points:.1f} points, {interval}."
    elif found["high"] < 0:
        text = (
            f"{name} does not beat {other}: it is {-points:.1f} points behind, "
            f"{interval}."
        )
    else:
        text = (
            f"{name} does not beat {other}, nor {other} it: the difference is "
            f"{points:+.1f} points, {interval}."
        )
    if found["diverged"]:
        text += (
            f" It diverged on {found['diverged']} of them, which count as 0%."
        )
    return text[0].upper() + text[1:]


def _by_task(rows, method):
    """Accuracy by task, the values of its columns."""
    accuracies = {}
    for row in rows:
        if row["method"] != method:
            continue
        task = tuple((k, v) for k, v in row.items() if k not in _NOT_TASKS)
        if task in accuracies:
            raise ValueError(
                f"There are two rows of {method!r} on the task {dict(task)}"
            )
        accuracies[task] = float(row["accuracy"])
    if not accuracies:
        raise ValueError(f"There is no row of the method {method!r}.")
    return accuracies
