"""Whole trainings on JAX, one at a time or many in one program."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from keras_arl.training import fitting
from keras_arl.training import keys
from keras_arl.training.fitting import TrainingDivergedError
from keras_arl.training.prepared import NotCompiledError
from keras_arl.training.programs.compilation_cache import use_compilation_cache
from keras_arl.training.programs.vectorized import Vectorized
from keras_arl.training.programs.whole_training import WholeTraining


class JaxProgram:
    """A whole training as one program.

    Convolutions are written as matrix products on a CPU, and on an accelerator
    where trainings are vectorised: XLA runs neither a loop's convolution nor
    one whose kernel is another for each training well. On a CPU a model with
    others is trained by one compiled step in a loop of Python.

    Args:
        task: The first `Task` of its kind, with its data in memory.
        loss: The first loss of its kind, a `keras.losses.Loss`.
        matmul_precision: As that of `Trainer`.
        compile_timeout: As that of `Trainer`.
        clock: The `CompileClock` of vectorised programs.

    Raises:
        NotCompiledError: If the model has a `train_step`, `compute_loss` or
            the like of its own.
    """

    # Trainings in several threads do not meet.
    is_pure = True
    description = "the training is one program"

    def __init__(self, task, loss, matmul_precision, compile_timeout, clock):
        use_compilation_cache()
        on_cpu = jax.default_backend() == "cpu"
        self._matmul_precision = matmul_precision
        self._compile_timeout = compile_timeout
        self._clock = clock
        self._alone = WholeTraining(task, loss, as_products=on_cpu)
        self._train_alone = jax.jit(self._alone.train, static_argnums=3)
        self._step_by_step = None if on_cpu else False
        self._together = self._alone if on_cpu else None
        self._vectorized = None

    def run(self, task, prepared, loss, last_epochs):
        """Trains with a loss; returns the clean accuracy after each epoch."""
        state = self._alone.initial_state(prepared.start)
        data = _data(prepared)
        numbers = keys.loss_values(loss, task.epochs)
        if self._step_by_step is None:
            self._step_by_step = self._alone.has_convolutions(
                state, numbers, data
            )
        train = self._train_alone
        if self._step_by_step:
            train = self._alone.train_by_steps
        with self._precision():
            results = train(state, numbers, data, last_epochs)
        return _accuracies(*map(np.asarray, results), task.epochs)

    def run_together(self, tasks, losses, last_epochs):
        """Trains tasks with many losses in one vectorised program.

        Args:
            tasks: A list of pairs (`Task`, its `PreparedTask`), with one number
                of epochs and of examples.
            losses: The losses of each, a list of lists; they differ in the
                numbers that are fed alone.
            last_epochs: Number of last epochs that are evaluated.

        Returns:
            For each task a list with the accuracies or a
            `TrainingDivergedError` for each loss.

        Raises:
            NotCompiledError: If the trainings differ in nothing.
            TimeoutError: If the compilation takes too long.
        """
        epochs = tasks[0][0].epochs
        numbers = [
            [keys.loss_values(loss, epochs) for loss in each] for each in losses
        ]
        if not numbers[0][0]:
            # Losses without numbers are one.
            numbers = [each[:1] for each in numbers]
        if sum(map(len, numbers)) == 1:
            raise NotCompiledError
        if self._together is None:
            self._together = WholeTraining(
                tasks[0][0], losses[0][0], as_products=True
            )
        if self._vectorized is None:
            self._vectorized = Vectorized(
                self._together.train, self._compile_timeout, self._clock
            )
        pairs = [
            (self._together.initial_state(prepared.start), _data(prepared))
            for _, prepared in tasks
        ]
        with self._precision():
            results = self._vectorized.run(pairs, numbers, last_epochs)
        outcomes = [[_outcome(row, epochs) for row in each] for each in results]
        return [
            found * len(each) if len(found) < len(each) else found
            for found, each in zip(outcomes, losses, strict=True)
        ]

    def _precision(self):
        if self._matmul_precision is None:
            return contextlib.nullcontext()
        return jax.default_matmul_precision(self._matmul_precision)


def _data(prepared):
    arrays = prepared.arrays(jnp.asarray)
    return arrays.train, arrays.validation, arrays.orders


def _accuracies(losses, val_losses, accuracies, epochs):
    fitting.check_finite("loss", losses, epochs)
    fitting.check_finite("val_loss", val_losses, epochs)
    return [float(accuracy) for accuracy in accuracies]


def _outcome(results, epochs):
    try:
        return _accuracies(*results, epochs)
    except TrainingDivergedError as error:
        return error
