"""What the learners share that remember each example."""

import numpy as np
from keras import ops

from keras_arl.learners import batch as batches
from keras_arl.learners.base import Learner


class RememberingLearner(Learner):
    """Base of the learners that remember each example.

    A subclass implements `suspicion()`.
    """

    can_be_replicated = False

    def visit(self, batch):
        """Notes the visit of a batch; see `ExampleMemory.visit`."""
        return self.memory.visit(
            batch.index, batches.class_of(batch.labels), self._epoch.value
        )

    def suspicion(self):
        """How suspicious the label of each example is, shape `(N,)`."""
        raise NotImplementedError

    def suspects(self, k=None):
        """The examples whose labels are most likely wrong.

        Args:
            k: How many. Defaults to `None`: all, which is a ranking.

        Returns:
            Their indices, an int array, most suspicious first, and their
            scores, a float array. Examples that were never visited are left
            out. Scores rank the examples of one training; they are no
            probabilities.
        """
        self.check_memory()
        seen = np.flatnonzero(self.memory.labels >= 0)
        scores = self.suspicion()[seen]
        order = np.argsort(-scores, kind="stable")[:k]
        return seen[order], scores[order]

    def check_memory(self):
        """Raises if nothing is remembered yet."""
        if self.memory is None or not self.memory.built:
            raise ValueError(
                f"{type(self).__name__} remembers no examples"
                + (" yet: call `fit` first." if self.memory else ".")
            )


class TargetLearner(RememberingLearner):
    """Base of those that remember a target for each example."""

    def remember(self, rows, p, beta, before=None):
        """Moves the targets of a batch towards its predictions.

        Args:
            rows: Rows of the memory.
            p: Probabilities of shape `(n, C)`; the targets get their shares.
            beta: Share of a target that is kept.
            before: The targets so far. Defaults to `None`: those remembered.

        Returns:
            The new targets, constants to a gradient.
        """
        if before is None:
            before = self.memory.read("targets", rows)
        shares = p / ops.sum(p, axis=-1, keepdims=True)
        targets = ops.stop_gradient(beta * before + (1 - beta) * shares)
        self.memory.write("targets", rows, targets)
        return targets

    @property
    def targets(self):
        """The remembered targets, an array of shape `(N, C)`."""
        self.check_memory()
        return ops.convert_to_numpy(self.memory.targets)

    def suspicion(self):
        # The share of the target that is not the given label's.
        targets, labels = self.targets, np.maximum(self.memory.labels, 0)
        given = targets[np.arange(len(targets)), labels]
        return 1 - given / np.maximum(targets.sum(axis=1), 1e-12)

    def probabilities_of(self, outputs, smallest=0.0):
        """The class probabilities of a model's output, float32.

        Args:
            outputs: The output.
            smallest: Probabilities are clipped to it, and to 1 minus it.
        """
        outputs = ops.cast(outputs, "float32")
        if self.base_loss.from_logits:
            outputs = ops.softmax(outputs)
        if smallest:
            outputs = ops.clip(outputs, smallest, 1 - smallest)
        return outputs
