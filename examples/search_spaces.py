"""What search_oracle.py searches, and from where: its flags."""

import pathlib

import program
from absl import flags

_SPACE = flags.DEFINE_enum(
    "space",
    "taylor",
    ["taylor", "scheduled", "batch", "memory", "scheduled_memory"],
    "What is searched: a polynomial of prediction and label; one that moves "
    "over a training, too; one that depends on the batch's mean prediction; a "
    "learner that remembers what was predicted for each example before; or one "
    "with a memory that moves.",
)
_ORDER = flags.DEFINE_integer(
    "order", 4, "Order of the polynomial.", lower_bound=2, upper_bound=6
)
_CLASS_AWARE = flags.DEFINE_bool(
    "class_aware",
    True,
    "Search polynomials of a power of the prediction that is 1/2 where the "
    "prediction is uniform, for any number of classes.",
)
_START = flags.DEFINE_string(
    "start",
    "linear",
    "Where the search starts: ce, cross-entropy's Taylor polynomial; linear, "
    "minus twice the labelled class's prediction; arl, the loss that ships; or "
    "a file that a search wrote.",
)


def space_of_flags():
    from keras_arl import search

    kind = {
        "scheduled": search.ScheduledTaylorSpace,
        "batch": search.BatchTaylorSpace,
    }.get(_SPACE.value.removesuffix("_memory"), search.TaylorSpace)
    space = kind(_ORDER.value, _CLASS_AWARE.value)
    if _SPACE.value.endswith("memory"):
        return search.MemorySpace(space)
    return space


def start_of_flags(space):
    """What `CMAESOracle` takes: a name, or the numbers of a file."""
    from keras_arl import learners
    from keras_arl import losses

    path = pathlib.Path(_START.value)
    if path.suffix != ".json":
        return _START.value
    try:
        has_memory = "keras_arl.TaylorMemory" in path.read_text()
        files = learners if has_memory else losses
        return space.numbers_of(files.load(path))
    except (OSError, ValueError) as error:
        program.fail(f"--start={_START.value}: {error}")
