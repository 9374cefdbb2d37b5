import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_arl import noise

RATE = 0.4


def gaussians(size=40_000, features=6, num_classes=5):
    rng = np.random.default_rng(7)
    labels = rng.integers(num_classes, size=size)
    return rng.normal(size=(size, features)), labels


def corrupt(features, labels, rate=RATE, seed=0, num_classes=5):
    return noise.instance_dependent_labels(
        features, labels, rate, num_classes, seed
    )


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4, 0.7, 0.95])
def test_rate_is_the_mean_of_the_truncated_normal(rate):
    features, labels = gaussians()
    noisy, report = corrupt(features, labels, rate)
    low, high = -rate / 0.1, (1 - rate) / 0.1
    expected = scipy.stats.truncnorm.mean(low, high, loc=rate, scale=0.1)
    assert report.rate == np.mean(noisy != labels)
    deviation = np.sqrt(expected * (1 - expected) / len(labels))
    assert abs(report.rate - expected) < 3.5 * deviation


def test_reported_transition_is_what_happened():
    features, labels = gaussians()
    noisy, report = corrupt(features, labels)
    for true in range(5):
        of_class = noisy[labels == true]
        for observed in range(5):
            assert report.transition[true, observed] == pytest.approx(
                np.mean(of_class == observed)
            )


def test_wrong_class_is_drawn_from_the_softmax_of_a_fixed_projection():
    # One repeated example a class: its wrong labels are draws from one
    # distribution, and a linear one in the features.
    rng = np.random.default_rng(0)
    x = 0.5 * rng.normal(size=3)
    labels = np.zeros(60_000, dtype="int64")

    def log_odds(example):
        features = np.tile(example, (len(labels), 1))
        noisy, _ = corrupt(features, labels, num_classes=4)
        counts = np.bincount(noisy, minlength=4)[1:]
        return np.log(counts[1:] / counts[0])

    zero = log_odds(0 * x)
    np.testing.assert_allclose(zero, 0, atol=0.06)
    once, twice = log_odds(x), log_odds(2 * x)
    assert np.abs(once).max() > 0.3
    np.testing.assert_allclose(twice, 2 * once, atol=0.12)
    np.testing.assert_allclose(log_odds(-x), -once, atol=0.12)


def test_the_wrong_class_depends_on_the_example_and_not_on_the_class_alone():
    features, labels = gaussians()
    noisy, _ = corrupt(features, labels)
    wrong = (labels == 0) & (noisy != 0)
    table = [
        np.bincount(noisy[wrong & side], minlength=5)[1:]
        for side in (features[:, 0] > 0, features[:, 0] <= 0)
    ]
    assert scipy.stats.chi2_contingency(table).pvalue < 1e-6
    # Whether it is wrong at all does not.
    table = [
        np.bincount((noisy != labels)[side], minlength=2)
        for side in (features[:, 0] > 0, features[:, 0] <= 0)
    ]
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


def test_the_seed_decides():
    features, labels = gaussians(size=2000)
    first, _ = corrupt(features, labels, seed=1)
    again, _ = corrupt(features, labels, seed=1)
    np.testing.assert_array_equal(first, again)
    other, _ = corrupt(features, labels, seed=2)
    assert np.mean(first != other) > 0.3


def test_an_example_keeps_its_label_when_others_follow():
    features, labels = gaussians(size=10_000)
    whole, _ = corrupt(features, labels)
    part, _ = corrupt(features[:777], labels[:777])
    np.testing.assert_array_equal(whole[:777], part)


def test_no_noise_at_rate_0():
    features, labels = gaussians(size=500)
    noisy, report = corrupt(features, labels, rate=0.0)
    np.testing.assert_array_equal(noisy, labels)
    assert report.rate == 0
    np.testing.assert_array_equal(report.transition, np.eye(5))


