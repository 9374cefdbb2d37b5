"""One style for each loss, in all pictures."""

import zlib

from keras_arl.losses import names

# Those that pictures show most, with colours that few people confuse.
_COLOURS = {
    "arl": "#d55e00",
    "arl_2": "#0b6e6e",
    "arlmemory": "#a3195b",
    "ce": "#000000",
    "gce": "#0072b2",
    "mae": "#009e73",
    "sce": "#cc79a7",
    "found": "#7f3fbf",
    "label_smoothing": "#8c6d31",
}
_OTHER_COLOURS = (
    "#56b4e9", "#e69f00", "#17becf", "#bcbd22", "#8c564b", "#7f7f7f",
    "#e377c2", "#2ca02c", "#1f3f9f", "#9c2f2f",
)  # fmt: skip
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 4)))


def style_of(name):
    """How a loss, or another method, is drawn in every picture.

    Args:
        name: Its name, such as those of `keras_arl.losses.names()`, in capitals
            or not; of a loss that moves also `"found, start"` and
            `"found, end"`.

    Returns:
        A dictionary of arguments of matplotlib's `Axes.plot`: `color`,
        `linestyle`, and `linewidth` and `zorder`, by which ARL and a loss that
        was found stand out.

    Example:

    >>> keras_arl.analysis.style_of("ARL")["linewidth"]
    3.0
    """
    # Of a loss that moves, one of the two ends.
    name, _, moment = name.lower().partition(", ")
    ours = name in ("arl", "found")
    style = {
        "color": _COLOURS.get(name),
        "linestyle": "--" if moment == "start" else "-",
        "linewidth": 3.0 if ours else 1.5,
        "zorder": 3.0 if ours else 2.0,
    }
    if name not in _COLOURS:
        others = [each for each in names() if each not in _COLOURS]
        number = (
            others.index(name)
            if name in others
            else zlib.crc32(name.encode()) % 1000
        )
        dashes, colour = divmod(number, len(_OTHER_COLOURS))
        style["color"] = _OTHER_COLOURS[colour]
        style["linestyle"] = _DASHES[dashes % len(_DASHES)]
    return style
