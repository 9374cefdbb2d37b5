"""Reverse and symmetric cross-entropy."""

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.checks import check_weight
from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.pointwise import PointwiseLoss

# A label of at most this size counts as 0, of which the logarithm is A.
_SMALLEST_TARGET = 1e-37


@keras.saving.register_keras_serializable(package="keras_arl")
class RCE(PointwiseLoss):
    """Reverse cross-entropy: label and prediction change places.

    With p the class probabilities, y the label, p_y the labelled class's
    probability, and A in the place of log(0),

    ```
    L = - sum over c of p_c * max(log(y_c), A) = -A * (1 - p_y)
    ```

    the second for class indices and one-hot labels: MAE times -A / 2.

    Args:
        log_zero: A, a number below 0. Defaults to `-4.0`, as published. The
            authors' programs clip labels at 1e-4, which is A = -9.21.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `log_zero` is not below 0.

    Example:

    >>> loss = keras_arl.losses.RCE()
    >>> float(loss(np.array([1]), np.array([[0.25, 0.75]])))
    1.0

    Reference:
        - Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy
          Labels", ICCV 2019, arXiv 1908.06112
    """

    hyperparameters = ("log_zero",)

    def __init__(self, log_zero=-4.0, **kwargs):
        super().__init__(**kwargs)
        self.log_zero = _check_log_zero(log_zero)

    def pointwise(self, predictions):
        return -self.number("log_zero") * predictions.complements

    def soft_loss(self, targets, predictions):
        return _soft_reverse(targets, predictions, self.number("log_zero"))


@keras.saving.register_keras_serializable(package="keras_arl")
class SCE(ClassificationLoss):
    """Symmetric cross-entropy: cross-entropy and its reverse.

    ```
    L = alpha * CE + beta * RCE
    ```

    with CE of `CrossEntropy` and RCE of `keras_arl.losses.RCE`.

    Args:
        alpha: Weight of the cross-entropy, at least 0. Defaults to `0.1`,
            published for CIFAR-10; 6.0 for CIFAR-100.
        beta: Weight of the reverse cross-entropy, at least 0. Defaults to
            `1.0`, published for CIFAR-10; 0.1 for CIFAR-100.
        log_zero: A of the reverse cross-entropy, below 0. Defaults to `-4.0`.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If a weight is negative or `log_zero` is not below 0.

    Example:

    >>> loss = keras_arl.losses.SCE(alpha=0.0, beta=2.0)
    >>> float(loss(np.array([1]), np.array([[0.25, 0.75]])))
    2.0

    Reference:
        - Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy
          Labels", ICCV 2019, arXiv 1908.06112
    """

    hyperparameters = ("alpha", "beta", "log_zero")

    def __init__(self, alpha=0.1, beta=1.0, log_zero=-4.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = check_weight("alpha", alpha)
        self.beta = check_weight("beta", beta)
        self.log_zero = _check_log_zero(log_zero)

    def index_loss(self, labels, predictions):
        labelled = predictions.of_labelled(labels)
        reverse = -self.number("log_zero") * labelled.complements
        return self._weighted(-labelled.log_probabilities, reverse)

    def soft_loss(self, targets, predictions):
        forward = -ops.sum(targets * predictions.log_probabilities, axis=-1)
        log_zero = self.number("log_zero")
        return self._weighted(
            forward, _soft_reverse(targets, predictions, log_zero)
        )

    def _weighted(self, forward, reverse):
        return self.number("alpha") * forward + self.number("beta") * reverse


def _soft_reverse(targets, predictions, log_zero):
    log_targets = ops.where(
        targets > _SMALLEST_TARGET,
        ops.log(ops.maximum(targets, _SMALLEST_TARGET)),
        log_zero,
    )
    log_targets = ops.maximum(log_targets, log_zero)
    return -ops.sum(predictions.probabilities * log_targets, axis=-1)


def _check_log_zero(log_zero):
    return check_number(
        "log_zero", log_zero, "a number below 0", lambda x: x < 0
    )
