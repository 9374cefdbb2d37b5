"""Values and gradients of a loss at given predictions, as NumPy arrays."""

import keras
import numpy as np
from keras import ops

# A probability of which the logarithm is taken as a logit for 0.
_SMALLEST = 1e-30


def values(loss, labels, probabilities):
    """The loss of each sample.

    Args:
        loss: A `keras.losses.Loss` over class indices, or a function
            `(y_true, y_pred)` of class indices and probabilities.
        labels: Class indices, an array of shape `(n,)`.
        probabilities: Predictions, an array of shape `(n, C)`.

    Returns:
        A float64 array of shape `(n,)`.
    """
    predictions = np.asarray(probabilities, "float64")
    if getattr(loss, "from_logits", False):
        predictions = np.log(np.maximum(predictions, _SMALLEST))
    predictions = ops.convert_to_tensor(predictions.astype("float32"))
    losses = _per_sample(loss)(_indices(labels), predictions)
    return ops.convert_to_numpy(losses).astype("float64")


def logit_gradients(loss, labels, logits):
    """The gradient of each sample's loss with respect to its logits.

    Args:
        loss: As in `values`.
        labels: Class indices, an array of shape `(n,)`.
        logits: Logits, an array of shape `(n, C)`.

    Returns:
        A float64 array of shape `(n, C)`.
    """
    labels = _indices(labels)
    per_sample = _per_sample(loss)
    from_logits = getattr(loss, "from_logits", False)

    def total(x):
        predictions = x if from_logits else ops.softmax(x)
        return ops.sum(per_sample(labels, predictions))

    gradient = _gradient(total, np.asarray(logits, "float32"))
    return np.asarray(gradient, "float64")


def _per_sample(loss):
    return loss.call if isinstance(loss, keras.losses.Loss) else loss


def _indices(labels):
    return ops.convert_to_tensor(np.asarray(labels, "int32"))


def _gradient(function, x):
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x).numpy()
    if backend == "jax":
        import jax

        return jax.grad(function)(x)
    import torch

    x = ops.convert_to_tensor(x).requires_grad_()
    (gradient,) = torch.autograd.grad(function(x), x)
    return ops.convert_to_numpy(gradient)
