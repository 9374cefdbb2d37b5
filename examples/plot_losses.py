"""Draws robust losses and their slopes: the gradient that each prediction gets.

    python examples/plot_losses.py

Writes results/losses.png. --losses takes the names of
`keras_arl.losses.names()`, two of them joined by "+", and paths of loss files
that a search wrote.
"""

import pathlib

import program
from absl import flags

_LOSSES = flags.DEFINE_list(
    "losses",
    ["ARL", "CE", "GCE", "MAE", "label_smoothing", "SCE"],
    "What to draw, comma-separated: names of losses, combinations such as "
    "nce+rce, or loss files (*.json).",
)
_DATASET = flags.DEFINE_enum(
    "dataset",
    None,
    ["mnist", "cifar10", "cifar100"],
    "Take the settings published for this dataset instead of the defaults.",
)
_NUM_CLASSES = flags.DEFINE_integer(
    "num_classes", 10, "Number of classes.", lower_bound=2
)
_OUTPUT = flags.DEFINE_string(
    "output",
    "results/losses.png",
    "The picture to write; its ending says the format.",
)


def main():
    # After the flags are parsed, so that a wrong one fails at once.
    program.import_quietly("keras_arl")
    from keras_arl import analysis

    if not _LOSSES.value:
        program.fail("--losses names no loss")
    drawn = {name: loss_named(name) for name in _LOSSES.value}
    output = pathlib.Path(_OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure = analysis.plot_losses(drawn, _NUM_CLASSES.value)
    figure.savefig(output, dpi=120)
    print(f"Written to {output}")


def loss_named(name):
    from keras_arl import losses

    if name.endswith(".json"):
        return losses.load(name)
    try:
        loss = losses.get(name, dataset=_DATASET.value)
    except TypeError as error:
        program.fail(f"{name} cannot be drawn by its name alone: {error}")
    if not type(loss).__module__.startswith("keras_arl."):
        program.fail(f"{name} is a loss of Keras; known are {losses.names()}")
    return loss


if __name__ == "__main__":
    program.start(main)
