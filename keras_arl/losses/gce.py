"""Generalised cross-entropy, whole and truncated."""

import math

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.losses.pointwise import PointwiseLoss


@keras.saving.register_keras_serializable(package="keras_arl")
class GCE(PointwiseLoss):
    """Generalised cross-entropy: between cross-entropy and MAE.

    With p_y the labelled class's probability,

    ```
    L = (1 - p_y^q) / q
    ```

    For q -> 0 it is cross-entropy, for q = 1 half of MAE.

    Args:
        q: Robustness, in (0, 1]. Defaults to `0.7`, the published value.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `q` is outside (0, 1].

    Example:

    >>> loss = keras_arl.losses.GCE(q=0.5)
    >>> float(loss(np.array([1]), np.array([[0.75, 0.25]])))
    1.0

    Reference:
        - Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep
          Neural Networks with Noisy Labels", NeurIPS 2018, arXiv 1805.07836
    """

    hyperparameters = ("q",)

    def __init__(self, q=0.7, **kwargs):
        super().__init__(**kwargs)
        self.q = check_q(q)

    def pointwise(self, predictions):
        return gce(predictions.log_probabilities, self.number("q"))


@keras.saving.register_keras_serializable(package="keras_arl")
class TruncatedGCE(PointwiseLoss):
    """Truncated generalised cross-entropy: gives up on hopeless samples.

    With p_y the labelled class's probability,

    ```
    L = (1 - max(p_y, k)^q) / q
    ```

    A sample whose label has a probability of at most k has no gradient. An
    untrained network gives every label 1 / C, so start with `GCE` and change
    to this loss once the network has learned something: the paper trains 40
    epochs before it prunes samples.

    Args:
        q: Robustness, in (0, 1]. Defaults to `0.7`, the published value.
        k: Probability below which a sample is left out, in (0, 1). Defaults
            to `0.5`, the published value.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `q` or `k` is out of range.

    Example:

    >>> loss = keras_arl.losses.TruncatedGCE(q=1.0, k=0.5)
    >>> float(loss(np.array([1, 0]), np.array([[0.25, 0.75], [0.25, 0.75]])))
    0.375

    Reference:
        - Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep
          Neural Networks with Noisy Labels", NeurIPS 2018, arXiv 1805.07836
    """

    hyperparameters = ("q", "k")

    def __init__(self, q=0.7, k=0.5, **kwargs):
        super().__init__(**kwargs)
        self.q = check_q(q)
        self.k = check_number("k", k, "a number in (0, 1)", lambda x: 0 < x < 1)

    def pointwise(self, predictions):
        k = self.number("k")
        log_k = math.log(k) if isinstance(k, float) else ops.log(k)
        log_p = ops.maximum(predictions.log_probabilities, log_k)
        return gce(log_p, self.number("q"))


def gce(log_probabilities, q):
    """Generalised cross-entropy of probabilities by their logarithms."""
    return -ops.expm1(q * log_probabilities) / q


def check_q(q, with_1=True):
    """Returns a q of generalised cross-entropy as a float, or raises."""
    if not with_1:
        return check_number("q", q, "a number in (0, 1)", lambda x: 0 < x < 1)
    return check_number("q", q, "a number in (0, 1]", lambda x: 0 < x <= 1)
