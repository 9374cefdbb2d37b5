"""Mean absolute error, the symmetric loss."""

import keras
from keras import ops

from keras_arl.losses.pointwise import PointwiseLoss


@keras.saving.register_keras_serializable(package="keras_arl")
class MAE(PointwiseLoss):
    """Mean absolute error between label and probabilities.

    With p the class probabilities, y the label, and p_y the labelled class's
    probability,

    ```
    L = sum over c of |y_c - p_c| = 2 * (1 - p_y)
    ```

    the second for class indices and one-hot labels. It is symmetric: summed
    over all labels it is constant, which makes it robust to symmetric noise
    and slow to learn with many classes. `keras.losses.MeanAbsoluteError`
    divides it by the number of classes.

    Args:
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Example:

    >>> loss = keras_arl.losses.MAE()
    >>> float(loss(np.array([1]), np.array([[0.25, 0.75]])))
    0.5

    Reference:
        - Ghosh, Kumar & Sastry, "Robust Loss Functions under Label Noise for
          Deep Neural Networks", AAAI 2017, arXiv 1712.09482
    """

    hyperparameters = ()

    def pointwise(self, predictions):
        return 2 * predictions.complements

    def soft_loss(self, targets, predictions):
        return ops.sum(ops.abs(targets - predictions.probabilities), axis=-1)
