"""Dynamics-aware loss: GCE with an entropy term, both of which move."""

import math

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.checks import check_positive
from keras_arl.checks import check_weight
from keras_arl.losses.gce import gce
from keras_arl.losses.pointwise import PointwiseLoss

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
    learned already, and the entropy term sharpens predictions. In epoch t of T,
    counted from 0, and with t1 the time at which q is 1,

    ```
    q = start + (end - start) * t / T
    entropy_weight = max(0, (t - t1) / (T - t1))
    ```

    The callback `LossSchedule` moves both in `fit`; without it this is `GCE` of
    the first q. A `keras_arl.training.Trainer`, a search and
    `keras_arl.evaluation.compare` move them by themselves.

    Args:
        q: Robustness, above 0. Defaults to `0.6`, published for the first
            epoch on CIFAR; 0.4 on WebVision.
        entropy_weight: Weight of the predictions' entropy, at least 0. Defaults
            to `0.0`, as in the first epoch.
        end: The q that a training ends before, above `start`. Defaults to
            `1.5`, as published; `None`: nothing moves.
        start: The q that a training begins with. Defaults to `None`: that of
            `q`.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If a number is out of range.

    Example:

    >>> loss = keras_arl.losses.DAL(q=0.5)
    >>> model = keras.Sequential([keras.layers.Dense(2, "softmax")])
    >>> model.compile(loss=loss)
    >>> x, y = np.zeros((8, 3)), np.zeros(8)
    >>> schedule = keras_arl.losses.LossSchedule()
    >>> history = model.fit(x, y, epochs=4, callbacks=[schedule], verbose=0)
    >>> loss.q, loss.entropy_weight
    (1.25, 0.5)

    Reference:
        - Li et al., "Dynamics-Aware Loss for Learning with Label Noise",
          Pattern Recognition 2023, arXiv 2303.11562
    """

    hyperparameters = ("q", "entropy_weight", "start")

    def __init__(
        self, q=0.6, entropy_weight=0.0, end=1.5, start=None, **kwargs
    ):
        super().__init__(**kwargs)
        # Variables from the start, to be moved.
        self._make_first_variable("q", check_positive("q", q))
        self._make_first_variable(
            "entropy_weight", check_weight("entropy_weight", entropy_weight)
        )
        self.start = check_positive("start", q if start is None else start)
        self.end = end
        if end is not None:
            self.end = check_number(
                "end",
                end,
                f"a number above start={self.start}, or None",
                lambda x: x > self.start,
            )

    def moving_numbers(self, epoch, epochs):
        if self.end is None:
            return {}
        q = self.start + (self.end - self.start) * epoch / epochs
        # (t - t1) / (T - t1), which t = T and q = `end` have in common.
        above_1 = max(0.0, q - 1) / (self.end - 1) if self.end > 1 else 0.0
        return {"q": q, "entropy_weight": above_1}

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

    def get_config(self):
        return {**super().get_config(), "end": self.end}
