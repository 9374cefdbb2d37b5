"""The picture by which robust losses explain themselves."""

import numpy as np
from matplotlib.figure import Figure

from keras_arl.analysis import probing
from keras_arl.checks import check_num_classes

# The slope's axis ends here, where some losses go on.
_SLOPES = (-3.0, 1.0)


def plot_losses(losses, num_classes=10):
    """Draws losses against the predicted probability of the labelled class.

    The other classes share the rest of the probability equally. Losses differ
    in scale and offset, which an optimizer's learning rate hides; to compare
    shapes, each is shifted to 0 at p = 1 and scaled so that its slope at the
    uniform prediction, p = 1 / C, has size 1. Left the loss, right its slope:
    how hard a sample with that prediction pulls. The slope's axis ends at -3
    and 1, where some losses go on.

    Args:
        losses: Dictionary from a name to a `keras.losses.Loss` or a function
            `(y_true, y_pred)`, for class indices and probabilities.
        num_classes: Number of classes C. Defaults to `10`.

    Returns:
        A `matplotlib.figure.Figure`; `figure.savefig(path)` writes it.

    Raises:
        ValueError: If there is no loss, one does not return a finite value
            per sample, or `num_classes` is not an integer of at least 2.

    Example:

    >>> figure = keras_arl.analysis.plot_losses({"ARL": keras_arl.ARL()})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'slope']
    """
    check_num_classes(num_classes)
    if not losses:
        raise ValueError(f"There must be a loss to draw. Received: {losses}")
    # Finer where the uniform prediction is.
    p = np.concatenate(
        [
            np.geomspace(0.02 / num_classes, 0.02, 100),
            np.linspace(0.02, 0.998, 490)[1:],
        ]
    )
    figure = Figure(figsize=(10, 4), layout="constrained")
    value_axes, slope_axes = figure.subplots(1, 2)
    for name, loss in losses.items():
        value, slope = _normalised_curve(loss, p, num_classes)
        value_axes.plot(p, value, label=name)
        slope_axes.plot(p, slope, label=name)
    slopes = [line.get_ydata() for line in slope_axes.get_lines()]
    lowest = max(_SLOPES[0], min(slope.min() for slope in slopes))
    highest = min(_SLOPES[1], max(0, *(slope.max() for slope in slopes)))
    slope_axes.set_ylim(lowest - 0.15, highest + 0.15)
    for axes, label in ((value_axes, "loss"), (slope_axes, "slope")):
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axes.axvline(1 / num_classes, color="0.8", linestyle=":", zorder=0)
        axes.set_xlabel("predicted probability of the labelled class")
        axes.set_ylabel(label)
        axes.legend()
    figure.suptitle(
        f"{num_classes} classes; shifted to 0 at p = 1, scaled to slope of "
        "size 1 at the uniform prediction (dotted)"
    )
    return figure


def _normalised_curve(loss, p, num_classes):
    def predictions(p):
        rest = np.repeat((1 - p)[:, None], num_classes - 1, axis=1)
        return np.concatenate([p[:, None], rest / (num_classes - 1)], axis=1)

    def slopes(p):
        step = np.full((len(p), num_classes), -1 / (num_classes - 1))
        step[:, 0] = 1
        return probing.path_slopes(loss, np.zeros(len(p)), predictions(p), step)

    value = probing.values(loss, np.zeros(len(p)), predictions(p))
    at_1 = probing.values(loss, np.zeros(1), predictions(np.ones(1)))
    size = abs(slopes(np.array([1 / num_classes]))[0]) or 1.0
    return (value - at_1) / size, slopes(p) / size
