"""What differs between TensorFlow, JAX and PyTorch, outside of training."""

import contextlib
import functools
import warnings

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


def is_tracing():
    """Whether this is called while a function is being compiled."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.inside_function()
    # Within `jax.jit`, what is computed from a constant is traced.
    return is_traced(ops.zeros(()) + 0)


def on_host():
    """A context in which JAX computes on the CPU, whatever accelerator it has.

    For many small computations, each of which takes an accelerator as long as
    a large one. Other backends compute as ever.
    """
    if keras.config.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError:
        # Left out by JAX_PLATFORMS.
        return contextlib.nullcontext()


def read_on_host(value):
    """A value that a function which JAX compiles asks for in each call.

    Args:
        value: Function without arguments that returns a NumPy array, always of
            one shape and dtype. It must not use JAX, which would wait for
            itself.
    """
    import jax

    first = value()
    return jax.pure_callback(
        value, jax.ShapeDtypeStruct(first.shape, first.dtype)
    )


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
        gradient = tape.gradient(
            value, x, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
    elif backend == "jax":
        import jax

        value, gradient = jax.value_and_grad(function)(x)
    else:
        import torch

        x = ops.convert_to_tensor(x).requires_grad_()
        value = function(x)
        (gradient,) = torch.autograd.grad(
            value + 0 * ops.sum(x), x, allow_unused=True, materialize_grads=True
        )
    return float(ops.convert_to_numpy(value)), ops.convert_to_numpy(gradient)


def value_and_gradients(function, tensors):
    """The value of a function of several tensors and its gradients.

    It may be called while a step is compiled, and within another derivative.

    Args:
        function: Function from a list of tensors to a scalar tensor.
        tensors: List of tensors, the place at which it is differentiated.

    Returns:
        The value, a scalar tensor, and the gradients, a list of tensors of
        the shapes of `tensors`; zeros where the value does not depend on one.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        # Copies, because a branch of `tf.cond` sees placeholders of tensors
        # from outside of it, and these would not be watched.
        tensors = [tf.identity(x) for x in tensors]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            value = function(tensors)
        gradients = tape.gradient(
            value, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        # Those of an embedding come as rows alone.
        return value, [tf.convert_to_tensor(g) for g in gradients]
    if backend == "jax":
        import jax

        return jax.value_and_grad(function)(tensors)
    import torch

    # Also where gradients are switched off around the call.
    with torch.enable_grad():
        tensors = [x.detach().requires_grad_() for x in tensors]
        value = function(tensors)
        gradients = torch.autograd.grad(
            value, tensors, allow_unused=True, materialize_grads=True
        )
    return value.detach(), list(gradients)


def jvp(function, tensors, tangents):
    """The value of a function and its derivative along a direction.

    One forward pass computes both (forward mode), so that the derivative of
    every output along one direction costs about as much as two evaluations.

    Args:
        function: Function from a list of tensors to a tensor, or to a list or
            tuple of them.
        tensors: List of tensors, the place.
        tangents: List of tensors of the same shapes, the direction.

    Returns:
        The value and the derivative, each of the structure of the function's
        output.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.identity(x) for x in tensors]
        with tf.autodiff.ForwardAccumulator(tensors, list(tangents)) as forward:
            value = function(tensors)
        zero = tf.UnconnectedGradients.ZERO
        return value, tf.nest.map_structure(
            lambda x: forward.jvp(x, unconnected_gradients=zero), value
        )
    if backend == "jax":
        import jax

        return jax.jvp(function, (list(tensors),), (list(tangents),))
    import torch

    _prepare_forward_mode()
    return torch.func.jvp(function, (list(tensors),), (list(tangents),))


@functools.cache
def _prepare_forward_mode():
    """Lets PyTorch load its forward mode, which warns of its own code."""
    import torch

    nothing = (torch.zeros(()),)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script`")
        torch.func.jvp(torch.sin, nothing, nothing)


def num_replicas(model=None):
    """Over how many copies of a model a step is spread that share no state.

    They are those of `tf.distribute` and of `torch.distributed`. JAX runs one
    program on all devices, which counts as one.

    Args:
        model: `keras.Model`, whose strategy of `tf.distribute` counts. Defaults
            to `None`: the strategy in whose scope this is called.
    """
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        strategy = tf.distribute.get_strategy()
        if model is not None:
            strategy = model.distribute_strategy
        return strategy.num_replicas_in_sync
    if backend == "torch":
        import torch.distributed

        is_available = torch.distributed.is_available()
        if is_available and torch.distributed.is_initialized():
            return torch.distributed.get_world_size()
    return 1


def share_of_replica(loss):
    """A replica's mean loss as its share of the mean over all replicas.

    `tf.distribute` adds up the gradients of its replicas; the others average.
    """
    if keras.config.backend() == "tensorflow":
        return loss / num_replicas()
    return loss


def draw_seed():
    """A seed for `fixed_draws`, of PyTorch's global generator."""
    if keras.config.backend() != "torch":
        return None
    import torch

    return int(torch.randint(2**31, ()))


@contextlib.contextmanager
def fixed_draws(seed):
    """Lets all passes within it that begin anew draw the same dropout masks.

    In PyTorch dropout draws from the global generator, which comes out of it
    as it was. In the others it follows from the states that a pass is given.

    Args:
        seed: What `draw_seed` returned.
    """
    if keras.config.backend() != "torch":
        yield
        return
    import torch

    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
