"""A learner is a Keras model: it is saved, resumed, compiled and watched."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_arl import learners
from keras_arl import losses

BACKEND = keras.config.backend()
SIZE, NUM_CLASSES = 32, 3
RNG = np.random.default_rng(5)
X = RNG.normal(size=(SIZE, 4)).astype("float32")
Y = RNG.integers(NUM_CLASSES, size=SIZE)
CLEAN = X[:12], Y[:12]

MAKE = {
    "adaptive": lambda m: learners.AdaptiveLoss(m, meta_every=2),
    "confidence": lambda m: learners.ConfidenceBranch(
        m,
        reverse_weight=0.5,
        target_epoch=1,
        target_every=1,
        confidence_threshold=0.8,
    ),
    "elr": learners.ELR,
    "l2b": lambda m: learners.L2B(m, warmup_epochs=1),
    "marvel": lambda m: learners.Marvel(m, patience=2, arduous_weight=2.0),
    "meta_weight_net": lambda m: learners.MetaWeightNet(m, hidden_units=3),
    "memory": learners.TaylorMemory,
    "selc": lambda m: learners.SELC(m, correction_epoch=1),
}
# Graphs of TensorFlow cost seconds; not where a test is about something else.
UNCOMPILED = {"run_eagerly": BACKEND == "tensorflow"}
every_learner = pytest.mark.parametrize("name", MAKE)


def network(dropout=0.0, dtype=None):
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="relu", dtype=dtype),
            keras.layers.Dropout(dropout, seed=1),
            keras.layers.Dense(NUM_CLASSES, activation="softmax", dtype=dtype),
        ],
    )


def make(name, seed=0, dropout=0.0, **compile_arguments):
    keras.utils.set_random_seed(seed)
    learner = MAKE[name](network(dropout))
    learner.compile(
        keras.optimizers.SGD(0.2, momentum=0.9),
        metrics=["accuracy"],
        **compile_arguments,
    )
    return learner


def fit(learner, **kwargs):
    meta = {"meta_data": CLEAN} if learner.needs_meta_data else {}
    return learner.fit(X, Y, batch_size=16, verbose=0, **meta, **kwargs)


def state(learner):
    return [ops.convert_to_numpy(v) for v in learner.variables]


def assert_same_state(first, second):
    for mine, others in zip(state(first), state(second), strict=True):
        np.testing.assert_allclose(mine, others, rtol=1e-5, atol=1e-6)


class KilledError(Exception):
    pass


class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KilledError


@every_learner
def test_saved_and_resumed_is_as_if_it_were_not(name, tmp_path, monkeypatch):
    learner = make(name, dropout=0.3)
    traces = []
    training_loss = type(learner).training_loss

    def counted(self, batch, y_pred):
        traces.append(y_pred)
        return training_loss(self, batch, y_pred)

    monkeypatch.setattr(type(learner), "training_loss", counted)
    fit(learner, epochs=1)
    first = len(traces)
    learner.save(tmp_path / "learner.keras")
    fit(learner, initial_epoch=1, epochs=3)
    if BACKEND != "torch":
        assert len(traces) == first
    # It goes on eagerly, so that compiled steps are those of Python.
    loaded = keras.saving.load_model(tmp_path / "learner.keras")
    loaded.run_eagerly = UNCOMPILED["run_eagerly"]
    config = {**learner.get_config(), "model": None, "loss": None}
    assert {**loaded.get_config(), "model": None, "loss": None} == config
    fit(loaded, initial_epoch=1, epochs=3)
    assert_same_state(loaded, learner)


def test_killed_and_backed_up_is_as_if_it_were_not(tmp_path):
    whole = make("marvel", **UNCOMPILED)
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "last.weights.h5", save_weights_only=True
    )
    fit(whole, epochs=2, callbacks=[checkpoint])

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    killed = make("marvel", **UNCOMPILED)
    with pytest.raises(KilledError):
        fit(killed, epochs=2, callbacks=[backup(), Kill()])
    resumed = make("marvel", seed=9, **UNCOMPILED)
    fit(resumed, epochs=2, callbacks=[backup()])
    assert_same_state(resumed, whole)
    killed.load_weights(tmp_path / "last.weights.h5")
    assert_same_state(killed, whole)


@pytest.mark.parametrize("name", ["marvel", "selc"])
def test_fits_of_one_epoch_are_one_fit_of_as_many(name):
    whole = make(name, **UNCOMPILED)
    fit(whole, epochs=3)
    parts = make(name, **UNCOMPILED)
    for _ in range(3):
        fit(parts, epochs=1)
    assert_same_state(parts.model, whole.model)
    assert_same_state(parts.memory, whole.memory)


@pytest.mark.parametrize("name", ["adaptive", "confidence", "l2b", "marvel"])
def test_evaluates_and_predicts_as_its_model(name, tmp_path):
    learner = make(name, **UNCOMPILED)
    history = fit(learner, epochs=1, validation_data=(X, Y))
    predictions = learner.predict(X, verbose=0)
    learner.model.save(tmp_path / "model.keras")
    deployed = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        ops.convert_to_numpy(deployed(X)), predictions, rtol=1e-5, atol=1e-6
    )
    loss, accuracy = learner.evaluate(X, Y, verbose=0)
    labelled = predictions[np.arange(SIZE), Y]
    np.testing.assert_allclose(loss, -np.log(labelled).mean(), rtol=1e-4)
    np.testing.assert_allclose(
        accuracy, np.mean(predictions.argmax(axis=1) == Y), rtol=1e-5
    )
    np.testing.assert_allclose(history.history["val_loss"][0], loss, rtol=1e-5)
    extra = {"loss", "accuracy", "val_loss", "val_accuracy"}
    logged = {
        "adaptive": {"q"},
        "confidence": {"confidence"},
        "l2b": {"real_weight", "pseudo_weight"},
        "marvel": {"abandoned"},
    }
    assert history.history.keys() - extra == logged.get(name, set())


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch allows one step")
def test_several_steps_in_one_execution():
    one = make("elr", **UNCOMPILED)
    two = make("elr", steps_per_execution=2)
    for learner in (one, two):
        fit(learner, epochs=2)
    assert_same_state(one, two)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("adaptive", "mixed_float16"),
        ("confidence", "mixed_bfloat16"),
        ("marvel", "mixed_float16"),
    ],
)
def test_mixed_precision(name, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        learner = make(name)
        history = fit(learner, epochs=2)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(value).all() for value in state(learner))


def test_small_gradients_survive_float16():
    """A clean gradient that float16 alone would round to 0."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(NUM_CLASSES, dtype="mixed_float16"),
        ]
    )
    learner = learners.L2B(model, from_logits=True)
    # That of a sample's loss by a logit is about 1e-6 at most.
    model.layers[0].kernel.assign(model.layers[0].kernel * 1e-2)
    model.layers[0].bias.assign([10.0, 0.0, 0.0])
    meta = ops.convert_to_tensor(X), ops.zeros(SIZE, dtype="int32")
    weights, others = learner.place()
    direction = learner.meta_gradient(weights, others, meta)
    assert np.all(ops.convert_to_numpy(direction[1]) != 0)
    _, slopes = learner.along(direction, weights, others, meta[0])
    assert np.any(ops.convert_to_numpy(slopes) != 0)


