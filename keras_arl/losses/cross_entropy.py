"""Cross-entropy, the loss that the others are compared with."""

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.losses.base import ClassificationLoss


@keras.saving.register_keras_serializable(package="keras_arl")
class CrossEntropy(ClassificationLoss):
    """Cross-entropy, with label smoothing where it is asked for.

    With p the class probabilities, y the one-hot or soft label and s the
    smoothing,

    ```
    L = - sum over c of ((1 - s) * y_c + s / C) * log(p_c)
    ```

    as `keras.losses.CategoricalCrossentropy` computes it for probabilities
    that sum to 1; others are not normalised here. The logarithm is bounded at
    1e-30 instead of `keras.config.epsilon()`, below which Keras's has no
    gradient.

    A smoothing below 0 is negative label smoothing, which has no lower bound:
    it goes on pushing the other classes' logits away from the label's. Where
    many labels are wrong, its authors start from a model that cross-entropy
    has trained.

    Args:
        label_smoothing: Share s of the label that is spread evenly over all
            classes, at most 1. Defaults to `0.0`; `0.1` is the published one
            (`keras_arl.losses.get("label_smoothing")`). Below 0 the authors
            try -0.2 to -8; `get("negative_label_smoothing")` has -0.4, our
            choice.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `label_smoothing` is above 1.

    Example:

    >>> loss = keras_arl.losses.CrossEntropy(label_smoothing=0.1)
    >>> round(float(loss(np.array([1]), np.array([[0.2, 0.8]]))), 4)
    0.2925

    Reference:
        - Szegedy et al., "Rethinking the Inception Architecture for Computer
          Vision", CVPR 2016, arXiv 1512.00567
        - Wei et al., "To Smooth or Not? When Label Smoothing Meets Noisy
          Labels", ICML 2022, arXiv 2106.04149
    """

    # Whether there is any smoothing decides what is computed at all.
    hyperparameters = ()

    def __init__(self, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = check_number(
            "label_smoothing",
            label_smoothing,
            "a number of at most 1",
            lambda x: x <= 1,
        )

    def index_loss(self, labels, predictions):
        labelled = predictions.of_labelled(labels).log_probabilities
        return self._smoothed(labelled, predictions)

    def soft_loss(self, targets, predictions):
        labelled = ops.sum(targets * predictions.log_probabilities, axis=-1)
        return self._smoothed(labelled, predictions)

    def _smoothed(self, labelled, predictions):
        if self.label_smoothing == 0:
            return -labelled
        mean = ops.mean(predictions.log_probabilities, axis=-1)
        return (self.label_smoothing - 1) * labelled - (
            self.label_smoothing * mean
        )

    def get_config(self):
        return {
            "label_smoothing": self.label_smoothing,
            **super().get_config(),
        }
