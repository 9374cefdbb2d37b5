"""Whole epochs as one XLA program, on TensorFlow."""

import functools

import keras
import tensorflow as tf

from keras_arl.training import batches
from keras_arl.training import fitting
from keras_arl.training import keys
from keras_arl.training.convolutions import as_matrix_products
from keras_arl.training.prepared import NotCompiledError
from keras_arl.training.prepared import check_not_overridden
from keras_arl.training.start import built_model

# What `fit` does around the steps, or makes of the numbers that they return.
_KERAS_STEPS = (
    "compute_metrics",
    "evaluate",
    "fit",
    "get_metrics_result",
    "make_test_function",
    "make_train_function",
    "metrics",
    "reset_metrics",
    "test_step",
)


class XlaProgram:
    """Keras's training step, looped over the batches of an epoch by XLA.

    Args:
        task: The first `Task` of its kind, with its data in memory.
        loss: The first loss of its kind.

    Raises:
        NotCompiledError: On a CPU, if the model has convolutions that cannot
            be written as matrix products; if it measures in a way of its own.
    """

    is_pure = False
    description = "XLA compiles whole epochs"

    def __init__(self, task, loss):
        on_cpu = not tf.config.list_logical_devices("GPU")
        self._batch_size = task.batch_size
        self._loss = keys.own_copy(loss)
        self._moves = keys.moves(loss)
        rewrite = functools.partial(
            as_matrix_products, batch_size=task.batch_size
        )
        self._model = built_model(
            task,
            self._loss,
            rewrite=rewrite if on_cpu else None,
            jit_compile=True,
        )
        check_not_overridden(self._model, _KERAS_STEPS)
        # Makes the metrics' variables, which no compiled function may.
        self._model.train_step(
            tuple(batches.take(part, slice(0, 2)) for part in task.train)
        )
        self._train = tf.function(self._train_epoch, jit_compile=True)
        self._evaluate = tf.function(self._evaluate_all, jit_compile=True)
        if on_cpu and self._has_convolutions(task):
            raise NotCompiledError

    def run(self, task, prepared, loss, last_epochs):
        """Trains with a loss; returns the clean accuracy after each epoch."""
        epochs, of_loss = task.epochs, loss
        keys.assign_loss(self._loss, of_loss)
        prepared.start.assign_to(self._model)
        data = prepared.arrays(tf.convert_to_tensor)
        losses, val_losses, accuracies = [], [], []
        for epoch in range(epochs):
            if self._moves:
                keys.assign_loss(self._loss, of_loss, epoch, epochs)
            loss = self._train(*data.train, data.orders[epoch])
            losses.append(float(loss))
            fitting.check_finite("loss", losses, epochs)
            if epoch >= epochs - last_epochs:
                loss, accuracy = self._evaluate(*data.validation)
                val_losses.append(float(loss))
                accuracies.append(float(accuracy))
        fitting.check_finite("val_loss", val_losses, epochs)
        return accuracies

    def _train_epoch(self, x, y, order):
        self._model.reset_metrics()
        step = self._model.train_step
        return _over_batches(
            lambda k: step(_gather(x, y, k))["loss"],
            order,
            self._batch_size,
        )

    def _evaluate_all(self, x, y):
        self._model.reset_metrics()

        def step(indices):
            logs = self._model.test_step(_gather(x, y, indices))
            return tf.stack([logs["loss"], logs["accuracy"]])

        order = tf.range(y.shape[0])
        return tf.unstack(_over_batches(step, order, batches.EVALUATION_BATCH))

    def _has_convolutions(self, task):
        specs = keras.tree.map_structure(
            lambda a: tf.TensorSpec(a.shape, a.dtype),
            [*task.train, batches.orders_of(task)[0]],
        )
        graph = self._train.get_concrete_function(*specs).graph.as_graph_def()
        nodes = [graph.node, *(f.node_def for f in graph.library.function)]
        return any("Conv" in node.op for part in nodes for node in part)


def _over_batches(step, order, size):
    """The last value of `step`, called with the indices of each batch."""
    # The last batch, which may be smaller, is outside of the loop.
    before_last = (order.shape[0] - 1) // size
    indices = tf.reshape(order[: before_last * size], (before_last, size))

    def body(k):
        step(indices[k])
        return (k + 1,)

    if before_last:
        tf.while_loop(
            lambda k: k < before_last,
            body,
            (tf.constant(0),),
            maximum_iterations=before_last,
        )
    return step(order[before_last * size :])


def _gather(x, y, indices):
    return keras.tree.map_structure(lambda a: tf.gather(a, indices), (x, y))
