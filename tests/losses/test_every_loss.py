"""What holds for every loss of the registry; to register is to be tested."""

import inspect

import keras
import numpy as np
import pytest

from keras_arl import losses
from tests.losses.papers import LEARNED
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


def is_a_sum_of_others(name):
    """Whether it adds two losses of the registry as they are there."""
    loss = make(name)
    if type(loss) is not losses.ActivePassive or name == "nce+rce":
        return False
    return all(
        not part.parts and part.get_config() == type(part)().get_config()
        for part in loss.parts.values()
    )


# Of a sum, what its formula does not say follows from its parts; one is here.
every_loss_but_sums = pytest.mark.parametrize(
    "name", [name for name in losses.names() if not is_a_sum_of_others(name)]
)


def test_every_formula_is_of_a_registered_loss():
    assert {*PAPERS, *OF_LOGITS, *LEARNED} == set(losses.names())


@every_loss
def test_formula(rng, name):
    labels, one_hot, p = batch(rng)
    soft = rng.dirichlet(np.ones(NUM_CLASSES), size=len(p))

    def check(loss, y_true, targets):
        predictions = logits_of(p, name) if loss.from_logits else p
        np.testing.assert_allclose(
            loss(y_true, predictions),
            paper(name)(targets, p),
            rtol=2e-5,
            atol=2e-5,
        )

    for from_logits in (False, True):
        loss = make(name, from_logits=from_logits, reduction=None)
        assert loss.from_logits == from_logits
        check(loss, labels, one_hot)
        check(loss, soft, soft)
        # The same of numbers that are variables.
        if loss.hyper_variables():
            check(loss, labels, one_hot)
            check(loss, soft, soft)


@every_loss_but_sums
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
    loss.hyper_variables()
    check(one_hot)


@every_loss_but_sums
def test_finite_at_saturation(name):
    saturated = np.eye(NUM_CLASSES)[[0, 0, 2]]
    with np.errstate(divide="ignore"):
        # A class may be ruled out by minus infinity.
        ruled_out = np.log(np.array([[0.7, 0.3, 0.0], [0, 1, 0], [1, 0, 1]]))
    logits = np.concatenate([1e4 * saturated, -1e4 * saturated, ruled_out])
    # As saturated sigmoids are, and their complements.
    probabilities = np.concatenate(
        [saturated, np.ones_like(saturated), np.zeros_like(saturated)]
    )
    labels = np.tile([0, 1, 2], 3)

    def check(loss, y_true, predictions):
        value, gradient = value_and_gradient(
            lambda x: loss(y_true, x), predictions
        )
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()

    for predictions, from_logits in ((probabilities, False), (logits, True)):
        loss = make(name, from_logits=from_logits, reduction="sum")
        check(loss, labels, predictions)
        # Of numbers that are variables, the same.
        loss.hyper_variables()
        check(loss, labels, predictions)
        check(loss, np.eye(NUM_CLASSES)[labels], predictions)


@every_loss_but_sums
def test_predictions_that_are_nan_show_in_the_loss(rng, name):
    labels, one_hot, p = batch(rng)
    p[0] = np.nan
    for from_logits in (False, True):
        loss = make(name, from_logits=from_logits, reduction=None)
        for y_true in (labels, one_hot):
            # Of the other samples' losses some depend on the whole batch.
            assert np.isnan(float(loss(y_true, p)[0]))


@every_loss_but_sums
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
        (total, zeros, values.sum()),
    ):
        value, gradient = value_and_gradient(
            lambda x, loss=loss, y_true=y_true: loss(y_true, x), logits
        )
        assert value == pytest.approx(expected, rel=1e-4, abs=1e-5)
        assert (gradient[is_out] == 0).all()
        assert np.isfinite(gradient).all()


@every_loss_but_sums
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


@every_loss_but_sums
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
