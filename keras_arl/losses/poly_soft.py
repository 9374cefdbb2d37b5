"""PolySoft, a polynomial of the cross-entropy that levels off."""

import math

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.checks import check_positive
from keras_arl.losses.pointwise import PointwiseLoss

_THRESHOLD = 3 * math.log(10)


@keras.saving.register_keras_serializable(package="keras_arl")
class PolySoft(PointwiseLoss):
    """Polynomial soft weighting: cross-entropy that ignores large values.

    With CE = -log(p_y), p_y the labelled class's probability, t the threshold
    and u = max(1 - CE / t, 0),

    ```
    L = ((d - 1) / d) * t * (1 - u^(d / (d - 1)))
    ```

    Its gradient is cross-entropy's times u^(1 / (d - 1)). A sample with
    CE >= t therefore has none. An untrained network gives every label 1 / C,
    where CE is log(C): the threshold must be well above it, or nothing is
    learned. On 1,000 digits with 40% symmetric noise (SGD 0.1, momentum 0.9,
    40 epochs, mean of three runs) thresholds of 1, 1.5, 2 and 3 log(C) end at
    10, 29, 86 and 87%, cross-entropy at 64.

    Args:
        threshold: Cross-entropy t from which on a sample is ignored, above 0.
            Defaults to `3 * log(10)`, our choice, which fits up to 100
            classes. In theory the loss is noise tolerant at log(C). The
            paper's initial value is not known to us.
        d: Shape of the weights, above 1; for d -> infinity they become 1 below
            the threshold, for d = 2 they fall linearly, below 2 they fall
            faster. Defaults to `1.5`, our choice.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `threshold` or `d` is out of range.

    Example:

    >>> loss = keras_arl.losses.PolySoft(threshold=np.log(4), d=2.0)
    >>> value = loss(np.array([1]), np.array([[0.5, 0.5]]))
    >>> round(float(value / np.log(4)), 6)
    0.375

    Reference:
        - Gong et al., "Decomposition-Based Evolutionary Multiobjective
          Optimization to Self-Paced Learning", IEEE Transactions on
          Evolutionary Computation 2019
        - Shu et al., "Learning Adaptive Loss for Robust Learning with Noisy
          Labels", arXiv 2002.06482
    """

    hyperparameters = ("threshold", "d")

    def __init__(self, threshold=_THRESHOLD, d=1.5, **kwargs):
        super().__init__(**kwargs)
        self.threshold = check_positive("threshold", threshold)
        self.d = check_number("d", d, "a number above 1", lambda x: x > 1)

    def pointwise(self, predictions):
        threshold, d = self.number("threshold"), self.number("d")
        rest = 1 + predictions.log_probabilities / threshold
        is_out = rest <= 0
        # Twice `where`: a logarithm of 0 would make the gradient NaN although
        # its branch is not taken.
        log_rest = ops.log(ops.where(is_out, 1.0, rest))
        power = ops.exp(d / (d - 1) * log_rest)
        power = ops.where(is_out, 0.0, power)
        return (d - 1) / d * threshold * (1 - power)

    def get_config(self):
        return {
            "threshold": self.threshold,
            "d": self.d,
            **super().get_config(),
        }
