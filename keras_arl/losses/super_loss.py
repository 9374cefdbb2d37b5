"""SuperLoss: a wrapper of losses that gives hard samples less weight."""

import math

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.checks import check_positive
from keras_arl.losses.composition import ComposedLoss

_HALLEY_STEPS = 4


@keras.saving.register_keras_serializable(package="keras_arl")
class SuperLoss(ComposedLoss):
    """SuperLoss: samples of small loss count more, those of large loss less.

    With l the loss of a sample, t the threshold, r the regularisation and W
    Lambert's function,

    ```
    s = exp(-W(max(-2 / e, (l - t) / r) / 2))
    L = (l - t) * s + r * log(s)^2
    ```

    s is the weight of a sample that minimises L, so that it counts as a
    constant in the gradient: 1 where l = t, e at most, for far smaller losses.

    Args:
        loss: A loss of this package, whose `from_logits` and `dtype` hold.
            Its `reduction` and `name` play no role.
        threshold: Loss t of a sample that counts once, a number. Defaults to
            `None`: log C with C classes, the cross-entropy of a guess. The
            paper's other one, the running mean of the losses, is a state
            that a loss does not have.
        regularization: The r, above 0. Defaults to `1.0`, published for
            CIFAR-10; 0.25 for CIFAR-100.
        **kwargs: `reduction` and `name`, see `ClassificationLoss`.

    Raises:
        ValueError: If `loss` is no loss of this package or a number is out of
            range.

    Example:

    >>> loss = keras_arl.losses.SuperLoss(keras_arl.losses.CrossEntropy())
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    0.0

    Reference:
        - Castells, Weinzaepfel & Revaud, "SuperLoss: A Generic Loss for Robust
          Curriculum Learning", NeurIPS 2020
    """

    hyperparameters = ("regularization",)

    def __init__(self, loss, threshold=None, regularization=1.0, **kwargs):
        super().__init__({"loss": loss}, **kwargs)
        self.threshold = threshold
        if threshold is not None:
            self.threshold = check_number(
                "threshold", threshold, "a number or None", lambda x: True
            )
        self.regularization = check_positive("regularization", regularization)

    def index_loss(self, labels, predictions):
        loss = self.loss.index_loss(labels, predictions)
        return self._weighted(loss, predictions)

    def soft_loss(self, targets, predictions):
        loss = self.loss.soft_loss(targets, predictions)
        return self._weighted(loss, predictions)

    def _weighted(self, loss, predictions):
        threshold, r = self.threshold, self.number("regularization")
        if threshold is None:
            threshold = math.log(predictions.num_classes)
        excess = loss - threshold
        log_s = ops.stop_gradient(_log_weight(excess / r))
        return excess * ops.exp(log_s) + r * ops.square(log_s)

    def get_config(self):
        return {"threshold": self.threshold, **super().get_config()}


def _log_weight(x):
    """-W(max(-2 / e, x) / 2), accurate at the branch point of W, too.

    With u = 1 + W it is the root of (u - 1) e^u + 1 = 1 + e x / 2, of which
    the right side is exactly 0 at the branch point, where u is 0.
    """
    right = ops.maximum(1 + math.e / 2 * x, 0.0)
    is_small = right < 1
    root = ops.sqrt(2 * ops.where(is_small, right, 0.0))
    small = root * (1 - root / 3 + 11 / 72 * ops.square(root))
    # Iacono and Boyd's approximation for arguments above 0.
    log_x = ops.log1p(ops.where(is_small, 1.0, x / 2))
    large = 1 + log_x * (1 - ops.log1p(log_x) / (2 + log_x))
    u = ops.where(is_small, small, large)
    for _ in range(_HALLEY_STEPS):
        # In units of e^u, which would be infinite.
        value = u + ops.expm1(-u) - right * ops.exp(-u)
        safe = ops.where(u > 0, u, 1.0)
        step = value / (safe - value * (safe + 1) / (2 * safe))
        u = u - ops.where(u > 0, step, 0.0)
    return 1 - u
