"""A whole training as one JAX program, for one loss or for many together."""

import functools
import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax import lax

from keras_arl.training import batches
from keras_arl.training import fitting
from keras_arl.training import keys
from keras_arl.training.convolutions import as_matrix_products
from keras_arl.training.fitting import TrainingDivergedError
from keras_arl.training.prepared import NotCompiledError
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


class JaxProgram:
    """A training as a function of initial values, a loss's numbers and data.

    Made of `model.stateless_call` and `optimizer.stateless_apply`. On a CPU a
    model with convolutions that cannot be written as matrix products is
    trained by one compiled step in a loop of Python.

    Args:
        task: The first `Task` of its kind, with its data in memory.
        loss: The first loss of its kind, a `keras.losses.Loss`.

    Raises:
        NotCompiledError: If the model has a `train_step`, `compute_loss` or
            the like of its own.
    """

    # Trainings in several threads do not meet.
    is_pure = True
    description = "the training is one program"

    def __init__(self, task, loss):
        on_cpu = jax.default_backend() == "cpu"
        self._batch_size = task.batch_size
        self._loss = keys.own_copy(loss)
        rewrite = functools.partial(
            as_matrix_products, batch_size=task.batch_size
        )
        self._model = built_model(
            task, self._loss, rewrite=rewrite if on_cpu else None
        )
        self._takes_training = (
            "training" in inspect.signature(self._model.call).parameters
        )
        check_not_overridden(self._model, _KERAS_STEPS)
        self._step = jax.jit(self._train_step)
        self._evaluate = jax.jit(self._evaluate_batch)
        self._train = jax.jit(self._train_all, static_argnums=3)
        self._train_together = jax.jit(
            lambda state, numbers, data, last_epochs: jax.vmap(
                lambda n: self._train_all(state, n, data, last_epochs)
            )(numbers),
            static_argnums=3,
        )
        self._step_by_step = None if on_cpu else False
        self._width = 0

    def run(self, task, prepared, loss, last_epochs):
        """Trains with a loss; returns the clean accuracy after each epoch."""
        state = self._initial_state(prepared.start)
        data = _data(prepared)
        numbers = keys.loss_values(loss)
        if self._step_by_step is None:
            self._step_by_step = self._has_convolutions(state, numbers, data)
        train = self._train_by_steps if self._step_by_step else self._train
        results = train(state, numbers, data, last_epochs)
        return _accuracies(*map(np.asarray, results), task.epochs)

    def run_together(self, task, prepared, losses, last_epochs):
        """Trains with many losses in one vectorised program.

        Args:
            task: A `Task`.
            prepared: Its `PreparedTask`.
            losses: Losses that differ in the numbers that are fed alone.
            last_epochs: Number of last epochs that are evaluated.

        Returns:
            A list with the accuracies or a `TrainingDivergedError` for each.

        Raises:
            NotCompiledError: If they differ in nothing.
        """
        if not keys.loss_values(losses[0]):
            raise NotCompiledError
        # As many as ever, so that the number of losses is no reason to trace.
        self._width = max(self._width, len(losses))
        padding = [losses[0]] * (self._width - len(losses))
        numbers = [
            np.stack(values)
            for values in zip(
                *map(keys.loss_values, [*losses, *padding]), strict=True
            )
        ]
        results = self._train_together(
            self._initial_state(prepared.start),
            numbers,
            _data(prepared),
            last_epochs,
        )
        outcomes = []
        rows = list(zip(*map(np.asarray, results), strict=True))
        for row in rows[: len(losses)]:
            try:
                outcomes.append(_accuracies(*row, task.epochs))
            except TrainingDivergedError as error:
                outcomes.append(error)
        return outcomes

    def _initial_state(self, start):
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

    def _train_all(self, state, numbers, data, last_epochs):
        (x, y), validation, orders = data
        epochs, num_examples = orders.shape

        def step(state, indices):
            state, loss = self._train_step(state, numbers, x, y, indices)
            return state, loss * len(indices)

        def evaluation_step(state, indices):
            return self._evaluate_batch(
                state, numbers, *_take(validation, indices)
            )

        def evaluate(state):
            order = jnp.arange(len(validation[1]))
            state, sums = _over_batches(
                evaluation_step, state, order, batches.EVALUATION_BATCH
            )
            return state, jnp.sum(sums, axis=0) / len(order)

        def epoch(state, inputs):
            number, order = inputs
            state, losses = _over_batches(step, state, order, self._batch_size)
            state, measured = lax.cond(
                number >= epochs - last_epochs,
                evaluate,
                lambda state: (state, jnp.zeros(2)),
                state,
            )
            return state, (jnp.sum(losses) / num_examples, *measured)

        inputs = (jnp.arange(epochs), orders)
        _, (losses, val_losses, accuracies) = lax.scan(epoch, state, inputs)
        return losses, val_losses[-last_epochs:], accuracies[-last_epochs:]

    def _train_by_steps(self, state, numbers, data, last_epochs):
        (x, y), validation, orders = data
        epochs, num_examples = orders.shape
        losses, measured = [], []
        for number, order in enumerate(np.asarray(orders)):
            total = 0.0
            for indices in _split(order, self._batch_size):
                state, loss = self._step(state, numbers, x, y, indices)
                total += loss * len(indices)
            losses.append(total / num_examples)
            if number < epochs - last_epochs:
                continue
            order, sums = np.arange(len(validation[1])), []
            for chosen in _split(order, batches.EVALUATION_BATCH):
                state, values = self._evaluate(
                    state, numbers, *_take(validation, chosen)
                )
                sums.append(values)
            measured.append(np.sum(sums, axis=0) / len(order))
        val_losses, accuracies = zip(*measured, strict=True)
        return losses, val_losses, accuracies

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

    def _has_convolutions(self, state, numbers, data):
        (x, y), _, orders = data
        indices = orders[0][: self._batch_size]
        step = jax.make_jaxpr(self._train_step)(state, numbers, x, y, indices)
        return "conv_general_dilated" in str(step)


def _data(prepared):
    arrays = prepared.arrays(jnp.asarray)
    return arrays.train, arrays.validation, arrays.orders


def _accuracies(losses, val_losses, accuracies, epochs):
    fitting.check_finite("loss", losses, epochs)
    fitting.check_finite("val_loss", val_losses, epochs)
    return [float(accuracy) for accuracy in accuracies]


def _take(examples, indices):
    return jax.tree.map(lambda array: array[indices], examples)


def _split(order, size):
    return np.split(order, range(size, len(order), size))


def _over_batches(step, carry, order, size):
    """`lax.scan` over the batches of an order, the last one smaller."""
    full = len(order) // size
    carry, outputs = lax.scan(
        step, carry, order[: full * size].reshape(full, size)
    )
    if full * size < len(order):
        carry, last = step(carry, order[full * size :])
        outputs = jnp.concatenate([outputs, last[None]])
    return carry, outputs
