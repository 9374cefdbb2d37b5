import numpy as np
import pytest

from keras_arl import noise


def test_rate_and_transition():
    rate, transition = noise.measure_noise(
        np.array([0, 0, 0, 0, 2]), np.array([0, 1, 1, 2, 2]), num_classes=3
    )
    assert rate == 0.6
    np.testing.assert_array_equal(
        transition, [[0.25, 0.5, 0.25], [np.nan] * 3, [0, 0, 1]]
    )


def test_it_measures_what_corrupt_labels_does():
    labels = np.arange(100_000) % 4
    matrix = noise.asymmetric(0.3, {0: 1, 2: 3}, 4)
    noisy = noise.corrupt_labels(labels, matrix, seed=0)
    rate, transition = noise.measure_noise(labels, noisy, 4)
    assert rate == pytest.approx(0.15, abs=0.005)
    np.testing.assert_allclose(transition, matrix, atol=0.01)


@pytest.mark.parametrize(
    ("labels", "noisy", "message"),
    [
        ([0, 1], [0], "as many.*2 and 1"),
        ([], [], "at least one"),
        ([0, 3], [0, 1], r"in 0\.\.2.*\[3\]"),
    ],
)
def test_invalid_labels(labels, noisy, message):
    with pytest.raises(ValueError, match=message):
        noise.measure_noise(
            np.array(labels, dtype=int), np.array(noisy, dtype=int), 3
        )


def test_invalid_class_count():
    with pytest.raises(ValueError, match="num_classes=1"):
        noise.measure_noise(np.zeros(2, int), np.zeros(2, int), 1)