def test_the_learning_rate_is_the_present_one():
    """A step of JAX cannot read it from the optimizer."""
    learner = make("l2b")
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [1], [0.5, 0.25]
    )
    learner.compile(keras.optimizers.SGD(schedule), **UNCOMPILED)
    fit(learner)
    # Of two steps an epoch, the next one is the third.
    assert float(ops.convert_to_numpy(learner.learning_rate)) == 0.25
    ramp = keras.optimizers.schedules.PolynomialDecay(0.5, 4, 0.0)
    accumulating = keras.optimizers.SGD(ramp, gradient_accumulation_steps=2)
    learner.compile(accumulating, **UNCOMPILED)
    fit(learner)
    assert float(ops.convert_to_numpy(learner.learning_rate)) == 0.25
    fit(learner)
    assert float(ops.convert_to_numpy(learner.learning_rate)) == 0.0
    learner.compile(keras.optimizers.SGD(0.5), **UNCOMPILED)
    change = keras.callbacks.LearningRateScheduler(lambda epoch: 0.125)
    fit(learner, callbacks=[change])
    assert float(ops.convert_to_numpy(learner.learning_rate)) == 0.125


@pytest.mark.parametrize(
    "cls",
    [
        learners.ConfidenceBranch,
        learners.ELR,
        learners.L2B,
    ],
)
def test_takes_any_loss_of_the_package(cls):
    loss = losses.ARL(from_logits=True)
    learner = cls(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(NUM_CLASSES)]),
        loss=loss,
        **({"warmup_epochs": 0} if cls is learners.L2B else {}),
    )
    learner.compile(keras.optimizers.SGD(0.1), **UNCOMPILED)
    history = fit(learner)
    assert np.isfinite(history.history["loss"]).all()
    assert learner.base_loss is loss
    with pytest.raises(ValueError, match="from_logits"):
        cls(network(), loss=loss, from_logits=False)


