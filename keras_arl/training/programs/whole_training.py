"""A training as a pure function on JAX, of Keras's stateless calls."""

import functools
import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

from keras_arl.training import batches
from keras_arl.training import keys
from keras_arl.training.convolutions import as_matrix_products
from keras_arl.training.prepared import check_not_overridden
from keras_arl.training.start import built_model

# What `fit` does on JAX, and a subclass of `keras.Model` may do otherwise.
_KERAS_STEPS = (
    "compute_loss",
    "compute_loss_and_updates",
    "compute_metrics",
    "evaluate",
    "fit",
    "get_metrics_result",
    "make_test_function",
    "make_train_function",
    "metrics",
    "stateless_compute_loss",
    "test_step",
    "train_step",
)


class WholeTraining:
    """A training as a function of initial values, a loss's numbers and data.

    Made of `model.stateless_call` and `optimizer.stateless_apply`.

    Args:
        task: The first `Task` of its kind, with its data in memory.
        loss: The first loss of its kind, a `keras.losses.Loss`.
        as_products: Whether convolutions are written as matrix products.

    Raises:
        NotCompiledError: If the model has a `train_step`, `compute_loss` or
            the like of its own.
    """

    def __init__(self, task, loss, as_products):
        self._batch_size = task.batch_size
        self._loss = keys.own_copy(loss)
        self._moves = keys.moves(loss)
        rewrite = functools.partial(
            as_matrix_products, batch_size=task.batch_size
        )
        self._model = built_model(
            task, self._loss, rewrite=rewrite if as_products else None
        )
        self._takes_training = (
            "training" in inspect.signature(self._model.call).parameters
        )
        check_not_overridden(self._model, _KERAS_STEPS)
        self._step = jax.jit(self._train_step)
        self._evaluate = jax.jit(self._evaluate_batch)

    def initial_state(self, start):
        """The values of all variables at a `Start`."""
        model = self._model
        values = {
            id(variable): value
            for variable, value in zip(
                model.variables, start.model, strict=True
            )
        }
        return (
            [values[id(v)] for v in model.trainable_variables],
            [values[id(v)] for v in model.non_trainable_variables],
            start.optimizer,
        )

    def train(self, state, numbers, data, last_epochs):
        """Trains in one program.

        Args:
            state: What `initial_state` returns.
            numbers: What is fed of a loss, `keys.loss_values`.
            data: Training data, validation data, and the order of each epoch.
            last_epochs: Number of last epochs that are evaluated.

        Returns:
            The loss after each epoch; the loss and the accuracy on the
            validation data after each of the last ones.
        """
        (x, y), validation, orders = data
        epochs, num_examples = orders.shape

        def step(now, state, indices):
            state, loss = self._train_step(state, now, x, y, indices)
            return state, loss * len(indices)

        def evaluation_step(now, state, indices):
            return self._evaluate_batch(state, now, *_take(validation, indices))

        def evaluate(now, state):
            order = jnp.arange(len(validation[1]))
            state, sums = _over_batches(
                functools.partial(evaluation_step, now),
                state,
                order,
                batches.EVALUATION_BATCH,
            )
            return state, jnp.sum(sums, axis=0) / len(order)

        def epoch(state, inputs):
            number, order = inputs
            now = self._numbers_in(number, numbers)
            state, losses = _over_batches(
                functools.partial(step, now), state, order, self._batch_size
            )
            state, measured = lax.cond(
                number >= epochs - last_epochs,
                functools.partial(evaluate, now),
                lambda state: (state, jnp.zeros(2)),
                state,
            )
            return state, (jnp.sum(losses) / num_examples, *measured)

        inputs = (jnp.arange(epochs), orders)
        _, (losses, val_losses, accuracies) = lax.scan(epoch, state, inputs)
        return losses, val_losses[-last_epochs:], accuracies[-last_epochs:]

    def train_by_steps(self, state, numbers, data, last_epochs):
        """As `train`, by one compiled step in a loop of Python."""
        (x, y), validation, orders = data
        epochs, num_examples = orders.shape
        losses, measured = [], []
        for number, order in enumerate(np.asarray(orders)):
            total, now = 0.0, self._numbers_in(number, numbers)
            for indices in _split(order, self._batch_size):
                state, loss = self._step(state, now, x, y, indices)
                total += loss * len(indices)
            losses.append(total / num_examples)
            if number < epochs - last_epochs:
                continue
            order, sums = np.arange(len(validation[1])), []
            for chosen in _split(order, batches.EVALUATION_BATCH):
                state, values = self._evaluate(
                    state, now, *_take(validation, chosen)
                )
                sums.append(values)
            measured.append(np.sum(sums, axis=0) / len(order))
        val_losses, accuracies = zip(*measured, strict=True)
        return losses, val_losses, accuracies

    def _numbers_in(self, epoch, numbers):
        """The numbers of a loss in an epoch."""
        return [each[epoch] for each in numbers] if self._moves else numbers

    def _train_step(self, state, numbers, x, y, indices):
        trainable, non_trainable, optimizer_values = state
        optimizer = self._model.optimizer
        batch, labels = _take((x, y), indices)

        def objective(trainable):
            predictions, updated, losses = self._call(
                trainable, non_trainable, batch, training=True
            )
            loss = self._loss_value(numbers, labels, predictions)
            loss = loss + sum(losses)
            mapping = zip(optimizer.variables, optimizer_values, strict=True)
            with keras.StatelessScope(state_mapping=mapping):
                scaled = optimizer.scale_loss(loss)
            return scaled, (loss, updated)

        gradients, (loss, non_trainable) = jax.grad(objective, has_aux=True)(
            trainable
        )
        trainable, optimizer_values = optimizer.stateless_apply(
            optimizer_values, gradients, trainable
        )
        return (trainable, non_trainable, optimizer_values), loss

    def _evaluate_batch(self, state, numbers, x, labels):
        """Sum of the losses and number of right predictions, an array."""
        trainable, non_trainable, optimizer_values = state
        predictions, non_trainable, losses = self._call(
            trainable, non_trainable, x, training=False
        )
        loss = self._loss_value(numbers, labels, predictions)
        if labels.shape == predictions.shape:
            labels = jnp.argmax(labels, axis=-1)
        right = jnp.argmax(predictions, axis=-1) == labels.reshape(-1)
        loss = (loss + sum(losses)) * len(labels)
        state = (trainable, non_trainable, optimizer_values)
        return state, jnp.stack([loss, jnp.sum(right)]).astype("float32")

    def _call(self, trainable, non_trainable, x, training):
        return self._model.stateless_call(
            trainable,
            non_trainable,
            x,
            return_losses=True,
            **({"training": training} if self._takes_training else {}),
        )

    def _loss_value(self, numbers, labels, predictions):
        variables = keys.loss_variables(self._loss)
        mapping = zip(variables, numbers, strict=True)
        with keras.StatelessScope(state_mapping=mapping):
            return self._loss(labels, predictions)

    def has_convolutions(self, state, numbers, data):
        """Whether a step has convolutions that are no matrix products."""
        (x, y), _, orders = data
        indices = orders[0][: self._batch_size]
        now = self._numbers_in(0, numbers)
        step = jax.make_jaxpr(self._train_step)(state, now, x, y, indices)
        return "conv_general_dilated" in str(step)


def _take(examples, indices):
    return jax.tree.map(lambda array: array[indices], examples)


def _split(order, size):
    return np.split(order, range(size, len(order), size))


def _over_batches(step, carry, order, size):
    """`lax.scan` over the batches of an order, the last one smaller."""
    full, outputs = len(order) // size, []
    # Each is compiled on its own, also for no batch at all.
    if full:
        batches_of_one_size = order[: full * size].reshape(full, size)
        carry, of_full = lax.scan(step, carry, batches_of_one_size)
        outputs.append(of_full)
    if full * size < len(order):
        carry, last = step(carry, order[full * size :])
        outputs.append(last[None])
    return carry, jnp.concatenate(outputs)
