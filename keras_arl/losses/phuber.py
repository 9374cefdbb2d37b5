"""Partially Huberised cross-entropy and generalised cross-entropy."""

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.losses.gce import check_q
from keras_arl.losses.gce import gce
from keras_arl.losses.pointwise import PointwiseLoss


@keras.saving.register_keras_serializable(package="keras_arl")
class PHuberCE(PointwiseLoss):
    """Partially Huberised cross-entropy: its slope is bounded.

    With p_y the labelled class's probability,

    ```
    L = -log(p_y)                      where p_y > 1 / tau
        1 + log(tau) - tau * p_y       elsewhere
    ```

    which is what clipping the gradient of each sample's loss amounts to.

    Args:
        tau: Steepest slope by p_y, above 1. Defaults to `2.0`, published for
            CIFAR-10; 10.0 for MNIST and CIFAR-100.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `tau` is not above 1.

    Example:

    >>> loss = keras_arl.losses.PHuberCE(tau=2.0)
    >>> round(float(loss(np.array([1]), np.array([[0.75, 0.25]]))), 4)
    1.1931

    Reference:
        - Menon et al., "Can Gradient Clipping Mitigate Label Noise?", ICLR 2020
    """

    hyperparameters = ("tau",)

    def __init__(self, tau=2.0, **kwargs):
        super().__init__(**kwargs)
        self.tau = _check_tau(tau)

    def pointwise(self, predictions):
        tau = ops.convert_to_tensor(self.number("tau"), self.dtype)
        log_p, log_tau = predictions.log_probabilities, ops.log(tau)
        line = 1 + log_tau - tau * predictions.probabilities
        return ops.where(log_p > -log_tau, -log_p, line)


@keras.saving.register_keras_serializable(package="keras_arl")
class PHuberGCE(PointwiseLoss):
    """Partially Huberised generalised cross-entropy: its slope is bounded.

    With p_y the labelled class's probability and t = tau^(1 / (q - 1)),

    ```
    L = (1 - p_y^q) / q                         where p_y > t
        (1 - t^q) / q + tau * (t - p_y)         elsewhere
    ```

    Args:
        q: Robustness, in (0, 1). Defaults to `0.7`, the published value.
        tau: Steepest slope by p_y, above 1. Defaults to `10.0`, the published
            value.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `q` or `tau` is out of range.

    Example:

    >>> loss = keras_arl.losses.PHuberGCE(q=0.5, tau=2.0)
    >>> float(loss(np.array([1]), np.array([[1.0, 0.0]])))
    1.5

    Reference:
        - Menon et al., "Can Gradient Clipping Mitigate Label Noise?", ICLR 2020
    """

    hyperparameters = ("q", "tau")

    def __init__(self, q=0.7, tau=10.0, **kwargs):
        super().__init__(**kwargs)
        self.q = check_q(q, with_1=False)
        self.tau = _check_tau(tau)

    def pointwise(self, predictions):
        q, tau = self.number("q"), self.number("tau")
        log_p = predictions.log_probabilities
        log_t = ops.log(ops.convert_to_tensor(tau, self.dtype)) / (q - 1)
        line = gce(log_t, q) + tau * (
            ops.exp(log_t) - predictions.probabilities
        )
        return ops.where(log_p > log_t, gce(log_p, q), line)


def _check_tau(tau):
    return check_number("tau", tau, "a number above 1", lambda x: x > 1)
