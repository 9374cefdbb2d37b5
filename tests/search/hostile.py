"""Trainers that do to their worker what trainings do at their worst."""

import ctypes
import os
import pathlib
import signal
import sys
import time

import keras

from tests.search.toy import ToyTrainer


class HostileTrainer(ToyTrainer):
    """A toy, one of whose trainings is poison.

    Args:
        poison: Task seed and coefficients of that training.
        deed: What its trainings do: `"kill"` their worker, `"hang"` in Python,
            `"hang in C"` or `"stop"` their worker by a signal.
        once: File that says that it was done, after which it is not again.
        **kwargs: Arguments of `ToyTrainer`.
    """

    def __init__(self, poison, deed, once=None, **kwargs):
        super().__init__(**kwargs)
        self.poison = poison
        self.deed = deed
        self.once = once

    def hold(self, task, loss):
        super().hold(task, loss)
        if (task.seed, loss.coefficients) != self.poison:
            return
        if self.once is not None:
            if pathlib.Path(self.once).exists():
                return
            pathlib.Path(self.once).touch()
        if self.deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.deed == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self.deed == "hang":
            while True:
                time.sleep(0.01)
        else:
            # A deadlock of C, which ends at no signal. It keeps the
            # interpreter's lock, so that no thread can do anything.
            c, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
            while True:
                c.pthread_mutex_lock(mutex)


class LeakingTrainer(ToyTrainer):
    """Each training leaves some megabytes behind, and notes how many are."""

    def __init__(self):
        super().__init__()
        self.leaked = []

    def hold(self, task, loss):
        self.leaked.append(bytearray(8 * 2**20))
        print(f"leaked {len(self.leaked)}", file=sys.stderr)


class BackendTrainer(ToyTrainer):
    """Notes what sums depend on where it runs."""

    def hold(self, task, loss):
        names = ("TF_NUM_INTRAOP_THREADS", "NPROC")
        threads = [os.environ.get(name) for name in names]
        print("threads", keras.config.backend(), *threads)
