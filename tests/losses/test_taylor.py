import re

import keras
import numpy as np
import pytest

from keras_arl.losses import TaylorLoss
from tests.losses.reference import taylor
from tests.losses.reference import to_numpy
from tests.losses.reference import value_and_gradient

ORDERS = range(1, 7)
BACKEND = keras.config.backend()


def make(rng, order=4, **kwargs):
    theta = rng.normal(size=order * (order + 1) // 2)
    center = rng.uniform(-0.5, 1.0, size=2)
    return TaylorLoss(theta, center=center, order=order, **kwargs)


def batch(rng, size=6, num_classes=5):
    probabilities = rng.dirichlet(np.ones(num_classes), size=size)
    labels = rng.integers(num_classes, size=size)
    return labels, np.eye(num_classes)[labels], probabilities


def reference(loss, targets, probabilities):
    return taylor(
        loss.coefficients,
        loss.center,
        loss.order,
        targets,
        probabilities,
        loss.class_aware,
    )


@pytest.mark.parametrize("class_aware", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_matches_the_definition(rng, order, class_aware):
    labels, one_hot, p = batch(rng)
    soft = rng.dirichlet(np.ones(5), size=6)
    for from_logits in (False, True):
        loss = make(
            rng,
            order,
            class_aware=class_aware,
            from_logits=from_logits,
            reduction=None,
        )
        predictions = np.log(p) + 3 if from_logits else p
        for y_true, targets in ((labels, one_hot), (soft, soft)):
            np.testing.assert_allclose(
                loss(y_true, predictions),
                reference(loss, targets, p),
                atol=5e-5,
            )


def test_hand_computed_value():
    # 2 (p - 0.5) summed over both classes is 0; 3 (p - 0.5) (y - 0.25) is
    # 3 * 0.3 * 0.75 + 3 * -0.3 * -0.25 = 0.9; 4 (p - 0.5)^2 is 4 * 0.18.
    # At p = y these are 0, 1.5 and 2.
    loss = TaylorLoss([2.0, 3.0, 4.0], center=(0.5, 0.25), order=2)
    assert float(loss(np.array([0]), np.array([[0.8, 0.2]]))) == (
        pytest.approx(0.9 + 0.72 - 3.5, abs=1e-6)
    )


@pytest.mark.parametrize("class_aware", [False, True])
@pytest.mark.parametrize("num_classes", [2, 1000, 10_000])
def test_class_counts(rng, num_classes, class_aware):
    loss = make(rng, class_aware=class_aware, reduction=None)
    labels, one_hot, p = batch(rng, 3, num_classes)
    expected = reference(loss, one_hot, p)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(loss(labels, p), expected, atol=3e-5 * scale)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("kind", ["corner", "uniform", "random"])
def test_gradients_equal_finite_differences(rng, kind, one_hot):
    loss = make(rng, reduction="sum")
    p = {
        "corner": np.eye(4)[[0, 1, 2]],
        "uniform": np.full((3, 4), 0.25),
        "random": rng.dirichlet(np.ones(4), size=3),
    }[kind]
    labels = np.array([0, 2, 2])
    targets = np.eye(4)[labels]
    y_true = targets if one_hot else labels
    value, gradient = value_and_gradient(lambda x: loss(y_true, x), p)
    assert value == pytest.approx(reference(loss, targets, p).sum(), abs=1e-4)
    step = 1e-6
    for index in np.ndindex(p.shape):
        up, down = p.copy(), p.copy()
        up[index] += step
        down[index] -= step
        numeric = (
            reference(loss, targets, up).sum()
            - reference(loss, targets, down).sum()
        ) / (2 * step)
        assert gradient[index] == pytest.approx(numeric, abs=1e-4)


@pytest.mark.parametrize("num_classes", [2, 3, 9])
def test_few_classes_are_ten_for_a_class_aware_loss(rng, num_classes):
    loss = make(rng, class_aware=True, reduction=None)
    labels, _, p = batch(rng, num_classes=num_classes)
    padding = np.zeros((*p.shape[:-1], 10 - num_classes))
    ten = np.concatenate([p, padding], axis=-1)
    certain = np.eye(10)[[0]]
    # A class with probability 0 adds a constant.
    few, many = (
        loss(labels, p) - loss(np.array([0]), certain[:, :num_classes]),
        loss(labels, ten) - loss(np.array([0]), certain),
    )
    np.testing.assert_allclose(few, many, rtol=1e-4, atol=1e-4)


def test_a_class_aware_loss_is_a_gce():
    # Of q = log 2 / log C; a constant apart, and twice as steep.
    loss = TaylorLoss([0, -2, 0], (0, 0), 2, class_aware=True, reduction=None)
    p = np.full((2, 16), 0.2 / 15)
    p[:, 0] = 0.1, 0.8
    np.testing.assert_allclose(
        loss(np.array([0, 0]), p),
        2 * (1 - np.sqrt(np.sqrt([0.1, 0.8]))) / 0.25,
        rtol=1e-5,
    )


@pytest.mark.parametrize("num_classes", [3, 10, 100, 1000])
def test_a_class_aware_gradient_at_uniform_predictions(num_classes):
    aware, plain = (
        TaylorLoss([0, -2, 0], order=2, class_aware=flag, from_logits=True)
        for flag in (True, False)
    )
    logits = np.zeros((1, num_classes))
    (_, gradient), (_, small) = (
        value_and_gradient(lambda x, loss=loss: loss(np.array([0]), x), logits)
        for loss in (aware, plain)
    )
    # Cross-entropy's; with fewer than ten classes u is more than 1/2.
    expected = np.full(num_classes, 1 / num_classes)
    expected[0] -= 1
    u = max(1 / 2, num_classes ** -np.log10(2))
    np.testing.assert_allclose(gradient[0], 2 * u * expected, atol=1e-5)
    np.testing.assert_allclose(small[0], 2 * expected / num_classes, atol=1e-5)


def test_assign_changes_the_loss(rng):
    loss = make(rng, reduction=None)
    labels, one_hot, p = batch(rng)
    theta = rng.normal(size=10)
    center = (0.25, -0.5)
    loss.assign(theta, center)
    expected = taylor(theta, center, 4, one_hot, p)
    np.testing.assert_allclose(loss(labels, p), expected, atol=2e-5)
    loss.assign(2 * theta)
    np.testing.assert_allclose(loss(labels, p), 2 * expected, atol=4e-5)


class CountingLoss(TaylorLoss):
    calls = 0

    def call(self, y_true, y_pred):
        type(self).calls += 1
        return super().call(y_true, y_pred)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="see the tests below")
def test_assign_does_not_retrace_a_compiled_model(rng):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, activation="softmax")]
    )
    loss = CountingLoss(np.zeros(10))
    model.compile(
        optimizer=keras.optimizers.SGD(0.0), loss=loss, jit_compile=True
    )
    x = rng.normal(size=(8, 3)).astype("float32")
    labels = rng.integers(4, size=8)

    def fit():
        history = model.fit(x, labels, batch_size=8, verbose=0).history
        return history["loss"][0]

    assert fit() == 0.0
    traces = CountingLoss.calls
    for _ in range(3):
        loss.assign(rng.normal(size=10), rng.normal(size=2))
        expected = reference(loss, np.eye(4)[labels], to_numpy(model(x)))
        assert fit() == pytest.approx(expected.mean(), abs=1e-4)
    assert CountingLoss.calls == traces


