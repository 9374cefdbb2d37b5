import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_arl import noise

SIZE = 500


def examples(num_classes=10, size=SIZE):
    """Each image is its index, so that an example can be recognised."""
    labels = np.random.default_rng(1).integers(num_classes, size=size)
    images = np.arange(size, dtype="int32")
    return images, labels


def labels_by_index(dataset):
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    pairs = zip(np.concatenate(images), np.concatenate(labels), strict=True)
    return {int(index): int(label) for index, label in pairs}


MATRICES = {
    "symmetric": noise.symmetric(0.4, 10),
    "pair_flip": noise.pair_flip(0.45, 10),
    "asymmetric": noise.asymmetric(0.3, noise.CIFAR10_MAPPING, 10),
    "any": np.random.default_rng(3).dirichlet(np.ones(10), size=10),
}


@pytest.mark.parametrize("name", MATRICES)
def test_measured_rates_match_the_matrix(name):
    matrix = MATRICES[name]
    _, labels = examples(size=60_000)
    noisy = noise.corrupt_labels(labels, matrix, seed=5)
    p_values = []
    for true in range(10):
        counts = np.bincount(noisy[labels == true], minlength=10)
        possible = matrix[true] > 0
        assert counts[~possible].sum() == 0
        if possible.sum() > 1:
            expected = matrix[true][possible] * counts.sum()
            p_values.append(
                scipy.stats.chisquare(counts[possible], expected).pvalue
            )
    assert min(p_values) > 0.001 / len(p_values)
    # Neither may the fit be too good: p-values are uniform.
    assert max(p_values) < 1 - 0.001 / len(p_values)


def test_noise_is_independent_of_the_seed_of_another():
    _, labels = examples(size=3000)
    matrix = MATRICES["symmetric"]
    first = noise.corrupt_labels(labels, matrix, seed=0) != labels
    second = noise.corrupt_labels(labels, matrix, seed=1) != labels
    both = np.mean(first & second)
    assert both == pytest.approx(0.4 * 0.4, abs=0.03)
    np.testing.assert_array_equal(
        first, noise.corrupt_labels(labels, matrix, seed=0) != labels
    )


def test_noise_is_independent_of_data_drawn_with_the_same_seed():
    labels = (np.random.default_rng(3).random(20_000) > 0.5).astype(int)
    noisy = noise.corrupt_labels(labels, noise.symmetric(0.4, 2), seed=3)
    for true in (0, 1):
        rate = np.mean(noisy[labels == true] != true)
        assert rate == pytest.approx(0.4, abs=0.02)


def test_labels_too_narrow_for_the_classes():
    labels = np.zeros(3, "uint8")
    with pytest.raises(ValueError, match="uint8 cannot hold 300 classes"):
        noise.corrupt_labels(labels, np.eye(300), seed=0)
    dataset = tf.data.Dataset.from_tensor_slices((labels, labels))
    with pytest.raises(ValueError, match="uint8 cannot hold 300 classes"):
        noise.with_noisy_labels(dataset, np.eye(300), seed=0)


def test_random_augmentation_before_the_noise_is_no_other_order():
    dataset = tf.data.Dataset.from_tensor_slices(examples())
    dataset = dataset.map(lambda x, y: (tf.random.uniform(()), y))
    noisy = noise.with_noisy_labels(dataset, MATRICES["symmetric"], seed=9)
    labels = [int(y) for _, y in noisy.take(100)]
    _, clean = examples()
    expected = noise.corrupt_labels(clean, MATRICES["symmetric"], seed=9)
    assert labels == expected[:100].tolist()


def test_noise_is_a_function_of_the_index():
    _, labels = examples()
    matrix = MATRICES["symmetric"]
    whole = noise.corrupt_labels(labels, matrix, seed=4)
    part = noise.corrupt_labels(labels[:100], matrix, seed=4)
    np.testing.assert_array_equal(part, whole[:100])


