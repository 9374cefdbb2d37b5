"""Numbers of a loss that are fed while it is compiled."""

import warnings

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import GCE
from tests.losses.papers import agce
from tests.losses.papers import aul
from tests.losses.papers import batch
from tests.losses.papers import expected
from tests.losses.papers import gce
from tests.losses.papers import make
from tests.losses.reference import compiled
from tests.losses.reference import to_numpy
from tests.losses.reference import value_and_gradient

BACKEND = keras.config.backend()


def test_there_are_no_variables_until_they_are_asked_for():
    loss = losses.get("nce+agce", dtype="float32")
    parts = (loss, loss.active, loss.passive)
    assert not any(
        isinstance(value, keras.Variable)
        for part in parts
        for value in vars(part).values()
    )
    variables = loss.hyper_variables()
    assert [v.name for v in variables] == ["alpha", "beta", "a", "q"]
    assert not any(v.trainable for v in variables)
    # Always the same ones.
    again = loss.hyper_variables()
    assert all(a is b for a, b in zip(again, variables, strict=True))
    values = loss.hyper_values()
    np.testing.assert_allclose(values, [1, 4, 6, 1.5])
    assert {value.dtype.name for value in values} == {"float32"}


@pytest.mark.parametrize("name", [n for n in losses.names() if "+" in n])
def test_every_number_of_a_composed_loss_is_fed(name):
    def count_of(loss):
        parts = map(count_of, loss.parts.values())
        return len(loss.hyperparameters) + sum(parts)

    loss = losses.get(name)
    count = count_of(loss)
    assert len(loss.hyper_variables()) == len(loss.hyper_values()) == count


def test_a_number_reads_as_the_shortest_float_and_can_be_set(rng):
    loss = GCE(q=0.3, reduction=None)
    (variable,) = loss.hyper_variables()
    assert loss.q == 0.3
    assert loss.get_config()["q"] == 0.3
    loss.q = 0.9
    assert to_numpy(variable) == np.float32(0.9)
    variable.assign(0.1)
    assert loss.q == 0.1
    assert repr(loss) == "GCE(q=0.1, reduction=None)"
    labels, one_hot, p = batch(rng)
    formula = expected(gce(0.1))
    np.testing.assert_allclose(loss(labels, p), formula(one_hot, p), rtol=1e-4)


def test_a_number_without_a_variable_can_be_set(rng):
    loss = GCE(q=0.3, reduction=None)
    with pytest.raises(ValueError, match=r"`q`.*q=1\.5"):
        loss.q = 1.5
    assert loss.q == 0.3
    loss.q = 0.9
    labels, one_hot, p = batch(rng)
    formula = expected(gce(0.9))
    np.testing.assert_allclose(loss(labels, p), formula(one_hot, p), rtol=1e-4)


@pytest.mark.skipif(BACKEND == "torch", reason="no compiler wanted here")
def test_a_compiled_loss_reads_them(rng):
    labels, one_hot, p = batch(rng)
    loss = GCE(reduction=None)
    variables = loss.hyper_variables()
    traces = []

    def run(values):
        traces.append(1)
        if BACKEND != "jax":
            return loss(labels, p)
        mapping = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return loss(labels, p)

    run = compiled(run)
    for q in (0.2, 0.7, 1.0):
        if BACKEND != "jax":
            loss.q = q
        values = run([np.float32(q)] if BACKEND == "jax" else [])
        formula = expected(gce(q))
        np.testing.assert_allclose(values, formula(one_hot, p), rtol=1e-4)
    assert len(traces) == 1


@pytest.mark.skipif(BACKEND != "jax", reason="constants of a trace")
def test_a_change_that_a_trace_does_not_see_is_told_on_jax(rng):
    import jax

    labels, _, p = batch(rng)
    loss = make("gce")
    loss.hyper_variables()
    # An eager gradient is no trace.
    value_and_gradient(lambda x: loss(labels, x), p)
    loss.q = 0.5
    jax.jit(lambda x: loss(labels, x))(p)
    with pytest.warns(UserWarning, match=r"traced by `jax.jit`"):
        loss.q = 0.6
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        loss.q = 0.7


@pytest.mark.parametrize(
    ("cls", "formula", "a", "q"),
    [
        (losses.AGCE, agce, 1e-8, 0.5),
        (losses.AGCE, agce, 6.0, 1.5),
        (losses.AGCE, agce, 0.6, 150.0),
        (losses.AUL, aul, 1.01, 20.0),
        (losses.AUL, aul, 1.01, 0.1),
        (losses.AUL, aul, 5.5, 3.0),
    ],
)
def test_extreme_asymmetric_losses(cls, formula, a, q):
    loss = cls(a, q)
    p = np.array([[0.0, 1.0], [0.3, 0.7], [1.0, 0.0]])
    labels = np.zeros(3, dtype=int)
    for fed in (False, True):
        if fed:
            loss.hyper_variables()
        found = loss.call(labels, keras.ops.convert_to_tensor(p, "float32"))
        np.testing.assert_allclose(
            to_numpy(found), formula(a, q)(p[:, 0]), rtol=1e-3, atol=1e-6
        )
        _, gradient = value_and_gradient(
            lambda x: keras.ops.sum(loss.call(labels, x)), p
        )
        assert np.isfinite(gradient).all()