@pytest.mark.skipif(BACKEND != "jax", reason="constants of a trace")
def test_variables_are_inputs_of_a_compiled_function_on_jax(rng):
    import jax

    loss = CountingLoss(np.zeros(10), reduction=None)
    labels, one_hot, p = batch(rng)

    @jax.jit
    def run(values):
        scope = keras.StatelessScope(
            state_mapping=list(zip(loss.variables, values))
        )
        with scope:
            return loss(labels, p)

    CountingLoss.calls = 0
    for _ in range(3):
        theta, center = rng.normal(size=10), rng.normal(size=2)
        values = [theta.astype("float32"), center.astype("float32")]
        expected = taylor(theta, center, 4, one_hot, p)
        np.testing.assert_allclose(run(values), expected, atol=1e-4)
    assert CountingLoss.calls == 1


@pytest.mark.skipif(BACKEND != "jax", reason="constants of a trace")
def test_assign_warns_on_jax_where_a_trace_keeps_the_old_values(rng):
    import jax

    loss = make(rng)
    labels, _, p = batch(rng)
    loss.assign(np.zeros(10))
    jax.jit(lambda x: loss(labels, x))(p)
    with pytest.warns(UserWarning, match=r"traced by `jax.jit`"):
        loss.assign(np.ones(10))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a path of its own there")
@pytest.mark.parametrize("order", ORDERS)
def test_closed_gradient_is_the_automatic_one(rng, order):
    import tensorflow as tf

    # One-hot labels are differentiated automatically.
    loss = make(rng, order, from_logits=True, reduction="sum")
    labels, one_hot, _ = batch(rng)
    logits = tf.constant(rng.normal(size=one_hot.shape), tf.float32)
    weight = tf.constant(rng.uniform(size=len(labels)), tf.float32)

    def gradients(y_true):
        with tf.GradientTape() as outer:
            outer.watch(logits)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(logits)
                for variable in loss.variables:
                    tape.watch(variable.value)
                value = loss(y_true, logits, sample_weight=weight)
            first = tape.gradient(value, logits)
            length = tf.reduce_sum(first**2)
        by_variables = tape.gradient(
            value, [variable.value for variable in loss.variables]
        )
        second = outer.gradient(length, logits)
        return [
            tf.convert_to_tensor(gradient)
            for gradient in (first, second, *by_variables)
        ]

    for ours, automatic in zip(
        gradients(labels), gradients(one_hot), strict=True
    ):
        np.testing.assert_allclose(ours, automatic, rtol=2e-4, atol=2e-4)


