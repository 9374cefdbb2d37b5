"""What holds for every loss of the registry; to register is to be tested."""

import inspect

import keras
import numpy as np
import pytest

from keras_arl import losses
from tests.losses.papers import OF_LOGITS
from tests.losses.papers import PAPERS
from tests.losses.papers import TRANSITION
from tests.losses.papers import batch
from tests.losses.papers import logits_of
from tests.losses.papers import make
from tests.losses.papers import of_logits
from tests.losses.papers import paper
from tests.losses.reference import value_and_gradient

NUM_CLASSES = len(TRANSITION)

every_loss = pytest.mark.parametrize("name", losses.names())


def test_every_formula_is_of_a_registered_loss():
    assert {*PAPERS, *OF_LOGITS, "arl"} == set(losses.names())


def check_formula(rng, loss, name):
    formula = paper(name)
    labels, one_hot, p = batch(rng)
    soft = rng.dirichlet(np.ones(NUM_CLASSES), size=len(p))
    predictions = logits_of(p, name) if loss.from_logits else p
    for y_true, targets in (
        (labels, one_hot),
        (labels[:, None], one_hot),
        (labels.astype("float32"), one_hot),
        (one_hot, one_hot),
        (soft, soft),
    ):
        np.testing.assert_allclose(
            loss(y_true, predictions),
            formula(targets, p),
            rtol=2e-5,
            atol=2e-5,
        )


@every_loss
def test_formula(rng, name):
    for from_logits in (False, True):
        loss = make(name, from_logits=from_logits, reduction=None)
        assert loss.from_logits == from_logits
        check_formula(rng, loss, name)
        # The same of numbers that are variables.
        if loss.hyper_variables():
            check_formula(rng, loss, name)


@every_loss
def test_gradient_is_that_of_the_formula(rng, name):
    loss = make(name, from_logits=True, reduction="sum")
    labels, one_hot, p = batch(rng)
    logits = logits_of(p, name)

    def formula(logits):
        return of_logits(name)(one_hot, logits).sum()

    numeric = np.zeros_like(logits)
    for index in np.ndindex(logits.shape):
        step = np.zeros_like(logits)
        step[index] = 1e-5
        numeric[index] = (formula(logits + step) - formula(logits - step)) / (
            2e-5
        )

    def check(y_true):
        _, gradient = value_and_gradient(lambda x: loss(y_true, x), logits)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-4)

    check(labels)
    check(one_hot)
    if loss.hyper_variables():
        check(labels)


@every_loss
def test_finite_at_saturation(name):
    saturated = np.eye(NUM_CLASSES)[[0, 0, 2]]
    with np.errstate(divide="ignore"):
        ruled_out = np.log(np.array([[0.7, 0.3, 0.0], [0, 1, 0], [1, 0, 1]]))
    labels = np.array([0, 1, 2])
    from_probabilities = make(name, reduction="sum")
    from_logits = make(name, from_logits=True, reduction="sum")

    def check(loss, predictions):
        for y_true in (labels, np.eye(NUM_CLASSES)[labels]):
            value, gradient = value_and_gradient(
                lambda x, y_true=y_true: loss(y_true, x), predictions
            )
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()

    for fed in (False, True):
        if fed and not from_logits.hyper_variables():
            break
        if fed:
            from_probabilities.hyper_variables()
        check(from_probabilities, saturated)
        check(from_logits, 1e4 * saturated)
        check(from_logits, -1e4 * saturated)
        # A class may be ruled out by minus infinity.
        check(from_logits, ruled_out)
        # As saturated sigmoids are.
        check(from_probabilities, np.ones_like(saturated))
        check(from_probabilities, np.zeros_like(saturated))


@every_loss
def test_what_is_left_out_counts_for_nothing(rng, name):
    labels, one_hot, p = batch(rng)
    is_out = np.arange(len(p)) % 3 == 0
    logits = np.where(is_out[:, None], np.nan, logits_of(p, name))
    zeros = np.where(is_out[:, None], 0, one_hot)
    values = paper(name)(one_hot[~is_out], p[~is_out])
    ignoring = make(name, from_logits=True, ignore_class=-1)
    total = make(name, from_logits=True, reduction="sum")
    for loss, y_true, expected in (
        (ignoring, np.where(is_out, -1, labels), values.mean()),
        (ignoring, zeros, values.mean()),
        (total, zeros, values.sum()),
    ):
        value, gradient = value_and_gradient(
            lambda x, loss=loss, y_true=y_true: loss(y_true, x), logits
        )
        assert value == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert (gradient[is_out] == 0).all()
        assert np.isfinite(gradient).all()


@every_loss
def test_a_softmax_is_as_exact_as_its_logits(name):
    logits = np.array([[-20, 0, 20], [15, -10, -5], [-8, 24, -16]], "float32")
    labels = np.arange(NUM_CLASSES)
    p = keras.ops.softmax(logits)
    epsilon = keras.config.epsilon()
    keras.config.set_epsilon(1e-3)
    try:
        for y_true in (labels, np.eye(NUM_CLASSES)[labels]):
            exact = make(name, from_logits=True, reduction=None)
            np.testing.assert_allclose(
                make(name, reduction=None)(y_true, p),
                exact(y_true, logits),
                rtol=1e-4,
                atol=1e-5,
            )
    finally:
        keras.config.set_epsilon(epsilon)


@every_loss
def test_saturated_values_are_the_limits(name):
    # Where the labelled class has all the probability, as close as float32
    # logits come to it.
    labels = np.arange(NUM_CLASSES)
    targets = np.eye(NUM_CLASSES)
    logits = 12.0 * targets
    loss = make(name, from_logits=True, reduction=None)
    np.testing.assert_allclose(
        loss(labels, logits),
        of_logits(name)(targets, logits),
        rtol=1e-2,
        atol=1e-6,
    )


@every_loss
def test_config_and_repr(name):
    loss = make(name, from_logits=True, reduction="sum", name="mine")
    revived = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )
    for again in (type(loss).from_config(loss.get_config()), revived):
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()
        assert (again.name, again.reduction) == ("mine", "sum")
        assert again.from_logits
    # Every argument of the constructor is there.
    for argument in inspect.signature(type(loss)).parameters.keys() - {
        "kwargs",
        *loss.parts,
    }:
        np.testing.assert_array_equal(
            loss.get_config()[argument], getattr(loss, argument)
        )
    # What it prints makes it, but for arrays.
    if "correction" not in name and name != "taylor":
        again = eval(repr(loss), vars(losses))
        assert again.get_config() == loss.get_config()
