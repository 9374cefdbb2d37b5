"""Meta-Weight-Net: a learned weight for each size of the loss."""

import keras
from keras import ops

from keras_arl.backend import jvp
from keras_arl.checks import check_at_least
from keras_arl.checks import check_positive
from keras_arl.checks import check_weight
from keras_arl.learners.virtual import VirtualStepLearner

# Adam's, as PyTorch has them.
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_META_OPTIMIZERS = ("adam", "sgd")


@keras.saving.register_keras_serializable(package="keras_arl")
class MetaWeightNet(VirtualStepLearner):
    """Meta-Weight-Net: a small network weighs samples by their loss.

    A network V of one hidden layer maps the loss of a sample to its weight. It
    is trained so that a plain step on the weighted noisy batch would lower the
    cross-entropy of a clean batch:

    ```
    V(l) = sigmoid(W2 * relu(W1 * l + b1) + b2)
    L    = mean of V(l_i) * l_i          l_i enters V as a constant
    ```

    Weights are not normalised, as in the authors' stable program. A step has
    the passes of four plain ones and took 2.9 times as long on a CPU; about
    `meta_every` see `AdaptiveLoss`.

    It logs `weight`, the mean of V.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        hidden_units: Width of V. Defaults to `100`, as published.
        meta_learning_rate: Learning rate of V, above 0. Defaults to `1e-3`, as
            published.
        meta_weight_decay: L2 decay of V, at least 0. Defaults to `1e-4`, as
            published.
        meta_optimizer: `"adam"` or `"sgd"`. Defaults to `"adam"`, as
            published.
        meta_every: Steps from one update of V to the next. Defaults to `1`, as
            published.
        warmup_epochs: Epochs before V moves. Defaults to `0`.
        forward_mode: See `L2B`. Defaults to `True`.
        **kwargs: `loss`, `from_logits` and `name`, see `Learner`; published
            with cross-entropy.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.MetaWeightNet(model, from_logits=True)
    >>> learner.compile(keras.optimizers.SGD(0.1))
    >>> x = np.eye(2)[[0, 1, 0, 1]]
    >>> history = learner.fit(
    ...     x, np.array([0, 1, 0, 0]), epochs=2, verbose=0,
    ...     meta_data=(np.eye(2), np.array([0, 1])),
    ... )
    >>> learner.weight_of([0.0, 1.0]).shape
    (2,)

    Reference:
        - Shu et al., "Meta-Weight-Net: Learning an Explicit Mapping For Sample
          Weighting", NeurIPS 2019, arXiv 1902.07379
    """

    def __init__(
        self,
        model,
        hidden_units=100,
        meta_learning_rate=1e-3,
        meta_weight_decay=1e-4,
        meta_optimizer="adam",
        meta_every=1,
        warmup_epochs=0,
        forward_mode=True,
        **kwargs,
    ):
        super().__init__(
            model,
            meta_every=meta_every,
            warmup_epochs=warmup_epochs,
            forward_mode=forward_mode,
            **kwargs,
        )
        self.hidden_units = check_at_least("hidden_units", hidden_units, 1)
        self.meta_learning_rate = check_positive(
            "meta_learning_rate", meta_learning_rate
        )
        self.meta_weight_decay = check_weight(
            "meta_weight_decay", meta_weight_decay
        )
        if meta_optimizer not in _META_OPTIMIZERS:
            raise ValueError(
                f"`meta_optimizer` must be one of {_META_OPTIMIZERS}. "
                f"Received: meta_optimizer={meta_optimizer!r}"
            )
        self.meta_optimizer = meta_optimizer
        shapes = {
            "hidden_kernel": (1, hidden_units),
            "hidden_bias": (hidden_units,),
            "output_kernel": (hidden_units, 1),
            "output_bias": (1,),
        }
        # Not trainable: the model's optimizer must not move them.
        self.net = [
            self._state(
                name,
                shape,
                initializer="glorot_uniform" if len(shape) == 2 else "zeros",
            )
            for name, shape in shapes.items()
        ]
        self._moments = [
            self._state(f"{name}_{moment}", shape)
            for moment in ("momentum", "velocity")
            for name, shape in shapes.items()
        ]
        self._updates = self._state("updates")
        self.track("weight")
        self.finish_init()

    def phi(self):
        return [v.value for v in self.net]

    def losses_for(self, parameters, labels, outputs):
        losses = self.per_sample(self.base_loss, labels, outputs)
        return _weights(parameters, ops.stop_gradient(losses)) * losses

    def slopes_for(self, parameters, labels, outputs, tangents):
        losses, slopes = jvp(
            lambda outputs: self.per_sample(self.base_loss, labels, outputs[0]),
            [outputs],
            [tangents],
        )
        return _weights(parameters, losses) * slopes

    def training_loss(self, batch, y_pred):
        loss = super().training_loss(batch, y_pred)
        losses = self.per_sample(self.base_loss, batch.labels, y_pred)
        self.note("weight", ops.mean(_weights(self.phi(), losses)))
        return loss

    def update(self, gradients):
        moves = ops.cast(self.is_step_of_meta(), "float32")
        gradients = [
            moves * (g + self.meta_weight_decay * v.value)
            for g, v in zip(gradients, self.net, strict=True)
        ]
        rate = self.meta_learning_rate * moves
        if self.meta_optimizer == "sgd":
            for v, g in zip(self.net, gradients, strict=True):
                v.assign(v.value - rate * g)
            return
        # Written out, because a step of JAX cannot read the variables of a
        # second optimizer.
        count = self._updates.value + moves
        self._updates.assign(count)
        at_least_one = ops.maximum(count, 1.0)
        first, second = self._moments[:4], self._moments[4:]
        for v, g, m, s in zip(self.net, gradients, first, second, strict=True):
            # Moments stay in the steps between.
            m.assign(m.value + moves * (1 - _BETA_1) * (g - m.value))
            s.assign(s.value + moves * (1 - _BETA_2) * (g * g - s.value))
            mean = m.value / (1 - _BETA_1**at_least_one)
            square = s.value / (1 - _BETA_2**at_least_one)
            v.assign(v.value - rate * mean / (ops.sqrt(square) + _EPSILON))

    def weight_of(self, losses):
        """The weight that samples of given losses have.

        Args:
            losses: Array of shape `(n,)`.

        Returns:
            An array of shape `(n,)`.
        """
        losses = ops.convert_to_tensor(losses, dtype="float32")
        return ops.convert_to_numpy(_weights(self.phi(), losses))

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "meta_learning_rate": self.meta_learning_rate,
            "meta_weight_decay": self.meta_weight_decay,
            "meta_optimizer": self.meta_optimizer,
        }


def _weights(parameters, losses):
    kernel, bias, output_kernel, output_bias = parameters
    hidden = ops.relu(losses[:, None] * kernel + bias)
    # Not a matrix product, which accelerators round to fewer digits.
    scores = ops.sum(hidden * output_kernel[:, 0], axis=-1) + output_bias
    return ops.sigmoid(scores)
