"""What a task function is: the values by which two searches are compared."""

import difflib
import functools
import inspect
import json

_LONGEST_DIFFERENCE = 12


def describe(function):
    """Describes a task function by plain values.

    Args:
        function: Function from a seed to a `Task`. What `get_config()` returns
            describes an object that has it; a function is described by its
            source and the plain values that it reads.

    Returns:
        Values that JSON can hold, equal for equal functions.
    """
    if hasattr(function, "get_config"):
        return function.get_config()
    if isinstance(function, functools.partial):
        return {
            "function": describe(function.func),
            "arguments": _plain([*function.args, function.keywords]),
        }
    if inspect.ismethod(function):
        return {
            "function": describe(function.__func__),
            "object": _plain(vars(function.__self__)),
        }
    if not inspect.isfunction(function):
        return {
            "source": _source(type(function)),
            "object": _plain(getattr(function, "__dict__", {})),
        }
    names = inspect.getclosurevars(function)
    return {
        "source": _source(function),
        "defaults": _plain([function.__defaults__, function.__kwdefaults__]),
        "values": _plain({**names.globals, **names.nonlocals}),
    }


def _source(thing):
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        # Of standard input, say. The bytecode tells functions apart, too.
        code = getattr(thing, "__code__", None)
        return repr((code and code.co_code.hex(), code and code.co_consts))


def _plain(value):
    """The part of a value that JSON can hold; the rest by its type's name."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return type(value).__name__


def check_same_settings(saved, asked):
    """Raises a `ValueError` with the differences, if there are any.

    Args:
        saved: Settings of the search in the directory, a dictionary.
        asked: Settings of the search that is to continue it.
    """
    # As JSON returns them: lists for tuples.
    asked = json.loads(json.dumps(asked))
    different = [
        f"{name}: {_difference(saved.get(name), asked.get(name))}"
        for name in sorted(saved.keys() | asked.keys())
        if saved.get(name) != asked.get(name)
    ]
    if different:
        raise ValueError(
            "The directory holds a search with other settings. "
            + "; ".join(different)
            + ". Use another directory, or the same settings."
        )


def _difference(there, asked):
    if isinstance(there, dict) and isinstance(asked, dict):
        texts = [
            "\n".join(f"{k}: {v}" for k, v in sorted(each.items())).splitlines()
            for each in (there, asked)
        ]
        lines = difflib.unified_diff(*texts, "there", "asked", n=0, lineterm="")
        changed = [line for line in lines if line[:2] not in ("--", "++", "@@")]
        return " | ".join(changed[:_LONGEST_DIFFERENCE])
    return f"{there!r} there, {asked!r} asked"
