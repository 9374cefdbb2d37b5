"""The pictures of a comparison."""

import numpy as np
from matplotlib.figure import Figure

from keras_arl.analysis import style_of
from keras_arl.evaluation.statistics import accuracy_matrix
from keras_arl.evaluation.statistics import critical_difference
from keras_arl.evaluation.statistics import rank_methods
from keras_arl.evaluation.tables import summarise

# How much of a colour's brightness is red, green and blue (ITU-R BT.601).
_LIGHT = (0.299, 0.587, 0.114)


def plot_noise(rows, reference=None, by=("noise", "noise_rate")):
    """Draws accuracy by method and kind of noise as a heat map.

    Args:
        rows: What `compare` returns.
        reference: Name of a method whose accuracies are subtracted. Defaults to
            `None`: none.
        by: Columns that tell the kinds of noise apart. Defaults to `("noise",
            "noise_rate")`.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it. A cell
        is a mean over the tasks of one kind, in percent or in points more than
        the reference; the best of each kind are bold. Methods are in the order
        of their means over all kinds, those without some kind last. Colours end
        at the 95th percentile of the differences.

    Raises:
        ValueError: If there is no row of the reference.

    Example:

    >>> rows = [
    ...     {"method": name, "noise": "pair_flip", "noise_rate": rate,
    ...      "accuracy": accuracy}
    ...     for name, accuracy in (("ARL", 0.8), ("CE", 0.7))
    ...     for rate in (0.2, 0.4)
    ... ]
    >>> figure = keras_arl.evaluation.plot_noise(rows, reference="CE")
    >>> figure.savefig("noise.png")
    """
    means = {}
    for row in summarise(rows, by=by):
        kind = tuple(row[key] for key in by)
        means.setdefault(row["method"], {})[kind] = 100 * row["mean"]
    if reference is not None and reference not in means:
        raise ValueError(
            f"`reference` must be one of {list(means)}. "
            f"Received: reference={reference!r}"
        )
    kinds = list(
        dict.fromkeys(kind for each in means.values() for kind in each)
    )
    table = np.array(
        [[of.get(kind, np.nan) for kind in kinds] for of in means.values()]
    )
    # NaN, of a method without some kind, sorts last.
    order = np.argsort(-table.mean(axis=1), kind="stable")
    methods = [list(means)[k] for k in order]
    best = np.nanmax(table, axis=0)
    is_best = (table == best)[order]
    label, colours, extend = "accuracy in percent", {"cmap": "viridis"}, None
    if reference is not None:
        table = table - table[list(means).index(reference)]
        limit = np.nanpercentile(np.abs(table), 95)
        extend = "both"
        label = f"accuracy minus {reference}'s, points"
        colours = {"cmap": "RdBu", "vmin": -limit, "vmax": limit}
    table = table[order]
    figure = Figure(
        figsize=(2.5 + 0.75 * len(kinds), 1.8 + 0.3 * len(methods)),
        layout="constrained",
    )
    axes = figure.subplots()
    image = axes.imshow(table, aspect="auto", **colours)
    figure.colorbar(image, label=label, extend=extend)
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            shade = image.cmap(image.norm(value))
            axes.text(
                column,
                row,
                f"{value:.1f}",
                ha="center",
                va="center",
                fontsize=8,
                weight="bold" if is_best[row, column] else "normal",
                color="black" if np.dot(shade[:3], _LIGHT) > 0.5 else "white",
            )
    names = [" ".join(_text(value) for value in kind) for kind in kinds]
    axes.set_xticks(range(len(kinds)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(methods)), methods)
    axes.set_title(
        "Clean test accuracy by noise; the best of each kind is bold"
    )
    return figure


def _text(value):
    return f"{value:g}" if isinstance(value, float) else str(value)


