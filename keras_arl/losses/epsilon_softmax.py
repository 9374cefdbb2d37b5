"""Epsilon-softmax: a wrapper of losses."""

import functools
import math

import keras
from keras import ops

from keras_arl.checks import check_positive
from keras_arl.losses.composition import WrappedLoss
from keras_arl.losses.predictions import LogProbabilities
from keras_arl.losses.predictions import take_labelled

# What a probability counts at least, in the authors' program. It is part of
# the method: a label that is less likely has no gradient.
_LOG_LEAST = math.log(1e-8)


@keras.saving.register_keras_serializable(package="keras_arl")
class EpsilonSoftmax(WrappedLoss):
    """Epsilon-softmax: predictions are made nearly one-hot for a loss.

    With p the class probabilities and t the most likely class, the first one
    of several,

    ```
    f_c = max((p_c + m * [c = t]) / (m + 1), 1e-8)
    L = loss(y, f)
    ```

    in which t and the bound have no gradient. What is predicted as labelled
    hardly counts any more, and so does a label with p_y < 1e-8 * (m + 1). Such
    a loss alone learns little; `keras_arl.losses.get("ce+eps+mae")` is the
    authors' combination. Their settings depend on the kind and the rate of the
    noise, their m between 1e2 and 1e5.

    Args:
        loss: A loss of this package, whose `from_logits` and `dtype` hold.
            Its `reduction` and `name` play no role.
        m: How near to one-hot, above 0. Defaults to `1e4`, published for the
            human labels of CIFAR-10N and CIFAR-100N.
        **kwargs: `reduction` and `name`, see `ClassificationLoss`.

    Raises:
        ValueError: If `loss` is no loss of this package or `m` is not above 0.

    Example:

    >>> loss = keras_arl.losses.EpsilonSoftmax(keras_arl.losses.MAE(), m=1.0)
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    1.5

    Reference:
        - Wang et al., "Epsilon-Softmax: Approximating One-Hot Vectors for
          Mitigating Label Noise", NeurIPS 2024, arXiv 2508.02387
    """

    hyperparameters = ("m",)

    def __init__(self, loss, m=1e4, **kwargs):
        super().__init__(loss, **kwargs)
        self.m = check_positive("m", m)

    def transformed(self, predictions):
        m = ops.convert_to_tensor(self.number("m"), self.dtype)
        return _NearlyOneHot(predictions, m)


class _NearlyOneHot(LogProbabilities):
    """The f of predictions, each form computed when asked for."""

    def __init__(self, predictions, m):
        self._predictions, self._m = predictions, m

    @functools.cached_property
    def log_probabilities(self):
        logits = self._predictions.logits
        most_likely = ops.argmax(logits, axis=-1)[..., None]
        is_most_likely = ops.arange(logits.shape[-1]) == most_likely
        return self._logarithm(self._predictions, is_most_likely)

    @property
    def logits(self):
        return self.log_probabilities

    @property
    def num_classes(self):
        return self._predictions.num_classes

    def _of_labelled(self, labels):
        labelled = self._predictions.of_labelled(labels)
        # Faster than the place of the largest logit.
        logits = self._predictions.logits
        is_largest = logits == ops.max(logits, axis=-1, keepdims=True)
        is_before = ops.arange(logits.shape[-1]) < labels[..., None]
        of_label = take_labelled(ops.cast(is_largest, self._m.dtype), labels)
        earlier = ops.sum(
            ops.cast(ops.logical_and(is_largest, is_before), self._m.dtype),
            axis=-1,
        )
        is_most_likely = of_label * (1 - earlier) > 0
        return LogProbabilities(self._logarithm(labelled, is_most_likely))

    def _logarithm(self, predictions, is_most_likely):
        # Of what is close to 1 all digits, of what is close to 0 its gradient.
        close_to_1 = ops.log1p(-predictions.complements / (self._m + 1))
        others = predictions.log_probabilities - ops.log1p(self._m)
        return ops.where(
            is_most_likely, close_to_1, ops.maximum(others, _LOG_LEAST)
        )
