"""The pictures of a search."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from keras_arl.search.candidates import COLUMNS_OF_CANDIDATES
from keras_arl.search.candidates import best_by_generation


def plot_fitness(history):
    """Draws fitness, relative to cross-entropy, over generations.

    Args:
        history: What `CMAESOracle.history()` returns.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it. A dot
        is a candidate; one that failed has none. In percentage points more
        than cross-entropy on the same tasks; without a baseline the fitness
        itself.

    Example:

    >>> history = [
    ...     {"generation": 1, "fitness": [0.1, None], "best": 0.1, "mean": 0.1},
    ...     {"generation": 2, "fitness": [0.2, 0.1], "best": 0.2, "mean": 0.15},
    ... ]
    >>> for row in history:
    ...     row["baseline"] = 0.6
    >>> keras_arl.search.plot_fitness(history).savefig("fitness.png")
    """
    has_baseline = any(row["baseline"] is not None for row in history)
    scale = 100 if has_baseline else 1
    figure, axes = _over_generations()
    if has_baseline:
        axes.axhline(0, color="black", label="cross-entropy")
        axes.set_ylabel(
            "clean validation accuracy minus\ncross-entropy's, points"
        )
        axes.set_title("Candidates against cross-entropy on the same tasks")
    else:
        axes.set_ylabel("fitness")
        axes.set_title("Fitness of the candidates")
    dots = np.array(
        [
            (row["generation"], scale * fitness)
            for row in history
            for fitness in row["fitness"]
            if fitness is not None
        ]
    ).reshape(-1, 2)
    axes.plot(*dots.T, ".", color="0.7", label="a candidate")
    for name, line, color in (("best", "o-", "C0"), ("mean", "s-", "C1")):
        label = f"{name} of the generation"
        for run in dict.fromkeys(row.get("run") for row in history):
            rows = [row for row in history if row.get("run") == run]
            axes.plot(
                [row["generation"] for row in rows],
                [scale * row[name] for row in rows],
                line,
                color=color,
                label=label,
            )
            # One entry in the legend.
            label = None
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def plot_coefficients(candidates):
    """Draws the coefficients of each generation's best candidate.

    Args:
        candidates: What `LossTuner.candidates()` returns.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it. After
        a restart the lines go on from the start.

    Example:

    >>> candidates = [
    ...     {"phase": "search", "generation": k, "score": 0.5, "theta_10": k}
    ...     for k in (1, 2)
    ... ]
    >>> figure = keras_arl.search.plot_coefficients(candidates)
    """
    best = best_by_generation(candidates)
    names = [
        name
        for name in (best[0] if best else {})
        if name not in COLUMNS_OF_CANDIDATES
    ]
    figure, axes = _over_generations()
    for number, name in enumerate(names):
        axes.plot(
            [row["generation"] for row in best],
            [row[name] for row in best],
            ["-", "--"][number // 10 % 2],
            marker=".",
            color=f"C{number % 10}",
            label=name,
        )
    axes.set_ylabel("value")
    axes.set_title(
        "Coefficients and centre of each generation's best candidate, as "
        "trained"
    )
    if names:
        figure.legend(loc="outside right center")
    return figure


def _over_generations():
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = figure.subplots()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("generation (each on new tasks)")
    return figure, axes
