"""Labels and sample weights in all forms, on a loss of each kind."""

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import GCE
from tests.losses.papers import TRANSITION
from tests.losses.papers import batch
from tests.losses.papers import make
from tests.losses.papers import paper
from tests.losses.reference import to_numpy

BACKEND = keras.config.backend()
NUM_CLASSES = len(TRANSITION)
# Pointwise, composed, Taylor polynomial.
three_losses = pytest.mark.parametrize("name", ["gce", "nce+rce", "arl"])
on_compilers = pytest.mark.skipif(
    BACKEND == "torch", reason="no compiler wanted here"
)


def check(found, expected, tolerance=2e-5):
    np.testing.assert_allclose(
        to_numpy(found), expected, rtol=tolerance, atol=tolerance
    )


@three_losses
def test_a_weight_of_an_example_holds_for_all_its_labels(rng, name):
    # As many positions as examples.
    labels, one_hot, p = (a[:4].reshape(2, 2, *a.shape[1:]) for a in batch(rng))
    values = paper(name)(one_hot.reshape(4, -1), p.reshape(4, -1))
    values = values.reshape(2, 2)
    weight = np.array([1.0, 3.0])
    for given in (weight, weight[:, None], weight[:, None, None]):
        loss = make(name, reduction="mean_with_sample_weight")
        expected = (values.mean(axis=1) @ weight) / 4
        check(loss(labels, p, sample_weight=given), expected)
    each = rng.uniform(size=(2, 2))
    loss = make(name, reduction="sum")
    for given in (each, each[..., None], each.tolist()):
        check(loss(labels, p, sample_weight=given), (values * each).sum())
    with pytest.raises(ValueError, match=r"labels, \(2, 2\).*shape=\(3,\)"):
        loss(labels, p, sample_weight=np.ones(3))


@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 4.0]])
def test_a_class_is_ignored_as_by_keras(weight):
    labels = np.array([0, 255, 2])
    one_hot = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]])
    p = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]])
    weight = None if weight is None else np.array(weight)
    for reduction in ("sum_over_batch_size", "sum", "none"):
        loss, same = (
            cls(ignore_class=255, reduction=reduction)
            for cls in (
                losses.CrossEntropy,
                keras.losses.SparseCategoricalCrossentropy,
            )
        )
        expected = to_numpy(same(labels, p, sample_weight=weight))
        for y_true in (labels, one_hot):
            check(loss(y_true, p, sample_weight=weight), expected)
    # One of the classes, which can be predicted but is not learned.
    loss = losses.CrossEntropy(ignore_class=2)
    for y_true in (labels[[0, 2]], one_hot[[0, 2]]):
        check(loss(y_true, p[[0, 2]]), np.log(2))
    with pytest.raises(ValueError, match=r"in 0\.\.2 or 255;.*among them: -1"):
        losses.CrossEntropy(ignore_class=255)(np.array([0, -1]), p[:2])
    with pytest.raises(ValueError, match="`ignore_class` must be an integer"):
        losses.CrossEntropy(ignore_class=0.5)


@three_losses
def test_classes_on_another_axis(rng, name):
    # As many classes as rows and columns.
    size = (2, NUM_CLASSES, NUM_CLASSES)
    labels, one_hot, p = batch(rng, size=np.prod(size))
    loss = make(name, axis=1, reduction=None)
    expected = paper(name)(one_hot, p).reshape(size)
    one_hot, p = (
        np.moveaxis(a.reshape(*size, -1), -1, 1) for a in (one_hot, p)
    )
    labels = labels.reshape(size)
    for y_true in (labels, labels[:, None], one_hot):
        check(loss(y_true, p), expected)
    weight = np.array([1.0, 0.5])
    found = loss(labels, p, sample_weight=weight)
    check(found, expected * weight[:, None, None])
    with pytest.raises(ValueError, match=r"1\.\.3 or -3\.\.-1.*axis=4"):
        make(name, axis=4)(labels, p)


