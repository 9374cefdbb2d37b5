"""Focal loss."""

import keras
from keras import ops

from keras_arl.checks import check_weight
from keras_arl.losses.pointwise import PointwiseLoss
from keras_arl.losses.predictions import Summands

# Bound of 1 - p, of which the power has no finite slope at 0.
_SMALLEST = 1e-7
# The gamma of all comparisons of robust losses, whose power is a root.
_OF_COMPARISONS = 0.5


@keras.saving.register_keras_serializable(package="keras_arl")
class Focal(PointwiseLoss):
    """Focal loss: cross-entropy that turns away from what is learned.

    With p_y the labelled class's probability,

    ```
    L = - (1 - p_y)^gamma * log(p_y)
    ```

    It is `keras.losses.CategoricalFocalCrossentropy(alpha=1.0)`; weights of
    the classes are `class_weight` of `model.fit`. The gradient is that of the
    formula, as in the paper; the programs of the robust losses hold the factor
    (1 - p_y)^gamma constant in it, which `detach_focus` does.

    Args:
        gamma: Focus on what is not learned yet, at least 0; 0 is
            cross-entropy. Defaults to `2.0`. The comparisons of robust losses
            use 0.5.
        detach_focus: Whether the gradient takes (1 - p_y)^gamma for a
            constant. Defaults to `False`.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `gamma` is negative.

    Example:

    >>> loss = keras_arl.losses.Focal()
    >>> round(float(loss(np.array([1]), np.array([[0.5, 0.5]]))), 4)
    0.1733

    Reference:
        - Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017,
          arXiv 1708.02002
    """

    hyperparameters = ("gamma",)

    def __init__(self, gamma=2.0, detach_focus=False, **kwargs):
        super().__init__(**kwargs)
        self.gamma = check_weight("gamma", gamma)
        self.detach_focus = bool(detach_focus)

    def pointwise(self, predictions):
        return focal(predictions, self.number("gamma"), self.detach_focus)

    def get_config(self):
        return {"detach_focus": self.detach_focus, **super().get_config()}


def focal(predictions, gamma, detach_focus=False):
    """The focal loss of each of the predictions."""
    # The bound keeps the slope of the power finite at p = 1, where gamma is
    # below 1; the logarithm there is 0.
    complements = predictions.complements
    if not isinstance(predictions, Summands):
        complements = ops.maximum(complements, _SMALLEST)
    if isinstance(gamma, float) and gamma == _OF_COMPARISONS:
        focus = ops.sqrt(complements)
    else:
        # XLA computes this faster than a power.
        focus = ops.exp(gamma * ops.log(complements))
    if detach_focus:
        focus = ops.stop_gradient(focus)
    return focus * -predictions.log_probabilities
