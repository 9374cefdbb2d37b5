"""Loss files: the JSON in which a learned loss travels."""

import json
import pathlib

from keras_arl.losses.taylor import polynomial
from keras_arl.losses.taylor.batch import BatchTaylorLoss
from keras_arl.losses.taylor.changing import ChangingTaylorLoss
from keras_arl.losses.taylor.scheduled import ScheduledTaylorLoss
from keras_arl.losses.taylor.taylor_loss import TaylorLoss

_FORMAT = "keras_arl.TaylorLoss"
_VERSION = 6
# Written where they do, for earlier versions of this package.
_WITHOUT_CHANGES = 4
_WITH_A_SCHEDULE = 5
# What is by the batch's mean says so.
_THIRD_VARIABLE = "third_variable"
_BATCH = "batch"
# What files of earlier versions do not say: what their losses computed by.
_BEFORE = {
    "shifted": False,
    "from_logits": False,
    "ignore_class": None,
    "axis": -1,
    "reduction": "sum_over_batch_size",
    "dtype": None,
}


def save(loss, path, provenance=None):
    """Writes a Taylor loss to a JSON file that `load` reads back.

    The file holds all that the loss computes by, but neither its `name` nor, of
    one that moves, at which time of a training it is.

    Args:
        loss: A `TaylorLoss`, `ScheduledTaylorLoss` or `BatchTaylorLoss`.
        path: File to write.
        provenance: Optional dictionary that says how the loss was found.

    Raises:
        ValueError: If `loss` is no `TaylorLoss`.

    Example:

    >>> path = os.path.join(tempfile.mkdtemp(), "loss.json")
    >>> loss = keras_arl.losses.TaylorLoss([0, -1, 0], order=2)
    >>> keras_arl.losses.save(loss, path)
    >>> keras_arl.losses.load(path).coefficients
    (0.0, -1.0, 0.0)
    """
    content = {**content_of(loss), "provenance": provenance or {}}
    write(content, path)


def write(content, path):
    """Writes a dictionary as the JSON that people read, too."""
    pathlib.Path(path).write_text(json.dumps(content, indent=2) + "\n")


def content_of(loss):
    """What a loss file has of a loss, a dictionary."""
    if not isinstance(loss, TaylorLoss):
        raise ValueError(
            f"Loss files hold a `TaylorLoss`. Received: loss={loss!r}"
        )
    version, changes = _WITHOUT_CHANGES, {}
    if isinstance(loss, ChangingTaylorLoss):
        version = _WITH_A_SCHEDULE
        changes = {
            "changes": list(loss.changes),
            "change_exponents": [list(t) for t in loss.change_exponents],
        }
    if isinstance(loss, BatchTaylorLoss):
        version = _VERSION
        changes[_THIRD_VARIABLE] = _BATCH
    return {
        "format": _FORMAT,
        "version": version,
        "order": loss.order,
        "class_aware": loss.class_aware,
        "center": list(loss.center),
        "coefficients": list(loss.coefficients),
        **changes,
        "settings": {name: getattr(loss, name) for name in _BEFORE},
        "exponents": [list(pair) for pair in loss.exponents],
        "expression": loss.expression(),
    }


def load(path, **kwargs):
    """Reads a loss file.

    Args:
        path: A file that `save` or a search wrote.
        **kwargs: Further arguments of `TaylorLoss`, such as `from_logits`, in
            the place of the file's.

    Returns:
        A `TaylorLoss`, `ScheduledTaylorLoss` or `BatchTaylorLoss`. One that an
        earlier version of the package wrote has the values that it had there:
        it is not shifted to cost 0 for a certain right prediction.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a loss file of this version.

    Example:

    >>> keras_arl.losses.save(keras_arl.ARL(), "loss.json")
    >>> loss = keras_arl.losses.load("loss.json", from_logits=True)
    >>> loss.coefficients == keras_arl.ARL().coefficients
    True
    """
    return loss_of(read(path), **kwargs)


def loss_of(content, **kwargs):
    """The loss of what `read` or `checked` returned.

    Args:
        content: A dictionary.
        **kwargs: As in `load`.
    """
    cls, changes = TaylorLoss, {}
    if "changes" in content:
        is_by_batch = content.get(_THIRD_VARIABLE) == _BATCH
        cls = BatchTaylorLoss if is_by_batch else ScheduledTaylorLoss
        changes = {"changes": content["changes"]}
    return cls(
        content["coefficients"],
        **changes,
        center=content["center"],
        order=content["order"],
        class_aware=content["class_aware"],
        **{**content["settings"], **kwargs},
    )


def read(path):
    """Reads and checks a loss file; returns its content, a dictionary."""
    return checked(parsed(path), path)


def parsed(path):
    """Parses a JSON file."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a loss file: {error}") from None


def checked(content, path):
    """Returns the content of a loss file, or raises a `ValueError`."""
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(
            f"{path} is not a loss file: expected a JSON object with "
            f"format={_FORMAT!r}"
        )
    if content.get("version") not in range(1, _VERSION + 1):
        raise ValueError(
            f"{path} has version {content.get('version')!r}; this version of "
            f"keras_arl reads versions 1 to {_VERSION}"
        )
    if content["version"] == 1:
        content["class_aware"] = False
    if content["version"] == 2 and content.get("class_aware"):
        raise ValueError(
            f"{path} has version 2, whose class-aware losses are others for "
            "fewer than ten classes; set its version to 3 to use its "
            "coefficients as they are read now"
        )
    if content["version"] < _WITHOUT_CHANGES:
        content["settings"] = dict(_BEFORE)
    missing = {
        "order",
        "class_aware",
        "center",
        "coefficients",
        "settings",
    } - content.keys()
    if missing:
        raise ValueError(f"{path} lacks {', '.join(sorted(missing))}")
    settings = content["settings"]
    if not isinstance(settings, dict) or settings.keys() != _BEFORE.keys():
        raise ValueError(
            f"{path}: settings must have {', '.join(_BEFORE)}. Received: "
            f"{settings!r}"
        )
    if content.get(_THIRD_VARIABLE, _BATCH) != _BATCH:
        raise ValueError(
            f"{path}: {_THIRD_VARIABLE} must be {_BATCH!r}. Received: "
            f"{content[_THIRD_VARIABLE]!r}"
        )
    try:
        polynomial.check_order(content["order"])
        polynomial.check_coefficients(content["coefficients"], content["order"])
        polynomial.check_center(content["center"])
        if "changes" in content:
            polynomial.check_changes(content["changes"], content["order"])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    for name in ("class_aware", "shifted", "from_logits"):
        value = {**settings, **content}[name]
        if not isinstance(value, bool):
            raise ValueError(
                f"{path}: {name} must be true or false. Received: {value!r}"
            )
    return content
