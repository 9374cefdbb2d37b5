"""Taylor cross-entropy: cross-entropy's series, cut off."""

import keras

from keras_arl.checks import check_number
from keras_arl.losses.pointwise import PointwiseLoss


@keras.saving.register_keras_serializable(package="keras_arl")
class TaylorCrossEntropy(PointwiseLoss):
    """Taylor cross-entropy: the first terms of cross-entropy's series at 1.

    With p_y the labelled class's probability and t the order,

    ```
    L = sum over i = 1..t of (1 - p_y)^i / i
    ```

    For t = 1 it is half of MAE, for t -> infinity cross-entropy. It is one
    member of the family of `TaylorLoss`.

    Args:
        order: Number of terms t, an integer of at least 1. Defaults to `2`.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `order` is not an integer of at least 1.

    Example:

    >>> loss = keras_arl.losses.TaylorCrossEntropy(order=2)
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    0.625

    Reference:
        - Feng et al., "Can Cross Entropy Loss Be Robust to Label Noise?",
          IJCAI 2020
    """

    hyperparameters = ()

    def __init__(self, order=2, **kwargs):
        super().__init__(**kwargs)
        self.order = int(
            check_number(
                "order",
                order,
                "an integer of at least 1",
                lambda x: x >= 1 and x == int(x),
            )
        )

    def pointwise(self, predictions):
        x = predictions.complements
        total = x / self.order
        for i in range(self.order - 1, 0, -1):
            total = (total + 1 / i) * x
        return total

    def get_config(self):
        return {"order": self.order, **super().get_config()}