def test_exponents():
    assert TaylorLoss(np.zeros(10)).exponents == [
        (1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2),
        (3, 0), (3, 1), (4, 0),
    ]  # fmt: skip


TERM = re.compile(
    r"(?P<sign>[+-]?) ?(?P<theta>[\d.e-]+) "
    r"\(p_c (?P<a>[+-] [\d.]+)\)(?:\^(?P<i>\d))?"
    r"(?: \(y_c (?P<b>[+-] [\d.]+)\)(?:\^(?P<j>\d))?)?"
)


def test_text_expression_says_what_the_loss_computes(rng):
    loss = make(rng, order=3, reduction=None)
    text = loss.expression()
    assert text.startswith("L = L_0 + sum_c [ ")
    assert text.endswith(" ], L = 0 at p = y")
    labels, one_hot, p = batch(rng)
    terms = list(TERM.finditer(text[len("L = L_0 + sum_c [ ") :]))
    assert len(terms) == 6

    def total(p):
        total = 0.0
        for term in terms:
            value = float(term["sign"] + term["theta"])
            a = float(term["a"].replace(" ", ""))
            value = value * (p + a) ** int(term["i"] or 1)
            if term["b"]:
                b = float(term["b"].replace(" ", ""))
                value = value * (one_hot + b) ** int(term["j"] or 1)
            total = total + value.sum(axis=-1)
        return total

    expected = total(p) - total(one_hot)
    np.testing.assert_allclose(loss(labels, p), expected, atol=1e-4)


def test_latex_expression():
    loss = TaylorLoss([1, -2, 1e-7], center=(0, 0.5), order=2)
    assert loss.expression("latex") == (
        r"L = L_0 + \sum_c \left[ p_c - 2\,p_c\,(y_c - 0.5) "
        r"+ 1 \cdot 10^{-7}\,p_c^{2} \right], \quad L = 0 \text{ at } p = y"
    )
    plain = TaylorLoss([0], order=1, shifted=False)
    assert plain.expression() == "L = sum_c [ 0 ]"
    aware = TaylorLoss([0, -2, 0], order=2, class_aware=True)
    assert aware.expression() == (
        "L = L_0 + 1/q sum_c w_c [ -2 u_c y_c ], u_c = p_c^q, "
        "q = log 2 / log K, w_c = y_c + (1 - y_c) / (K - 1), K = max(C, 10), "
        "L = 0 at p = y"
    )
    assert aware.expression("latex") == (
        r"L = L_0 + \frac{1}{q} \sum_c w_c \left[ -2\,u_c\,y_c \right], "
        r"\quad u_c = p_c^q, \quad q = \frac{\log 2}{\log K}, "
        r"\quad w_c = y_c + \frac{1 - y_c}{K - 1}, \quad K = \max(C, 10), "
        r"\quad L = 0 \text{ at } p = y"
    )
    with pytest.raises(ValueError, match="'text' or 'latex'"):
        loss.expression("html")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coefficients": [1.0] * 9}, r"10 finite numbers.*\(9,\)"),
        ({"coefficients": [1.0] * 9 + [np.inf]}, r"10 finite numbers.*inf"),
        ({"coefficients": ["a"] * 10}, "10 finite numbers"),
        # Finite, but not in float32.
        ({"coefficients": [1e39] * 10}, "10 finite numbers of float32"),
        ({"coefficients": [1.0], "order": 0}, "1 to 6.*order=0"),
        ({"coefficients": [1.0], "order": 7}, "1 to 6.*order=7"),
        ({"coefficients": [1.0], "order": 1.0}, r"1 to 6.*order=1\.0"),
        (
            {"coefficients": [1.0], "order": 1, "center": (0, np.nan)},
            r"`center` must be 2 finite numbers.*nan",
        ),
        (
            {"coefficients": [1.0], "order": 1, "center": 0.0},
            "`center` must be 2 finite numbers",
        ),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TaylorLoss(**arguments)


def test_assign_checks_before_it_changes(rng):
    loss = make(rng)
    before = loss.coefficients, loss.center
    with pytest.raises(ValueError, match="finite"):
        loss.assign(np.full(10, np.nan))
    with pytest.raises(ValueError, match="center"):
        loss.assign(np.ones(10), center=(1, np.inf))
    assert (loss.coefficients, loss.center) == before
