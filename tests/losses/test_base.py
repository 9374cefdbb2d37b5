"""What the base class does, on a loss of each kind that is built on it."""

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import GCE
from keras_arl.losses import TaylorLoss
from tests.losses.papers import TRANSITION
from tests.losses.papers import batch
from tests.losses.papers import make
from tests.losses.papers import paper
from tests.losses.reference import compiled
from tests.losses.reference import taylor
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
@pytest.mark.parametrize(
    ("reduction", "reduce"),
    [
        ("sum", lambda v, w: (v * w).sum()),
        ("sum_over_batch_size", lambda v, w: (v * w).mean()),
        ("mean_with_sample_weight", lambda v, w: (v * w).sum() / w.sum()),
        (None, lambda v, w: v * w),
    ],
)
def test_reductions_and_sample_weight(rng, name, reduction, reduce):
    loss = make(name, reduction=reduction)
    labels, one_hot, p = batch(rng)
    weight = rng.uniform(size=len(p))
    expected = reduce(paper(name)(one_hot, p), weight)
    check(loss(labels, p, sample_weight=weight), expected)


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


@three_losses
def test_masked_batch_equals_its_subset(rng, name):
    model = keras.Sequential(
        [
            keras.layers.Embedding(7, 3, mask_zero=True),
            keras.layers.Dense(NUM_CLASSES, activation="softmax"),
        ]
    )
    model.compile(loss=make(name, ignore_class=255))
    tokens = np.array([[1, 2, 0, 0], [3, 4, 5, 6]])
    labels = rng.integers(NUM_CLASSES, size=tokens.shape)
    labels[1, 2] = 255
    weight = np.array([0.5, 2.0])
    value = model.evaluate(tokens, labels, verbose=0)
    weighted = model.evaluate(tokens, labels, sample_weight=weight, verbose=0)
    kept = (tokens != 0) & (labels != 255)
    p = to_numpy(model(tokens))[kept].astype("float64")
    values = paper(name)(np.eye(NUM_CLASSES)[labels[kept]], p)
    assert value == pytest.approx(values.mean(), abs=2e-5)
    expected = (values * weight[np.nonzero(kept)[0]]).mean()
    assert weighted == pytest.approx(expected, abs=2e-5)


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
@pytest.mark.parametrize("dtype", ["float16", "mixed_bfloat16"])
def test_low_precision_is_computed_in_float32(rng, name, dtype):
    loss = make(name, dtype=dtype, reduction=None, from_logits=True)
    assert loss.dtype == "float32"
    labels, one_hot, p = batch(rng)
    low = dtype.removeprefix("mixed_")
    logits = keras.ops.convert_to_tensor(np.log(p), dtype=low)
    exact = np.exp(
        to_numpy(keras.ops.cast(logits, "float32")).astype("float64")
    )
    exact = exact / exact.sum(axis=1, keepdims=True)
    check(loss(labels, logits), paper(name)(one_hot, exact), 1e-4)


def test_probabilities_in_float16_are_warned_of():
    p = keras.ops.convert_to_tensor([[0.5, 0.5]], dtype="float16")
    with pytest.warns(UserWarning, match="float16 probabilities overflow"):
        GCE()(np.array([0]), p)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_class_indices_stay_exact(rng, dtype):
    # bfloat16 has no 301, float16 no 4099.
    labels = np.array([301, 4099])
    p = rng.dirichlet(np.ones(5000), size=2)
    loss = GCE(dtype=dtype, reduction=None)
    expected = (1 - p[np.arange(2), labels] ** 0.7) / 0.7
    check(loss(labels, p), expected, 1e-4)


@pytest.mark.skipif(BACKEND == "jax", reason="float64 by a global switch")
@three_losses
def test_float64(rng, name):
    loss = make(name, dtype="float64", reduction=None)
    assert loss.dtype == "float64"
    labels, one_hot, p = batch(rng)
    loss.hyper_variables()
    # On PyTorch `ops.maximum` of Keras 3.15 returns float32.
    tolerance = 1e-6 if BACKEND == "torch" else 1e-9
    for y_true in (labels, one_hot):
        check(loss(y_true, p), paper(name)(one_hot, p), tolerance)


def test_fit_under_a_mixed_precision_policy(rng):
    policy = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        layer = keras.layers.Dense(400, "softmax", kernel_initializer="normal")
        model = keras.Sequential([keras.Input((2,)), layer])
        model.compile(optimizer="sgd", loss=TaylorLoss([0, -1, 0], order=2))
        # Far apart, so that neighbouring classes are too.
        x = 50 * rng.normal(size=(4, 2)).astype("float32")
        labels = np.array([301, 302, 303, 399])
        p = to_numpy(keras.ops.cast(model(x), "float32"))
        history = model.fit(x, labels, batch_size=4, verbose=0).history
    finally:
        keras.mixed_precision.set_dtype_policy(policy)
    expected = taylor([0, -1, 0], (0, 0), 2, np.eye(400)[labels], p).mean()
    assert history["loss"][0] == pytest.approx(expected, abs=2e-3)


