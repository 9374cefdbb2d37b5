"""A learner's epochs as one JAX program each."""

import contextlib

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import ops

from keras_arl.learners.data import training_data
from keras_arl.losses.numbers import fed
from keras_arl.methods.learner_fit import TaskBatches
from keras_arl.methods.learner_fit import begin_as
from keras_arl.methods.learner_fit import meta_data_for
from keras_arl.training import fitting
from keras_arl.training.batches import EVALUATION_BATCH
from keras_arl.training.convolutions import as_matrix_products
from keras_arl.training.keys import loss_key
from keras_arl.training.keys import shares_programs


class LearnerProgram:
    """Trains as `LearnerFit` does, without the overhead of each step.

    Args:
        learner: What `built_learner` returns.
    """

    def __init__(self, learner):
        self.learner = learner
        self._epoch = jax.jit(self._scan)
        self._predict = jax.jit(self._outputs)

    @staticmethod
    def rewrite(model, batch_size):
        """The model as loops on a CPU are fast with."""
        if jax.default_backend() != "cpu":
            return model
        return as_matrix_products(model, batch_size)

    @staticmethod
    def key(learner, method):
        """What trainings must have in common to share a program."""
        if _feeds_all(learner):
            return type(learner), loss_key(learner.base_loss)
        return method

    def accuracies(self, task, begun, last_epochs):
        """Trains; returns the clean accuracy after each of the last epochs.

        Args:
            task: A `Task`.
            begun: A learner at the start of the training, as which this one
                begins, and by whose numbers it trains.
            last_epochs: Number of last epochs that are evaluated.
        """
        learner, found, losses = self.learner, [], []
        # Finite unless an output of the epoch is not.
        sums = [0.0] * (task.epochs - last_epochs)
        x, labels = task.validation
        begin_as(learner, begun)
        moves, numbers = begun.base_loss.moves, None
        batches = TaskBatches(task, learner.needs_index)
        meta_data = meta_data_for(learner, task)
        data = training_data(learner, batches, None, meta_data=meta_data)
        seed = int(ops.convert_to_numpy(learner.seed))
        for epoch in range(task.epochs):
            learner.begin_epoch(epoch)
            data.begin_epoch(seed, epoch)
            batches.begin_epoch(epoch)
            learner.set_learning_rate()
            if moves or numbers is None:
                numbers = _numbers(begun, epoch, task.epochs)
            losses.append(self._run_epoch(data.dataset, numbers))
            fitting.check_finite("loss", losses, task.epochs)
            learner.end_epoch(epoch)
            if epoch >= task.epochs - last_epochs:
                outputs = self._predicted(x)
                sums.append(outputs.sum())
                fitting.check_finite("val_loss", sums, task.epochs)
                found.append(_accuracy(outputs, labels))
        return found

    def _variables(self):
        learner = self.learner
        return (
            learner.trainable_variables,
            learner.non_trainable_variables,
            learner.optimizer.variables,
        )

    def _state(self):
        return keras.tree.map_structure(lambda v: v.value, self._variables())

    def _run_epoch(self, dataset, numbers):
        """Trains with the batches of an epoch; returns the last loss."""
        items = [dataset[k] for k in range(len(dataset))]
        # All batches have one size but for the last one.
        parts = [items]
        if _shapes(items[0]) != _shapes(items[-1]):
            parts = [items[:-1], items[-1:]]
        state, loss = self._state(), 0.0
        for part in filter(None, parts):
            stacked = keras.tree.map_structure(lambda *a: np.stack(a), *part)
            state, loss = self._epoch(state, stacked, numbers)
        for variables, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return float(loss)

    def _scan(self, state, items, numbers):
        with _computing_by(self.learner, numbers):
            state, losses = jax.lax.scan(self._step, state, items)
        # NaN if any is.
        return state, losses[-1] + 0 * jnp.sum(losses)

    def _step(self, state, item):
        trainable, non_trainable, optimizer_values = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(item)
        learner = self.learner
        metrics = [v.value for v in learner.metrics_variables]
        objective = jax.grad(learner.compute_loss_and_updates, has_aux=True)
        gradients, (loss, _, non_trainable, _) = objective(
            trainable,
            non_trainable,
            metrics,
            x,
            y,
            sample_weight,
            training=True,
            optimizer_variables=optimizer_values,
        )
        trainable, optimizer_values = learner.optimizer.stateless_apply(
            optimizer_values, gradients, trainable
        )
        return (trainable, non_trainable, optimizer_values), loss

    def _outputs(self, trainable, non_trainable, x):
        return self.learner.stateless_call(
            trainable, non_trainable, x, training=False
        )[0]

    def _predicted(self, x):
        trainable, non_trainable, _ = self._state()
        return self.learner.in_batches(
            lambda part: self._predict(trainable, non_trainable, part),
            x,
            EVALUATION_BATCH,
        )


def _accuracy(outputs, labels):
    if labels.shape == outputs.shape:
        labels = labels.argmax(axis=-1)
    return float(np.mean(outputs.argmax(axis=-1) == labels.reshape(-1)))


def _feeds_all(learner):
    """Whether a program gets all numbers by which such learners differ."""
    # The settings of a subclass may be more than the numbers it inherits.
    return "fed_numbers" in vars(type(learner)) and shares_programs(
        learner.base_loss
    )


def _numbers(learner, epoch, epochs):
    """The numbers of a learner and of its loss in an epoch."""
    own, loss = learner.fed_numbers, learner.base_loss
    return (
        [np.asarray(getattr(learner, name), "float32") for name in own],
        loss.hyper_values(epoch, epochs),
    )


@contextlib.contextmanager
def _computing_by(learner, numbers):
    """Within it, a learner and its loss compute by numbers of a trace."""
    own, of_loss = numbers
    before = [getattr(learner, name) for name in learner.fed_numbers]
    try:
        for name, value in zip(learner.fed_numbers, own, strict=True):
            setattr(learner, name, value)
        with fed(learner.base_loss, of_loss):
            yield
    finally:
        for name, value in zip(learner.fed_numbers, before, strict=True):
            setattr(learner, name, value)


def _shapes(item):
    return [array.shape for array in keras.tree.flatten(item)]
