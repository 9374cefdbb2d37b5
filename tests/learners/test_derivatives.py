"""What the learners compute along the clean gradient, and closed forms."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_arl import backend
from keras_arl import learners
from keras_arl import losses


def small_network(dropout=0.0):
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, activation="tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(dropout),
            keras.layers.Dense(3),
        ]
    )


def small_data(rng, size=8):
    x = rng.normal(size=(size, 6, 6, 1)).astype("float32")
    return x, rng.integers(3, size=size)


@pytest.mark.parametrize("forward_mode", [True, False])
def test_derivative_is_that_by_the_weight_of_a_sample(rng, forward_mode):
    """Of the clean loss, by central differences over real steps."""
    model = small_network()
    learner = learners.L2B(model, from_logits=True, forward_mode=forward_mode)
    (x, y), (meta_x, meta_y) = small_data(rng), small_data(rng)
    x = ops.convert_to_tensor(x)
    meta = ops.convert_to_tensor(meta_x), ops.convert_to_tensor(meta_y)
    loss = losses.CrossEntropy(from_logits=True, reduction=None)
    weights, others = learner.place()
    direction = learner.meta_gradient(weights, others, meta)
    outputs, slopes = learner.along(direction, weights, others, x)
    _, gains = backend.jvp(lambda z: loss(y, z[0]), [outputs], [slopes])
    gains = ops.convert_to_numpy(gains)

    def clean_loss(sample, step):
        def of_sample(weights):
            outputs = learner.outputs_at(weights, others, x)
            return loss(y, outputs)[sample]

        _, gradient = backend.value_and_gradients(of_sample, weights)
        there = [w - step * g for w, g in zip(weights, gradient, strict=True)]
        outputs = learner.outputs_at(there, others, meta[0])
        return float(ops.mean(loss(meta[1], outputs)))

    step = 1e-3
    for sample in range(3):
        difference = clean_loss(sample, -step) - clean_loss(sample, step)
        np.testing.assert_allclose(
            gains[sample], difference / (2 * step), rtol=0.01, atol=5e-3
        )


def test_running_statistics_are_those_of_one_plain_step(rng):
    (x, y), meta = small_data(rng), small_data(rng)
    plain = small_network()
    learner = learners.L2B(
        keras.models.clone_model(plain), warmup_epochs=0, from_logits=True
    )
    learner.model.set_weights(plain.get_weights())
    plain.compile(
        "sgd",
        losses.CrossEntropy(from_logits=True),
        run_eagerly=keras.config.backend() == "tensorflow",
    )
    plain.train_on_batch(x, y)
    learner.compile("sgd")
    learner.fit(x, y, batch_size=8, meta_data=meta, verbose=0)
    for statistic in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(
            *(
                ops.convert_to_numpy(getattr(model.layers[1], statistic))
                for model in (plain, learner.model)
            ),
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.parametrize("forward_mode", [True, False])
def test_a_model_with_an_embedding(forward_mode):
    embedding = keras.layers.Embedding(7, 4)
    layers = [embedding, keras.layers.GlobalAveragePooling1D()]
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            *layers,
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    learner = learners.L2B(model, warmup_epochs=0, forward_mode=forward_mode)
    learner.compile("sgd", run_eagerly=keras.config.backend() == "tensorflow")
    x = np.arange(60).reshape(12, 5) % 7
    y = np.arange(12) % 3
    before = ops.convert_to_numpy(embedding.embeddings)
    learner.fit(x, y, meta_data=(x[:6], y[:6]), verbose=0)
    assert np.any(ops.convert_to_numpy(embedding.embeddings) != before)


def test_all_passes_draw_the_same_dropout(rng):
    learner = learners.L2B(small_network(dropout=0.5))
    x = ops.convert_to_tensor(small_data(rng)[0])
    weights, others = learner.place()
    outputs = [learner.outputs_at(weights, others, x) for _ in range(2)]
    np.testing.assert_array_equal(*(ops.convert_to_numpy(z) for z in outputs))


@pytest.mark.parametrize("normalization", ["sum", "softmax", "sigmoid"])
def test_weights_add_up(rng, normalization):
    learner = learners.L2B(small_network(), normalization=normalization)
    gains = ops.convert_to_tensor(rng.normal(size=(2, 8)), dtype="float32")
    weights = ops.convert_to_numpy(learner._normalized(gains))
    assert np.all(weights >= 0)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-5)
    if normalization == "sum":
        none = learner._normalized(-ops.abs(gains))
        assert np.all(ops.convert_to_numpy(none) == 0)


@pytest.mark.parametrize("penalty", [0.5, 10.0])
def test_confidence_scales_the_gradient(penalty):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    learner = learners.ConfidenceBranch(
        model, penalty=penalty, from_logits=True
    )
    # A traced number must not stay in a variable.
    learner.note = lambda *args: None
    p, tau = np.array([0.05, 0.25, 0.7]), 0.4
    label = 1
    logits = np.log(p)[None].astype("float32")
    y = ops.convert_to_tensor([label])

    def loss_of(z, tau):
        confidence = ops.log(tau) - ops.log(1 - tau)
        y_pred = {"outputs": z, "confidence": ops.reshape(confidence, (1, 1))}
        batch = learners.batch.unpack(z, y, None)
        return learner.training_loss(batch, y_pred)

    tau_tensor = ops.convert_to_tensor(tau, dtype="float32")
    _, gradient = backend.value_and_gradient(
        lambda z: loss_of(z, tau_tensor), logits
    )
    scale = tau * p[label] / (tau * p[label] + 1 - tau)
    expected = scale * (p - np.eye(3)[label])
    np.testing.assert_allclose(gradient[0], expected, atol=2e-3)
    best = min(1, penalty / ((1 + penalty) * (1 - p[label])))
    grid = np.linspace(0.005, 0.995, 199, dtype="float32")
    values = [float(loss_of(ops.convert_to_tensor(logits), t)) for t in grid]
    assert abs(grid[np.argmin(values)] - best) < 0.01
