import numpy as np
import pytest

from keras_arl.losses.taylor import polynomial
from keras_arl.search.space import to_loss


def random_vector(seed):
    return list(np.random.default_rng(seed).normal(size=12))


@pytest.mark.parametrize("class_aware", [False, True])
def test_a_candidate_is_as_steep_as_cross_entropy(class_aware):
    for seed in range(20):
        vector = random_vector(seed)
        loss = to_loss(vector, 4, class_aware=class_aware)
        assert loss.class_aware == class_aware
        assert loss.center == pytest.approx(vector[-2:])
        ratios = np.array(loss.coefficients) / vector[:10]
        assert ratios == pytest.approx(ratios[0])
        assert ratios[0] > 0
        pull = polynomial.steepest_pull(
            loss.coefficients, loss.center, 4, class_aware
        )
        assert pull == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("factor", [1e-30, 0.1, 1e30])
def test_a_candidate_has_no_scale(factor):
    vector = random_vector(0)
    scaled = [factor * theta for theta in vector[:10]] + vector[10:]
    expected = to_loss(vector, 4, class_aware=True).coefficients
    found = to_loss(scaled, 4, class_aware=True).coefficients
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("theta", [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
def test_a_candidate_that_pulls_nowhere_is_left_as_it_is(theta):
    assert to_loss([*theta, 0.3, 0.0], 2).coefficients == tuple(theta)
