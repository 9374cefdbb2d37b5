"""The first training of a kind, which compiles a program for the next ones."""

import contextlib
import time
import warnings

from keras_arl.training.fitting import TrainingDivergedError
from keras_arl.training.prepared import NotCompiledError


class CompileClock:
    """Adds up the seconds that compilations take."""

    def __init__(self):
        self.seconds = 0.0

    @contextlib.contextmanager
    def runs(self):
        """A context whose time is a compilation's."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds += time.monotonic() - begun


def first_run(kinds, keep, task, *arguments):
    """Trains with the first kind of program that can, and keeps it.

    Args:
        kinds: What `program_kinds` returns.
        keep: Function of the program.
        task: A `Task`.
        *arguments: Further arguments of the program's `run`: the prepared task,
            the loss and the number of last epochs.

    Returns:
        What `run` returns.
    """
    _, loss, _ = arguments
    *to_try, safe_kind = kinds
    for kind in to_try:
        try:
            program = kind(task, loss)
            accuracies = program.run(task, *arguments)
        except TrainingDivergedError:
            keep(program)
            raise
        except NotCompiledError:
            continue
        except Exception as error:
            warnings.warn(
                f"It cannot be that {kind.description}, so that "
                f"{safe_kind.description}: {first_line(error)}",
                stacklevel=3,
            )
            continue
        keep(program)
        return accuracies
    program = safe_kind(task, loss)
    keep(program)
    return program.run(task, *arguments)


def first_line(error):
    """An exception in one line of text."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
