"""The trainer that compiles once per architecture, then feeds."""

import collections
import concurrent.futures
import os
import warnings
import weakref

import keras
import numpy as np

from keras_arl.training import fitting
from keras_arl.training import mappings
from keras_arl.training.fitting import TrainingDivergedError
from keras_arl.training.keys import can_be_key
from keras_arl.training.keys import program_key
from keras_arl.training.plain import PlainProgram
from keras_arl.training.plain import PlainTrainer
from keras_arl.training.plain import outcome
from keras_arl.training.prepared import NotCompiledError
from keras_arl.training.prepared import PreparedTask


class Trainer:
    """Trains models of tasks and reuses what it compiled.

    Labels, images, initial weights, the optimizer's state, its learning rate
    and the numbers that a loss declares (the q of `GCE`, the coefficients of
    `TaylorLoss`; see `keras_arl.losses.ClassificationLoss`) are inputs of a
    compiled training, not part of it: tasks of one `architecture`, optimizer,
    batch size and number of examples and losses of one class share one. A loss
    that declares nothing has its own.

    * On TensorFlow the model is kept and fitted again, which reports what a new
      one reports, bit for bit. With `jit_compile` XLA compiles the loop over an
      epoch's batches as well, for data in memory: several times faster where
      steps are small, and worth it where a program's compilation, some
      seconds, serves many trainings. It reports what
      `model.compile(jit_compile=True)` does, but for the order in which floats
      are added: dropout draws other masks there than without.
    * On JAX a whole training is one program, for tasks with data in memory and
      losses that are a `keras.losses.Loss`. With losses that differ in such
      numbers alone, `evaluate_all` runs it in a thread for each core or, where
      JAX has an accelerator, once, vectorised over the losses; a model
      that cannot be vectorised is trained with one loss at a time, with a
      warning.
    * Everything else is trained as by `PlainTrainer`: any task on PyTorch,
      pipelines without an `architecture`, pipelines on JAX.

    The state of a model must be in its variables, as it is with Keras's own
    layers; use `PlainTrainer` where it is not. Pickled, for another process,
    a trainer is its arguments, without what it compiled.

    Args:
        jit_compile: Whether XLA compiles whole epochs on TensorFlow. Other
            backends ignore it. Defaults to `False`.
        vectorize: Whether `evaluate_all` is vectorised on JAX. Defaults to
            `None`: where JAX has an accelerator.
        max_programs: Number of compiled programs that are kept; the one unused
            for longest is dropped. Fewer are kept where Linux's limit of memory
            mappings is near (`vm.max_map_count`; XLA on a CPU takes hundreds
            for a program). Defaults to `32`.

    Example:

    >>> trainer = keras_arl.training.Trainer()
    >>> task = keras_arl.tasks.TaskFamily()(seed=1)
    >>> losses = [keras_arl.ARL(), keras_arl.losses.MAE()]
    >>> arl, mae = trainer.evaluate_all(task, losses)
    >>> plain = keras_arl.training.PlainTrainer()
    >>> arl == plain.evaluate(task, keras_arl.ARL())
    True
    """

    def __init__(self, jit_compile=False, vectorize=None, max_programs=32):
        if max_programs < 1:
            raise ValueError(
                "`max_programs` must be at least 1. "
                f"Received: max_programs={max_programs}"
            )
        self.jit_compile = jit_compile
        # Candidates of a generation are then best handed over together.
        self.trains_together = keras.config.backend() == "jax"
        self._vectorize = vectorize
        self._not_vectorized = set()
        self._max_programs = max_programs
        self._programs = collections.OrderedDict()
        # Of the models of these programs, by their keys without the loss.
        self._signatures = {}
        self._prepared = weakref.WeakKeyDictionary()

    def __reduce__(self):
        arguments = self.jit_compile, self._vectorize, self._max_programs
        return type(self), arguments

    def evaluate(self, task, loss, last_epochs=1):
        """Trains a model of a task with a loss and returns its clean accuracy.

        The best epoch is not looked for: nobody has a clean set to stop by.

        Args:
            task: A `keras_arl.tasks.Task`.
            loss: Anything that `model.compile` takes as a loss.
            last_epochs: Number of last epochs whose accuracies are averaged.
                Defaults to `1`.

        Returns:
            Mean accuracy on the validation data, a float in [0, 1].

        Raises:
            TrainingDivergedError: If the training loss, or the loss on the
                validation data, is not finite.
            ValueError: If `last_epochs` is not in 1..epochs.
        """
        return _mean(self.accuracies(task, loss, last_epochs))

    def accuracies(self, task, loss, last_epochs=None):
        """As `evaluate`, but returns the accuracy after each epoch.

        Args:
            task: A `keras_arl.tasks.Task`.
            loss: Anything that `model.compile` takes as a loss.
            last_epochs: Number of last epochs that are evaluated. Defaults to
                `None`: all.

        Returns:
            A list of floats, one per epoch that is evaluated.

        Raises:
            TrainingDivergedError: If the training loss, or the loss on the
                validation data, is not finite.
            ValueError: If `last_epochs` is not in 1..epochs.
        """
        last_epochs = fitting.checked_last_epochs(last_epochs, task.epochs)
        kinds = _program_kinds(task, loss, self.jit_compile)
        if kinds == [PlainProgram]:
            return PlainTrainer().accuracies(task, loss, last_epochs)
        key = program_key(task, loss)
        prepared = self._prepare(task)
        self._check_same_model(key, task, prepared)
        if key not in self._programs:
            return self._first_run(
                key, kinds, task, prepared, loss, last_epochs
            )
        self._programs.move_to_end(key)
        try:
            return self._programs[key].run(task, prepared, loss, last_epochs)
        except Exception:
            raise
        except BaseException:
            # Interrupted, perhaps in the middle of a trace.
            self._programs.pop(key, None)
            raise

    def evaluate_all(self, task, losses, last_epochs=1):
        """Trains with each of many losses.

        Args:
            task: A `keras_arl.tasks.Task`; its pipelines, if it has them, are
                used as often as there are losses.
            losses: List of losses.
            last_epochs: Number of last epochs whose accuracies are averaged.
                Defaults to `1`.

        Returns:
            An iterator over the accuracies, in the order of the losses, each
            as soon as it is known; in the place of an accuracy, the exception
            that its training raised.

        Raises:
            ValueError: If `last_epochs` is not in 1..epochs.
        """
        fitting.checked_last_epochs(last_epochs, task.epochs)
        return self._outcomes(task, losses, last_epochs)

    def _outcomes(self, task, losses, last_epochs):
        one_program = (
            self.trains_together
            and task.in_memory
            and all(map(can_be_key, losses))
            and len({program_key(task, loss) for loss in losses}) == 1
        )
        # Not asked before, since it takes hold of a GPU.
        on_accelerator = one_program and _has_accelerator()
        vectorize = self._vectorize
        if vectorize is None:
            vectorize = on_accelerator
        if one_program and vectorize and len(set(losses)) > 1:
            try:
                outcomes = self._run_together(task, losses, last_epochs)
            except NotCompiledError:
                pass
            except Exception as error:
                yield from [error] * len(losses)
                return
            else:
                yield from outcomes
                return

        def evaluate(loss):
            return outcome(self.evaluate, task, loss, last_epochs)

        # The first one compiles.
        yield from map(evaluate, losses[:1])
        program = one_program and self._programs.get(
            program_key(task, losses[0])
        )
        if program and program.is_pure:
            num_threads = 1 if on_accelerator else _num_cores()
            yield from _in_threads(evaluate, losses[1:], num_threads)
        else:
            yield from map(evaluate, losses[1:])

    def _run_together(self, task, losses, last_epochs):
        """Outcomes of one vectorised program.

        Raises:
            NotCompiledError: If there is none.
        """
        key = program_key(task, losses[0])
        kind = _program_kinds(task, losses[0], self.jit_compile)[0]
        if kind is PlainProgram or key in self._not_vectorized:
            raise NotCompiledError
        prepared = self._prepare(task)
        # An error in building the model is no failure to vectorise.
        self._check_same_model(key, task, prepared)
        try:
            if key not in self._programs:
                self._keep(key, kind(task, losses[0]))
            program = self._programs[key]
            if not program.is_pure:
                raise NotCompiledError
            outcomes = program.run_together(task, prepared, losses, last_epochs)
        except NotCompiledError:
            raise
        except Exception as error:
            self._not_vectorized.add(key)
            warnings.warn(
                "The training cannot be vectorised over losses, which are "
                f"trained with one at a time: {_first_line(error)}",
                stacklevel=4,
            )
            raise NotCompiledError from error
        return [
            each if isinstance(each, Exception) else _mean(each)
            for each in outcomes
        ]

    def get_config(self):
        """What determines the numbers it reports, a dictionary.

        On TensorFlow without `jit_compile` they are those of `PlainTrainer`,
        and so is the dictionary.
        """
        backend = keras.config.backend()
        if backend == "torch" or (
            backend == "tensorflow" and not self.jit_compile
        ):
            return PlainTrainer().get_config()
        # Vectorised or not changes no more than another device does.
        return {"trainer": "compiled"}

    def _prepare(self, task):
        if not task.in_memory:
            return PreparedTask(task)
        if task not in self._prepared:
            self._prepared[task] = PreparedTask(task)
        return self._prepared[task]

    def _check_same_model(self, key, task, prepared):
        """Raises unless tasks that share programs have one model."""
        found = prepared.start.signature
        if found is None:
            return
        first = self._signatures.setdefault(key[:-1], found)
        difference = first.difference(found)
        if difference:
            raise ValueError(
                "Two tasks of one `architecture` must have the same model but "
                "for the values of its variables. Give models that differ "
                "other names, or leave `architecture` out. Received for "
                f"architecture={task.architecture!r}: {difference}"
            )

    def _first_run(self, key, kinds, task, prepared, loss, last_epochs):
        """Trains with the first kind of program that can, and keeps it."""
        *to_try, safe_kind = kinds
        for kind in to_try:
            try:
                program = kind(task, loss)
                accuracies = program.run(task, prepared, loss, last_epochs)
            except TrainingDivergedError:
                self._keep(key, program)
                raise
            except NotCompiledError:
                continue
            except Exception as error:
                warnings.warn(
                    f"It cannot be that {kind.description}, so that "
                    f"{safe_kind.description}: {_first_line(error)}",
                    stacklevel=3,
                )
                continue
            self._keep(key, program)
            return accuracies
        program = safe_kind(task, loss)
        self._keep(key, program)
        return program.run(task, prepared, loss, last_epochs)

    def _keep(self, key, program):
        mappings.keep(self._programs, key, program, self._max_programs)
        kept = {key[:-1] for key in self._programs}
        self._signatures = {
            key: found for key, found in self._signatures.items() if key in kept
        }


def _program_kinds(task, loss, jit_compile):
    """Kinds of programs to try, the last of which always works."""
    if not can_be_key(loss):
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

        return [JaxProgram, PlainProgram]
    return [PlainProgram]


def _mean(accuracies):
    return float(np.mean(accuracies))


def _has_accelerator():
    import jax

    return jax.default_backend() != "cpu"


def _num_cores():
    # Not all systems tell which cores a process may use.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _in_threads(function, values, num_threads):
    """`map` in several threads."""
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    try:
        yield from pool.map(function, values)
    finally:
        pool.shutdown(cancel_futures=True)


def _first_line(error):
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
