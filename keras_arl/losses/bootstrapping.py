"""Bootstrapping: the label mixed with the network's own prediction."""

import keras
from keras import ops

from keras_arl.checks import check_fraction
from keras_arl.losses.base import ClassificationLoss


class _Bootstrapping(ClassificationLoss):
    """beta * cross-entropy + (1 - beta) * what the network says itself."""

    def __init__(self, beta, **kwargs):
        super().__init__(**kwargs)
        self.beta = check_fraction("beta", beta)

    def own_loss(self, predictions):
        raise NotImplementedError

    def index_loss(self, labels, predictions):
        labelled = predictions.of_labelled(labels).log_probabilities
        return self._mixed(labelled, predictions)

    def soft_loss(self, targets, predictions):
        labelled = ops.sum(targets * predictions.log_probabilities, axis=-1)
        return self._mixed(labelled, predictions)

    def _mixed(self, labelled, predictions):
        beta = self.number("beta")
        return (1 - beta) * self.own_loss(predictions) - beta * labelled


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
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

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

    hyperparameters = ("beta",)

    def __init__(self, beta=0.95, **kwargs):
        super().__init__(beta, **kwargs)

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
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

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

    hyperparameters = ("beta",)

    def __init__(self, beta=0.8, **kwargs):
        super().__init__(beta, **kwargs)

    def own_loss(self, predictions):
        return -ops.max(predictions.log_probabilities, axis=-1)