def test_large_features_are_no_trouble():
    features, labels = gaussians(size=5000)
    noisy, report = corrupt(1e6 * features, labels)
    assert report.rate == pytest.approx(0.4, abs=0.03)
    assert set(noisy) == set(range(5))
    uint8 = np.clip(100 + 50 * features, 0, 255).astype("uint8")
    noisy, report = corrupt(uint8, labels.astype("uint8"))
    assert noisy.dtype == np.uint8
    assert report.rate == pytest.approx(0.4, abs=0.03)


def test_pipeline_gets_the_labels_of_the_arrays():
    # More than one chunk.
    size = 5000
    features, labels = gaussians(size=size)
    features = features.reshape(size, 2, 3).astype("float32")
    expected, report = corrupt(features, labels)
    clean = tf.data.Dataset.from_tensor_slices(
        (features, labels[:, None].astype("float32"), labels)
    )
    noisy, its_report = noise.with_instance_dependent_labels(clean, RATE, 5, 0)
    assert noisy.element_spec == clean.element_spec
    assert noisy.cardinality() == size
    for _ in range(2):
        images, got, _ = next(noisy.batch(size).as_numpy_iterator())
        np.testing.assert_array_equal(got[:, 0], expected)
        np.testing.assert_array_equal(images, features)
    assert its_report.rate == report.rate
    np.testing.assert_array_equal(its_report.transition, report.transition)


def test_shuffling_afterwards_keeps_the_labels():
    features, labels = gaussians(size=100)
    clean = tf.data.Dataset.from_tensor_slices((features, labels))
    noisy, _ = noise.with_instance_dependent_labels(clean, RATE, 5, 0)
    expected, _ = corrupt(features, labels)
    by_example = {tuple(x): y for x, y in zip(features, expected, strict=True)}
    shuffled = noisy.shuffle(100).repeat(2)
    for x, y in shuffled.as_numpy_iterator():
        assert by_example[tuple(x)] == y


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 1.0}, r"`rate`.*\[0, 1\).*rate=1\.0"),
        ({"rate": -0.1}, r"rate=-0\.1"),
        ({"num_classes": 1}, "`num_classes`.*num_classes=1"),
        ({"num_classes": 4}, r"Labels must be in 0\.\.3.*4"),
        ({"seed": -1}, "`seed`.*seed=-1"),
        ({"features": np.zeros((3, 2))}, r"as many.*\(3, 2\), 10 labels"),
        ({"features": np.full((10, 2), np.nan)}, r"finite.*nan"),
        ({"features": np.full((10, 2), 1e308)}, r"too large.*1e\+308"),
        ({"labels": np.full(10, 0.5)}, r"class indices.*\[0\.5"),
    ],
)
def test_invalid_arguments(change, message):
    arguments = {
        "features": np.ones((10, 2)),
        "labels": np.full(10, 4),
        "rate": 0.4,
        "num_classes": 5,
        "seed": 0,
    }
    with pytest.raises(ValueError, match=message):
        noise.instance_dependent_labels(**{**arguments, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.repeat(), "infinite cardinality"),
        (lambda d: d.filter(lambda x, y: y > 0), "unknown cardinality"),
        (lambda d: d.repeat(2), "before `repeat`"),
        # All of one class.
        (
            lambda d: d.map(lambda x, y: (x, tf.zeros((), "int64"))).shuffle(
                100
            ),
            "another order, or changed, at each pass",
        ),
        (lambda d: d.map(lambda x, y: {"x": x, "label": y}), "triples with"),
        (lambda d: d.batch(2), "before batching"),
        (lambda d: d.take(0), "must not be empty"),
        (lambda d: d.map(lambda x, y: ({"a": x}, y)), "one tensor of a fixed"),
        (lambda d: d.map(lambda x, y: (x, y + 9)), r"Labels must be in 0\.\.4"),
    ],
)
def test_invalid_pipelines(change, message):
    features, labels = gaussians(size=100)
    dataset = tf.data.Dataset.from_tensor_slices((features, labels))
    with pytest.raises(ValueError, match=message):
        noise.with_instance_dependent_labels(change(dataset), RATE, 5, 0)