def test_labels_of_all_kinds(rng):
    labels, _, p = batch(rng)
    labels, p = labels % 2, p[:, :2] / p[:, :2].sum(axis=1, keepdims=True)
    loss = GCE(reduction=None)
    expected = to_numpy(loss(labels, p))
    one_hot = np.eye(2)[labels]
    for y_true in (
        labels.tolist(),
        labels[:, None].astype("uint8"),
        labels.astype(bool),
        one_hot.tolist(),
        one_hot.astype(bool),
        one_hot.astype("int8"),
    ):
        check(loss(y_true, p), expected)
    check(loss(labels, p.tolist()), expected)
    with pytest.raises(
        ValueError, match=r"rows of one length.*ignore_class=-1"
    ):
        loss([[0, 1], [0]], p)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with pytest.raises(ValueError, match=r"ragged.*y_true\.to_tensor"):
            loss(tf.ragged.constant([[0, 1], [0]]), p)


@three_losses
@pytest.mark.parametrize("wrong", [-1, NUM_CLASSES, 1.5, np.nan])
def test_invalid_class_index_raises(rng, name, wrong):
    labels, _, p = batch(rng)
    labels = labels.astype("float32")
    labels[2] = wrong
    with pytest.raises(ValueError, match=rf"0\.\.2.*among them: {wrong:g}"):
        make(name)(labels, p)


@three_losses
@pytest.mark.parametrize(
    ("row", "quoted"),
    [
        ([0, 255, 0], r"\[0, 255, 0\] with sum 255"),
        ([1, 1, 0], "with sum 2"),
        ([-0.5, 1.5, 0], r"\[-0\.5, 1\.5, 0\]"),
        ([np.nan, 0, 1], "nan"),
    ],
)
def test_invalid_soft_label_raises(rng, name, row, quoted):
    _, one_hot, p = batch(rng)
    one_hot[2] = row
    with pytest.raises(ValueError, match=f"Received 1 others.*{quoted}"):
        make(name)(one_hot, p)


@three_losses
def test_sequences(rng, name):
    labels, one_hot, p = (a.reshape(2, 4, *a.shape[1:]) for a in batch(rng))
    loss = make(name, reduction=None)
    flat = paper(name)(one_hot.reshape(8, -1), p.reshape(8, -1))
    for y_true in (labels, labels[..., None], one_hot):
        check(loss(y_true, p), flat.reshape(2, 4))


def test_as_many_examples_as_classes_is_not_ambiguous(rng):
    labels, one_hot, p = batch(rng, size=NUM_CLASSES)
    loss = make("gce", reduction=None)
    check(loss(labels, p), to_numpy(loss(one_hot, p)))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="shapes of tf.data")
def test_labels_of_a_depth_known_only_in_the_run(rng):
    import tensorflow as tf

    loss = make("gce")
    labels, one_hot, p = batch(rng)
    p = p.astype("float32")
    unknown = tf.TensorSpec((None, None), "float32")
    predictions = tf.TensorSpec((None, NUM_CLASSES), "float32")
    run = tf.function(loss, input_signature=[unknown, predictions])
    value = run(one_hot.astype("float32"), p)
    check(value, paper("gce")(one_hot, p).mean())
    with pytest.raises(tf.errors.InvalidArgumentError, match="reshape"):
        run(labels[:, None].astype("float32"), p)
    rankless = tf.TensorSpec(None, "float32")
    run = tf.function(loss, input_signature=[rankless, predictions])
    with pytest.raises(ValueError, match="`y_true` must have a known number"):
        run(one_hot.astype("float32"), p)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        (np.zeros(3), np.zeros(3), r"batch axis.*\(3,\)"),
        (np.zeros(3), np.zeros((3, 1)), r"two classes.*\(3, 1\)"),
        (np.zeros(4), np.ones((3, 5)) / 5, r"Received: y_true.shape=\(4,\)"),
        (
            np.zeros((3, 4)),
            np.ones((3, 5)) / 5,
            r"\(3,\) or \(3, 1\).*\(3, 5\).*Received: y_true.shape=\(3, 4\)",
        ),
    ],
)
def test_invalid_shapes(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        GCE()(y_true, y_pred)
