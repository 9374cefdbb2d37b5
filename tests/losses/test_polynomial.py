import numpy as np
import pytest

from keras_arl.losses import TaylorLoss
from keras_arl.losses.taylor import polynomial
from tests.losses.reference import value_and_gradient


def steepest_of_the_loss(theta, center, order, class_aware):
    """The same by automatic differentiation of the loss of logits."""
    loss = TaylorLoss(
        theta,
        center=center,
        order=order,
        class_aware=class_aware,
        from_logits=True,
        reduction="sum",
    )
    logits = np.zeros((2001, 10))
    logits[:, 0] = np.linspace(-8, 12, 2001)
    labels = np.zeros(2001, "int32")
    _, gradient = value_and_gradient(lambda z: loss(labels, z), logits)
    return np.abs(gradient[:, 0]).max()


@pytest.mark.parametrize("class_aware", [False, True])
@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_steepest_pull_is_that_of_the_loss(order, class_aware):
    rng = np.random.default_rng(order)
    for _ in range(3):
        theta = rng.normal(size=polynomial.num_coefficients(order))
        center = rng.normal(size=2)
        expected = steepest_of_the_loss(theta, center, order, class_aware)
        pull = polynomial.steepest_pull(theta, center, order, class_aware)
        assert pull == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_steepest_pull_of_known_losses():
    # -p: p (1 - p), at most 1/4.
    assert polynomial.steepest_pull([0, -1, 0], (0, 0), 2) == 0.25
    # -2 u: 2 (1 - p) u at q = log 2 / log 10.
    q = np.log10(2)
    p = q / (1 + q)
    assert polynomial.steepest_pull(
        [0, -2, 0], (0, 0), 2, class_aware=True
    ) == pytest.approx(2 * (1 - p) * p**q, rel=1e-5)


def test_a_sum_of_probabilities_pulls_nowhere():
    assert polynomial.steepest_pull([0, 0, 0], (0, 0), 2) == 0
    assert polynomial.steepest_pull([3e5, 0, 0], (0.3, 0), 2) == 0
