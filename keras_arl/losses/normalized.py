"""Normalised losses, the active parts of active-passive losses."""

import keras
from keras import ops

from keras_arl.checks import check_weight
from keras_arl.losses.focal import focal
from keras_arl.losses.pointwise import PointwiseLoss


class _Normalized(PointwiseLoss):
    """A pointwise loss divided by its sum over all possible labels."""

    def index_loss(self, labels, predictions):
        total = ops.sum(self.pointwise(predictions), axis=-1)
        return super().index_loss(labels, predictions) / total

    def soft_loss(self, targets, predictions):
        total = ops.sum(self.pointwise(predictions), axis=-1)
        return super().soft_loss(targets, predictions) / total


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
        **kwargs: `from_logits`, `reduction`, `name` and `dtype`, see
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
        **kwargs: `from_logits`, `reduction`, `name` and `dtype`, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `gamma` is negative.

    Example:

    >>> loss = keras_arl.losses.NFL()
    >>> float(loss(np.array([1]), np.array([[0.25, 0.25, 0.25, 0.25]])))
    0.25

    Reference:
        - Ma et al., "Normalized Loss Functions for Deep Learning with Noisy
          Labels", ICML 2020, arXiv 2006.13554
    """

    hyperparameters = ("gamma",)

    def __init__(self, gamma=0.5, **kwargs):
        super().__init__(**kwargs)
        self.gamma = check_weight("gamma", gamma)

    def pointwise(self, predictions):
        return focal(predictions, self.number("gamma"))