def plot_ranks(rows, by=None, level=0.05):
    """Draws the methods' average ranks: a critical-difference diagram.

    Methods are in the order of their average ranks over the problems. A bar
    joins those whose ranks differ by less than Nemenyi's critical difference,
    so that they cannot be told apart at this level.

    Args:
        rows: What `compare` returns.
        by: Columns that tell problems apart. Defaults to `None`: those of the
            tasks but for `seed`.
        level: Level of significance, in (0, 1). Defaults to `0.05`.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Example:

    >>> rows = [
    ...     {"method": name, "noise": k, "accuracy": k / 20 + gain, "best": 1.0}
    ...     for name, gain in (("ARL", 0.1), ("GCE", 0.0), ("CE", -0.1))
    ...     for k in range(10)
    ... ]
    >>> figure = keras_arl.evaluation.plot_ranks(rows)
    >>> figure.savefig("ranks.png")

    Reference:
        - Demsar, "Statistical Comparisons of Classifiers over Multiple Data
          Sets", Journal of Machine Learning Research 2006
    """
    ranking = rank_methods(rows, by=by)
    names = [row["method"] for row in ranking]
    ranks = np.array([row["rank"] for row in ranking])
    num_problems = accuracy_matrix(rows, by, "accuracy")[1].shape[1]
    least = critical_difference(len(names), num_problems, level)
    bars = _indistinguishable(ranks, least)
    height = 1.6 + 0.22 * len(names)
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    axes.plot(ranks, places, "o", color="0.2", markersize=4)
    for number, (first, last) in enumerate(bars):
        # Beside the points, each in a lane of its own.
        x = ranks.max() + 0.4 + 0.12 * least * (number + 1)
        axes.plot([x, x], [first - 0.2, last + 0.2], color="tab:blue", lw=3)
    axes.errorbar(
        ranks[0] + least / 2,
        -1.2,
        xerr=least / 2,
        color="0.2",
        capsize=3,
        fmt="none",
    )
    axes.text(ranks[0] + least, -1.2, "  critical difference", va="center")
    axes.set_yticks(
        places, [f"{n}  {r:.2f}" for n, r in zip(names, ranks, strict=True)]
    )
    axes.set_ylim(len(names) - 0.4, -1.9)
    axes.set_xlabel(
        f"average rank over {num_problems} problems; bars join methods that "
        f"differ by less than {least:.2f}"
    )
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    return figure


def _indistinguishable(ranks, least):
    """Longest runs, first and last, of sorted ranks that differ by less."""
    runs = []
    for first, rank in enumerate(ranks):
        last = int(np.searchsorted(ranks, rank + least)) - 1
        if last > first and not (runs and last <= runs[-1][1]):
            runs.append((first, last))
    return runs


def plot_noise_rates(rows, methods=None, noise="symmetric", clean="none"):
    """Draws accuracy against the rate of one kind of noise, a line a method.

    Args:
        rows: What `compare` returns, with the columns `noise` and `noise_rate`.
        methods: Names of methods. Defaults to `None`: all.
        noise: The kind of noise. Defaults to `"symmetric"`.
        clean: What `noise` is where there is none, rate 0. Defaults to
            `"none"`.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it. A point
        is the mean over the tasks that have all rates; a band reaches one
        standard deviation over the seeds to both sides.

    Raises:
        ValueError: If there is no row of a method, or no task with all rates.

    Example:

    >>> rows = [
    ...     {"method": name, "dataset": "digits", "noise": "symmetric",
    ...      "noise_rate": rate, "seed": 0, "accuracy": start - rate}
    ...     for name, start in (("ARL", 0.9), ("CE", 0.8))
    ...     for rate in (0.2, 0.4)
    ... ]
    >>> figure = keras_arl.evaluation.plot_noise_rates(rows)
    >>> figure.savefig("noise_rates.png")
    """
    rows = [row for row in rows if row["noise"] in (noise, clean)]
    rates = sorted({row["noise_rate"] for row in rows})
    kinds = [k for k in ("dataset", "network") if rows and k in rows[0]]
    rates_of = {}
    for row in rows:
        task = tuple(row[kind] for kind in kinds)
        rates_of.setdefault(task, set()).add(row["noise_rate"])
    whole = {
        task for task, found in rates_of.items() if len(found) == len(rates)
    }
    rows = [row for row in rows if tuple(row[k] for k in kinds) in whole]
    found = list(dict.fromkeys(row["method"] for row in rows))
    for name in methods or found:
        if name not in found:
            raise ValueError(
                f"`methods` must be of {found}. Received: {name!r}"
            )
    if not found:
        raise ValueError(
            f"There must be a task with each rate of noise={noise!r}."
        )
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name in methods or found:
        mean, std = [], []
        for rate in rates:
            of = {}
            for row in rows:
                if row["method"] == name and row["noise_rate"] == rate:
                    of.setdefault(row.get("seed"), []).append(row["accuracy"])
            seeds = 100 * np.array([np.mean(each) for each in of.values()])
            mean.append(seeds.mean())
            std.append(seeds.std(ddof=1) if len(seeds) > 1 else 0.0)
        mean, std = np.array(mean), np.array(std)
        style = style_of(name)
        axes.plot(rates, mean, marker="o", markersize=3, label=name, **style)
        axes.fill_between(
            rates, mean - std, mean + std, color=style["color"], alpha=0.15
        )
    axes.set_xlabel(f"share of wrong labels, {noise} noise")
    axes.set_ylabel("clean test accuracy in percent")
    axes.set_xticks(rates)
    axes.legend(fontsize=8)
    axes.set_title(f"Mean over {len(whole)} kinds of task")
    return figure
