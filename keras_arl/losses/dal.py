"""Dynamics-aware loss: GCE with an entropy term, and its schedule."""

import math

import keras
from keras import ops

from keras_arl.checks import check_at_least
from keras_arl.checks import check_number
from keras_arl.checks import check_positive
from keras_arl.checks import check_weight
from keras_arl.losses.gce import gce
from keras_arl.losses.pointwise import PointwiseLoss
from keras_arl.losses.schedule import LossSchedule

# In the authors' program.
_LEAST = 1e-6


@keras.saving.register_keras_serializable(package="keras_arl")
class DAL(PointwiseLoss):
    """Dynamics-aware loss: from a fast to a robust loss while it learns.

    With p the class probabilities, y the label and C the number of classes,

    ```
    L = (1 - max(p_y, 1e-6)^q) / q
        - entropy_weight / (q * log C) * sum over c of p_c * log(p_c + 1e-6)
    ```

    Early, a small q learns fast; later, a q above 1 makes much of what is
    learned already, and the entropy term sharpens predictions. The numbers move
    by `DALSchedule`; without it this is `GCE` of the first q.

    Args:
        q: Robustness, above 0. Defaults to `0.6`, published for the first
            epoch on CIFAR; 0.4 on WebVision.
        entropy_weight: Weight of the predictions' entropy, at least 0. Defaults
            to `0.0`, as in the first epoch.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `q` is not above 0 or `entropy_weight` negative.

    Example:

    >>> loss = keras_arl.losses.DAL(q=2.0)
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    0.375

    Reference:
        - Li et al., "Dynamics-Aware Loss for Learning with Label Noise",
          Pattern Recognition 2023, arXiv 2303.11562
    """

    hyperparameters = ("q", "entropy_weight")

    def __init__(self, q=0.6, entropy_weight=0.0, **kwargs):
        super().__init__(**kwargs)
        # Variables from the start, for the schedule.
        self._make_first_variable("q", check_positive("q", q))
        self._make_first_variable(
            "entropy_weight", check_weight("entropy_weight", entropy_weight)
        )

    def pointwise(self, predictions):
        log_p = ops.maximum(predictions.log_probabilities, math.log(_LEAST))
        return gce(log_p, self.number("q"))

    def index_loss(self, labels, predictions):
        loss = super().index_loss(labels, predictions)
        return loss + self._entropy(predictions)

    def soft_loss(self, targets, predictions):
        loss = super().soft_loss(targets, predictions)
        return loss + self._entropy(predictions)

    def _entropy(self, predictions):
        p = predictions.probabilities
        scale = self.number("q") * math.log(p.shape[-1])
        entropy = -ops.sum(p * ops.log(p + _LEAST), axis=-1)
        return self.number("entropy_weight") / scale * entropy


class DALSchedule(LossSchedule):
    """Moves the numbers of a `DAL` over the epochs.

    In epoch t of T, counted from 0, and with t1 the time at which q is 1,

    ```
    q = start + (end - start) * t / T
    entropy_weight = max(0, (t - t1) / (T - t1))
    ```

    On JAX each epoch compiles the training step anew.

    Args:
        loss: The `DAL` that the model is compiled with; `None`: the one that is
            found there.
        epochs: Number of epochs T of the training.
        start: First q, above 0. Defaults to `0.6`, published for CIFAR; 0.4
            for WebVision.
        end: The q that the training ends before, above `start`. Defaults to
            `1.5`.

    Raises:
        ValueError: If `loss` is none, or a number is out of range.

    Example:

    >>> loss = keras_arl.losses.DAL()
    >>> schedule = keras_arl.losses.DALSchedule(loss, epochs=4, start=0.5)
    >>> model = keras.Sequential([keras.layers.Dense(2, "softmax")])
    >>> model.compile(loss=loss)
    >>> x, y = np.zeros((8, 3)), np.zeros(8)
    >>> history = model.fit(x, y, epochs=4, callbacks=[schedule], verbose=0)
    >>> loss.q, loss.entropy_weight
    (1.25, 0.5)
    """

    def __init__(self, loss, epochs, start=0.6, end=1.5):
        super().__init__(loss, DAL)
        self.epochs = check_at_least("epochs", epochs, 1)
        self.start = check_positive("start", start)
        self.end = check_number(
            "end", end, f"a number above start={start}", lambda x: x > start
        )

    def numbers(self, epoch):
        done = epoch / self.epochs
        q = self.start + (self.end - self.start) * done
        # (t - t1) / (T - t1), which t = T and q = `end` have in common.
        above_1 = max(0.0, q - 1) / (self.end - 1) if self.end > 1 else 0.0
        return {"q": q, "entropy_weight": above_1}
