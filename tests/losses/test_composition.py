import keras
import numpy as np
import pytest

import keras_arl
from keras_arl import losses
from keras_arl.losses import ActivePassive
from keras_arl.losses import LossSchedule
from keras_arl.losses import SparseRegularization
from tests.losses.reference import to_numpy

BACKEND = keras.config.backend()
# Graphs of TensorFlow cost seconds; not where a test is about something else.
UNCOMPILED = {"run_eagerly": BACKEND == "tensorflow"}


def test_any_two_losses_can_be_composed(rng):
    p = rng.dirichlet(np.ones(4), size=16)
    labels = rng.integers(4, size=16)
    soft = rng.dirichlet(np.ones(4), size=16)
    parts = [
        losses.ARL(),
        losses.get("nce+rce"),
        losses.get("ce+sr"),
        losses.ForwardCorrection(np.eye(4)),
    ]
    for active in parts:
        for passive in parts:
            loss = ActivePassive(active, passive, 2.0, 0.5, reduction="sum")
            for y_true in (labels, soft):
                expected = 2 * to_numpy(active(y_true, p)) + 0.5 * to_numpy(
                    passive(y_true, p)
                )
                np.testing.assert_allclose(
                    to_numpy(loss(y_true, p)), 16 * expected, rtol=1e-4
                )


def test_parts_must_agree():
    with pytest.raises(
        ValueError,
        match=r"agree on `from_logits`.*active with.*True.*passive with.*False",
    ):
        ActivePassive(losses.NCE(from_logits=True), losses.MAE())
    both = ActivePassive(
        losses.NCE(from_logits=True), losses.MAE(from_logits=True)
    )
    assert both.from_logits
    with pytest.raises(TypeError, match="'from_logits'"):
        ActivePassive(losses.NCE(), losses.MAE(), from_logits=True)
    if BACKEND != "jax":
        with pytest.raises(ValueError, match=r"`dtype`.*float64"):
            ActivePassive(losses.NCE(dtype="float64"), losses.MAE())


@pytest.mark.parametrize("part", ["nce", None, keras.losses.MeanSquaredError()])
def test_parts_must_be_losses_of_this_package(part):
    with pytest.raises(ValueError, match="`passive` must be a loss"):
        ActivePassive(losses.NCE(), part)
    with pytest.raises(ValueError, match="`loss` must be a loss"):
        SparseRegularization(part)


def test_a_temperature_sharpens(rng):
    p = rng.dirichlet(np.ones(4), size=16)
    labels = p.argmax(axis=1)
    sharp = SparseRegularization(losses.MAE(), temperature=0.5, weight=0.0)
    blunt = SparseRegularization(losses.MAE(), temperature=2.0, weight=0.0)
    plain = losses.MAE()
    assert float(sharp(labels, p)) < float(plain(labels, p))
    assert float(plain(labels, p)) < float(blunt(labels, p))


class Recorder(keras.callbacks.Callback):
    def __init__(self, loss):
        super().__init__()
        self.loss, self.weights = loss, []

    def on_epoch_begin(self, epoch, logs=None):
        self.weights.append(self.loss.weight)


def test_schedule_reaches_a_compiled_model(rng):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, activation="softmax")]
    )
    loss = SparseRegularization(
        losses.MAE(), temperature=1.0, p=0.5, weight=1.0, growth=2.0, every=2
    )
    model.compile(
        optimizer=keras.optimizers.SGD(0.0),
        loss=loss,
        jit_compile=BACKEND != "torch",
    )
    x = rng.normal(size=(8, 2)).astype("float32")
    labels = rng.integers(3, size=8)
    recorder = Recorder(loss)
    schedule = LossSchedule(loss)

    def fit(epochs, initial_epoch=0):
        return model.fit(
            x,
            labels,
            batch_size=8,
            epochs=epochs,
            initial_epoch=initial_epoch,
            validation_data=(x, labels),
            callbacks=[schedule, recorder],
            verbose=0,
        ).history

    history = fit(5)
    assert recorder.weights == [1.0, 1.0, 2.0, 2.0, 4.0]
    p = to_numpy(model(x))
    mae = np.mean(2 - 2 * p[np.arange(8), labels])
    norm = np.mean(np.sum(np.sqrt(p), axis=1))
    expected = mae + norm * np.array([1.0, 1.0, 2.0, 2.0, 4.0])
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(history["val_loss"], expected, rtol=1e-4)
    # It goes by the epoch, so that an interrupted training can go on.
    fit(8, initial_epoch=6)
    assert recorder.weights[5:] == [8.0, 8.0]


