import numpy as np
import pytest

from keras_arl import noise


@pytest.mark.parametrize("num_classes", [2, 100])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.99])
def test_rows_sum_to_one_and_rate_is_the_share_of_wrong_labels(
    rate, num_classes
):
    for matrix in (
        noise.symmetric(rate, num_classes),
        noise.pair_flip(rate, num_classes),
    ):
        assert matrix.shape == (num_classes, num_classes)
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        np.testing.assert_allclose(np.diag(matrix), 1 - rate)


def test_symmetric_spreads_evenly():
    matrix = noise.symmetric(0.3, 4)
    np.testing.assert_allclose(matrix[~np.eye(4, dtype=bool)], 0.1)


def test_pair_flip_goes_to_the_next_class():
    expected = [[0.6, 0.4, 0], [0, 0.6, 0.4], [0.4, 0, 0.6]]
    np.testing.assert_allclose(noise.pair_flip(0.4, 3), expected)


def test_asymmetric_follows_the_mapping():
    expected = [[1, 0, 0], [0, 0.8, 0.2], [0, 0.2, 0.8]]
    np.testing.assert_allclose(noise.asymmetric(0.2, {1: 2, 2: 1}, 3), expected)


def test_published_mappings_by_class_name():
    fashion = {
        2: "pullover",
        3: "dress",
        4: "coat",
        5: "sandal",
        6: "shirt",
        7: "sneaker",
        9: "boot",
    }
    cifar = {
        0: "airplane",
        1: "automobile",
        2: "bird",
        3: "cat",
        4: "deer",
        5: "dog",
        7: "horse",
        9: "truck",
    }

    def named(mapping, names):
        return {names[true]: names[wrong] for true, wrong in mapping.items()}

    assert noise.MNIST_MAPPING == {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}
    assert named(noise.FASHION_MNIST_MAPPING, fashion) == {
        "boot": "sneaker",
        "sneaker": "sandal",
        "pullover": "shirt",
        "coat": "dress",
        "dress": "coat",
    }
    assert named(noise.CIFAR10_MAPPING, cifar) == {
        "truck": "automobile",
        "bird": "airplane",
        "deer": "horse",
        "cat": "dog",
        "dog": "cat",
    }


@pytest.mark.parametrize("rate", [-0.1, 1.0])
@pytest.mark.parametrize(
    "make",
    [
        noise.symmetric,
        noise.pair_flip,
        lambda rate, c: noise.asymmetric(rate, {0: 1}, c),
    ],
)
def test_rates_outside_the_unit_interval(make, rate):
    with pytest.raises(ValueError, match=r"`rate` must be a number in \[0, 1"):
        make(rate, 3)


@pytest.mark.parametrize("make", [noise.symmetric, noise.pair_flip])
def test_invalid_class_counts(make):
    with pytest.raises(ValueError, match="at least 2"):
        make(0.1, 1)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({0: 3}, "0 -> 3"),
        ({-1: 0}, "-1 -> 0"),
        ({0: 1.0}, r"0 -> 1\.0"),
        ({1: 1}, "another one.*1 -> 1"),
    ],
)
def test_invalid_mappings(mapping, message):
    with pytest.raises(ValueError, match=message):
        noise.asymmetric(0.2, mapping, 3)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0.5, 0.5]], r"square.*\(1, 2\)"),
        ([0.5, 0.5], r"square.*\(2,\)"),
        ([[0.5, 0.6], [0, 1]], r"row 0 sums to 1\.1"),
        ([[1, 0], [0.5, 0.4]], r"row 1 sums to 0\.9"),
        ([[1.5, -0.5], [0, 1]], r"from -0\.5 to 1\.5"),
        ([[np.nan, 1], [0, 1]], "probabilities"),
    ],
)
def test_matrices_that_are_none(matrix, message):
    with pytest.raises(ValueError, match=message):
        noise.check_transition(matrix)
    with pytest.raises(ValueError, match=message):
        noise.corrupt_labels(np.array([0]), matrix, seed=0)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.49])
def test_class_dependent_noise_has_its_rate_and_differs_by_class(rate):
    matrix = noise.class_dependent(rate, 10, seed=1)
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    assert (matrix >= 0).all()
    wrong = 1 - np.diag(matrix)
    np.testing.assert_allclose(wrong.mean(), rate)
    if rate:
        assert wrong.max() > 5 * wrong.min()
        other = noise.class_dependent(rate, 10, seed=2)
        assert np.abs(matrix - other).max() > 0.1
    with pytest.raises(ValueError, match=r"\[0, 0\.5\)"):
        noise.class_dependent(0.5, 10, seed=1)
