"""Logit clipping: a wrapper of losses."""

import keras
from keras import ops

from keras_arl.checks import check_positive
from keras_arl.losses.composition import WrappedLoss
from keras_arl.losses.predictions import Logits
from keras_arl.losses.predictions import model_logits

# Of the scale of logits, by which they are divided.
_SMALLEST = 1e-7


@keras.saving.register_keras_serializable(package="keras_arl")
class LogitClipping(WrappedLoss):
    """Logit clipping: bounds a loss by the norm of the logits.

    With z the logits and |z| their Euclidean norm,

    ```
    z' = z * norm / |z|    where |z| > threshold
         z                 elsewhere
    L = loss(y, softmax(z'))
    ```

    The paper's formula is `threshold=norm`. The authors' program has
    `threshold=1 / norm`, with which longer logits become `norm` long even where
    that is longer than they are. Evaluate and predict with the plain logits;
    their order is the same. Prefer a model that returns logits, on whose mean
    the norm depends; of probabilities it takes the logits whose mean is 0.

    Args:
        loss: A loss of this package, whose `from_logits` and `dtype` hold.
            Its `reduction` and `name` play no role.
        norm: Norm of the clipped logits, above 0. Defaults to `1.0`, of a
            later comparison for CIFAR-10 with little symmetric noise.
        threshold: Norm from which on logits are clipped, above 0. Defaults to
            `None`: `norm`.
        **kwargs: `reduction` and `name`, see `ClassificationLoss`.

    Raises:
        ValueError: If `loss` is no loss of this package or a number is not
            above 0.

    Example:

    >>> loss = keras_arl.losses.LogitClipping(
    ...     keras_arl.losses.MAE(from_logits=True), norm=1.0
    ... )
    >>> value = loss(np.array([1]), np.array([[0.0, 50.0]]))
    >>> round(float(value), 4)  # of the logits (0, 1)
    0.5379

    Reference:
        - Wei et al., "Mitigating Memorization of Noisy Labels by Clipping the
          Model Prediction", ICML 2023, arXiv 2212.04055
    """

    hyperparameters = ("norm", "threshold")

    def __init__(self, loss, norm=1.0, threshold=None, **kwargs):
        super().__init__(loss, **kwargs)
        self.norm = check_positive("norm", norm)
        self.threshold = check_positive(
            "threshold", norm if threshold is None else threshold
        )

    def transformed(self, predictions):
        logits = model_logits(predictions)
        # The square of a large logit would be infinite.
        largest = ops.max(ops.abs(logits), axis=-1, keepdims=True)
        scale = ops.stop_gradient(ops.maximum(largest, _SMALLEST))
        squares = ops.sum(ops.square(logits / scale), axis=-1, keepdims=True)
        # Of all zeros the norm has no gradient.
        is_zero = squares == 0
        length = scale * ops.sqrt(ops.where(is_zero, 1.0, squares))
        is_long = ops.logical_and(length > self.number("threshold"), ~is_zero)
        factor = ops.where(is_long, self.number("norm") / length, 1.0)
        return Logits(logits * factor)
