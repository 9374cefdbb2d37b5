"""Statistics of the rows of a comparison."""

import collections

import numpy as np
import scipy.stats

_NOT_PROBLEMS = ("method", "seed", "last_epochs", "accuracy", "best")


def rank_methods(rows, reference=None, by=None):
    """Methods by their average rank over the problems, the best one first.

    A training that diverged ranks last; ties share a rank.

    Args:
        rows: What `compare` returns, or a part of it.
        reference: Name of the method that the others are tested against.
            Defaults to `None`: no test.
        by: Columns that tell problems apart. Defaults to `None`: those of the
            tasks but for `seed`.

    Returns:
        A list of dictionaries, one per method: `method`, `rank`; `accuracy` and
        `best`, means over the problems; `std`, the sample standard deviation
        over the seeds of the mean over the problems; and `p` of Wilcoxon's
        signed-rank test against the reference over the problems. The last two
        are `None` where there is one seed, or no other method.

    Example:

    >>> rows = [
    ...     {"method": name, "seed": seed, "accuracy": accuracy, "best": 1.0}
    ...     for name, seed, accuracy in [("ARL", 0, 0.75), ("CE", 0, 0.5)]
    ... ]
    >>> ranking = keras_arl.evaluation.rank_methods(rows)
    >>> [(row["method"], row["rank"], row["accuracy"]) for row in ranking]
    [('ARL', 1.0, 0.75), ('CE', 2.0, 0.5)]
    """
    names, last = _accuracy_matrix(rows, by, "accuracy")
    _, best = _accuracy_matrix(rows, by, "best")
    scores = np.nan_to_num(last, nan=-1.0)
    ranks = scipy.stats.rankdata(-scores, axis=0).mean(axis=1)
    if reference is not None and reference not in names:
        raise ValueError(
            f"`reference` must be of {', '.join(names)}. "
            f"Received: reference={reference!r}"
        )
    ranking = []
    for k in np.argsort(ranks, kind="stable"):
        p = None
        if reference is not None and names[k] != reference:
            p = _wilcoxon(scores[names.index(reference)] - scores[k])
        ranking.append(
            {
                "method": names[k],
                "rank": float(ranks[k]),
                "accuracy": float(last[k].mean()),
                "best": float(best[k].mean()),
                "std": _spread_over_seeds(rows, names[k]),
                "p": p,
            }
        )
    return ranking


def best_variants(rows, family, by=("dataset",)):
    """The rows of each method at its best setting, chosen by these very rows.

    An unfair advantage over a method with one setting: nobody has the clean
    labels to choose by.

    Args:
        rows: What `compare` returns.
        family: Function from the name of a method at a setting to that of the
            method.
        by: Columns; for each combination of their values the setting with the
            highest mean accuracy is chosen. Defaults to `("dataset",)`.

    Returns:
        The rows of the settings chosen, each with its method's name.

    Example:

    >>> rows = [
    ...     {"method": name, "dataset": "digits", "accuracy": accuracy}
    ...     for name, accuracy in [("gce q=0.3", 0.75), ("gce q=0.9", 0.5)]
    ... ]
    >>> keras_arl.evaluation.best_variants(rows, lambda name: name.split()[0])
    [{'method': 'gce', 'dataset': 'digits', 'accuracy': 0.75}]
    """

    def group(row):
        return tuple(row[name] for name in by), family(row["method"])

    values = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        accuracy = np.nan_to_num(float(row["accuracy"]))
        values[group(row)][row["method"]].append(accuracy)
    best = {
        key: max(found, key=lambda name, found=found: np.mean(found[name]))
        for key, found in values.items()
    }
    return [
        {**row, "method": family(row["method"])}
        for row in rows
        if best[group(row)] == row["method"]
    ]


def _accuracy_matrix(rows, by, value):
    """Accuracies by method and problem, means over the runs of each.

    Returns:
        Names of methods, and an array of shape (methods, problems).
    """
    if by is None:
        by = [name for name in rows[0] if name not in _NOT_PROBLEMS]
    values = collections.defaultdict(list)
    for row in rows:
        problem = tuple(row[name] for name in by)
        values[row["method"], problem].append(float(row[value]))
    names = list(dict.fromkeys(name for name, _ in values))
    problems = list(dict.fromkeys(problem for _, problem in values))
    for name in names:
        for problem in problems:
            if (name, problem) not in values:
                raise ValueError(f"There is no row of {name} on {problem}.")
    matrix = [[np.mean(values[n, p]) for p in problems] for n in names]
    return names, np.array(matrix)


def _wilcoxon(differences):
    if not differences.any():
        return 1.0
    return float(scipy.stats.wilcoxon(differences).pvalue)


def _spread_over_seeds(rows, name):
    values = collections.defaultdict(list)
    for row in rows:
        if row["method"] == name:
            values[row.get("seed")].append(float(row["accuracy"]))
    if len(values) < 2:
        return None
    return float(np.std([np.mean(each) for each in values.values()], ddof=1))
