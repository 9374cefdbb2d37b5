"""Batches of examples in memory, in an order that a seed determines."""

import keras
import numpy as np

EVALUATION_BATCH = 512


def epoch_orders(num_examples, epochs, seed):
    """The order of the examples in each epoch, a function of the arguments.

    On TensorFlow it is the one in which `Model.fit` meets
    `dataset.shuffle(num_examples, seed)` when TensorFlow's global seed is
    `seed` too; elsewhere NumPy draws it, so that TensorFlow is not needed.

    Args:
        num_examples: Number of examples.
        epochs: Number of epochs.
        seed: Non-negative integer.

    Returns:
        An int32 array of shape `(epochs, num_examples)`.
    """
    if keras.config.backend() != "tensorflow":
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(num_examples) for _ in range(epochs)]
        return np.stack(orders).astype("int32")
    import tensorflow as tf

    # `shuffle` mixes the global seed of the moment into its own.
    tf.random.set_seed(seed)
    # `fit` begins to iterate twice an epoch, and uses every second draw.
    draws = (
        tf.data.Dataset.range(num_examples)
        .shuffle(num_examples, seed=seed)
        .repeat(2 * epochs)
        .batch(num_examples)
    )
    return np.stack([*draws.as_numpy_iterator()][::2]).astype("int32")


def orders_of(task):
    """The order of a task's training examples in each epoch, for arrays.

    Args:
        task: A `Task` with its data in memory.

    Returns:
        An int32 array of shape `(epochs, examples)`.
    """
    seed = task.seed if task.shuffle_seed is None else task.shuffle_seed
    return epoch_orders(len(task.train[1]), task.epochs, seed)


def take(x, indices):
    """The examples at `indices`, of an array or a structure of arrays."""
    return keras.tree.map_structure(lambda array: array[indices], x)


def training_batches(x, y, orders, batch_size):
    """The batches of all epochs one after the other.

    For `fit` with `steps_per_epoch`: the order of an epoch does not depend on
    how often somebody begins to iterate.

    Args:
        x: Array, or structure of arrays, of n examples.
        y: Their labels.
        orders: What `epoch_orders` returns.
        batch_size: Number of examples a batch.

    Returns:
        A `tf.data.Dataset` on TensorFlow, a generator elsewhere.
    """
    if keras.config.backend() != "tensorflow":
        return (
            (take(x, chosen), y[chosen])
            for order in orders
            for chosen in np.split(
                order, range(batch_size, len(order), batch_size)
            )
        )
    import tensorflow as tf

    x = keras.tree.map_structure(tf.convert_to_tensor, x)
    y = tf.convert_to_tensor(y)

    def batches_of(order):
        return tf.data.Dataset.from_tensor_slices(order).batch(batch_size)

    def gather(indices):
        return (
            keras.tree.map_structure(lambda a: tf.gather(a, indices), x),
            tf.gather(y, indices),
        )

    return (
        tf.data.Dataset.from_tensor_slices(orders)
        .flat_map(batches_of)
        .map(gather, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def evaluation_batches(x, y):
    """The batches to evaluate on, in the order given.

    Returns:
        A `tf.data.Dataset` on TensorFlow, elsewhere the pair of arrays, which
        `fit` divides itself.
    """
    if keras.config.backend() != "tensorflow":
        return x, y
    import tensorflow as tf

    return (
        tf.data.Dataset.from_tensor_slices((x, y))
        .batch(EVALUATION_BATCH)
        .prefetch(tf.data.AUTOTUNE)
    )
