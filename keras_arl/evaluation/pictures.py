"""The picture of a comparison."""

import numpy as np
from matplotlib.figure import Figure

from keras_arl.evaluation.tables import summarise


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


# How much of a colour's brightness is red, green and blue (ITU-R BT.601).
_LIGHT = (0.299, 0.587, 0.114)


def _text(value):
    return f"{value:g}" if isinstance(value, float) else str(value)
