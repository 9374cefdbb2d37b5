"""What the learners share that learn from clean examples, too.

All of them ask how a step of the training batch would change the loss of a
clean batch. With theta the model's weights, v the gradient of the clean loss
and l_i the loss of training example i, that is the derivative of l_i along v,

    c_i = <v, gradient of l_i>,

which one pass in forward mode gives for the whole batch. No gradient of a
gradient is built.
"""

import keras
from keras import ops

from keras_arl.backend import draw_seed
from keras_arl.backend import fixed_draws
from keras_arl.backend import jvp
from keras_arl.backend import value_and_gradients
from keras_arl.checks import check_at_least
from keras_arl.learners import batch as batches
from keras_arl.learners.base import Learner

# Factor of the clean loss while float16 computes its gradient, of which small
# values would be rounded to 0.
_FLOAT16_SCALE = 1024.0


class MetaLearner(Learner):
    """Base of the learners that learn from clean examples, too.

    Args:
        model: See `Learner`.
        warmup_epochs: Epochs before the clean examples are used.
        forward_mode: Whether the derivative along the clean gradient is
            computed in forward mode. `False` takes the central difference of
            two passes, which is accurate to about three digits, for a model
            with an operation that has no forward mode.
        **kwargs: See `Learner`.
    """

    needs_meta_data = True

    def __init__(self, model, warmup_epochs=0, forward_mode=True, **kwargs):
        super().__init__(model, **kwargs)
        self.warmup_epochs = check_at_least("warmup_epochs", warmup_epochs, 0)
        self.forward_mode = bool(forward_mode)
        self._rate = self._state("learning_rate")

    def set_learning_rate(self):
        rate = self.optimizer.learning_rate
        self._rate.assign(ops.convert_to_numpy(rate))

    @property
    def learning_rate(self):
        """That of the present step, a tensor."""
        if keras.config.backend() != "jax":
            return ops.cast(self.optimizer.learning_rate, "float32")
        # JAX's step is not handed the optimizer's variables. A schedule is
        # computed from the learner's own count of steps; another learning
        # rate is the one of the begin of the epoch.
        optimizer = self.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        schedule = getattr(optimizer, "_learning_rate", None)
        if isinstance(
            schedule, keras.optimizers.schedules.LearningRateSchedule
        ):
            return ops.cast(schedule(self._steps.value), "float32")
        return self._rate.value

    def place(self):
        """The model's weights, and what else a pass depends on, as constants.

        Returns:
            List of the weights; list of the other variables and a seed.
        """
        weights, others = (
            [ops.stop_gradient(ops.convert_to_tensor(v)) for v in variables]
            for variables in (
                self.model.trainable_variables,
                self.model.non_trainable_variables,
            )
        )
        return weights, (others, draw_seed())

    def outputs_at(self, weights, others, x):
        """The model's output in training mode, for other weights.

        What the pass changes, running statistics and random states, is
        dropped. All passes from one place draw the same dropout masks.
        """
        others, seed = others
        mapping = [
            *zip(self.model.trainable_variables, weights, strict=True),
            *zip(self.model.non_trainable_variables, others, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping), fixed_draws(seed):
            outputs = self.model(x, training=True)
        return ops.cast(outputs, "float32")

    def meta_gradient(self, weights, others, meta):
        """The gradient of the clean batch's mean cross-entropy."""
        x, y = meta
        labels = batches.standard_labels(y)
        is_float16 = self.compute_dtype == "float16"
        scale = _FLOAT16_SCALE if is_float16 else 1.0

        def loss(weights):
            outputs = self.outputs_at(weights, others, x)
            return scale * ops.mean(
                self.per_sample(self._plain_loss, labels, outputs)
            )

        _, gradients = value_and_gradients(loss, weights)
        return [
            ops.stop_gradient(ops.cast(g, "float32")) / scale for g in gradients
        ]

    def along(self, direction, weights, others, x):
        """The model's outputs and their derivative along a direction.

        Args:
            direction: List of tensors of the shapes of `weights`.
            weights: The model's weights.
            others: Its other variables.
            x: Its input.

        Returns:
            Two float32 tensors of shape `(n, C)`, constants.
        """
        # A direction of length 1, in which float16 neither over- nor
        # underflows; its length comes back afterwards.
        length = ops.sqrt(sum(ops.sum(d * d) for d in direction))
        inverse = 1 / ops.maximum(length, 1e-30)
        direction = [d * inverse for d in direction]

        def outputs(weights):
            return self.outputs_at(weights, others, x)

        if self.forward_mode:
            value, slope = jvp(outputs, weights, direction)
        else:
            value, slope = _central_difference(outputs, weights, direction)
        return ops.stop_gradient(value), ops.stop_gradient(slope * length)

    def is_active(self):
        """Whether the warm-up is over, a scalar tensor."""
        return self._epoch.value >= self.warmup_epochs

    def get_config(self):
        return {
            **super().get_config(),
            "warmup_epochs": self.warmup_epochs,
            "forward_mode": self.forward_mode,
        }


# Length of the step to either side; the square root of float32's precision
# would be 3e-4, below which rounding of a deep model's outputs shows.
_DIFFERENCE = 1e-2


def _central_difference(function, place, direction):
    forth, back = (
        function(
            [
                x + sign * _DIFFERENCE * ops.cast(d, x.dtype)
                for x, d in zip(place, direction, strict=True)
            ]
        )
        for sign in (1, -1)
    )
    # Their mean is the value but for the square of the step.
    return (forth + back) / 2, (forth - back) / (2 * _DIFFERENCE)
