"""Files of learned losses with memory: the JSON in which they travel."""

import functools

import keras

from keras_arl.learners.examples import example_of
from keras_arl.learners.taylor_memory import TaylorMemory
from keras_arl.losses.taylor import files

_FORMAT = "keras_arl.TaylorMemory"
_VERSION = 1


def save(method, path, provenance=None):
    """Writes the numbers of a `TaylorMemory` to a JSON file for `load`.

    The file holds neither a model nor what a learner remembers.

    Args:
        method: A `TaylorMemory`, or a function that makes one of a model, such
            as `LossTuner.best_method()`.
        path: File to write.
        provenance: Optional dictionary that says how the numbers were found.

    Raises:
        ValueError: If it is no `TaylorMemory`, or its loss no `TaylorLoss`.

    Example:

    >>> space = keras_arl.search.MemorySpace()
    >>> method = space.to_method(space.scaled(space.starting_point("arl")))
    >>> keras_arl.learners.save(method, "memory.json")
    >>> keras_arl.learners.load("memory.json").keywords["beta"]
    0.7
    """
    learner = method
    if not isinstance(method, keras.Model):
        learner = example_of(method)
    if not isinstance(learner, TaylorMemory):
        raise ValueError(
            f"Such files hold a `TaylorMemory`. Received: {learner!r}"
        )
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        **{name: getattr(learner, name) for name in learner.fed_numbers},
        "expression": learner.expression(),
        "loss": files.content_of(learner.base_loss),
        "provenance": provenance or {},
    }
    files.write(content, path)


def load(path, **kwargs):
    """Reads a file that `save` or a search wrote.

    Args:
        path: The file.
        **kwargs: Further arguments of the loss, such as `from_logits`, in the
            place of the file's.

    Returns:
        A `functools.partial`: called with a model, it is the `TaylorMemory`
        that wraps it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is none of this version.

    Example:

    >>> space = keras_arl.search.MemorySpace()
    >>> method = space.to_method(space.scaled(space.starting_point("arl")))
    >>> keras_arl.learners.save(method, "memory.json")
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.load("memory.json", from_logits=True)(
    ...     model
    ... )
    >>> learner.base_loss.from_logits
    True
    """
    method = functools.partial(
        TaylorMemory, **arguments_of(read(path), path, **kwargs)
    )
    try:
        example_of(method)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    return method


def read(path):
    """Reads a file of a `TaylorMemory`; returns its content, a dictionary."""
    content = files.parsed(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(
            f"{path} is not a file of a TaylorMemory: expected a JSON object "
            f"with format={_FORMAT!r}"
        )
    if content.get("version") != _VERSION:
        raise ValueError(
            f"{path} has version {content.get('version')!r}; this version of "
            f"keras_arl reads version {_VERSION}"
        )
    missing = {*TaylorMemory.fed_numbers, "loss"} - content.keys()
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
    return content


def arguments_of(content, path, **kwargs):
    """The arguments of the `TaylorMemory` that a file holds, a dictionary.

    Args:
        content: What `read` returned.
        path: The file.
        **kwargs: As in `load`.
    """
    loss = files.loss_of(files.checked(content["loss"], path), **kwargs)
    return {
        "loss": loss,
        **{name: content[name] for name in TaylorMemory.fed_numbers},
    }
