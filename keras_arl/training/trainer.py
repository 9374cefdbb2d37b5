"""The trainer that compiles once per architecture, then feeds."""

import functools
import warnings

import keras
import numpy as np

from keras_arl.training import fitting
from keras_arl.training.first_run import CompileClock
from keras_arl.training.first_run import first_line
from keras_arl.training.first_run import first_run
from keras_arl.training.keys import can_be_key
from keras_arl.training.keys import loss_key
from keras_arl.training.keys import program_key
from keras_arl.training.keys import task_key
from keras_arl.training.plain import PlainProgram
from keras_arl.training.plain import PlainTrainer
from keras_arl.training.plain import outcome
from keras_arl.training.prepared import NotCompiledError
from keras_arl.training.program_store import ProgramStore
from keras_arl.training.programs.kinds import program_kinds
from keras_arl.training.threads import in_threads
from keras_arl.training.threads import num_cores


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
      losses that are a `keras.losses.Loss`. Many trainings that share it run in
      a thread for each core or, where JAX has an accelerator, at once:
      vectorised over tasks of one size and their losses, as many as the
      device's memory holds. A model that cannot be vectorised, or whose
      vectorised program takes longer to compile than `compile_timeout`, is
      trained one at a time, with a warning. JAX keeps what it compiled in the
      user's cache directory (`JAX_ENABLE_COMPILATION_CACHE=false`: it does
      not).
    * Everything else is trained as by `PlainTrainer`: any task on PyTorch,
      pipelines without an `architecture`, pipelines on JAX.

    The state of a model must be in its variables, as it is with Keras's own
    layers; use `PlainTrainer` where it is not. Pickled, for another process,
    a trainer is its arguments, without what it compiled.

    Args:
        jit_compile: Whether XLA compiles whole epochs on TensorFlow. Other
            backends ignore it. Defaults to `False`.
        vectorize: Whether many trainings are vectorised on JAX. Where a search
            has an executor, `True` gives a worker several tasks at once, too.
            Defaults to `None`: where JAX has an accelerator.
        max_programs: Number of compiled programs that are kept; the one unused
            for longest is dropped. Fewer are kept where Linux's limit of memory
            mappings is near (`vm.max_map_count`; XLA on a CPU takes hundreds
            for a program). Defaults to `32`.
        matmul_precision: Precision of matrix products on JAX, such as
            `"float32"`, `"tensorfloat32"` or `"bfloat16"`. Defaults to `None`:
            that of JAX, on NVIDIA's GPUs TensorFloat-32.
        compile_timeout: Seconds that the compilation of a vectorised program
            may take, or `None`. Defaults to `300`.

    Example:

    >>> trainer = keras_arl.training.Trainer()
    >>> task = keras_arl.tasks.TaskFamily()(seed=1)
    >>> losses = [keras_arl.ARL(), keras_arl.losses.MAE()]
    >>> arl, mae = trainer.evaluate_all(task, losses)
    >>> plain = keras_arl.training.PlainTrainer()
    >>> arl == plain.evaluate(task, keras_arl.ARL())
    True
    """

    def __init__(
        self,
        jit_compile=False,
        vectorize=None,
        max_programs=32,
        matmul_precision=None,
        compile_timeout=300.0,
    ):
        if max_programs < 1:
            raise ValueError(
                "`max_programs` must be at least 1. "
                f"Received: max_programs={max_programs}"
            )
        self.jit_compile = jit_compile
        # Candidates of a generation are then best handed over together.
        self.trains_together = keras.config.backend() == "jax"
        self.vectorize = vectorize
        self._not_vectorized = set()
        self.max_programs = max_programs
        self._store = ProgramStore(max_programs)
        self._matmul_precision = matmul_precision
        self._compile_timeout = compile_timeout
        self._clock = CompileClock()

    @property
    def compile_seconds(self):
        """Seconds that compilations have taken in this process so far.

        A program is compiled while it trains for the first time, and this
        training counts with it; not so where trainings are vectorised.
        """
        return self._clock.seconds

    def __reduce__(self):
        return type(self), (
            self.jit_compile,
            self.vectorize,
            self.max_programs,
            self._matmul_precision,
            self._compile_timeout,
        )

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
        kinds = self._kinds(task, loss)
        if kinds == [PlainProgram]:
            return PlainTrainer().accuracies(task, loss, last_epochs)
        key = program_key(task, loss)
        prepared = self._store.prepare(key, task)
        program = self._store.get(key)
        if program is None:
            keep = functools.partial(self._store.keep, key)
            with self._clock.runs():
                return first_run(kinds, keep, task, prepared, loss, last_epochs)
        try:
            return program.run(task, prepared, loss, last_epochs)
        except Exception:
            raise
        except BaseException:
            # Interrupted, perhaps in the middle of a trace.
            self._store.drop(key)
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
            An iterator over the accuracies, in the order of the losses; in the
            place of one the exception that its training raised.

        Raises:
            ValueError: If `last_epochs` is not in 1..epochs.
        """
        fitting.checked_last_epochs(last_epochs, task.epochs)
        return self._in_order(task, losses, last_epochs)

    def _in_order(self, task, losses, last_epochs):
        pairs = [(task, loss) for loss in losses]
        outcomes, position = {}, 0
        for found in self.evaluate_pairs(pairs, last_epochs):
            outcomes |= found
            while position in outcomes:
                yield outcomes.pop(position)
                position += 1

    def evaluate_pairs(self, pairs, last_epochs=1):
        """Trains tasks, each with losses of its own.

        Args:
            pairs: Sequence of pairs (task, loss).
            last_epochs: Number of last epochs whose accuracies are averaged.
                Defaults to `1`.

        Yields:
            Dictionaries from a position in `pairs` to what its training gave,
            an accuracy or the exception that it raised: in one dictionary those
            that become known together.
        """
        pairs = list(pairs)
        for positions in self._groups(pairs):
            chosen = [pairs[position] for position in positions]
            together = self._together_if_possible(chosen, last_epochs)
            if together:
                yield dict(zip(positions, together, strict=True))
                continue
            alone = self._one_by_one(chosen, last_epochs)
            for position, found in zip(positions, alone, strict=True):
                yield {position: found}

    def _groups(self, pairs):
        """The positions of the trainings that one program can do."""
        groups = {}
        key_of_task = functools.cache(task_key)
        key_of_loss = functools.cache(loss_key)
        for position, (task, loss) in enumerate(pairs):
            key = position
            if self.trains_together and task.in_memory and can_be_key(loss):
                # Shapes of arrays depend on these two as well.
                sizes = task.epochs, len(task.validation[1])
                key = key_of_task(task), key_of_loss(loss), sizes
            groups.setdefault(key, []).append(position)
        return groups.values()

    def _together_if_possible(self, pairs, last_epochs):
        different = {(id(task), id(loss)) for task, loss in pairs}
        if len(different) == 1 or not self.vectorizes():
            return None
        try:
            return self._run_together(pairs, last_epochs)
        except NotCompiledError:
            return None

    def _one_by_one(self, pairs, last_epochs):
        def evaluate(pair):
            return outcome(self.evaluate, *pair, last_epochs)

        # The first one compiles.
        yield evaluate(pairs[0])
        if len(pairs) == 1:
            return
        program = self._store.get(program_key(*pairs[0]))
        is_pure = program is not None and program.is_pure
        on_cpu = is_pure and not _has_accelerator()
        num_threads = num_cores() if on_cpu else 1
        yield from in_threads(evaluate, pairs[1:], num_threads)

    def vectorizes(self):
        """Whether many trainings are one vectorised program.

        On JAX it takes hold of the device to answer, unless `vectorize` says.
        """
        if not self.trains_together:
            return False
        return _has_accelerator() if self.vectorize is None else self.vectorize

    def _run_together(self, pairs, last_epochs):
        """Outcomes of trainings in one vectorised program.

        Raises:
            NotCompiledError: If there is none.
        """
        task, loss = pairs[0]
        key = program_key(task, loss)
        kind = self._kinds(task, loss)[0]
        if kind is PlainProgram or key in self._not_vectorized:
            raise NotCompiledError
        failed, prepared, groups = {}, {}, {}
        for each, of_task in pairs:
            groups.setdefault(each, []).append(of_task)
        for each in groups:
            # An error in building a model is no failure to vectorise.
            try:
                fitting.checked_last_epochs(last_epochs, each.epochs)
                prepared[each] = self._store.prepare(key, each)
            except Exception as error:
                failed[each] = error
        losses = [groups[each] for each in prepared]
        try:
            found = prepared and self._program(
                key, kind, task, loss
            ).run_together(list(prepared.items()), losses, last_epochs)
        except NotCompiledError:
            raise
        except Exception as error:
            self._not_vectorized.add(key)
            warnings.warn(
                "The trainings cannot be vectorised, and are done one at a "
                f"time: {first_line(error)}",
                stacklevel=4,
            )
            raise NotCompiledError from error
        of_tasks = {
            each: iter(outcomes)
            for each, outcomes in zip(prepared, found, strict=True)
        }
        return [
            failed[each] if each in failed else _score(next(of_tasks[each]))
            for each, _ in pairs
        ]

    def _program(self, key, kind, task, loss):
        """A program that can train together, kept or made.

        Raises:
            NotCompiledError: If there is none.
        """
        program = self._store.get(key)
        if program is None:
            program = kind(task, loss)
            self._store.keep(key, program)
        if not program.is_pure:
            raise NotCompiledError
        return program

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
        config = {"trainer": "compiled"}
        if self._matmul_precision is not None and backend == "jax":
            config["matmul_precision"] = self._matmul_precision
        return config

    def _kinds(self, task, loss):
        return program_kinds(
            task,
            loss,
            self.jit_compile,
            matmul_precision=self._matmul_precision,
            compile_timeout=self._compile_timeout,
            clock=self._clock,
        )


def _mean(accuracies):
    return float(np.mean(accuracies))


def _score(outcome):
    return outcome if isinstance(outcome, Exception) else _mean(outcome)


def _has_accelerator():
    import jax

    return jax.default_backend() != "cpu"
