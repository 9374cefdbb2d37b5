"""Self-ensemble label correction."""

import keras
from keras import ops

from keras_arl.checks import check_at_least
from keras_arl.checks import check_number
from keras_arl.learners import batch as batches
from keras_arl.learners.remembering import TargetLearner
from keras_arl.losses.predictions import Logits
from keras_arl.losses.predictions import Probabilities


@keras.saving.register_keras_serializable(package="keras_arl")
class SELC(TargetLearner):
    """Self-ensemble label correction: labels drift to what was predicted.

    For each example a target t is kept, its given label at first. With p the
    model's prediction, from epoch `correction_epoch` on,

    ```
    t <- momentum * t + (1 - momentum) * p
    L  = l(t, p)
    ```

    and before it l(y, p). It needs no clean examples, and for each training
    example C numbers of memory.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        correction_epoch: First epoch, counted from 0, in which targets move.
            It should come before the model memorises wrong labels, which
            depends on the learning rate. Defaults to `20`, our choice.
        momentum: Share of the target that is kept at a visit, in [0, 1).
            Defaults to `0.9`, as published.
        **kwargs: `loss`, `from_logits`, `num_examples` and `name`, see
            `Learner`; published with cross-entropy.

    Raises:
        ValueError: If a number is out of range.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.SELC(
    ...     model, correction_epoch=1, from_logits=True
    ... )
    >>> learner.compile("adam")
    >>> x, y = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 0])
    >>> history = learner.fit(x, y, epochs=2, verbose=0)
    >>> learner.targets.argmax(axis=1).tolist()
    [0, 1, 0, 0]

    Reference:
        - Lu & He, "SELC: Self-Ensemble Label Correction Improves Learning with
          Noisy Labels", IJCAI 2022, arXiv 2205.01156
    """

    def __init__(
        self,
        model,
        correction_epoch=20,
        momentum=0.9,
        **kwargs,
    ):
        super().__init__(model, tables={"targets": (None, "float32")}, **kwargs)
        self.correction_epoch = check_at_least(
            "correction_epoch", correction_epoch, 0
        )
        self.momentum = check_number(
            "momentum", momentum, "a number in [0, 1)", lambda x: 0 <= x < 1
        )
        self.finish_init()

    def training_loss(self, batch, y_pred):
        unlabelled = self.nan_without_label(batch.labels, y_pred)
        visit = self.visit(batch)
        given = batches.as_targets(batch.labels, self.num_classes)
        targets = ops.where(
            visit.is_known[:, None],
            self.memory.read("targets", visit.rows),
            given,
        )
        moved = self.momentum * targets + (
            1 - self.momentum
        ) * self.probabilities_of(y_pred)
        is_moving = self._epoch.value >= self.correction_epoch
        targets = ops.stop_gradient(ops.where(is_moving, moved, targets))
        self.memory.write("targets", visit.rows, targets)
        predictions = Logits if self.base_loss.from_logits else Probabilities
        outputs = predictions(ops.cast(y_pred, "float32"))
        losses = self.base_loss.soft_loss(targets, outputs)
        return ops.mean(batch.weighted(losses + unlabelled))

    def get_config(self):
        return {
            **super().get_config(),
            "correction_epoch": self.correction_epoch,
            "momentum": self.momentum,
        }
