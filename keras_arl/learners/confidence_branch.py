"""Confidence adaptive regularisation, also called noise attention learning."""

import keras
from keras import ops

from keras_arl.checks import check_at_least
from keras_arl.checks import check_fraction
from keras_arl.checks import check_number
from keras_arl.checks import check_positive
from keras_arl.checks import check_weight
from keras_arl.learners import batch as batches
from keras_arl.learners.features import features_and_output
from keras_arl.learners.remembering import TargetLearner
from keras_arl.losses.predictions import Probabilities

_TINY = 1e-12
_SMALLEST_TARGET = 1e-4
_SMALLEST_MIXTURE = 1e-7


@keras.saving.register_keras_serializable(package="keras_arl")
class ConfidenceBranch(TargetLearner):
    """Confidence branch (CAR, NAL): the model says how far it trusts a label.

    Beside the class probabilities p a branch, one dense unit on the features
    before the last layer, gives a confidence tau in (0, 1) for each example.
    Where it is low, the prediction is helped by the target t, at first the
    given label, and learns little from it:

    ```
    q = tau * p + (1 - tau) * t
    L = mean of l(t, q) - penalty * log(tau)
        - reverse_weight * sum over c of q_c * log(t_c)
    ```

    The gradient of cross-entropy is scaled by tau * p_y / (tau * p_y + 1 -
    tau). A hopeless example keeps a confidence of penalty / (1 + penalty): so
    `penalty` says who counts as confident. The method is sensitive to it. Too
    small for slow learning, whole classes are never learned; too large, it is
    cross-entropy, or diverges, for the branch's gradient enters the features.
    The authors pick from 0.5, 10 and 50. Watch the logged `confidence`, the
    mean of tau.

    A loss that is steeper near q = t than cross-entropy needs a larger
    `penalty`, or tau falls everywhere and little is learned. `ARL` is eight
    times as steep at q_y = 0.99. On 1,000 digits with 40% symmetric noise (SGD
    with momentum 0.9, 40 epochs, one run each) it ends at 10% with a penalty
    of 0.5, where tau falls to 0.2, and with 5 at 92% (learning rate 0.1) and
    95% (0.02); cross-entropy with 0.5 at 94% (0.1).

    With `target_epoch` targets are estimated, too: in that epoch and every
    `target_every`-th one from then on,

    ```
    t <- target_momentum * t + (1 - target_momentum) * p
    ```

    for examples with tau above `confidence_threshold`. This needs the
    examples' indices and C numbers of memory for each. Without it nothing is
    remembered.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        penalty: Weight of -log(tau), above 0. Defaults to `10.0`, the default
            of the authors' program; 50 for Clothing1M.
        reverse_weight: Weight of the reverse cross-entropy, at least 0.
            Defaults to `0.0`, published for CIFAR; 0.1 for Clothing1M.
        target_epoch: First epoch of target estimation, counted from 1 as in
            the paper. Defaults to `None`: none. 60 is the default of the
            authors' program.
        target_momentum: Share of a target that is kept, in [0, 1). Defaults
            to `0.9`, the default of the authors' program.
        target_every: Epochs from one estimation to the next, those whose
            number is a multiple of it. Defaults to `10`, as published.
        confidence_threshold: In [0, 1]. Defaults to `0.0`: everybody's.
        features: What the branch sees: the name of a layer, whose output it
            is, of shape `(n, F)`; or a `keras.Model` that returns (features,
            output) and shares its layers with `model`, for a subclassed
            `model`. Defaults to `None`: the input of the last layer with
            weights.
        **kwargs: `loss`, `from_logits`, `num_examples` and `name`, see
            `Learner`; published with cross-entropy. `num_examples` is of use
            where targets are estimated; the loss l itself gets probabilities.

    Raises:
        ValueError: If a number is out of range or there are no features.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.ConfidenceBranch(model, from_logits=True)
    >>> learner.compile("adam", metrics=["accuracy"])
    >>> x, y = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 0])
    >>> history = learner.fit(x, y, epochs=2, verbose=0)
    >>> learner.confidence(x).shape
    (4,)

    Reference:
        - Lu et al., "Confidence Adaptive Regularization for Deep Learning with
          Noisy Labels", arXiv 2108.08212
        - Lu et al., "Noise Attention Learning: Enhancing Noise Robustness by
          Gradient Scaling", NeurIPS 2022, whose program this follows
    """

    def __init__(
        self,
        model,
        penalty=10.0,
        reverse_weight=0.0,
        target_epoch=None,
        target_momentum=0.9,
        target_every=10,
        confidence_threshold=0.0,
        features=None,
        **kwargs,
    ):
        super().__init__(
            model,
            tables=None
            if target_epoch is None
            else {"targets": (None, "float32")},
            **kwargs,
        )
        self.penalty = check_positive("penalty", penalty)
        self.reverse_weight = check_weight("reverse_weight", reverse_weight)
        if target_epoch is not None:
            check_at_least("target_epoch", target_epoch, 1)
        self.target_epoch = target_epoch
        self.target_momentum = check_number(
            "target_momentum",
            target_momentum,
            "a number in [0, 1)",
            lambda x: 0 <= x < 1,
        )
        self.target_every = check_at_least("target_every", target_every, 1)
        self.confidence_threshold = check_fraction(
            "confidence_threshold", confidence_threshold
        )
        self._features = features
        trunk = features_and_output(model, features)
        # A function, since a model would be saved a second time.
        self._trunk = lambda x, training: trunk(x, training=training)
        self._trunk_shape = trunk.compute_output_shape
        self._branch = keras.layers.Dense(1, name="confidence", dtype="float32")
        self.track("confidence")
        self.finish_init()

    @property
    def can_be_replicated(self):
        return not self.needs_index

    def build(self, input_shape):
        shape, _ = self._trunk_shape(input_shape)
        if len(shape) != 2:
            raise ValueError(
                "The features must have shape (batch_size, num_features). "
                f"Received: {tuple(shape)}. Name a layer of the model whose "
                "output has: `features=...`"
            )
        self._branch.build(shape)
        super().build(input_shape)

    def call(self, x, training=None):
        outputs, confidence = self._both(batches.data_of(x), training)
        if training:
            return {"outputs": outputs, "confidence": confidence}
        return outputs

    def _both(self, x, training):
        features, outputs = self._trunk(x, training)
        # The features come in the dtype of mixed precision.
        return outputs, self._branch(ops.cast(features, "float32"))

    def prediction_of(self, y_pred):
        return y_pred["outputs"] if isinstance(y_pred, dict) else y_pred

    def training_loss(self, batch, y_pred):
        tau = ops.sigmoid(y_pred["confidence"])
        tau = ops.clip(tau, _TINY, 1 - _TINY)
        self.note("confidence", ops.mean(tau))
        p = self.probabilities_of(y_pred["outputs"])
        unlabelled = self.nan_without_label(batch.labels, p)
        targets = batches.as_targets(batch.labels, self.num_classes)
        if self.needs_index:
            targets = self._estimated(batch, targets, p, tau)
        # Zeros would make the reverse cross-entropy infinite.
        targets = ops.stop_gradient(ops.clip(targets, _SMALLEST_TARGET, 1.0))
        p = ops.clip(p, _TINY, 1 - _TINY)
        q = ops.clip(tau * p + (1 - tau) * targets, _SMALLEST_MIXTURE, 1.0)
        losses = self.base_loss.soft_loss(targets, Probabilities(q))
        losses = losses - self.penalty * ops.log(tau[:, 0])
        if self.reverse_weight:
            reverse = ops.sum(q * ops.log(targets), axis=-1)
            losses = losses - self.reverse_weight * reverse
        return ops.mean(batch.weighted(losses + unlabelled))

    def _estimated(self, batch, given, p, tau):
        visit = self.visit(batch)
        before = ops.where(
            visit.is_known[:, None],
            self.memory.read("targets", visit.rows),
            given,
        )
        moved = self.target_momentum * before + (1 - self.target_momentum) * p
        moved = ops.where(tau > self.confidence_threshold, moved, before)
        moved = ops.clip(moved, _SMALLEST_TARGET, 1.0)
        epoch = self._epoch.value + 1
        is_moving = ops.logical_and(
            epoch >= self.target_epoch,
            ops.equal(ops.mod(epoch, self.target_every), 0),
        )
        targets = ops.where(is_moving, moved, before)
        self.memory.write("targets", visit.rows, targets)
        return targets

    def confidence(self, x):
        """The confidence of examples, low where a label is likely wrong.

        Args:
            x: Arrays, the model's input.

        Returns:
            An array of shape `(n,)`.
        """

        def of_batch(x):
            return ops.sigmoid(self._both(x, False)[1])

        return self.in_batches(of_batch, x)[:, 0]

    def get_config(self):
        features = self._features
        if isinstance(features, keras.Model):
            raise ValueError(
                "A learner whose `features` are a model cannot be saved as a "
                "whole: the shared layers would be doubled. Save its weights, "
                "or `learner.model`."
            )
        return {
            **super().get_config(),
            "penalty": self.penalty,
            "reverse_weight": self.reverse_weight,
            "target_epoch": self.target_epoch,
            "target_momentum": self.target_momentum,
            "target_every": self.target_every,
            "confidence_threshold": self.confidence_threshold,
            "features": features,
        }
