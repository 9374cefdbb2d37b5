"""The LDR-KL loss."""

import math

import keras
from keras import ops

from keras_arl.checks import check_positive
from keras_arl.checks import check_weight
from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.predictions import Logits
from keras_arl.losses.predictions import model_logits

# Keeps the scores finite where all logits are far below 0.
_LEAST_MEAN = 1e-12
# Of margin to temperature; e^88 is beyond float32.
_LARGEST_RATIO = 80


@keras.saving.register_keras_serializable(package="keras_arl")
class LDRKL(ClassificationLoss):
    """LDR-KL: a margin, made robust over the weights of the classes.

    With z the logits, C the number of classes, y the label, c the margin and t
    the temperature,

    ```
    s = softplus(z) / mean of softplus(z)
    L = t * log(1/C sum over k of exp((c * [k != y] + s_k - s_y) / t))
    ```

    with soft labels the expectation over the label. Values below 0 are normal.
    Prefer a model that returns logits, on whose mean the loss depends; of
    probabilities it takes the logits whose mean is 0.

    Args:
        margin: The c, at least 0. Defaults to `0.1`, of a later comparison;
            the authors' program has 2.
        temperature: The t, above 0. Defaults to `10.0`, of that comparison
            for CIFAR-10; 1.0 for CIFAR-100.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `margin` is negative or `temperature` not above 0.

    Example:

    >>> loss = keras_arl.losses.LDRKL(margin=0.0, from_logits=True)
    >>> float(loss(np.array([1]), np.array([[1.0, 1.0]])))
    0.0

    Reference:
        - Zhu et al., "Label Distributionally Robust Losses for Multi-class
          Classification", ICML 2023, arXiv 2112.14869
    """

    hyperparameters = ("margin", "temperature")

    def __init__(self, margin=0.1, temperature=10.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = check_weight("margin", margin)
        self.temperature = check_positive("temperature", temperature)
        if self.margin > _LARGEST_RATIO * self.temperature:
            raise ValueError(
                f"`margin` must be at most {_LARGEST_RATIO} times "
                "`temperature`: its exponential overflows. Received: "
                f"margin={margin}, temperature={temperature}"
            )

    def index_loss(self, labels, predictions):
        scores = self._scores(predictions)
        return self._value(scores.of_labelled(labels), scores)

    def soft_loss(self, targets, predictions):
        scores = self._scores(predictions)
        return ops.sum(targets * self._value(scores, scores), axis=-1)

    def _scores(self, predictions):
        positive = ops.softplus(model_logits(predictions))
        mean = ops.mean(positive, axis=-1, keepdims=True)
        scores = positive / ops.maximum(mean, _LEAST_MEAN)
        return Logits(scores / self.number("temperature"))

    def _value(self, predictions, scores):
        # With u = softmax(s / t) the sum is (u_y + e^(c / t) (1 - u_y)) / u_y.
        temperature = ops.convert_to_tensor(
            self.number("temperature"), self.dtype
        )
        surplus = ops.expm1(self.number("margin") / temperature)
        total = ops.log1p(surplus * predictions.complements)
        size = math.log(scores.num_classes)
        return temperature * (total - predictions.log_probabilities - size)