def test_a_loaded_regularisation_goes_on(rng, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    regularized = losses.get("ce+sr", from_logits=True, weight=1.5, growth=2.0)
    loss = ActivePassive(losses.NCE(from_logits=True), regularized)
    model.compile(optimizer="sgd", loss=loss, **UNCOMPILED)
    regularized.weight = 6.0
    x, y = rng.normal(size=(4, 2)), rng.integers(3, size=4)
    before = model.evaluate(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    model.run_eagerly = BACKEND == "tensorflow"
    loaded = model.loss.passive
    assert (loaded.start, loaded.weight) == (1.5, 6.0)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(before)

    def fit(schedule):
        model.fit(
            x, y, initial_epoch=3, epochs=4, verbose=0, callbacks=[schedule]
        )

    # The loss of the model that was saved is not that of the loaded one.
    with pytest.raises(ValueError, match="A loaded model has its own"):
        fit(LossSchedule(regularized))
    fit(LossSchedule())
    assert (loaded.start, loaded.weight) == (1.5, 12.0)
    schedule = LossSchedule()
    learner = keras_arl.learners.ELR(model, loss=losses.get("ce+sr"))
    learner.compile("sgd")
    schedule.set_model(learner)
    schedule.set_params({"epochs": 1})
    schedule.on_train_begin()
    assert learner.base_loss.is_moved
    model.compile("sgd", loss=losses.NCE(from_logits=True))
    with pytest.raises(ValueError, match=r"loss=None, and a model with \[\]"):
        fit(LossSchedule())


def test_a_schedule_moves_all_parts_that_move():
    loss = losses.get("dal+sr", growth=2.0)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, "softmax")]
    )
    model.compile("sgd", loss, **UNCOMPILED)
    first = loss.loss.q
    x, y = np.zeros((4, 2)), np.zeros(4)
    model.fit(x, y, epochs=3, callbacks=[LossSchedule()], verbose=0)
    assert loss.weight == 4 * loss.start
    assert loss.loss.q > first


def test_a_dal_moves_from_gce_to_an_entropy(rng):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    loss = losses.DAL(q=0.5, from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss=loss)
    x, labels = rng.normal(size=(8, 2)), rng.integers(3, size=8)
    schedule = losses.LossSchedule()
    found = model.fit(
        x, labels, epochs=4, batch_size=8, callbacks=[schedule], verbose=0
    ).history["loss"]
    z = to_numpy(model(x)).astype("float64")
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p_y, entropy = p[np.arange(8), labels], -np.sum(p * np.log(p), axis=1)
    numbers = [(0.5, 0.0), (0.75, 0.0), (1.0, 0.0), (1.25, 0.5)]
    expected = [
        np.mean((1 - p_y**q) / q + weight * entropy / (q * np.log(3)))
        for q, weight in numbers
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # A loaded loss goes on from where it began, not from where it was.
    again = losses.DAL.from_config(loss.get_config())
    assert (again.q, again.start) == (1.25, 0.5)
    # A `q` that stays below 1 never comes to the entropy.
    assert losses.DAL(q=0.5, end=0.9).moving_numbers(3, 4) == {
        "q": pytest.approx(0.8),
        "entropy_weight": 0.0,
    }
    assert not losses.DAL(end=None).moves
    with pytest.raises(ValueError, match=r"`end`.*start=0\.6.*end=0\.5"):
        losses.DAL(end=0.5)


def test_an_l1_penalty_is_of_all_weights(rng):
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(3),
            keras.layers.BatchNormalization(),
        ]
    )
    x, labels = rng.normal(size=(8, 2)), rng.integers(3, size=8)
    found = []
    # It takes the place of the one before.
    for delta in (0.3, 0.1, 0):
        losses.l1_regularization(model, delta)
        model.compile(
            optimizer=keras.optimizers.SGD(0.0),
            loss=losses.CrossEntropy(from_logits=True),
            **UNCOMPILED,
        )
        history = model.fit(x, labels, batch_size=8, verbose=0).history
        found.append(history["loss"][0])
    weights = [np.abs(to_numpy(w)).sum() for w in model.trainable_weights]
    assert len(weights) == 4
    np.testing.assert_allclose(
        np.array(found) - found[-1],
        np.array([0.3, 0.1, 0]) * sum(weights),
        rtol=1e-4,
        atol=1e-6,
    )
    with pytest.raises(ValueError, match="must be built"):
        losses.l1_regularization(keras.Sequential(), 0.1)
    with pytest.raises(ValueError, match=r"`delta`.*delta=-1"):
        losses.l1_regularization(model, -1)


def test_an_l1_penalty_leaves_a_layers_own_regularizer():
    dense = keras.layers.Dense(3, kernel_regularizer="l2")
    model = keras.Sequential([keras.Input((2,)), dense])
    (before,) = map(float, model.losses)
    losses.l1_regularization(model, 0.5)
    losses.l1_regularization(model, 2.0)
    added = 2 * float(keras.ops.sum(keras.ops.abs(dense.kernel)))
    assert sum(map(float, model.losses)) == pytest.approx(before + added)
    losses.l1_regularization(model, 0)
    assert [float(loss) for loss in model.losses] == [before]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"growth": 0.5}, r"`growth`.*at least 1.*growth=0\.5"),
        ({"every": 0}, "`every`.*at least 1.*every=0"),
        ({"every": 1.5}, r"`every`.*integer.*every=1\.5"),
    ],
)
def test_invalid_schedules(arguments, message):
    with pytest.raises(ValueError, match=message):
        losses.get("ce+sr", **arguments)
    with pytest.raises(ValueError, match="must be a loss that changes"):
        LossSchedule(losses.MAE())
    with pytest.raises(ValueError, match="must be a loss that changes"):
        LossSchedule(losses.get("ce+sr", growth=1.0))
