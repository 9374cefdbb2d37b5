"""What the learners share that learn a function of the losses."""

from keras import ops

from keras_arl.backend import value_and_gradients
from keras_arl.checks import check_at_least
from keras_arl.learners.meta import MetaLearner


class VirtualStepLearner(MetaLearner):
    """Base of those that try a step and ask how the clean loss takes it.

    With theta the model's weights and L the mean loss under parameters phi,

    ```
    theta' = theta - r * gradient of L(theta; phi)       a plain step
    phi   <- phi - a step along the gradient by phi of the clean loss at theta'
    theta <- the optimizer's step on L(theta; phi)       with the new phi
    ```

    A subclass implements `phi()`, `losses_for(...)`, `slopes_for(...)`
    and `update(...)`.

    Args:
        model: See `MetaLearner`.
        meta_every: Steps from one update of phi to the next.
        **kwargs: See `MetaLearner`.
    """

    # Each replica would move its own phi.
    can_be_replicated = False

    def __init__(self, model, meta_every=1, **kwargs):
        super().__init__(model, **kwargs)
        self.meta_every = check_at_least("meta_every", meta_every, 1)

    def phi(self):
        """The values of phi, a list of tensors."""
        raise NotImplementedError

    def losses_for(self, parameters, labels, outputs):
        """The loss of each sample under a phi, shape `(n,)`."""
        raise NotImplementedError

    def slopes_for(self, parameters, labels, outputs, tangents):
        """Their derivatives along a direction of the outputs, `(n,)`."""
        raise NotImplementedError

    def update(self, gradients):
        """Moves phi, given the gradient of the clean loss by it."""
        raise NotImplementedError

    def training_loss(self, batch, y_pred):
        self.update(self._meta_gradients(batch))
        losses = self.losses_for(
            [ops.stop_gradient(p) for p in self.phi()],
            batch.labels,
            y_pred,
        )
        return ops.mean(batch.weighted(losses))

    def is_step_of_meta(self):
        """Whether phi moves in the present step, a scalar tensor."""
        in_turn = ops.equal(ops.mod(self._steps.value, self.meta_every), 0)
        return ops.logical_and(self.is_active(), in_turn)

    def _meta_gradients(self, batch):
        if self.meta_every == 1 and self.warmup_epochs == 0:
            return self._computed_gradients(batch)
        return ops.cond(
            self.is_step_of_meta(),
            lambda: self._computed_gradients(batch),
            lambda: [ops.zeros_like(p) for p in self.phi()],
        )

    def _computed_gradients(self, batch):
        rate = self.learning_rate
        weights, others = self.place()
        parameters = [ops.stop_gradient(p) for p in self.phi()]

        def mean_loss(weights):
            outputs = self.outputs_at(weights, others, batch.x)
            losses = self.losses_for(parameters, batch.labels, outputs)
            return ops.mean(batch.weighted(losses))

        _, gradients = value_and_gradients(mean_loss, weights)
        there = [
            ops.stop_gradient(w - ops.cast(rate, w.dtype) * g)
            for w, g in zip(weights, gradients, strict=True)
        ]
        direction = self.meta_gradient(there, others, batch.meta)
        outputs, tangents = self.along(direction, weights, others, batch.x)

        def mean_slope(parameters):
            slopes = self.slopes_for(
                parameters, batch.labels, outputs, tangents
            )
            return ops.mean(batch.weighted(slopes))

        _, gradients = value_and_gradients(mean_slope, parameters)
        return [ops.stop_gradient(-rate * g) for g in gradients]

    def get_config(self):
        return {**super().get_config(), "meta_every": self.meta_every}
