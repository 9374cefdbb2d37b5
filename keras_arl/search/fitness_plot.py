"""The picture of a search."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def plot_fitness(history):
    """Draws fitness over generations.

    Args:
        history: What `CMAESOracle.history()` returns.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it. A dot
        is a candidate; one that failed has none.

    Example:

    >>> history = [
    ...     {"generation": 0, "fitness": [0.5, None], "best": 0.5, "mean": 0.5},
    ...     {"generation": 1, "fitness": [0.7, 0.6], "best": 0.7, "mean": 0.65},
    ... ]
    >>> keras_arl.search.plot_fitness(history).savefig("fitness.png")
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    generations = [row["generation"] + 1 for row in history]
    for generation, row in zip(generations, history, strict=True):
        scored = [f for f in row["fitness"] if f is not None]
        axes.plot([generation] * len(scored), scored, ".", color="0.7")
    axes.plot(generations, [row["best"] for row in history], "o-", label="best")
    axes.plot(generations, [row["mean"] for row in history], "s-", label="mean")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("generation (each on new tasks)")
    axes.set_ylabel("fitness: clean validation accuracy")
    axes.legend()
    return figure
