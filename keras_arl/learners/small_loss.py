"""Clean examples chosen among the training examples, by small loss."""

import numpy as np

from keras_arl.learners import batch as batches

SMALL_LOSS = "small_loss"
# Of each given class, as CMW-Net's program has it.
_PER_CLASS = 10
_BATCH_SIZE = 256


class SmallLoss:
    """Chooses the clean examples at the begin of each epoch.

    They are, of each given class, those with the smallest cross-entropy of
    their given label.

    Args:
        learner: A `MetaLearner` with `warmup_epochs` above 0.
        x: Arrays of the training examples.
        y: Their labels, an array.

    Attributes:
        first: Examples to begin with, which no step before the end of the
            warm-up looks at.
        dataset: What gets the choice, as its `meta`.
    """

    def __init__(self, learner, x, y):
        if learner.warmup_epochs < 1:
            raise ValueError(
                f'`meta_data="{SMALL_LOSS}"` needs a learner with '
                "`warmup_epochs` of at least 1: the losses of an untrained "
                "network say nothing. Received: warmup_epochs="
                f"{learner.warmup_epochs}"
            )
        self._learner = learner
        self._x, self._y = x, y
        is_soft = y.ndim == 2 and y.shape[1] > 1
        self._classes = y.argmax(axis=1) if is_soft else y.ravel().astype(int)
        self.first = self._chosen(np.zeros(len(y)))
        self.dataset = None

    def begin_epoch(self, seed, epoch):
        if epoch < self._learner.warmup_epochs:
            return
        outputs = self._learner.model.predict(
            self._x, batch_size=_BATCH_SIZE, verbose=0
        )
        # The order by labelled probability is that by cross-entropy.
        outputs = outputs.astype("float64")
        labelled = outputs[np.arange(len(outputs)), self._classes]
        if self._learner.base_loss.from_logits:
            labelled -= np.logaddexp.reduce(outputs, axis=1)
        self.dataset.meta = self._chosen(-labelled)

    def _chosen(self, losses):
        order = np.argsort(losses, kind="stable")
        classes = self._classes[order]
        rows = [
            order[classes == c][:_PER_CLASS] for c in np.unique(self._classes)
        ]
        rows = np.concatenate(rows)
        return batches.slice_of((self._x, self._y), rows)
