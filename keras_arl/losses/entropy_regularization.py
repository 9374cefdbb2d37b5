"""Entropy regularisation of a batch: a wrapper of losses."""

import math

import keras
from keras import ops

from keras_arl.checks import check_weight
from keras_arl.losses.composition import WrappedLoss

# What probabilities count at least, in the authors' program.
_LEAST = 1e-7


@keras.saving.register_keras_serializable(package="keras_arl")
class EntropyRegularization(WrappedLoss):
    """Entropy regularisation: a batch's mean prediction is driven to uniform.

    With m the mean of the class probabilities over the batch, which is all
    axes but the last, without what is left out, and C the number of classes,

    ```
    L = loss(y, p) + weight * (log C + sum over c of m_c * log(m_c))
    ```

    The second term is the same for all samples of a batch. It suits balanced
    classes and batches of many more samples than classes; sample weights and
    masks do not change m. On several devices each has an m of its own.

    Args:
        loss: A loss of this package, whose `from_logits` and `dtype` hold.
            Its `reduction` and `name` play no role.
        weight: Weight of the second term, at least 0. Defaults to `2.0`,
            published with the active negative losses for CIFAR-10; 0.01 for
            CIFAR-100.
        **kwargs: `reduction` and `name`, see `ClassificationLoss`.

    Raises:
        ValueError: If `loss` is no loss of this package or `weight` is
            negative.

    Example:

    >>> loss = keras_arl.losses.EntropyRegularization(
    ...     keras_arl.losses.MAE(), weight=1.0
    ... )
    >>> p = np.array([[0.25, 0.75], [0.75, 0.25]])
    >>> float(loss(np.array([1, 0]), p))
    0.5

    Reference:
        - Ye et al., "Active Negative Loss: A Robust Framework for Learning
          with Noisy Labels", arXiv 2412.02373
    """

    hyperparameters = ("weight",)

    def __init__(self, loss, weight=2.0, **kwargs):
        super().__init__(loss, **kwargs)
        self.weight = check_weight("weight", weight)

    def transformed(self, predictions):
        return predictions

    def penalty(self, predictions):
        p = ops.clip(predictions.probabilities, _LEAST, 1 - _LEAST)
        if predictions.is_ignored is not None:
            p = ops.where(predictions.is_ignored[..., None], 0.0, p)
        sums = ops.sum(p, axis=tuple(range(len(p.shape) - 1)))
        mean = sums / ops.sum(sums)
        negative_entropy = ops.sum(mean * ops.log(mean))
        rest = math.log(p.shape[-1])
        return self.number("weight") * (rest + negative_entropy)
