"""Losses corrected by a transition matrix."""

import keras
import numpy as np
from keras import ops

from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.predictions import LogProbabilities
from keras_arl.noise import check_transition

_LOG_OF_ZERO = -1e30


class _Correction(ClassificationLoss):
    """What both corrections share: a checked transition matrix."""

    def __init__(self, transition, **kwargs):
        super().__init__(**kwargs)
        self.transition = check_transition(transition)

    def _row_per_label(self, matrix, predictions):
        """The matrix as a tensor, once its size fits the predictions."""
        num_classes = predictions.num_classes
        if num_classes != len(matrix):
            raise ValueError(
                f"The transition matrix has {len(matrix)} classes. Received "
                f"predictions of {num_classes} classes"
            )
        return ops.convert_to_tensor(matrix, dtype=self.dtype)

    def get_config(self):
        return {
            "transition": self.transition.tolist(),
            **super().get_config(),
        }


@keras.saving.register_keras_serializable(package="keras_arl")
class ForwardCorrection(_Correction):
    """Forward correction: the prediction is made noisy before it is scored.

    With T the transition matrix, T[i, j] the probability that true class i is
    labelled j, p the class probabilities and y the observed label,

    ```
    L = - sum over j of y_j * log(sum over i of p_i * T[i, j])
    ```

    so that p learns the true class. `keras_arl.noise.estimate_transition`
    estimates T where it is not known.

    Args:
        transition: Transition matrix of shape `(C, C)`, rows summing to 1.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If the matrix is not row-stochastic; when called, if it
            does not fit the predictions.

    Example:

    >>> T = keras_arl.noise.symmetric(0.5, num_classes=2)
    >>> loss = keras_arl.losses.ForwardCorrection(T)
    >>> round(float(loss(np.array([1]), np.array([[0.9, 0.1]]))), 4)
    0.6931

    Reference:
        - Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a
          Loss Correction Approach", CVPR 2017, arXiv 1609.03683
    """

    def index_loss(self, labels, predictions):
        if isinstance(predictions, LogProbabilities):
            with np.errstate(divide="ignore"):
                logs = np.maximum(np.log(self.transition.T), _LOG_OF_ZERO)
            columns = ops.take(
                self._row_per_label(logs, predictions), labels, axis=0
            )
            # A sum of probabilities that are all 0 in float32 has a logarithm.
            return -ops.logsumexp(
                predictions.log_probabilities + columns, axis=-1
            )
        columns = self._row_per_label(self.transition.T, predictions)
        noisy = ops.sum(
            predictions.probabilities * ops.take(columns, labels, axis=0), -1
        )
        return -predictions.log(noisy)

    def soft_loss(self, targets, predictions):
        transition = self._row_per_label(self.transition, predictions)
        noisy = ops.matmul(predictions.probabilities, transition)
        return -ops.sum(targets * predictions.log(noisy), axis=-1)


@keras.saving.register_keras_serializable(package="keras_arl")
class BackwardCorrection(_Correction):
    """Backward correction: the loss is made unbiased under the noise.

    With T the transition matrix, T[i, j] the probability that true class i is
    labelled j, p the class probabilities and y the observed label,

    ```
    L = - sum over j, c of y_j * inverse(T)[j, c] * log(p_c)
    ```

    Its expectation over the noise is the cross-entropy of the true label. It
    is not bounded below, and large where T is close to singular.

    Args:
        transition: Invertible transition matrix of shape `(C, C)`, rows
            summing to 1.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If the matrix is not row-stochastic or has no inverse;
            when called, if it does not fit the predictions.

    Example:

    >>> T = keras_arl.noise.symmetric(0.0, num_classes=2)
    >>> loss = keras_arl.losses.BackwardCorrection(T)
    >>> round(float(loss(np.array([1]), np.array([[0.5, 0.5]]))), 4)
    0.6931

    Reference:
        - Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a
          Loss Correction Approach", CVPR 2017, arXiv 1609.03683
    """

    def __init__(self, transition, **kwargs):
        super().__init__(transition, **kwargs)
        condition = np.linalg.cond(self.transition)
        if not condition < 1e6:
            raise ValueError(
                "Backward correction needs an invertible transition matrix. "
                f"Received one of condition number {condition:.3g}"
            )
        self._inverse = np.linalg.inv(self.transition)

    def index_loss(self, labels, predictions):
        inverse = self._row_per_label(self._inverse, predictions)
        weights = ops.take(inverse, labels, axis=0)
        return -ops.sum(weights * predictions.log_probabilities, axis=-1)

    def soft_loss(self, targets, predictions):
        inverse = self._row_per_label(self._inverse, predictions)
        weights = ops.matmul(targets, inverse)
        return -ops.sum(weights * predictions.log_probabilities, axis=-1)
