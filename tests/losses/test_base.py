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
def test_masked_batch_equals_its_subset(rng, name):
    model = keras.Sequential(
        [
            keras.layers.Embedding(7, 3, mask_zero=True),
            keras.layers.Dense(NUM_CLASSES, activation="softmax"),
        ]
    )
    model.compile(
        loss=make(name, ignore_class=255), run_eagerly=BACKEND == "tensorflow"
    )
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


def test_fit_save_and_load_without_custom_objects(rng, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(NUM_CLASSES),
        ]
    )
    # Of parts, which come back within it.
    loss = make("nce+rce", from_logits=True)
    model.compile(
        optimizer=keras.optimizers.SGD(0.5),
        loss=loss,
        metrics=["accuracy"],
        jit_compile=BACKEND == "jax",
    )
    labels = rng.integers(NUM_CLASSES, size=256)
    centers = np.array([[3.0, 0.0], [-3.0, 3.0], [-3.0, -3.0]])
    x = (centers[labels] + rng.normal(size=(256, 2))).astype("float32")
    history = model.fit(x, labels, epochs=15, verbose=0).history
    assert history["accuracy"][-1] > 0.9
    before = model.evaluate(x, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    # Its graph would cost a second.
    loaded.run_eagerly = BACKEND == "tensorflow"
    assert type(loaded.loss) is type(loss)
    assert loaded.loss.get_config() == loss.get_config()
    check(loaded.evaluate(x, labels, verbose=0), before)


@on_compilers
@pytest.mark.parametrize("name", ["arl", "ce+sr"])
def test_a_loss_may_be_made_while_it_is_compiled(rng, name):
    labels, _, p = batch(rng)
    p = p.astype("float32")
    made_before = losses.get(name)
    expected = float(made_before(labels, p))
    run = compiled(lambda y, x: losses.get(name)(y, x))
    assert float(run(labels, p)) == pytest.approx(expected, rel=1e-5)


def test_a_model_makes_a_loss_of_its_class(rng):
    labels, _, p = batch(rng)
    # The loss of an untrained model, whose output is its input.
    model = keras.Sequential([keras.Input((NUM_CLASSES,))])
    model.add(keras.layers.Dense(NUM_CLASSES, "softmax", use_bias=False))
    model.set_weights([np.eye(NUM_CLASSES)])
    model.compile("sgd", loss=losses.ARL)
    found = model.fit(np.log(p), labels, verbose=0).history["loss"]
    expected = float(losses.ARL()(labels, p))
    assert found == pytest.approx([expected], rel=1e-5)


def test_repr():
    assert repr(GCE(q=0.7)) == "GCE(q=0.7)"
    assert repr(GCE(from_logits=True)) == "GCE(q=0.7, from_logits=True)"
    assert repr(losses.MAE()) == "MAE()"
    assert repr(losses.ARL()) == "ARL(version=1)"
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
