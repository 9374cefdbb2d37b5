"""What holds for every loss of the registry; to register is to be tested."""

import keras
import numpy as np
import pytest

from keras_arl import losses
from tests.losses.papers import PAPERS
from tests.losses.papers import TAYLOR
from tests.losses.papers import TRANSITION
from tests.losses.reference import compiled
from tests.losses.reference import taylor
from tests.losses.reference import to_numpy
from tests.losses.reference import value_and_gradient

BACKEND = keras.config.backend()
NUM_CLASSES = len(TRANSITION)
REQUIRED = {
    "backward_correction": {"transition": TRANSITION},
    "forward_correction": {"transition": TRANSITION},
    "taylor": TAYLOR,
}

every_loss = pytest.mark.parametrize("name", losses.names())


def make(identifier, **kwargs):
    return losses.get(identifier, **REQUIRED.get(identifier, {}), **kwargs)


def paper(name):
    if name == "arl":
        arl = losses.ARL()
        return lambda y, p: taylor(
            arl.coefficients, arl.center, arl.order, y, p, arl.class_aware
        )
    return PAPERS[name]


def batch(rng, size=8):
    probabilities = rng.dirichlet(np.ones(NUM_CLASSES), size=size)
    labels = rng.integers(NUM_CLASSES, size=size)
    return labels, np.eye(NUM_CLASSES)[labels], probabilities


def logits_of(p):
    """Logits whose softmax is p, shifted: a softmax must not care."""
    return np.log(p) + np.arange(len(p))[:, None]


def test_every_formula_is_of_a_registered_loss():
    assert {*PAPERS, "arl"} == set(losses.names())


@every_loss
@pytest.mark.parametrize("from_logits", [False, True])
def test_formula(rng, name, from_logits):
    loss = make(name, from_logits=from_logits, reduction=None)
    assert loss.from_logits == from_logits
    labels, one_hot, p = batch(rng)
    soft = rng.dirichlet(np.ones(NUM_CLASSES), size=len(p))
    predictions = logits_of(p) if from_logits else p
    expected = paper(name)(one_hot, p)
    for y_true in (labels, labels[:, None], labels.astype("float32"), one_hot):
        np.testing.assert_allclose(
            loss(y_true, predictions), expected, rtol=2e-5, atol=2e-5
        )
    np.testing.assert_allclose(
        loss(soft, predictions), paper(name)(soft, p), rtol=2e-5, atol=2e-5
    )


@every_loss
def test_gradient_is_that_of_the_formula(rng, name):
    loss = make(name, from_logits=True, reduction="sum")
    labels, one_hot, p = batch(rng)
    logits = logits_of(p)

    def formula(logits):
        logits = logits - logits.max(axis=1, keepdims=True)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return paper(name)(one_hot, p).sum()

    numeric = np.zeros_like(logits)
    for index in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[index] = 1e-5
        numeric[index] = (formula(logits + step) - formula(logits - step)) / (
            2e-5
        )
    for y_true in (labels, one_hot):
        _, gradient = value_and_gradient(
            lambda x, y_true=y_true: loss(y_true, x), logits
        )
        np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-4)


@every_loss
@pytest.mark.parametrize("one_hot", [False, True])
def test_finite_at_saturation(name, one_hot):
    saturated = np.eye(NUM_CLASSES)[[0, 0, 2]]
    labels = np.array([0, 1, 2])
    y_true = np.eye(NUM_CLASSES)[labels] if one_hot else labels
    for predictions, from_logits in (
        (saturated, False),
        (1e4 * saturated, True),
        (-1e4 * saturated, True),
    ):
        loss = make(name, from_logits=from_logits, reduction="sum")
        value, gradient = value_and_gradient(
            lambda x, loss=loss: loss(y_true, x), predictions
        )
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@every_loss
def test_saturated_values_are_the_limits(name):
    # Where the labelled class has all the probability, as close as float32
    # logits come to it.
    labels = np.arange(NUM_CLASSES)
    targets = np.eye(NUM_CLASSES)
    logits = 12.0 * targets
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = make(name, from_logits=True, reduction=None)
    np.testing.assert_allclose(
        loss(labels, logits), paper(name)(targets, p), rtol=1e-2, atol=1e-6
    )


