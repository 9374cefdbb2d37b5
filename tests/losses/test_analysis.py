import numpy as np
import pytest

from keras_arl.losses import TaylorLoss
from keras_arl.losses import is_trainable
from tests.losses.reference import value_and_gradient


@pytest.mark.parametrize("num_classes", [2, 3, 10, 100])
def test_closed_form_agrees_with_the_gradient(rng, num_classes):
    verdicts = []
    for _ in range(20):
        loss = TaylorLoss(
            rng.normal(size=10), center=rng.normal(size=2), from_logits=True
        )
        _, gradient = value_and_gradient(
            lambda logits, loss=loss: loss(np.array([1]), logits),
            np.zeros((1, num_classes)),
        )
        verdict = is_trainable(loss, num_classes)
        assert verdict == (gradient[0, 1] < 0)
        verdicts.append(verdict)
    assert {True, False} == set(verdicts)


def test_a_polynomial_without_the_label_teaches_nothing():
    assert not is_trainable(TaylorLoss([1.0], order=1), 10)


def test_invalid_class_count():
    with pytest.raises(ValueError, match="num_classes=1"):
        is_trainable(TaylorLoss([1.0], order=1), 1)
