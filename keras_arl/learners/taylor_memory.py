"""A learned loss that depends on what was predicted for an example before."""

import keras
from keras import ops

from keras_arl.checks import check_fraction
from keras_arl.checks import check_number
from keras_arl.checks import check_weight
from keras_arl.learners import batch as batches
from keras_arl.learners.elr import SMALLEST
from keras_arl.learners.remembering import TargetLearner
from keras_arl.losses import TaylorLoss
from keras_arl.losses.predictions import Logits
from keras_arl.losses.predictions import Probabilities
from keras_arl.losses.taylor import expressions
from keras_arl.losses.taylor import polynomial


@keras.saving.register_keras_serializable(package="keras_arl")
class TaylorMemory(TargetLearner):
    """Taylor polynomial of prediction, label and the example's memory.

    A loss of prediction and label alone cannot tell a wrong label from a hard
    example. What was predicted for the example before can. For each example
    its memory t is kept, the moving average of the predictions p:

    ```
    t <- beta * t + (1 - beta) * p         p clipped and normalised
    L  = l(y, p)
         + sum over c of sum over i >= 1, k >= 1, i + j + k <= order of
           theta_ijk * (p_c - a)^i * (y_c - b)^j * (t_c - 0.5)^k
         + weight * (max over c of t_c)^power * log(1 - sum over c of t_c * p_c)
    ```

    The first two lines are one polynomial, of which l has the terms without t;
    if l is `class_aware`, with u = p^q and its weights, and t^q in the place of
    t. The last line is `ELR`'s, times a power of how sure the memory is: an
    example of which nothing is known yet is not held to it. No gradient goes
    through t, which begins as `start` / C in each class.

    With a `ScheduledTaylorLoss` as l the loss also depends on the share of the
    training that is done; see `keras_arl.losses.LossSchedule`.

    The numbers are meant to be searched, by `keras_arl.search.MemorySpace`.
    Those of `ELR` are the defaults.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        changes: The theta_ijk in the order of
            `ScheduledTaylorLoss.change_exponents`. Defaults to `None`: none;
            others need a `TaylorLoss` as `loss`.
        weight: Weight of the last term, at least 0. Defaults to `3.0`.
        beta: Share of the memory that is kept at a visit, in [0, 1). Defaults
            to `0.7`.
        power: Power of the memory's largest entry, at least 0. Defaults to
            `0.0`.
        start: Sum of the memory before the first visit, in [0, 1]. Defaults to
            `0.0`.
        **kwargs: `loss`, `from_logits`, `num_examples` and `name`, see
            `Learner`.

    Raises:
        ValueError: If a number is out of range, or the changes do not fit the
            loss.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.TaylorMemory(
    ...     model, loss=keras_arl.ARL(from_logits=True), weight=1.0, power=2.0
    ... )
    >>> learner.compile("adam", metrics=["accuracy"])
    >>> x, y = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 0])
    >>> history = learner.fit(x, y, epochs=2, verbose=0)
    >>> learner.targets.shape
    (4, 2)

    Reference:
        - Liu et al., "Early-Learning Regularization Prevents Memorization of
          Noisy Labels", NeurIPS 2020, arXiv 2007.00151
    """

    fed_numbers = ("changes", "weight", "beta", "power", "start")

    def __init__(
        self,
        model,
        changes=None,
        weight=3.0,
        beta=0.7,
        power=0.0,
        start=0.0,
        **kwargs,
    ):
        super().__init__(model, tables={"targets": (None, "float32")}, **kwargs)
        self.changes = _checked_changes(changes, self.base_loss)
        self.weight = check_weight("weight", weight)
        self.beta = check_number(
            "beta", beta, "a number in [0, 1)", lambda x: 0 <= x < 1
        )
        self.power = check_weight("power", power)
        self.start = check_fraction("start", start)
        self.finish_init()

    def training_loss(self, batch, y_pred):
        visit = self.visit(batch)
        before = ops.where(
            visit.is_known[:, None],
            self.memory.read("targets", visit.rows),
            self.start / self.num_classes,
        )
        p = self.probabilities_of(y_pred, SMALLEST)
        memory = self.remember(visit.rows, p, self.beta, before)
        losses = self.losses_by_memory(batch.labels, y_pred, memory)
        return ops.mean(batch.weighted(losses))

    def losses_by_memory(self, labels, outputs, memory):
        """The loss of each sample, float32 of shape `(n,)`.

        Args:
            labels: Class indices or soft labels.
            outputs: The model's output.
            memory: What is remembered of each sample, of shape `(n, C)`.
        """
        p = self.probabilities_of(outputs, SMALLEST)
        agreement = ops.log(1 - ops.sum(memory * p, axis=-1))
        sureness = ops.max(memory, axis=-1) ** self.power
        losses = self.per_sample(self.base_loss, labels, outputs)
        losses = losses + self.weight * sureness * agreement
        if len(self.changes):
            losses = losses + self._changed(labels, outputs, memory)
        return losses

    def _changed(self, labels, outputs, memory):
        """What the polynomial's terms with t add, of each sample."""
        loss = self.base_loss
        kind = Logits if loss.from_logits else Probabilities
        predictions = kind(ops.cast(outputs, "float32"))
        y = batches.as_targets(labels, self.num_classes)
        if loss.class_aware:
            exponent, weight = polynomial.class_scale(self.num_classes)
            u, t = predictions.powers(exponent), memory**exponent
            weights = (y + (1 - y) * weight) / exponent
        else:
            u, t, weights = predictions.probabilities, memory, 1.0
        center = ops.unstack(ops.convert_to_tensor(loss.number("center")), 2)
        bases = u - center[0], y - center[1], t - polynomial.MIDDLE
        thetas = ops.convert_to_tensor(self.changes, "float32")
        total = 0.0
        for theta, powers in zip(
            ops.unstack(thetas, len(self.changes)),
            polynomial.change_exponents(loss.order),
            strict=True,
        ):
            for base, exponent in zip(bases, powers, strict=True):
                # Not `**`, whose gradient at 0 is that of a logarithm.
                for _ in range(exponent):
                    theta = theta * base
            total = total + theta
        return ops.sum(weights * total, axis=-1)

    def expression(self, style="text"):
        """The loss in readable form.

        Args:
            style: `"text"` or `"latex"`. Defaults to `"text"`.

        Returns:
            The formula, a string; numbers have six significant digits.
        """
        loss = self.base_loss
        if isinstance(loss, TaylorLoss):
            base = loss.expression(style)
        else:
            base = repr(loss)
        return expressions.memory_expression(
            base,
            getattr(loss, "order", None),
            getattr(loss, "center", (0.0, 0.0)),
            getattr(loss, "class_aware", False),
            style,
            **{name: getattr(self, name) for name in self.fed_numbers},
        )

    def get_config(self):
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in self.fed_numbers},
        }


def _checked_changes(changes, loss):
    """The changes as a tuple of floats; an empty one if there are none."""
    if changes is None or len(changes) == 0:
        return ()
    if not isinstance(loss, TaylorLoss):
        raise ValueError(
            "`changes` are of a `TaylorLoss`, whose polynomial they continue. "
            f"Received: loss={loss!r}"
        )
    return polynomial.check_changes(changes, loss.order)