@every_loss
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
    np.testing.assert_allclose(
        loss(labels, p, sample_weight=weight),
        reduce(paper(name)(one_hot, p), weight),
        rtol=2e-5,
        atol=2e-5,
    )


@every_loss
def test_masked_batch_equals_its_subset(rng, name):
    model = keras.Sequential(
        [
            keras.layers.Embedding(7, 3, mask_zero=True),
            keras.layers.Dense(NUM_CLASSES, activation="softmax"),
        ]
    )
    model.compile(loss=make(name))
    tokens = np.array([[1, 2, 0, 0], [3, 4, 5, 6]])
    labels = rng.integers(NUM_CLASSES, size=tokens.shape)
    value = model.evaluate(tokens, labels, verbose=0)
    kept = tokens != 0
    p = to_numpy(model(tokens))[kept].astype("float64")
    expected = paper(name)(np.eye(NUM_CLASSES)[labels[kept]], p).mean()
    assert value == pytest.approx(expected, abs=2e-5)


@every_loss
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
    np.testing.assert_allclose(
        loss(labels, logits), paper(name)(one_hot, exact), rtol=1e-4, atol=2e-5
    )


@every_loss
def test_float64(rng, name):
    if BACKEND == "jax":
        pytest.skip("JAX computes in float64 only with a global switch")
    loss = make(name, dtype="float64", reduction=None)
    assert loss.dtype == "float64"
    labels, one_hot, p = batch(rng)
    for y_true in (labels, one_hot):
        np.testing.assert_allclose(
            to_numpy(loss(y_true, p)),
            paper(name)(one_hot, p),
            rtol=1e-6,
            atol=1e-7,
        )


@pytest.mark.skipif(BACKEND == "torch", reason="no compiler wanted here")
@every_loss
@pytest.mark.parametrize("from_logits", [False, True])
def test_compiled_equals_eager(rng, name, from_logits):
    loss = make(name, reduction=None, from_logits=from_logits)
    labels, one_hot, p = batch(rng)
    run = compiled(lambda y, x: loss(y, x))
    predictions = (np.log(p) if from_logits else p).astype("float32")
    expected = paper(name)(one_hot, p)
    for y_true in (labels, one_hot.astype("float32")):
        np.testing.assert_allclose(
            run(y_true, predictions), expected, rtol=2e-5, atol=2e-5
        )


@every_loss
def test_fit_save_and_load_without_custom_objects(rng, tmp_path, name):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(NUM_CLASSES),
        ]
    )
    # With its default this one leaves out all of what is not learned yet.
    settings = {"k": 0.01} if name == "truncated_gce" else {}
    loss = make(name, from_logits=True, **settings)
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
    np.testing.assert_allclose(
        loaded.evaluate(x, labels, verbose=0), before, rtol=1e-5
    )


@every_loss
def test_config_round_trip(name):
    loss = make(name, from_logits=True, reduction="sum", name="mine")
    again = type(loss).from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    assert (again.name, again.reduction) == ("mine", "sum")
    assert again.from_logits


@every_loss
def test_invalid_class_index_raises(rng, name):
    labels, _, p = batch(rng)
    labels[2] = NUM_CLASSES
    with pytest.raises(ValueError, match=r"0\.\.2.*among them: 3"):
        make(name)(labels, p)


@pytest.mark.skipif(BACKEND == "torch", reason="always eager")
@every_loss
def test_invalid_class_index_is_nan_when_compiled(rng, name):
    labels, one_hot, p = batch(rng)
    labels[2] = -1
    loss = make(name, reduction=None)
    values = to_numpy(
        compiled(lambda y, x: loss(y, x))(labels, p.astype("float32"))
    )
    assert np.isnan(values[2])
    good = np.arange(len(p)) != 2
    np.testing.assert_allclose(
        values[good], paper(name)(one_hot, p)[good], rtol=2e-5, atol=2e-5
    )
