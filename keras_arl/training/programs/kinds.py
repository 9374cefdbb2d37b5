"""Which kinds of programs can do a training."""

import functools

import keras

from keras_arl.training.keys import can_be_key
from keras_arl.training.keys import moves
from keras_arl.training.keys import shares_programs
from keras_arl.training.plain import PlainProgram


def program_kinds(task, loss, jit_compile, **jax_settings):
    """Kinds of programs to try, the last of which always works.

    Args:
        task: A `Task`.
        loss: Anything that `model.compile` takes as a loss.
        jit_compile: Whether XLA compiles whole epochs on TensorFlow.
        **jax_settings: Further arguments of `JaxProgram`.

    Returns:
        A list of functions of a task and a loss.
    """
    # Numbers that are not fed cannot be moved within a program.
    if not can_be_key(loss) or (moves(loss) and not shares_programs(loss)):
        return [PlainProgram]
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        from keras_arl.training.programs.fit import FitProgram
        from keras_arl.training.programs.xla import XlaProgram

        if task.in_memory and jit_compile:
            return [XlaProgram, FitProgram]
        if task.in_memory or (
            task.architecture is not None
            and isinstance(task.train, tf.data.Dataset)
        ):
            return [FitProgram]
    if (
        backend == "jax"
        and task.in_memory
        and isinstance(loss, keras.losses.Loss)
    ):
        from keras_arl.training.programs.jax import JaxProgram

        kind = functools.partial(JaxProgram, **jax_settings)
        kind.description = JaxProgram.description
        return [kind, PlainProgram]
    return [PlainProgram]