@on_compilers
@three_losses
def test_compiled_equals_eager(rng, name):
    labels, one_hot, p = batch(rng)
    wrong = labels.copy()
    wrong[2] = -1
    wrong_soft = one_hot.astype("float32")
    wrong_soft[2] *= 255
    expected = paper(name)(one_hot, p)
    for from_logits in (False, True):
        loss = make(name, reduction=None, from_logits=from_logits)
        run = compiled(lambda y, x, loss=loss: loss(y, x))
        predictions = (np.log(p) if from_logits else p).astype("float32")
        for y_true in (labels, one_hot.astype("float32")):
            check(run(y_true, predictions), expected)
        # The loss of a label that is none is NaN, and no other sample's is.
        for y_true in (wrong, wrong_soft):
            values = to_numpy(run(y_true, predictions))
            assert np.isnan(values[2])
            good = np.arange(len(p)) != 2
            check(values[good], expected[good])


@on_compilers
def test_labels_that_a_compiled_function_captures(rng):
    labels, one_hot, p = batch(rng)
    loss = make("gce")
    captured = keras.ops.convert_to_tensor(labels, dtype="float32")
    value = compiled(lambda x: loss(captured, x))(p.astype("float32"))
    check(value, paper("gce")(one_hot, p).mean())


@three_losses
def test_fit_save_and_load_without_custom_objects(rng, tmp_path, name):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(NUM_CLASSES),
        ]
    )
    loss = make(name, from_logits=True)
    model.compile(
        optimizer=keras.optimizers.Adam(0.02),
        loss=loss,
        metrics=["accuracy"],
        jit_compile=BACKEND != "torch",
    )
    labels = rng.integers(NUM_CLASSES, size=256)
    centers = np.array([[3.0, 0.0], [-3.0, 3.0], [-3.0, -3.0]])
    x = (centers[labels] + rng.normal(size=(256, 2))).astype("float32")
    history = model.fit(x, labels, epochs=15, verbose=0).history
    assert history["accuracy"][-1] > 0.9
    before = model.evaluate(x, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is type(loss)
    assert loaded.loss.get_config() == loss.get_config()
    check(loaded.evaluate(x, labels, verbose=0), before)


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


@pytest.mark.parametrize("name", ["arl", "ce+sr"])
def test_a_loss_may_be_made_while_it_is_compiled(rng, name):
    labels, _, p = batch(rng)
    logits = keras.ops.log(p)

    def value_of(loss):
        # The loss of an untrained model, whose output is its input.
        model = keras.Sequential([keras.Input((NUM_CLASSES,))])
        model.add(keras.layers.Dense(NUM_CLASSES, "softmax", use_bias=False))
        model.set_weights([np.eye(NUM_CLASSES)])
        model.compile("sgd", loss=loss)
        return model.fit(logits, labels, verbose=0).history["loss"]

    made_before = losses.get(name)
    expected = [float(made_before(labels, p))]
    assert value_of(lambda y, x: losses.get(name)(y, x)) == (
        pytest.approx(expected, rel=1e-5)
    )
    if name == "arl":
        assert value_of(losses.ARL) == pytest.approx(expected, rel=1e-5)


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


def test_repr():
    assert repr(GCE(q=0.7)) == "GCE(q=0.7)"
    assert repr(GCE(from_logits=True)) == "GCE(q=0.7, from_logits=True)"
    assert repr(losses.MAE()) == "MAE()"
    assert repr(losses.ARL()) == "ARL()"
    assert repr(TaylorLoss([0, -1, 0], order=2, class_aware=True)) == (
        "TaylorLoss(order=2, class_aware=True, shifted=True)"
    )
    composed = losses.ActivePassive(losses.NCE(), losses.MAE(), beta=10)
    assert repr(composed) == "ActivePassive(NCE(), MAE(), alpha=1.0, beta=10.0)"
    assert repr(losses.ForwardCorrection(np.eye(2))) == "ForwardCorrection()"


def test_a_subclass_is_named_after_itself():
    class HTTPLoss2D(GCE):
        pass

    assert HTTPLoss2D().name == HTTPLoss2D().name == "http_loss2d"
    assert losses.TruncatedGCE().name == "truncated_gce"
    assert HTTPLoss2D(name="other").name == "other"
