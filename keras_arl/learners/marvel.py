"""MARVEL and MARVEL+: margins over epochs."""

import keras
import numpy as np
from keras import ops

from keras_arl.checks import check_at_least
from keras_arl.checks import check_number
from keras_arl.learners import batch as batches
from keras_arl.learners.remembering import RememberingLearner
from keras_arl.losses.predictions import Probabilities

# Columns of the tables.
_COUNT, _ABANDONED, _VISITS = range(3)
_LAST, _SUM = range(2)


@keras.saving.register_keras_serializable(package="keras_arl")
class Marvel(RememberingLearner):
    """MARVEL: gives up on examples whose margin stays negative.

    The margin of an example is how far the labelled class's logit z_y is above
    the largest other one, in the training pass that visits it. An example
    whose margin is below a threshold in `patience` epochs in a row is
    abandoned: its weight becomes 0. With k the number of such epochs so far,

    ```
    L = sum over i of w_i * l(x_i, y_i) / n
    w = 0 if abandoned, `arduous_weight` if k > 0, else 1
    k <- k + 1 if z_y - max over c != y of z_c < margin_threshold, else 0
    ```

    An `arduous_weight` above 1 makes it MARVEL+.

    **Which constants are ours.** The paper's text could not be read beyond its
    abstract. The idea is the paper's: consecutive negative margins, patience,
    abandoning, more weight for arduous examples. The rule above in its detail,
    the threshold, the patience, the absence of a warm-up, and MARVEL+'s
    weights are ours, measured on a small problem with 40% wrong labels.

    `patience` is in epochs, and depends on how fast the network learns: longer
    than clean examples need to be right for the first time, shorter than the
    wrong labels need to be memorised. It needs no clean examples, and for each
    training example seven numbers of memory.

    It logs `abandoned`, their share of the training examples. A rare class
    can be abandoned as a whole: see `abandoned_by_class`.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        patience: Epochs in a row, at least 1. Defaults to `8`, our choice; 5
            was better where the network learned five times as fast.
        margin_threshold: A number. Defaults to `0.0`: wrongly predicted.
        warmup_epochs: Epochs at the begin that do not count. Defaults to `0`.
        arduous_weight: Weight of examples under suspicion, above 0. Defaults
            to `1.0`: MARVEL.
        permanent: Whether an abandoned example stays so. If not, it comes back
            once its margin is above the threshold. Defaults to `True`.
        **kwargs: `loss`, `from_logits`, `num_examples` and `name`, see
            `Learner`. Without logits, margins are those of the logarithms.

    Raises:
        ValueError: If a number is out of range.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.Marvel(
    ...     model, patience=2, from_logits=True
    ... )
    >>> learner.compile("adam")
    >>> x, y = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 0])
    >>> history = learner.fit(x, y, epochs=2, verbose=0)
    >>> learner.margins.shape
    (4,)
    >>> indices, scores = learner.suspects(1)
    >>> indices.shape
    (1,)

    Reference:
        - Lin & Bradic, "Learning to Combat Noisy Labels via Classification
          Margins", arXiv 2102.00751
        - Pleiss et al., "Identifying Mislabeled Data using the Area Under the
          Margin Ranking", NeurIPS 2020, arXiv 2001.10528
    """

    def __init__(
        self,
        model,
        patience=8,
        margin_threshold=0.0,
        warmup_epochs=0,
        arduous_weight=1.0,
        permanent=True,
        **kwargs,
    ):
        super().__init__(
            model,
            tables={"streaks": (3, "int32"), "margin": (2, "float32")},
            **kwargs,
        )
        self.patience = check_at_least("patience", patience, 1)
        self.margin_threshold = check_number(
            "margin_threshold", margin_threshold, "a number", lambda x: True
        )
        self.warmup_epochs = check_at_least("warmup_epochs", warmup_epochs, 0)
        self.arduous_weight = check_number(
            "arduous_weight",
            arduous_weight,
            "a number above 0",
            lambda x: x > 0,
        )
        self.permanent = bool(permanent)
        self.finish_init()

    def training_loss(self, batch, y_pred):
        visit = self.visit(batch)
        streaks = self.memory.read("streaks", visit.rows)
        is_abandoned = streaks[:, _ABANDONED] > 0
        weights = ops.where(streaks[:, _COUNT] > 0, self.arduous_weight, 1.0)
        weights = ops.where(is_abandoned, 0.0, weights)
        margins = self._margins(batch.labels, y_pred)
        self._remember(visit, streaks, margins)
        losses = self.per_sample(self.base_loss, batch.labels, y_pred)
        weights = ops.cast(weights, losses.dtype)
        # By n, not by the sum of weights: a step on few examples is short.
        return ops.mean(batch.weighted(weights * losses))

    def _margins(self, labels, outputs):
        outputs = ops.stop_gradient(ops.cast(outputs, "float32"))
        if not self.base_loss.from_logits:
            outputs = Probabilities(outputs).logits
        is_labelled = ops.one_hot(
            batches.class_of(labels), self.num_classes, dtype="float32"
        )
        labelled = ops.sum(outputs * is_labelled, axis=-1)
        # No logit is that small; the labelled class drops out of the maximum.
        others = ops.max(ops.where(is_labelled > 0, -1e30, outputs), axis=-1)
        return labelled - others

    def _remember(self, visit, streaks, margins):
        # A training that goes on in the middle of an epoch visits some
        # examples a second time, which does not count.
        counts = ops.logical_and(
            visit.is_first, self._epoch.value >= self.warmup_epochs
        )
        is_low = margins < self.margin_threshold
        count = ops.where(is_low, streaks[:, _COUNT] + 1, 0)
        count = ops.where(counts, count, streaks[:, _COUNT])
        is_abandoned = count >= self.patience
        if self.permanent:
            before = streaks[:, _ABANDONED] > 0
            is_abandoned = ops.logical_or(is_abandoned, before)
        first = ops.cast(visit.is_first, "int32")
        columns = [
            count,
            ops.cast(is_abandoned, "int32"),
            streaks[:, _VISITS] + first,
        ]
        self.memory.write("streaks", visit.rows, ops.stack(columns, axis=1))
        total = self.memory.read("margin", visit.rows)[:, _SUM]
        total = total + margins * ops.cast(first, "float32")
        self.memory.write(
            "margin", visit.rows, ops.stack([margins, total], axis=1)
        )

    def _column(self, table, column):
        self.check_memory()
        return ops.convert_to_numpy(getattr(self.memory, table))[:, column]

    @property
    def abandoned(self):
        """Whether each example is abandoned, a bool array of shape `(N,)`."""
        return self._column("streaks", _ABANDONED) > 0

    @property
    def margins(self):
        """The margin of each example at its last visit, shape `(N,)`."""
        return self._column("margin", _LAST)

    @property
    def area_under_margin(self):
        """The mean margin of each example over its visits, shape `(N,)`."""
        visits = self._column("streaks", _VISITS)
        return self._column("margin", _SUM) / np.maximum(visits, 1)

    def abandoned_by_class(self):
        """The share of abandoned examples of each given class, `(C,)`."""
        labels, abandoned = self.memory.labels, self.abandoned
        total = np.bincount(labels[labels >= 0], minlength=self.num_classes)
        lost = np.bincount(labels[abandoned], minlength=self.num_classes)
        return lost / np.maximum(total, 1)

    def suspicion(self):
        return -self.area_under_margin

    def end_epoch(self, epoch):
        share = float(np.mean(self.abandoned))
        return {**super().end_epoch(epoch), "abandoned": share}

    def get_config(self):
        return {
            **super().get_config(),
            "patience": self.patience,
            "margin_threshold": self.margin_threshold,
            "warmup_epochs": self.warmup_epochs,
            "arduous_weight": self.arduous_weight,
            "permanent": self.permanent,
        }
