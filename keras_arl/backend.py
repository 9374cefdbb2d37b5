"""What differs between TensorFlow, JAX and PyTorch, outside of training."""

import keras
from keras import ops


def is_traced(tensor):
    """Whether `tensor` stands for values that only a compiled run will have."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.is_symbolic_tensor(tensor)
    if backend == "jax":
        import jax

        return isinstance(tensor, jax.core.Tracer)
    if backend == "torch":
        import torch

        return tensor.is_meta or torch.compiler.is_compiling()
    return False


def value_and_gradient(function, x):
    """The value of a function and its gradient, as NumPy arrays.

    Args:
        function: Function from a tensor to a scalar tensor.
        x: Array, the place at which it is differentiated.

    Returns:
        The value, a float, and the gradient, an array of the shape of `x`.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        gradient = tape.gradient(value, x)
    elif backend == "jax":
        import jax

        value, gradient = jax.value_and_grad(function)(x)
    else:
        import torch

        x = ops.convert_to_tensor(x).requires_grad_()
        value = function(x)
        (gradient,) = torch.autograd.grad(value, x)
    return float(ops.convert_to_numpy(value)), ops.convert_to_numpy(gradient)
