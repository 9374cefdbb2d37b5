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


def test_noise_is_a_function_of_the_index():
    _, labels = examples()
    matrix = MATRICES["symmetric"]
    whole = noise.corrupt_labels(labels, matrix, seed=4)
    part = noise.corrupt_labels(labels[:100], matrix, seed=4)
    np.testing.assert_array_equal(part, whole[:100])


@pytest.mark.parametrize("shape", [(SIZE,), (SIZE, 1), (20, 5, 5)])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float32"])
def test_dtype_shape_and_input_are_kept(dtype, shape):
    _, labels = examples()
    expected = noise.corrupt_labels(labels, MATRICES["symmetric"], seed=0)
    labels = labels.astype(dtype).reshape(shape)
    before = labels.copy()
    noisy = noise.corrupt_labels(labels, MATRICES["symmetric"], seed=0)
    assert noisy.dtype == labels.dtype
    np.testing.assert_array_equal(noisy, expected.reshape(shape))
    np.testing.assert_array_equal(labels, before)


def test_lists_and_booleans_are_labels():
    flip = noise.asymmetric(0.999, {0: 1, 1: 0}, 2)
    noisy = noise.corrupt_labels([0, 1, 0], flip, seed=0)
    assert noisy.tolist() == [1, 0, 1]
    noisy = noise.corrupt_labels(np.array([False, True]), flip, seed=0)
    assert (noisy.dtype, noisy.tolist()) == (bool, [True, False])
    assert noise.measure_noise([[0], [1]], [1, 1], 2).rate == 0.5


@pytest.mark.parametrize(
    ("dtype", "num_classes"), [("uint8", 256), ("int8", 128), ("bool", 2)]
)
def test_a_dtype_that_just_holds_the_classes(dtype, num_classes):
    labels = np.arange(num_classes).astype(dtype)
    matrix = noise.symmetric(0.4, num_classes)
    expected = noise.corrupt_labels(labels, matrix, seed=0)
    dataset = tf.data.Dataset.from_tensor_slices(
        (np.arange(num_classes), labels[:, None])
    )
    dataset = noise.with_noisy_labels(dataset, matrix, seed=0)
    noisy = [y.item() for _, y in dataset.as_numpy_iterator()]
    assert noisy == expected.tolist()


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
    "labels",
    [
        [0.5, 1.0],
        [np.nan],
        ["a"],
        [[0], [1, 2]],
        tf.ragged.constant([[0], [1, 2]]),
        np.eye(10, dtype=int)[[3, 1]],
        3,
    ],
)
def test_labels_that_are_none(labels):
    with pytest.raises(ValueError, match=r"class indices.*Received"):
        noise.corrupt_labels(labels, np.eye(10), seed=0)


@pytest.mark.parametrize("seed", [-1, 0.5])
def test_invalid_seeds(seed):
    with pytest.raises(ValueError, match=rf"`seed` must be .*seed={seed}"):
        noise.corrupt_labels(np.array([0]), np.eye(10), seed)


FORMS = {
    "pair": lambda x, y: (x, y),
    "weighted": lambda x, y: (x, y, 1.0),
    "dictionary": lambda x, y: {"image": x, "label": y, "id": "a"},
    "column": lambda x, y: (x, y[None]),
    "float": lambda x, y: ({"a": x, "b": "text"}, tf.cast(y, tf.float32)),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_elements(form):
    images, labels = examples()
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.map(FORMS[form])
    noisy = noise.with_noisy_labels(dataset, MATRICES["symmetric"], seed=9)
    assert noisy.element_spec == dataset.element_spec
    place = "label" if form == "dictionary" else 1
    expected = noise.corrupt_labels(labels, MATRICES["symmetric"], seed=9)
    found = [element[place].item() for element in noisy.as_numpy_iterator()]
    assert found == expected.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.batch(4), "before batching"),
        (lambda d: d.map(lambda x, y: (x, tf.one_hot(y, 10))), "scalars"),
        (lambda d: d.map(lambda x, y: (x, "a")), "be integers"),
        (lambda d: d.map(lambda x, y: x), "pairs"),
        (lambda d: d.map(lambda x, y: {"y": y}), "the label as 'label'"),
        (lambda d: d.repeat(), "infinite cardinality"),
        (lambda d: d.filter(lambda x, y: y > 0), "unknown cardinality"),
        (lambda d: d.repeat(2), "again.*1000 examples, 500 different"),
        (lambda d: d.repeat().take(501).prefetch(1), "before `repeat`"),
        (lambda d: d.shuffle(100), "before `shuffle`"),
        (
            lambda d: d.map(
                lambda x, y: (
                    tf.numpy_function(np.random.rand, [], "float64"),
                    y,
                )
            ),
            "random augmentation",
        ),
    ],
)
def test_pipelines_that_cannot_keep_labels(change, message):
    dataset = tf.data.Dataset.from_tensor_slices(examples())
    with pytest.raises(ValueError, match=message):
        noise.with_noisy_labels(change(dataset), np.eye(10), seed=0)


def test_sorted_examples_that_are_shuffled():
    images, labels = examples()
    dataset = tf.data.Dataset.from_tensor_slices((images, np.sort(labels)))
    noise.with_noisy_labels(dataset, np.eye(10), seed=0)
    with pytest.raises(ValueError, match="before `shuffle`"):
        noise.with_noisy_labels(dataset.shuffle(30), np.eye(10), seed=0)


def test_an_order_that_changes_later_ends_the_training():
    # A generator whose first examples alone are in a fixed order.
    rng = np.random.default_rng(0)

    def generate():
        yield from ((x, 0) for x in range(100))
        yield from ((x, 0) for x in 100 + rng.permutation(100))

    spec = tf.TensorSpec((), tf.int64)
    dataset = tf.data.Dataset.from_generator(
        generate, output_signature=(spec, spec)
    ).apply(tf.data.experimental.assert_cardinality(200))
    noisy = noise.with_noisy_labels(dataset, np.eye(10), seed=0)
    kept = noisy.cache()
    assert [*kept.as_numpy_iterator()] == [*kept.as_numpy_iterator()]
    with pytest.raises(tf.errors.InvalidArgumentError, match="another order"):
        list(noisy.shuffle(10))


def test_a_fixed_shuffle_is_a_stored_order():
    dataset = tf.data.Dataset.from_tensor_slices(examples())
    dataset = dataset.shuffle(100, seed=1, reshuffle_each_iteration=False)
    noisy = noise.with_noisy_labels(dataset, MATRICES["symmetric"], seed=0)
    assert labels_by_index(noisy.batch(9)) == labels_by_index(noisy.batch(5))


def test_examples_that_are_the_same_are_no_repeat():
    labels = np.zeros(100, "int64")
    dataset = tf.data.Dataset.from_tensor_slices((labels, labels))
    noisy = noise.with_noisy_labels(dataset, MATRICES["symmetric"], seed=0)
    expected = noise.corrupt_labels(labels, MATRICES["symmetric"], seed=0)
    assert [y for _, y in noisy.as_numpy_iterator()] == expected.tolist()
