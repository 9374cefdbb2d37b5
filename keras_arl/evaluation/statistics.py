"""Statistics of the rows of a comparison."""

import collections

import numpy as np
import scipy.stats

from keras_arl import checks

# Of the bootstrap.
_RESAMPLES = 10_000
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
        over the seeds of the mean over the problems; `difference`, how much
        higher its accuracy is than the reference's, with `low` and `high`, the
        ends of the 95% bootstrap interval of this mean over the problems; and
        `p` of Wilcoxon's signed-rank test against the reference over the
        problems, with Holm's correction for the number of other methods.
        `std` is `None` where there is one seed, the last four where there is
        no reference or it is the reference itself. A training that diverged
        counts as an accuracy of 0 in a difference.

    Example:

    >>> rows = [
    ...     {"method": name, "seed": seed, "accuracy": accuracy, "best": 1.0}
    ...     for name, seed, accuracy in [("ARL", 0, 0.75), ("CE", 0, 0.5)]
    ... ]
    >>> ranking = keras_arl.evaluation.rank_methods(rows)
    >>> [(row["method"], row["rank"], row["accuracy"]) for row in ranking]
    [('ARL', 1.0, 0.75), ('CE', 2.0, 0.5)]
    """
    names, last = accuracy_matrix(rows, by, "accuracy")
    _, best = accuracy_matrix(rows, by, "best")
    scores = np.nan_to_num(last, nan=-1.0)
    ranks = scipy.stats.rankdata(-scores, axis=0).mean(axis=1)
    if reference is not None and reference not in names:
        raise ValueError(
            f"`reference` must be of {', '.join(names)}. "
            f"Received: reference={reference!r}"
        )
    ranking = [
        {
            "method": names[k],
            "rank": float(ranks[k]),
            "accuracy": float(last[k].mean()),
            "best": float(best[k].mean()),
            "std": _spread_over_seeds(rows, names[k]),
            "difference": None,
            "low": None,
            "high": None,
            "p": None,
        }
        for k in np.argsort(ranks, kind="stable")
    ]
    if reference is not None:
        base = names.index(reference)
        others = [row for row in ranking if row["method"] != reference]
        of = [names.index(row["method"]) for row in others]
        ps = holm([_wilcoxon(scores[base] - scores[k]) for k in of])
        for row, k, p in zip(others, of, ps, strict=True):
            differences = np.nan_to_num(last[k]) - np.nan_to_num(last[base])
            low, high = _bootstrap_interval(differences)
            row.update(
                difference=float(differences.mean()), low=low, high=high, p=p
            )
    return ranking


def holm(ps):
    """Values of p with Holm's correction for their number, in their order."""
    order = np.argsort(ps)
    corrected = np.asarray(ps)[order] * np.arange(len(ps), 0, -1)
    found = np.empty(len(ps))
    found[order] = np.minimum(np.maximum.accumulate(corrected), 1)
    return found.tolist()


def critical_difference(num_methods, num_problems, level=0.05):
    """Nemenyi's critical difference of two average ranks.

    ```
    CD = q * sqrt(k * (k + 1) / (6 * n))
    ```

    with k methods, n problems, and q the quantile of the studentized range of
    k values over the square root of 2. Two methods whose average ranks differ
    by less cannot be told apart at this level, among all pairs.

    Args:
        num_methods: The k, at least 2.
        num_problems: The n, at least 1.
        level: Level of significance, in (0, 1). Defaults to `0.05`.

    Returns:
        A float.

    Example:

    >>> round(keras_arl.evaluation.critical_difference(4, 30), 2)
    0.86

    Reference:
        - Demsar, "Statistical Comparisons of Classifiers over Multiple Data
          Sets", Journal of Machine Learning Research 2006
    """
    checks.check_at_least("num_methods", num_methods, 2)
    checks.check_at_least("num_problems", num_problems, 1)
    q = scipy.stats.studentized_range.ppf(1 - level, num_methods, np.inf)
    variance = num_methods * (num_methods + 1) / (6 * num_problems)
    return float(q / np.sqrt(2) * np.sqrt(variance))


def best_variants(rows, family, by=("dataset",), elsewhere=False):
    """The rows of each method at its best setting, chosen by clean accuracies.

    Chosen by the very rows it is an unfair advantage over a method with one
    setting: nobody has the clean labels to choose by. Chosen `elsewhere`, it is
    what somebody has who tunes on other data.

    Args:
        rows: What `compare` returns.
        family: Function from the name of a method at a setting to that of the
            method.
        by: Columns; for each combination of their values the setting with the
            highest mean accuracy is chosen. Defaults to `("dataset",)`.
        elsewhere: Whether it is chosen for each combination by the rows of all
            others, of which each counts as much. Defaults to `False`.

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
        return tuple(row[name] for name in by)

    values = collections.defaultdict(list)
    for row in rows:
        accuracy = np.nan_to_num(float(row["accuracy"]))
        values[group(row), row["method"]].append(accuracy)
    means = {key: np.mean(found) for key, found in values.items()}
    groups, variants = collections.defaultdict(set), {}
    for here, name in means:
        groups[name].add(here)
        variants.setdefault((here, family(name)), []).append(name)

    def score(here, name):
        places = groups[name] - {here} if elsewhere else {here}
        if not places:
            raise ValueError(
                f"There must be rows of {name!r} beside those of {here}, to "
                "choose a setting by."
            )
        return np.mean([means[place, name] for place in places])

    best = {
        (here, method): max(
            names, key=lambda name, here=here: score(here, name)
        )
        for (here, method), names in variants.items()
    }
    return [
        {**row, "method": family(row["method"])}
        for row in rows
        if best[group(row), family(row["method"])] == row["method"]
    ]


def accuracy_matrix(rows, by, value):
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


def _bootstrap_interval(values):
    """The ends of the 95% interval of a mean over resampled values."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _spread_over_seeds(rows, name):
    values = collections.defaultdict(list)
    for row in rows:
        if row["method"] == name:
            values[row.get("seed")].append(float(row["accuracy"]))
    if len(values) < 2:
        return None
    return float(np.std([np.mean(each) for each in values.values()], ddof=1))
