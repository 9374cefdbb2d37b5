import numpy as np
import pytest

from keras_arl import noise


def test_annotators_are_of_different_skill_and_have_a_part_of_the_inputs_each():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(10_000, 1))
    y = rng.integers(4, size=(10_000, 1))
    noisy, report = noise.annotator_labels(x, y, 0.3, 4, seed=0)
    assert noisy.shape == y.shape
    assert noisy.dtype == y.dtype
    assert report.rate == pytest.approx(0.3, abs=0.02)
    # With one feature, the parts are fifths of its order.
    parts = np.array_split(np.argsort(x[:, 0]), 5)
    rates = sorted(np.mean(noisy[part] != y[part]) for part in parts)
    expected = [0.06, 0.18, 0.3, 0.42, 0.54]
    np.testing.assert_allclose(rates, expected, atol=0.04)
    matrices = [
        noise.measure_noise(y[part], noisy[part], 4).transition
        for part in parts
    ]
    assert np.std(matrices, axis=0).max() > 0.1


def test_labels_by_annotators_belong_to_seed_and_example():
    x = np.random.default_rng(0).normal(size=(50, 2, 2))
    y = np.arange(50) % 3
    noisy, _ = noise.annotator_labels(x, y, 0.3, 3, seed=1)
    again, _ = noise.annotator_labels(x, y, 0.3, 3, seed=1)
    other, _ = noise.annotator_labels(x, y, 0.3, 3, seed=2)
    np.testing.assert_array_equal(noisy, again)
    assert (noisy != other).any()
    unchanged, _ = noise.annotator_labels(x, y, 0.0, 3, seed=1)
    np.testing.assert_array_equal(unchanged, y)


def test_a_rate_that_the_least_skilled_could_not_have_is_refused():
    with pytest.raises(ValueError, match=r"in \[0, 0.5\).*rate=0.5"):
        noise.annotator_labels([[0.0]], [0], 0.5, 2, seed=0)