def test_adaptive_loss_takes_other_losses():
    learner = learners.AdaptiveLoss(
        network(),
        loss=losses.get("nce+agce"),
        bounds={"passive.q": (0.1, 3.0), "alpha": (0.0, 10.0)},
        meta_learning_rate=0.1,
    )
    learner.compile(keras.optimizers.SGD(0.1), **UNCOMPILED)
    before = learner.hyperparameters
    assert before.keys() == {"passive.q", "alpha"}
    fit(learner, epochs=1)
    after = learner.hyperparameters
    assert all(after[key] != before[key] for key in after)
    learned = learner.learned_loss()
    assert learned.passive.q == after["passive.q"]
    assert learned.alpha == after["alpha"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"loss": "mae"}, "No bounds are known"),
        ({"bounds": {"p": (0, 1)}}, "must name numbers"),
        ({"bounds": {"q": (0.8, 1.0)}}, "initial value"),
        ({"loss": keras.losses.Huber()}, "must be a loss of keras_arl"),
        ({"meta_every": 0}, "meta_every"),
    ],
)
def test_arguments_are_checked(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        learners.AdaptiveLoss(network(), **arguments)


def test_models_that_do_not_fit_are_refused():
    two = keras.Sequential([keras.Input((4, 4)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="one output of shape"):
        learners.ELR(two)
    inputs = keras.Input((4,))
    outputs = [keras.layers.Dense(size)(inputs) for size in (3, 2)]
    with pytest.raises(ValueError, match=r"one output of shape.*3.*2"):
        learners.ELR(keras.Model(inputs, outputs))
    with pytest.raises(ValueError, match=r"two classes.*\(None, 1\)"):
        learners.SELC(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
    with pytest.raises(ValueError, match="`model` must be"):
        learners.ELR(keras.layers.Dense(3))
    with pytest.raises(ValueError, match=r"meta_weight_decay=-1"):
        learners.MetaWeightNet(network(), meta_weight_decay=-1.0)
    with pytest.raises(ValueError, match="cannot be found"):
        learners.ConfidenceBranch(keras.Sequential([keras.layers.Dense(3)]))


@pytest.mark.parametrize("name", ["selc", "confidence"])
@pytest.mark.parametrize("label", [-1, NUM_CLASSES, 0.5, np.nan])
def test_a_label_that_is_no_class_is_not_trained_on(name, label):
    learner = make(name, **UNCOMPILED)
    labels = Y.astype("float32")
    labels[0] = label
    if BACKEND == "jax":
        history = learner.fit(X, labels, verbose=0)
        assert np.isnan(history.history["loss"]).all()
        return
    # Values that can be seen raise an error.
    with pytest.raises(ValueError, match="must be integers"):
        learner.fit(X, labels, verbose=0)


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(NUM_CLASSES, activation="softmax")

    def call(self, x):
        return self.dense(x)


def test_a_model_that_is_not_built_yet():
    learner = learners.ELR(Subclassed())
    learner.compile("sgd")
    fit(learner)
    assert learner.targets.shape == (SIZE, NUM_CLASSES)
    assert learner.evaluate(X, Y, verbose=0) > 0


def test_a_subclassed_model_that_was_called_before(tmp_path):
    model = Subclassed()
    before = ops.convert_to_numpy(model(X))
    learner = learners.ELR(model)
    learner.compile(keras.optimizers.SGD(0.0), **UNCOMPILED)
    fit(learner)
    np.testing.assert_allclose(learner.predict(X, verbose=0), before, rtol=1e-5)
    learner.save(tmp_path / "learner.keras")
    loaded = keras.saving.load_model(tmp_path / "learner.keras")
    np.testing.assert_array_equal(loaded.targets, learner.targets)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), before, rtol=1e-5)


@pytest.mark.skipif(BACKEND == "jax", reason="JAX has 32 bits unless asked")
@pytest.mark.parametrize("name", ["elr", "l2b"])
def test_numbers_of_64_bits(name):
    keras.config.set_floatx("float64")
    try:
        learner = make(name, **UNCOMPILED)
        assert np.isfinite(fit(learner).history["loss"]).all()
    finally:
        keras.config.set_floatx("float32")


def test_nothing_to_suspect_before_fit():
    with pytest.raises(ValueError, match="call `fit` first"):
        learners.Marvel(network()).suspects()
    with pytest.raises(ValueError, match=r"remembers no examples\."):
        learners.ConfidenceBranch(network()).suspects()
