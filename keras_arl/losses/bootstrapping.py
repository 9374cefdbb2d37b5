"""Bootstrapping: the label mixed with the network's own prediction."""

import keras
from keras import ops

from keras_arl.checks import check_fraction
from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.cross_entropy import CrossEntropy


class _Bootstrapping(ClassificationLoss):
    """beta * cross-entropy + (1 - beta) * what the network says itself."""

    def __init__(self, beta, **kwargs):
        super().__init__(**kwargs)
        self.beta = check_fraction("beta", beta)
        self._cross_entropy = CrossEntropy()

    def own_loss(self, predictions):
        raise NotImplementedError

    def index_loss(self, labels, predictions):
        loss = self._cross_entropy.index_loss(labels, predictions)
        return self._mixed(loss, predictions)

    def soft_loss(self, targets, predictions):
        loss = self._cross_entropy.soft_loss(targets, predictions)
        return self._mixed(loss, predictions)

    def _mixed(self, loss, predictions):
        own = self.own_loss(predictions)
        return self.beta * loss + (1 - self.beta) * own

    def get_config(self):
        return {"beta": self.beta, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_arl")
class SoftBootstrapping(_Bootstrapping):
    """Soft bootstrapping: the label mixed with the predicted probabilities.

    With p the class probabilities and y the one-hot or soft label,

    ```
    L = - sum over c of (beta * y_c + (1 - beta) * p_c) * log(p_c)
    ```

    The gradient flows through both p, as in the paper: the second part is the
    prediction's entropy.

    Args:
        beta: Weight of the label, in [0, 1]. Defaults to `0.95`, the
            published value.
        from_logits: Whether predictions are logits. Defaults to `False`:
            probabilities.
        reduction: As in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: Defaults to `"soft_bootstrapping"`.
        dtype: Dtype of the computation, at least float32. Defaults to `None`:
            Keras's `floatx`.

    Raises:
        ValueError: If `beta` is outside [0, 1].

    Example:

    >>> loss = keras_arl.losses.SoftBootstrapping(beta=0.0)
    >>> round(float(loss(np.array([1]), np.array([[0.5, 0.5]]))), 4)
    0.6931

    Reference:
        - Reed et al., "Training Deep Neural Networks on Noisy Labels with
          Bootstrapping", ICLR 2015 workshop, arXiv 1412.6596
    """

    def __init__(
        self,
        beta=0.95,
        from_logits=False,
        reduction="sum_over_batch_size",
        name="soft_bootstrapping",
        dtype=None,
    ):
        super().__init__(
            beta,
            from_logits=from_logits,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )

    def own_loss(self, predictions):
        return -ops.sum(
            predictions.probabilities * predictions.log_probabilities, axis=-1
        )


@keras.saving.register_keras_serializable(package="keras_arl")
class HardBootstrapping(_Bootstrapping):
    """Hard bootstrapping: the label mixed with the predicted class.

    With p the class probabilities and y the one-hot or soft label,

    ```
    L = - beta * sum over c of y_c * log(p_c) - (1 - beta) * log(max_c p_c)
    ```

    Args:
        beta: Weight of the label, in [0, 1]. Defaults to `0.8`, the published
            value.
        from_logits: Whether predictions are logits. Defaults to `False`:
            probabilities.
        reduction: As in `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`.
        name: Defaults to `"hard_bootstrapping"`.
        dtype: Dtype of the computation, at least float32. Defaults to `None`:
            Keras's `floatx`.

    Raises:
        ValueError: If `beta` is outside [0, 1].

    Example:

    >>> loss = keras_arl.losses.HardBootstrapping(beta=0.0)
    >>> round(float(loss(np.array([1]), np.array([[0.5, 0.5]]))), 4)
    0.6931

    Reference:
        - Reed et al., "Training Deep Neural Networks on Noisy Labels with
          Bootstrapping", ICLR 2015 workshop, arXiv 1412.6596
    """

    def __init__(
        self,
        beta=0.8,
        from_logits=False,
        reduction="sum_over_batch_size",
        name="hard_bootstrapping",
        dtype=None,
    ):
        super().__init__(
            beta,
            from_logits=from_logits,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )

    def own_loss(self, predictions):
        return -ops.max(predictions.log_probabilities, axis=-1)
