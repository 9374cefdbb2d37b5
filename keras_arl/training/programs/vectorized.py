"""Trainings on JAX that run side by side in one program."""

import queue
import threading

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

# Of a device's memory, the share that a program may take.
_SHARE_OF_MEMORY = 0.9


class Vectorized:
    """A training, vectorised over tasks, and over losses within each.

    What depends on the task alone, such as its batches and its dropout, is
    computed once for all of its losses.

    Args:
        train: Function of the values that a task starts from, a loss's numbers,
            the task's data, and the number of last epochs to evaluate. It
            returns a structure of arrays.
        compile_timeout: Seconds that a compilation may take, or `None`.
        clock: The `CompileClock` that adds up what compilations take.
    """

    def __init__(self, train, compile_timeout, clock):
        self._train = train
        self._compile_timeout = compile_timeout
        self._clock = clock
        self._compiled = {}
        # The number of losses of a task, and of trainings that memory holds.
        self._width, self._most = 0, None

    def run(self, tasks, numbers, last_epochs):
        """Trains each task with each of its losses.

        Args:
            tasks: A list of pairs (initial values, data).
            numbers: The numbers of each task's losses, a list of lists of
                lists of NumPy arrays.
            last_epochs: Number of last epochs that are evaluated.

        Returns:
            What `train` returns for each loss of each task, a list of lists.

        Raises:
            TimeoutError: If the compilation takes too long.
        """
        # As many as ever, so that their number is no reason to compile.
        self._width = max(self._width, *map(len, numbers))
        rows = [[] for _ in tasks]
        while done := _first_unfinished(rows, numbers):
            first, at = done
            width, depth = self._shape(len(tasks) - first)
            chosen = slice(first, first + depth)
            block = [each[at : at + width] for each in numbers[chosen]]
            try:
                results = self._run_block(
                    tasks[chosen], block, width, depth, last_epochs
                )
            except _TooLargeError as error:
                self._most = error.most
                continue
            for row, found in zip(rows[chosen], results, strict=True):
                row += found
        return rows

    def _shape(self, num_tasks):
        """Number of losses, and of tasks, that are trained at once."""
        # A power of two: few numbers of tasks are compiled for.
        depth = 1 << (num_tasks - 1).bit_length()
        if self._most is None:
            return self._width, depth
        width = min(self._width, self._most)
        most = max(self._most // width, 1)
        return width, min(depth, 1 << (most.bit_length() - 1))

    def _run_block(self, tasks, numbers, width, depth, last_epochs):
        padded = [_padded(each, width) for each in _padded(numbers, depth)]
        arguments = (
            *map(_stacked, zip(*_padded(tasks, depth), strict=True)),
            # On the host: these are many small arrays.
            _stacked([_stacked(each, np) for each in padded], np),
        )
        compiled = self._program(arguments, width, last_epochs)
        leaves, structure = jax.tree.flatten(compiled(*arguments))
        leaves = [np.asarray(leaf) for leaf in leaves]
        return [
            [
                structure.unflatten([leaf[task, k] for leaf in leaves])
                for k in range(len(each))
            ]
            for task, each in enumerate(numbers)
        ]

    def _program(self, arguments, width, last_epochs):
        leaves, structure = jax.tree.flatten(arguments)
        key = structure, width, last_epochs, *(leaf.shape for leaf in leaves)
        if key in self._compiled:
            return self._compiled[key]

        def train(state, data, numbers):
            return jax.vmap(
                lambda n: self._train(state, n, data, last_epochs),
                axis_size=width,
            )(numbers)

        with self._clock.runs():
            lowered = jax.jit(jax.vmap(train)).lower(*arguments)
            compiled = _within(self._compile_timeout, lowered.compile)
        _check_memory(compiled, len(leaves[0]) * width)
        self._compiled[key] = compiled
        return compiled


class _TooLargeError(Exception):
    """A program needs more memory than there is, where `most` would fit."""

    def __init__(self, most):
        super().__init__(most)
        self.most = most


def _first_unfinished(rows, numbers):
    """The first task with losses to train, and the first of these."""
    for task, (row, each) in enumerate(zip(rows, numbers, strict=True)):
        if len(row) < len(each):
            return task, len(row)
    return None


def _padded(values, length):
    return [*values, *[values[0]] * (length - len(values))]


def _stacked(trees, numpy=jnp):
    return jax.tree.map(lambda *leaves: numpy.stack(leaves), *trees)


def _check_memory(compiled, num_trainings):
    limit, needed = _memory(), _bytes(compiled)
    if limit is None or needed is None:
        return
    fits = int(_SHARE_OF_MEMORY * limit / needed * num_trainings)
    if num_trainings > 1 and fits < num_trainings:
        most = max(min(fits, num_trainings - 1), 1)
        logging.info(
            "%d trainings at once need %d MB of the device's memory: %d are "
            "trained at once.", num_trainings, needed >> 20, most,
        )  # fmt: skip
        raise _TooLargeError(most)


def _memory():
    """Bytes that JAX may take of its device; `None` of a CPU."""
    return (jax.devices()[0].memory_stats() or {}).get("bytes_limit")


def _bytes(compiled):
    found = compiled.memory_analysis()
    if found is None:
        return None
    return (
        found.temp_size_in_bytes
        + found.argument_size_in_bytes
        + found.output_size_in_bytes
    )


def _within(seconds, function):
    """What a function returns, if it does so in time."""
    answers = queue.SimpleQueue()

    def answer():
        try:
            answers.put((function(), None))
        except BaseException as error:
            answers.put((None, error))

    # A daemon, since nothing can stop a compilation, and no program is to wait
    # for one at its end.
    threading.Thread(target=answer, daemon=True).start()
    try:
        result, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(
            f"its compilation takes longer than {seconds:g} s"
        ) from None
    if error is not None:
        raise error
    return result
