"""Normalised losses, and normalised negative ones: NCE, NFL, NNCE and NNFL."""

import math

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.checks import check_weight
from keras_arl.losses.focal import focal
from keras_arl.losses.pointwise import PointwiseLoss
from keras_arl.losses.predictions import Summands


class _Normalized(PointwiseLoss):
    """A pointwise loss divided by its sum over all possible labels."""

    def index_loss(self, labels, predictions):
        loss = super().index_loss(labels, predictions)
        return self._share(loss, predictions)

    def soft_loss(self, targets, predictions):
        loss = super().soft_loss(targets, predictions)
        return self._share(loss, predictions)

    def total(self, predictions):
        """The sum over all possible labels."""
        return ops.sum(self.pointwise(Summands(predictions)), axis=-1)

    def _share(self, loss, predictions):
        total = self.total(predictions)
        # 0 where all probabilities are 1, as saturated sigmoids are. The limit
        # is that of equal ones. NaN stays NaN.
        is_empty = total <= 0
        share = loss / ops.where(is_empty, 1.0, total)
        return ops.where(is_empty, 1 / predictions.num_classes, share)


@keras.saving.register_keras_serializable(package="keras_arl")
class NCE(_Normalized):
    """Normalised cross-entropy.

    With p the class probabilities and y the label,

    ```
    L = log(p_y) / sum over c of log(p_c)
    ```

    in [0, 1]. It is symmetric, and learns too little by itself: see
    `ActivePassive`.

    Args:
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Example:

    >>> loss = keras_arl.losses.NCE()
    >>> float(loss(np.array([1]), np.array([[0.25, 0.25, 0.25, 0.25]])))
    0.25

    Reference:
        - Ma et al., "Normalized Loss Functions for Deep Learning with Noisy
          Labels", ICML 2020, arXiv 2006.13554
    """

    hyperparameters = ()

    def pointwise(self, predictions):
        return -predictions.log_probabilities

    def total(self, predictions):
        return -predictions.sum_of_logs


@keras.saving.register_keras_serializable(package="keras_arl")
class NFL(_Normalized):
    """Normalised focal loss.

    With p the class probabilities, y the label, and
    f(u) = -(1 - u)^gamma * log(u) the focal loss,

    ```
    L = f(p_y) / sum over c of f(p_c)
    ```

    in [0, 1]. It is symmetric, and learns too little by itself: see
    `ActivePassive`.

    Args:
        gamma: Focus on what is not learned yet, at least 0; 0 is `NCE`.
            Defaults to `0.5`, the published value.
        detach_focus: See `Focal`. Defaults to `False`.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `gamma` is negative.

    Example:

    >>> loss = keras_arl.losses.NFL()
    >>> value = loss(np.array([1]), np.array([[0.25, 0.25, 0.25, 0.25]]))
    >>> round(float(value), 4)
    0.25

    Reference:
        - Ma et al., "Normalized Loss Functions for Deep Learning with Noisy
          Labels", ICML 2020, arXiv 2006.13554
    """

    hyperparameters = ("gamma",)

    def __init__(self, gamma=0.5, detach_focus=False, **kwargs):
        super().__init__(**kwargs)
        self.gamma = check_weight("gamma", gamma)
        self.detach_focus = bool(detach_focus)

    def pointwise(self, predictions):
        return focal(predictions, self.number("gamma"), self.detach_focus)

    def get_config(self):
        return {"detach_focus": self.detach_focus, **super().get_config()}


class _NormalizedNegative(_Normalized):
    """1 minus a normalised loss turned upside down, a passive loss."""

    def __init__(self, min_prob=1e-7, **kwargs):
        super().__init__(**kwargs)
        self.min_prob = check_number(
            "min_prob",
            min_prob,
            "a number in (0, 0.01]",
            lambda x: 0 < x <= 0.01,
        )

    def index_loss(self, labels, predictions):
        return 1 - super().index_loss(labels, predictions)

    def soft_loss(self, targets, predictions):
        return 1 - super().soft_loss(targets, predictions)

    def get_config(self):
        return {"min_prob": self.min_prob, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_arl")
class NNCE(_NormalizedNegative):
    """Normalised negative cross-entropy, the passive part of ANL-CE.

    With p the class probabilities, y the label and A = -log(min_prob),

    ```
    l_c = max(log(p_c), -A)
    L = 1 - (A + l_y) / sum over c of (A + l_c)
    ```

    in [0, 1]. It is symmetric. A label with a probability below `min_prob` has
    no gradient; in `keras_arl.losses.get("nce+nnce")`, the active negative
    loss ANL-CE, `NCE` still pulls there.

    Args:
        min_prob: Smallest probability that is told from 0, in (0, 0.01].
            Defaults to `1e-7`, the published value.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `min_prob` is out of range.

    Example:

    >>> loss = keras_arl.losses.NNCE()
    >>> float(loss(np.array([1]), np.array([[0.25, 0.25, 0.25, 0.25]])))
    0.75

    Reference:
        - Ye et al., "Active Negative Loss Functions for Learning with Noisy
          Labels", NeurIPS 2023
    """

    hyperparameters = ()

    def pointwise(self, predictions):
        log_p = predictions.log_probabilities
        return ops.maximum(log_p - math.log(self.min_prob), 0)


@keras.saving.register_keras_serializable(package="keras_arl")
class NNFL(_NormalizedNegative):
    """Normalised negative focal loss, the passive part of ANL-FL.

    With p the class probabilities, y the label, e = `min_prob` and
    f(u) = -(1 - u)^gamma * log(u) the focal loss of u = max(p, e),

    ```
    L = 1 - (f(e) - f(p_y)) / sum over c of (f(e) - f(p_c))
    ```

    in [0, 1]. It is symmetric; `keras_arl.losses.get("nfl+nnfl")` is the active
    negative loss ANL-FL.

    Args:
        gamma: Focus on what is not learned yet, at least 0; 0 is `NNCE`.
            Defaults to `0.5`, the published value.
        min_prob: Smallest probability that is told from 0, in (0, 0.01].
            Defaults to `1e-7`, the published value.
        detach_focus: See `Focal`. Defaults to `False`.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `gamma` is negative or `min_prob` is out of range.

    Example:

    >>> loss = keras_arl.losses.NNFL()
    >>> value = loss(np.array([1]), np.array([[0.25, 0.25, 0.25, 0.25]]))
    >>> round(float(value), 4)
    0.75

    Reference:
        - Ye et al., "Active Negative Loss Functions for Learning with Noisy
          Labels", NeurIPS 2023
    """

    hyperparameters = ("gamma",)

    def __init__(self, gamma=0.5, min_prob=1e-7, detach_focus=False, **kwargs):
        super().__init__(min_prob, **kwargs)
        self.gamma = check_weight("gamma", gamma)
        self.detach_focus = bool(detach_focus)

    def pointwise(self, predictions):
        gamma, least = self.number("gamma"), math.log(self.min_prob)
        largest = -((1 - self.min_prob) ** gamma) * least
        loss = focal(predictions, gamma, self.detach_focus)
        return ops.maximum(largest - loss, 0)

    def get_config(self):
        return {"detach_focus": self.detach_focus, **super().get_config()}