@pytest.mark.parametrize("dtype", ["int64", "uint8"])
def test_dtype_and_input_are_kept(dtype):
    _, labels = examples()
    labels = labels.astype(dtype)
    before = labels.copy()
    noisy = noise.corrupt_labels(labels, MATRICES["symmetric"], seed=0)
    assert noisy.dtype == labels.dtype
    np.testing.assert_array_equal(labels, before)


def test_no_noise_changes_nothing():
    _, labels = examples()
    np.testing.assert_array_equal(
        noise.corrupt_labels(labels, np.eye(10), seed=0), labels
    )


def test_an_example_keeps_one_label_through_all_epochs():
    images, labels = examples()
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = noise.with_noisy_labels(dataset, MATRICES["symmetric"], seed=9)
    expected = noise.corrupt_labels(labels, MATRICES["symmetric"], seed=9)
    pipeline = (
        dataset.shuffle(SIZE, reshuffle_each_iteration=True)
        .map(lambda x, y: (x, y), num_parallel_calls=4, deterministic=False)
        .batch(7)
        .prefetch(2)
    )
    orders = []
    for _ in range(3):
        seen = labels_by_index(pipeline)
        orders.append(list(seen))
        np.testing.assert_array_equal([seen[i] for i in range(SIZE)], expected)
    assert orders[0] != orders[1] != orders[2]


def test_element_spec_is_kept():
    images, labels = examples()
    dataset = tf.data.Dataset.from_tensor_slices(
        (images, labels.astype("uint8"))
    )
    noisy = noise.with_noisy_labels(dataset, np.eye(10), seed=0)
    assert noisy.element_spec == dataset.element_spec
    assert noisy.cardinality() == SIZE


@pytest.mark.parametrize("label", [-1, 10])
def test_labels_out_of_range(label):
    images, labels = examples(size=40)
    labels[30] = label
    with pytest.raises(ValueError, match=rf"0\.\.9.*\[{label}\]"):
        noise.corrupt_labels(labels, np.eye(10), seed=0)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = noise.with_noisy_labels(dataset, np.eye(10), seed=0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"0\.\.9"):
        list(dataset)


@pytest.mark.parametrize(
    "labels", [np.zeros((3, 1), int), np.zeros(3), [[1]], ["a"]]
)
def test_labels_that_are_none(labels):
    with pytest.raises(ValueError, match="integer array"):
        noise.corrupt_labels(labels, np.eye(10), seed=0)


@pytest.mark.parametrize("seed", [-1, 0.5])
def test_invalid_seeds(seed):
    with pytest.raises(ValueError, match=rf"`seed` must be .*seed={seed}"):
        noise.corrupt_labels(np.array([0]), np.eye(10), seed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.batch(4), "before batching"),
        (lambda d: d.map(lambda x, y: (x, tf.one_hot(y, 10))), "scalars"),
        (lambda d: d.map(lambda x, y: (x, 0.5)), "must be integers"),
        (lambda d: d.map(lambda x, y: x), "pairs"),
        (lambda d: d.map(lambda x, y: (x, y, 1.0)), "pairs"),
        (lambda d: d.repeat(), "infinite cardinality"),
        (lambda d: d.filter(lambda x, y: y > 0), "unknown cardinality"),
        (lambda d: d.shuffle(100), "before `shuffle`"),
    ],
)
def test_pipelines_that_cannot_keep_labels(change, message):
    dataset = tf.data.Dataset.from_tensor_slices(examples())
    with pytest.raises(ValueError, match=message):
        noise.with_noisy_labels(change(dataset), np.eye(10), seed=0)


def test_a_fixed_shuffle_is_a_stored_order():
    dataset = tf.data.Dataset.from_tensor_slices(examples())
    dataset = dataset.shuffle(100, seed=1, reshuffle_each_iteration=False)
    noisy = noise.with_noisy_labels(dataset, MATRICES["symmetric"], seed=0)
    assert labels_by_index(noisy.batch(9)) == labels_by_index(noisy.batch(5))
