"""A picture of what a memory does to an example."""

import keras
import numpy as np
from matplotlib.figure import Figure

from keras_arl.checks import check_num_classes
from keras_arl.learners.examples import example_of

# Share of the labelled class in the memory; the rest is the rival class's.
_MEMORIES = {
    "always fitted": (0.95, "-", "#0072b2"),
    "fitted late": (0.5, "--", "#009e73"),
    "never fitted": (0.05, "-.", "#d55e00"),
    "not seen before": (None, ":", "0.4"),
}


def plot_memory(method, num_classes=10):
    """Draws how a `TaylorMemory` pulls at examples of different memories.

    The prediction is shared between the labelled class and one other class.
    Against the labelled class's share, curves show minus the derivative of the
    loss with respect to the difference of their logits: above 0 the network
    learns the label, below 0 it leaves the label for the other class. One that
    moves over a training is drawn as it is in the middle.

    Args:
        method: A function from a model to a `TaylorMemory`, such as
            `LossTuner.best_method()` or what `load` returns.
        num_classes: Number of classes C. Defaults to `10`.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ValueError: If `num_classes` is not an integer of at least 2.

    Example:

    >>> space = keras_arl.search.MemorySpace()
    >>> method = space.to_method(space.scaled(space.starting_point("arl")))
    >>> figure = keras_arl.learners.plot_memory(method)
    >>> figure.axes[0].get_ylabel()
    'pull towards the label'
    """
    check_num_classes(num_classes)
    learner = example_of(method, num_classes)
    p = np.linspace(0.002, 0.998, 997)
    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for name, (share, dashes, color) in _MEMORIES.items():
        axes.plot(
            p,
            _pulls(learner, p, share, num_classes),
            linestyle=dashes,
            color=color,
            label=name,
        )
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set_xlabel(
        "predicted probability of the labelled class; the rest is one other's"
    )
    axes.set_ylabel("pull towards the label")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _pulls(learner, p, share, num_classes):
    predictions = _between_two(p, num_classes)
    if share is None:
        before = np.full_like(predictions, learner.start / num_classes)
        memory = learner.beta * before + (1 - learner.beta) * predictions
    else:
        memory = _between_two(np.full_like(p, share), num_classes)
    # The memory is a constant to the derivative.
    step = 1e-3
    above, below = (
        _losses(learner, _between_two(p + sign * step, num_classes), memory)
        for sign in (1, -1)
    )
    return -(above - below) / (2 * step) * p * (1 - p)


def _losses(learner, predictions, memory):
    """The loss of each sample, of label 0."""
    values = learner.losses_by_memory(
        keras.ops.zeros(len(predictions), dtype="int32"),
        keras.ops.convert_to_tensor(predictions, dtype="float32"),
        keras.ops.convert_to_tensor(memory, dtype="float32"),
    )
    return keras.ops.convert_to_numpy(values).astype("float64")


def _between_two(p, num_classes):
    """Probabilities of two classes, the first one's p; the others have none."""
    predictions = np.zeros((len(p), num_classes))
    predictions[:, 0] = p
    predictions[:, 1] = 1 - p
    return predictions
