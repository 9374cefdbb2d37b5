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
        from_logits: Whether predictions are logits. Defaults to `False`:
            probabilities.
        reduction: As in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: Defaults to `"nce"`.
        dtype: Dtype of the computation, at least float32. Defaults to `None`:
            Keras's `floatx`.

    Example:

    >>> loss = keras_arl.losses.NCE()
    >>> float(loss(np.array([1]), np.array([[0.25, 0.25, 0.25, 0.25]])))
    0.25

    Reference:
        - Ma et al., "Normalized Loss Functions for Deep Learning with Noisy
          Labels", ICML 2020, arXiv 2006.13554
    """

    def __init__(
        self,
        from_logits=False,
        reduction="sum_over_batch_size",
        name="nce",
        dtype=None,
    ):
        super().__init__(
            from_logits=from_logits, reduction=reduction, name=name, dtype=dtype
        )

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
        from_logits: Whether predictions are logits. Defaults to `False`:
            probabilities.
        reduction: As in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: Defaults to `"nfl"`.
        dtype: Dtype of the computation, at least float32. Defaults to `None`:
            Keras's `floatx`.

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

    def __init__(
        self,
        gamma=0.5,
        from_logits=False,
        reduction="sum_over_batch_size",
        name="nfl",
        dtype=None,
    ):
        super().__init__(
            from_logits=from_logits, reduction=reduction, name=name, dtype=dtype
        )
        self.gamma = check_weight("gamma", gamma)

    def pointwise(self, predictions):
        return focal(predictions, self.gamma)

    def get_config(self):
        return {"gamma": self.gamma, **super().get_config()}
