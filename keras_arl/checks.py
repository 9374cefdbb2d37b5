"""Checks of arguments: each returns what it checked, or raises."""

import math
import numbers


def check_number(name, value, expected, is_valid):
    """Returns a finite number that fulfils a condition as a float, or raises.

    Args:
        name: Name of the parameter.
        value: What came.
        expected: What is expected, to follow "must be".
        is_valid: Function of the number that returns whether it is valid.
    """
    if (
        not isinstance(value, numbers.Real)
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not is_valid(value)
    ):
        raise ValueError(
            f"`{name}` must be {expected}. Received: {name}={value!r}"
        )
    return float(value)


def check_positive(name, value):
    """Returns a number above 0 as a float, or raises."""
    return check_number(name, value, "a number above 0", lambda x: x > 0)


def check_weight(name, value):
    """Returns a number of at least 0 as a float, or raises."""
    return check_number(name, value, "a number of at least 0", lambda x: x >= 0)


def check_fraction(name, value):
    """Returns a number in [0, 1] as a float, or raises."""
    return check_number(
        name, value, "a number in [0, 1]", lambda x: 0 <= x <= 1
    )


def check_num_classes(num_classes):
    """Raises unless a number of classes is an integer of at least 2."""
    if (
        not isinstance(num_classes, numbers.Integral)
        or isinstance(num_classes, bool)
        or num_classes < 2
    ):
        raise ValueError(
            "`num_classes` must be an integer of at least 2. "
            f"Received: num_classes={num_classes!r}"
        )


def check_at_least(name, value, minimum):
    """Returns an integer of at least `minimum`, or raises."""
    if (
        not isinstance(value, numbers.Integral)
        or isinstance(value, bool)
        or value < minimum
    ):
        raise ValueError(
            f"`{name}` must be an integer of at least {minimum}. "
            f"Received: {name}={value!r}"
        )
    return int(value)


def check_integer(name, value):
    """Returns an integer, or raises."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise ValueError(
            f"`{name}` must be an integer. Received: {name}={value!r}"
        )
    return int(value)
