"""The picture by which robust losses explain themselves."""

import numpy as np
from matplotlib.figure import Figure

from keras_arl.analysis import probing
from keras_arl.analysis.styles import style_of
from keras_arl.checks import check_num_classes
from keras_arl.losses.taylor.changing import ChangingTaylorLoss

# The slope's axis ends here, where some losses go on.
_SLOPES = (-3.0, 1.0)
# A loss has no bound if it grows as much over the last of these distances to
# an end as before, as a logarithm does.
_NEAR = np.array([1e-2, 1e-4, 1e-6])
_WITHOUT_BOUND = 0.9
_FAR = 1e6
_ZERO = 1e-12


def plot_losses(losses, num_classes=10):
    """Draws losses against the predicted probability of the labelled class.

    The other classes share the rest of the probability equally. Losses differ
    in scale and offset, which an optimizer's learning rate hides; to compare
    shapes, each is shifted so that its minimum is 0, and scaled so that its
    slope at the uniform prediction, p = 1 / C, has size 1; one without a slope
    there is not scaled, as the legend says. Left the loss, right its slope: how
    hard a sample with that prediction pulls. A loss that grows without bound
    leaves the frame, and so does a slope below -3 or above 1. A
    `ScheduledTaylorLoss` is drawn as it is at both ends of a training, a
    `BatchTaylorLoss` as it is where no label is predicted and where all are.

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
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    value_axes, slope_axes = figure.subplots(1, 2)
    highest = 0.0
    for name, loss in _at_both_ends(losses).items():
        value, slope, ends, is_scaled = _normalised_curve(loss, p, num_classes)
        highest = max(highest, value.max())
        label = name if is_scaled else f"{name} (not scaled: no slope at 1/C)"
        style = style_of(name)
        # Up and away where the loss has no bound.
        value_axes.plot(
            np.concatenate([[0.0], p, [1.0]]),
            np.concatenate([ends[:1], value, ends[1:]]),
            label=label,
            **style,
        )
        slope_axes.plot(p, slope, label=label, **style)
    value_axes.set_ylim(-0.04 * highest, 1.04 * highest)
    slopes = [line.get_ydata() for line in slope_axes.get_lines()]
    lowest = max(_SLOPES[0], min(slope.min() for slope in slopes))
    highest = min(_SLOPES[1], max(0, *(slope.max() for slope in slopes)))
    slope_axes.set_ylim(lowest - 0.15, highest + 0.15)
    for axes, label in ((value_axes, "loss"), (slope_axes, "slope")):
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        uniform = axes.axvline(
            1 / num_classes, color="0.5", linestyle=":", zorder=0
        )
        axes.set_xlabel("predicted probability of the labelled class")
        axes.set_ylabel(label)
    handles, names = value_axes.get_legend_handles_labels()
    figure.legend(
        [*handles, uniform],
        [*names, "uniform prediction, 1/C"],
        loc="outside lower center",
        ncols=4,
    )
    figure.suptitle(
        f"{num_classes} classes; each loss shifted to a minimum of 0, scaled "
        "to a slope of size 1 at the uniform prediction"
    )
    return figure


def _at_both_ends(losses):
    """The losses, of one that moves as it is at 0 and at 1."""
    drawn = {}
    for name, loss in losses.items():
        if isinstance(loss, ChangingTaylorLoss):
            drawn[f"{name}, start"] = loss.at(0.0)
            drawn[f"{name}, end"] = loss.at(1.0)
        else:
            drawn[name] = loss
    return drawn


def _normalised_curve(loss, p, num_classes):
    def predictions(p):
        rest = np.repeat((1 - p)[:, None], num_classes - 1, axis=1)
        return np.concatenate([p[:, None], rest / (num_classes - 1)], axis=1)

    def slopes(p):
        step = np.full((len(p), num_classes), -1 / (num_classes - 1))
        step[:, 0] = 1
        return probing.path_slopes(loss, np.zeros(len(p)), predictions(p), step)

    def values(p):
        return probing.values(loss, np.zeros(len(p)), predictions(p))

    value, ends = values(p), values(np.array([_ZERO, 1.0]))
    size = abs(slopes(np.array([1 / num_classes]))[0])
    scale = size or 1.0
    lowest = min(value.min(), *ends)
    for number, (sign, offset) in enumerate(((1, 0), (-1, 1))):
        near = values(offset + sign * _NEAR)
        growth = np.diff(near)
        if growth[1] > _WITHOUT_BOUND * growth[0] > 0:
            ends[number] += scale * _FAR
    return (
        (value - lowest) / scale,
        slopes(p) / scale,
        (ends - lowest) / scale,
        size > 0,
    )
