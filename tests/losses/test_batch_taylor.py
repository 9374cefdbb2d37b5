"""A Taylor loss that depends on the batch's mean prediction of the labels."""

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.analysis import is_trainable
from keras_arl.losses.taylor import polynomial
from keras_arl.training import PlainTrainer
from keras_arl.training import Trainer
from tests.losses.reference import to_numpy
from tests.losses.reference import value_and_gradient
from tests.training.models import task

NUMBERS = {
    "coefficients": np.linspace(-1, 1, 6),
    "changes": [0.5, -2.0, 0.25, 1.0],
    "center": (0.25, 0.75),
    "order": 3,
}


def mean_of(p, labels, class_aware):
    exponent = polynomial.class_scale(p.shape[1])[0] if class_aware else 1
    return float(np.mean(p[np.arange(len(p)), labels] ** exponent))


@pytest.mark.parametrize("class_aware", [False, True])
@pytest.mark.parametrize("from_logits", [False, True])
def test_it_is_the_loss_at_the_mean_of_its_batch(rng, class_aware, from_logits):
    p, labels = rng.dirichlet(np.ones(4), 6), rng.integers(0, 4, 6)
    loss = losses.BatchTaylorLoss(
        **NUMBERS,
        class_aware=class_aware,
        from_logits=from_logits,
        reduction=None,
    )
    predictions = np.log(p) if from_logits else p
    for rows in (slice(6), slice(2)):
        still = loss.at(mean_of(p[rows], labels[rows], class_aware))
        assert type(still) is losses.TaylorLoss
        expected = to_numpy(still(labels[rows], predictions[rows]))
        for y in (labels, np.eye(4)[labels]):
            found = to_numpy(loss(y[rows], predictions[rows]))
            np.testing.assert_allclose(found, expected, atol=1e-5)
    assert loss.at_first(10).coefficients == pytest.approx(
        loss.coefficients if class_aware else loss.at(0.1).coefficients,
        abs=1e-6,
    )


def test_the_mean_is_a_constant_to_the_gradient(rng):
    z, labels = rng.normal(size=(5, 4)), rng.integers(0, 4, 5)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    loss = losses.BatchTaylorLoss(**NUMBERS, from_logits=True)
    still = loss.at(mean_of(p, labels, class_aware=False))
    for y in (labels, np.eye(4)[labels]):
        _, found = value_and_gradient(lambda x, y=y: loss(y, x), z)
        _, expected = value_and_gradient(lambda x, y=y: still(y, x), z)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_samples_that_are_left_out_do_not_count(rng):
    p, labels = rng.dirichlet(np.ones(4), 6), rng.integers(0, 4, 6)
    labels[2:] = -1
    loss = losses.BatchTaylorLoss(**NUMBERS, ignore_class=-1, reduction=None)
    still = loss.at(mean_of(p[:2], labels[:2], class_aware=False))
    found = to_numpy(loss(labels, p))
    np.testing.assert_allclose(found, to_numpy(still(labels, p)), atol=1e-5)


def test_it_is_saved_with_a_model_and_in_a_file(tmp_path):
    loss = losses.BatchTaylorLoss(**NUMBERS, class_aware=True)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(4, "softmax")]
    )
    model.compile("sgd", loss)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").loss
    assert loaded.get_config() == loss.get_config()
    losses.save(loss, tmp_path / "loss.json")
    loaded = losses.load(tmp_path / "loss.json")
    assert type(loaded) is losses.BatchTaylorLoss
    assert loaded.changes == loss.changes
    assert loss.expression().count("m = mean of u_y over the batch") == 1


def test_one_program_trains_as_fit_does():
    problem = task(epochs=2)
    trainer = Trainer()
    for change in (2.5, -2.5):
        loss = losses.BatchTaylorLoss(
            [0, -1, 0, 0, 0, 0], [0, change, 0, 0], order=3
        )
        assert trainer.accuracies(problem, loss) == pytest.approx(
            PlainTrainer().accuracies(problem, loss), abs=1e-6
        )


def test_what_an_untrained_network_meets_can_teach_or_not():
    # With ten classes m is 0.1 at first: here the loss is 0 below 0.2.
    loss = losses.BatchTaylorLoss(
        [0, -0.3, 0, 0, 0, 0], [0, -1.0, 0, 0], order=3
    )
    assert is_trainable(loss.at(0.5), 10)
    assert not is_trainable(loss, 10)
    with pytest.raises(ValueError, match="`changes` must be 4 finite numbers"):
        losses.BatchTaylorLoss([0] * 6, [1.0], order=3)
