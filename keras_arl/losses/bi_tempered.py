"""The bi-tempered logistic loss."""

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.predictions import take_labelled

# Of the temperatures from 1.
_LEAST_DISTANCE = 1e-6
# Iterations to the normalisation of the tempered softmax. Google's program
# makes 5; the two Newton steps that follow correct what these leave.
_ITERATIONS = 10
_NEWTON_STEPS = 2
# Stands for a label's logarithm of 0.
_SMALLEST = 1e-37
# Stands for a logit of minus infinity, by which a model rules out a class.
_LOWEST = -1e30


@keras.saving.register_keras_serializable(package="keras_arl")
class BiTempered(ClassificationLoss):
    """Bi-tempered logistic loss: a bounded loss of a heavy-tailed softmax.

    With z the logits (the logarithm of the probabilities, where the model
    gives those), y the one-hot or soft label,
    log_t(u) = (u^(1 - t) - 1) / (1 - t) and its inverse exp_t,

    ```
    q_c = exp_t2(z_c - g),  g such that the q_c sum to 1
    L = sum over c of y_c * (log_t1(y_c) - log_t1(q_c))
                      - (y_c^(2 - t1) - q_c^(2 - t1)) / (2 - t1)
    ```

    t1 below 1 bounds the loss, t2 above 1 gives the softmax heavy tails. For
    t1, t2 -> 1 it is cross-entropy. The q_c, not the softmax, are the
    probabilities that it fits; their order is the same.

    Args:
        t1: Temperature of the logarithm, in [0, 1). Defaults to `0.8`.
        t2: Temperature of the softmax, above 1. Defaults to `1.2`. Both
            defaults are our choice among the paper's values.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `t1` or `t2` is out of range, or within 1e-6 of 1, which
            float32 takes for 1.

    Example:

    >>> loss = keras_arl.losses.BiTempered(t1=0.5, t2=2.0, from_logits=True)
    >>> round(float(loss(np.array([1]), np.array([[0.0, 0.0]]))), 4)
    0.3905

    Reference:
        - Amid et al., "Robust Bi-Tempered Logistic Loss Based on Bregman
          Divergences", NeurIPS 2019, arXiv 1906.03361
    """

    hyperparameters = ("t1", "t2")

    def __init__(self, t1=0.8, t2=1.2, **kwargs):
        super().__init__(**kwargs)
        self.t1 = check_number(
            "t1",
            t1,
            f"a number in [0, 1 - {_LEAST_DISTANCE}]",
            lambda x: 0 <= x <= 1 - _LEAST_DISTANCE,
        )
        self.t2 = check_number(
            "t2",
            t2,
            f"a number of at least 1 + {_LEAST_DISTANCE}",
            lambda x: x >= 1 + _LEAST_DISTANCE,
        )

    def index_loss(self, labels, predictions):
        t1 = self.number("t1")
        log_q = self._log_tempered_softmax(predictions.logits)
        labelled = _tempered_log(take_labelled(log_q, labels), t1)
        powers = ops.sum(ops.exp((2 - t1) * log_q), axis=-1)
        return -labelled - (1 - powers) / (2 - t1)

    def soft_loss(self, targets, predictions):
        t1 = self.number("t1")
        log_q = self._log_tempered_softmax(predictions.logits)
        log_y = ops.log(ops.maximum(targets, _SMALLEST))
        difference = _tempered_log(log_y, t1) - _tempered_log(log_q, t1)
        powers = ops.exp((2 - t1) * log_y) - ops.exp((2 - t1) * log_q)
        return ops.sum(targets * difference - powers / (2 - t1), axis=-1)

    def _log_tempered_softmax(self, logits):
        t2 = ops.convert_to_tensor(self.number("t2"), dtype=self.dtype)
        largest = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
        shifted = ops.maximum(logits - largest, _LOWEST)
        constants = ops.stop_gradient(shifted), ops.stop_gradient(t2)
        norm = ops.stop_gradient(_normalization(*constants))
        # Each step of Newton's method doubles the derivatives that are right
        # where it starts from a constant root: two steps give the second ones,
        # which learning t2 needs, without those of the iterations.
        for _ in range(_NEWTON_STEPS):
            log_q = _log_tempered_exp(shifted - norm, t2)
            excess = ops.sum(ops.exp(log_q), axis=-1, keepdims=True) - 1
            slope = ops.sum(ops.exp(t2 * log_q), axis=-1, keepdims=True)
            norm = norm + excess / slope
        return _log_tempered_exp(shifted - norm, t2)

    def get_config(self):
        return {"t1": self.t1, "t2": self.t2, **super().get_config()}


def _normalization(shifted, t2):
    """The g of logits of which the largest is 0, by fixed-point iteration."""
    scaled = shifted
    for _ in range(_ITERATIONS):
        scaled = shifted * _partition(scaled, t2) ** (1 - t2)
    return -_tempered_log(-ops.log(_partition(scaled, t2)), t2)


def _partition(scaled, t2):
    powers = ops.exp(_log_tempered_exp(scaled, t2))
    return ops.sum(powers, axis=-1, keepdims=True)


def _tempered_log(log_u, t):
    """log_t(u) from log(u); accurate near t = 1."""
    return ops.expm1((1 - t) * log_u) / (1 - t)


def _log_tempered_exp(x, t):
    """log(exp_t(x)) for t > 1; accurate near t = 1."""
    # The root lies where the argument is above 0; an iterate may not.
    return ops.log1p(ops.maximum((1 - t) * x, -0.999)) / (1 - t)
