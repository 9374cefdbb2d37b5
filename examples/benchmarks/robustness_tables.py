"""The tables of robustness.py, from its rows."""

import collections

import numpy as np
import scipy.stats
from robustness_settings import PUBLISHED

_PROBLEM = ("dataset", "noise", "noise_rate", "network")


def published(rows):
    """The rows of losses at their published setting."""
    return [row for row in rows if row["setting"] == PUBLISHED]


def best_settings(rows):
    """The rows of each loss at its best setting on each dataset.

    The best one has the highest mean last-epoch accuracy.
    """
    values = collections.defaultdict(list)
    for row in rows:
        which = row["dataset"], row["loss"], row["setting"]
        values[which].append(np.nan_to_num(float(row["last"])))
    best = {}
    for (dataset, loss, setting), accuracies in values.items():
        found = (np.mean(accuracies), setting)
        best[dataset, loss] = max(
            best.get((dataset, loss), found), found, key=lambda pair: pair[0]
        )
    return [
        row
        for row in rows
        if best[row["dataset"], row["loss"]][1] == row["setting"]
    ]


def by_loss(rows, reference):
    """A row per loss, best average rank first.

    Args:
        rows: Dictionaries of strings, as `csv.DictReader` reads them.
        reference: Name of the loss that the others are tested against.

    Returns:
        The table in Markdown, a string.
    """
    names, last = _means(rows, "last")
    _, best = _means(rows, "best")
    problems = _problems(rows)
    noisy = np.array([problem[1] != "none" for problem in problems])
    # A training that diverged is the worst; ties share a rank.
    ranks = scipy.stats.rankdata(-np.nan_to_num(last, nan=-1.0), axis=0)
    lines = [
        "| loss | noisy, last epoch | noisy, best epoch | clean, last epoch | "
        f"average rank | p of Wilcoxon against {reference} |",
        "|---|---|---|---|---|---|",
    ]
    for k in np.argsort(ranks.mean(axis=1)):
        p = ""
        if reference in names and names[k] != reference:
            of_reference = last[names.index(reference)][noisy]
            p = f"{_wilcoxon(of_reference - last[k][noisy]):.2g}"
        own = [row for row in rows if row["loss"] == names[k]]
        lines.append(
            f"| {names[k]} | {_percent(last[k][noisy])}"
            f"{_deviation(row for row in own if row['noise'] != 'none')} | "
            f"{_percent(best[k][noisy])} | {_percent(last[k][~noisy])}"
            f"{_deviation(row for row in own if row['noise'] == 'none')} | "
            f"{ranks[k].mean():.2f} | {p} |"
        )
    return "\n".join(lines) + "\n"


def by_noise(rows):
    """A row per loss, a column per noise, last-epoch means over problems."""
    return _by_group(rows, _noise)


def by_dataset(rows):
    """A row per loss, a column per dataset, means over its noisy problems."""
    noisy = [row for row in rows if row["noise"] != "none"]
    return _by_group(noisy, lambda problem: problem[0])


def by_network(rows):
    """A row per loss, a column per network, means over its noisy problems."""
    noisy = [row for row in rows if row["noise"] != "none"]
    return _by_group(noisy, lambda problem: problem[3])


def by_problem(rows):
    """A row per problem, a column per loss, mean ± standard deviation."""
    names = list(dict.fromkeys(row["loss"] for row in rows))
    values = collections.defaultdict(list)
    for row in rows:
        problem = tuple(row[name] for name in _PROBLEM)
        values[problem, row["loss"]].append(float(row["last"]))
    lines = [
        "| dataset | noise | network | " + " | ".join(names) + " |",
        "|---" * (3 + len(names)) + "|",
    ]
    for problem in _problems(rows):
        dataset, _, _, network = problem
        cells = [_cell(values[problem, name]) for name in names]
        lines.append(
            f"| {dataset} | {_noise(problem)} | {network} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines) + "\n"


def _by_group(rows, group):
    names, last = _means(rows, "last")
    groups = [group(problem) for problem in _problems(rows)]
    columns = list(dict.fromkeys(groups))
    lines = [
        f"| loss | {' | '.join(columns)} |",
        "|---" * (1 + len(columns)) + "|",
    ]
    for name, accuracies in zip(names, last):
        cells = [
            _percent(accuracies[[each == column for each in groups]])
            for column in columns
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _noise(problem):
    _, noise, rate, _ = problem
    return noise if noise == "none" else f"{noise} {float(rate):g}"


def _problems(rows):
    return list(dict.fromkeys(tuple(row[k] for k in _PROBLEM) for row in rows))


def _means(rows, measure):
    """Names of losses, and means over the seeds, of shape (losses, problems).

    A problem that some loss has no row of is an error.
    """
    names = list(dict.fromkeys(row["loss"] for row in rows))
    values = collections.defaultdict(list)
    for row in rows:
        problem = tuple(row[k] for k in _PROBLEM)
        values[row["loss"], problem].append(float(row[measure]))
    table = [
        [np.mean(values[name, problem]) for problem in _problems(rows)]
        for name in names
    ]
    return names, np.array(table)


def _wilcoxon(differences):
    differences = np.nan_to_num(differences, nan=1.0)
    if not differences.any():
        return 1.0
    return scipy.stats.wilcoxon(differences).pvalue


def _deviation(rows):
    """Standard deviation, over the seeds, of the mean over the problems."""
    values = collections.defaultdict(list)
    for row in rows:
        values[row["seed"]].append(float(row["last"]))
    if len(values) < 2:
        return ""
    means = [np.mean(each) for each in values.values()]
    return f" ± {100 * np.std(means, ddof=1):.1f}"


def _percent(values):
    if not len(values):
        return ""
    return f"{100 * np.mean(values):.1f}"


def _cell(values):
    text = f"{100 * np.mean(values):.1f}"
    if len(values) > 1:
        text += f" ± {100 * np.std(values, ddof=1):.1f}"
    return text
