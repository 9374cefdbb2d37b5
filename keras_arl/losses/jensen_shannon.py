"""The Jensen-Shannon loss."""

import math

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.losses.base import ClassificationLoss

# What probabilities count at least, in the authors' program.
_LEAST = 1e-7
_LEAST_WEIGHT = 1e-6


@keras.saving.register_keras_serializable(package="keras_arl")
class JS(ClassificationLoss):
    """Jensen-Shannon loss: between cross-entropy and MAE.

    With p the class probabilities, y the one-hot or soft label, w its weight
    and KL the Kullback-Leibler divergence,

    ```
    m = w * y + (1 - w) * p
    L = (w * KL(y, m) + (1 - w) * KL(p, m)) / Z,  Z = -(1 - w) * log(1 - w)
    ```

    For w -> 0 it is cross-entropy, for w -> 1 half of MAE. The generalised loss
    GJS of the same paper compares the predictions of two augmented copies of
    an image, too, and is not here: a loss sees one prediction.

    Args:
        weight: The w, in (0, 1). Defaults to `0.5`, our choice among the
            published ones: for CIFAR-10 0.1 (no noise) to 0.9 (60% and 80%
            symmetric), 0.3 for asymmetric noise.
        scaled: Whether the loss is divided by Z. Defaults to `True`; the
            authors' WebVision run is without.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `weight` is not in (0, 1), or within 1e-6 of an end,
            where float32 loses it.

    Example:

    >>> loss = keras_arl.losses.JS(weight=0.5)
    >>> round(float(loss(np.array([1]), np.array([[1.0, 0.0]]))), 4)
    2.0

    Reference:
        - Englesson & Azizpour, "Generalized Jensen-Shannon Divergence Loss for
          Learning with Noisy Labels", NeurIPS 2021, arXiv 2105.04522
    """

    hyperparameters = ("weight",)

    def __init__(self, weight=0.5, scaled=True, **kwargs):
        super().__init__(**kwargs)
        self.weight = check_number(
            "weight",
            weight,
            f"a number in [{_LEAST_WEIGHT}, 1 - {_LEAST_WEIGHT}]",
            lambda x: _LEAST_WEIGHT <= x <= 1 - _LEAST_WEIGHT,
        )
        self.scaled = bool(scaled)

    def index_loss(self, labels, predictions):
        weight, log_rest = self._weight()
        labelled = predictions.of_labelled(labels)
        complement = labelled.complements
        # Of the other classes, KL(p, m) has -p log(1 - w).
        log_m = ops.log1p((weight - 1) * complement)
        own = labelled.probabilities * (labelled.log_probabilities - log_m)
        divergence = own - complement * log_rest
        return self._scaled((1 - weight) * divergence - weight * log_m)

    def soft_loss(self, targets, predictions):
        weight, _ = self._weight()
        p = predictions.probabilities
        log_p = ops.maximum(predictions.log_probabilities, math.log(_LEAST))
        log_y = ops.log(ops.maximum(targets, _LEAST))
        mixture = weight * targets + (1 - weight) * p
        log_m = ops.log(ops.maximum(mixture, _LEAST))
        terms = weight * targets * (log_y - log_m)
        terms = terms + (1 - weight) * p * (log_p - log_m)
        return self._scaled(ops.sum(terms, axis=-1))

    def _weight(self):
        weight = ops.convert_to_tensor(self.number("weight"), self.dtype)
        return weight, ops.log1p(-weight)

    def _scaled(self, value):
        if not self.scaled:
            return value
        weight, log_rest = self._weight()
        return value / ((weight - 1) * log_rest)

    def get_config(self):
        return {"scaled": self.scaled, **super().get_config()}
