"""A Taylor loss that moves over a training, and what moves it."""

import keras
import numpy as np
import pytest

from keras_arl import losses

NUMBERS = {
    "coefficients": np.linspace(-1, 1, 6),
    "changes": [0.5, -2.0, 0.25, 1.0],
    "center": (0.25, 0.75),
    "order": 3,
}
TRIPLES = [
    *((i, j, 0) for i, j in [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)]),
    *[(1, 0, 1), (1, 1, 1), (2, 0, 1), (1, 0, 2)],
]


def by_the_formula(p, y, s):
    thetas = [*NUMBERS["coefficients"], *NUMBERS["changes"]]
    a, b = NUMBERS["center"]
    return sum(
        theta * np.sum((p - a) ** i * (y - b) ** j, axis=-1) * (s - 0.5) ** k
        for theta, (i, j, k) in zip(thetas, TRIPLES, strict=True)
    )


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_values_are_those_of_the_formula_and_of_the_loss_at_that_time(progress):
    rng = np.random.default_rng(0)
    p, labels = rng.dirichlet(np.ones(4), 6), rng.integers(0, 4, 6)
    y = np.eye(4)[labels]
    loss = losses.ScheduledTaylorLoss(
        **NUMBERS, progress=progress, shifted=False, reduction="none"
    )
    loss.is_moved = True
    still = loss.at(progress)
    assert type(still) is losses.TaylorLoss
    expected = by_the_formula(p, y, progress)
    for values in (loss(labels, p), loss(y, p), still(labels, p)):
        values = keras.ops.convert_to_numpy(values)
        assert values == pytest.approx(expected, abs=1e-5)


def test_expression_and_repr():
    loss = losses.ScheduledTaylorLoss([0, -1, 0], [0.5], order=2)
    assert loss.expression() == (
        "L = L_0 + sum_c [ -p_c y_c + 0.5 p_c (s - 0.5) ], "
        "s = share of the training that is done, L = 0 at p = y"
    )
    assert repr(loss) == (
        "ScheduledTaylorLoss(order=2, class_aware=False, progress=0.5)"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"changes": [1.0]}, "`changes` must be 4 finite numbers"),
        ({"progress": 1.5}, r"`progress` must be a number in \[0, 1\].*1\.5"),
        ({"order": 1}, "`order` must be an integer from 2 to 6"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        losses.ScheduledTaylorLoss(**{**NUMBERS, **arguments})


def test_a_file_holds_it(tmp_path):
    loss = losses.ScheduledTaylorLoss(**NUMBERS, class_aware=True)
    losses.save(loss, tmp_path / "loss.json")
    loaded = losses.load(tmp_path / "loss.json", from_logits=True)
    assert isinstance(loaded, losses.ScheduledTaylorLoss)
    assert loaded.changes == loss.changes
    assert loaded.at(1.0).coefficients == loss.at(1.0).coefficients


class Watch(keras.callbacks.Callback):
    """Notes at which time of the training the loss is in each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.loss.progress)


def compiled(**kwargs):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    loss = losses.ScheduledTaylorLoss(**NUMBERS, from_logits=True)
    model.compile("adam", loss=loss, **kwargs)
    return model


def fitted(model, schedule=None, **kwargs):
    watch = Watch()
    x = np.random.default_rng(0).normal(size=(8, 2))
    model.fit(
        x,
        np.arange(8) % 4,
        shuffle=False,
        callbacks=[schedule or losses.LossSchedule(), watch],
        verbose=0,
        **kwargs,
    )
    return watch.seen


def test_the_schedule_moves_it_and_a_resumed_training_goes_on(tmp_path):
    # Graphs of TensorFlow cost seconds, and one shows what one does.
    run_eagerly = keras.config.backend() == "tensorflow"
    whole, parts = compiled(run_eagerly=run_eagerly), compiled()
    assert fitted(whole, epochs=4) == [0.125, 0.375, 0.625, 0.875]
    first = losses.LossSchedule(epochs=4)
    assert fitted(parts, first, epochs=2) == [0.125, 0.375]
    parts.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = run_eagerly
    assert loaded.loss.progress == 0.375
    assert fitted(loaded, epochs=4, initial_epoch=2) == [0.625, 0.875]
    for a, b in zip(whole.weights, loaded.weights, strict=True):
        assert keras.ops.convert_to_numpy(a) == pytest.approx(
            keras.ops.convert_to_numpy(b), abs=1e-6
        )


class Counting(losses.ScheduledTaylorLoss):
    """Counts its calls, of which a compiled function has one for all steps."""

    hyperparameters = losses.ScheduledTaylorLoss.hyperparameters
    num_calls = 0

    def index_loss(self, labels, predictions):
        self.num_calls += 1
        return super().index_loss(labels, predictions)


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="nothing is compiled on PyTorch"
)
def test_a_schedule_is_no_reason_to_compile_anew():
    model = compiled()
    loss = Counting(**NUMBERS, from_logits=True)
    model.compile("adam", loss=loss)
    seen = fitted(model, epochs=6)
    assert len(set(seen)) == 6
    # Once more where Keras builds a model by a symbolic call.
    assert loss.num_calls <= 2


def test_a_schedule_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match=r"up to epoch 3.*epochs=2"):
        fitted(compiled(), losses.LossSchedule(epochs=2), epochs=3)


def test_a_schedule_without_a_loss_that_moves_is_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    model.compile("adam", loss=losses.CrossEntropy(from_logits=True))
    with pytest.raises(ValueError, match="compiled with a loss that changes"):
        fitted(model, epochs=1)
    with pytest.raises(ValueError, match="Received: loss=CrossEntropy"):
        losses.LossSchedule(losses.CrossEntropy())


def test_a_training_warns_once_where_nothing_moves_it():
    model, x, y = compiled(), np.zeros((8, 2)), np.zeros(8)
    with pytest.warns(UserWarning, match="nothing moves it"):
        model.fit(x, y, verbose=0)
    # A second warning would be an error.
    model.fit(x, y, verbose=0)
