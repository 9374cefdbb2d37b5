"""What every check of an argument refuses; its callers test but one value."""

import numpy as np
import pytest

from keras_arl import checks

NO_NUMBERS = [float("nan"), float("inf"), "0.2", None, True]


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.check_positive, [1e-9, 2], [0, -1]),
        (checks.check_weight, [0, 2.5], [-1e-9]),
        (checks.check_fraction, [0, 0.5, 1], [-0.1, 1.1]),
    ],
)
def test_numbers(check, good, bad):
    for value in good:
        checked = check("q", np.float32(value))
        assert checked == np.float32(value)
        assert type(checked) is float
    for value in bad + NO_NUMBERS:
        with pytest.raises(ValueError, match=f"`q` must be .*q={value!r}"):
            check("q", value)


def test_integers():
    assert type(checks.check_at_least("seed", np.int64(3), 3)) is int
    for value in (2, 3.0, True, None, float("nan")):
        with pytest.raises(ValueError, match=f"least 3.*seed={value!r}"):
            checks.check_at_least("seed", value, 3)
    with pytest.raises(ValueError, match="epochs=True"):
        checks.check_at_least("epochs", True, 1)


def test_numbers_of_classes():
    checks.check_num_classes(np.int32(2))
    for value in (1, 0, 2.0, True, None):
        with pytest.raises(ValueError, match=f"least 2.*num_classes={value!r}"):
            checks.check_num_classes(value)
