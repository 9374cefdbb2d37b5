import numpy as np
import pytest

from keras_arl import noise


def blobs(spread, size=600):
    """Three classes of points on a line, the first two close together."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=size)
    centres = np.array([0.0, 1.0, 10.0])[labels]
    return centres[:, None] + spread * rng.normal(size=(size, 1)), labels


def test_close_classes_are_mistaken_and_distant_ones_are_not():
    x, y = blobs(spread=1.0)
    noisy, report = noise.weak_classifier_labels(x, y, 0.1, 3, seed=0)
    assert report.rate == pytest.approx(0.1, abs=1e-3)
    assert set(noisy[y == 2]) == {2}
    wrong = noisy != y
    # A mistake is made where the examples look like the other class's.
    assert x[wrong & (y == 0)].mean() > x[y == 0].mean() + 0.5
    again, _ = noise.weak_classifier_labels(x, y, 0.1, 3, seed=0)
    np.testing.assert_array_equal(noisy, again)


def test_there_are_no_more_mistakes_than_the_classifier_makes():
    x, y = blobs(spread=0.01)
    noisy, report = noise.weak_classifier_labels(x, y, 0.4, 3, seed=0)
    np.testing.assert_array_equal(noisy, y)
    assert report.rate == 0


def test_features_and_labels_that_do_not_fit_are_refused():
    x, y = blobs(spread=1.0)
    with pytest.raises(ValueError, match=r"finite numbers.*\[nan\]"):
        noise.weak_classifier_labels([[np.nan]], [0], 0.1, 3, seed=0)
    with pytest.raises(ValueError, match="as many features as labels"):
        noise.weak_classifier_labels(x[1:], y, 0.1, 3, seed=0)
    with pytest.raises(ValueError, match="Labels must be class indices"):
        noise.weak_classifier_labels(x[:2], [[0], [1, 2]], 0.1, 3, seed=0)
