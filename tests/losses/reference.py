"""Independent float64 evaluation of the definition, and gradients."""

import keras
import numpy as np


def taylor(theta, center, order, targets, probabilities, class_aware=False):
    """The definition; targets one-hot or soft, (..., C)."""
    certain = np.eye(np.shape(probabilities)[-1])[0]
    arguments = theta, center, order
    return taylor_sum(
        *arguments, targets, probabilities, class_aware
    ) - taylor_sum(*arguments, certain, certain, class_aware)


def taylor_sum(theta, center, order, targets, probabilities, class_aware=False):
    """Its sum, term by term, without the constant."""
    theta = iter(np.asarray(theta, "float64"))
    p = np.asarray(probabilities, "float64")
    y = np.asarray(targets, "float64")
    weight, scale = 1.0, 1.0
    if class_aware:
        # With fewer than ten classes the exponent is that for ten.
        num_classes = max(10, p.shape[-1])
        weight = np.where(y == 1, 1.0, y + (1 - y) / (num_classes - 1))
        scale = np.log2(num_classes)
        p = p ** (1 / scale)
    total = np.zeros(p.shape[:-1])
    for i in range(1, order + 1):
        for j in range(order - i + 1):
            term = (p - center[0]) ** i * (y - center[1]) ** j
            total += next(theta) * np.sum(weight * term, axis=-1)
    return scale * total


def value_and_gradient(function, x):
    """A scalar function's value and gradient on the current backend."""
    backend = keras.config.backend()
    x = np.asarray(x, "float32")
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return float(value), tape.gradient(value, x).numpy()
    if backend == "jax":
        import jax

        value, gradient = jax.value_and_grad(function)(x)
        return float(value), np.asarray(gradient)
    import torch

    x = torch.tensor(x, requires_grad=True)
    value = function(x)
    value.backward()
    return float(value.detach()), x.grad.numpy()


def compiled(function):
    """The function compiled by the current backend; None on torch."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    if backend == "jax":
        import jax

        return jax.jit(function)
    return None


def to_numpy(x):
    return np.asarray(keras.ops.convert_to_numpy(x))
