"""Workers of a search on this machine."""

import os
import pathlib
import secrets
import socket
import subprocess
import sys
import time

from keras_arl.distribute import environment
from keras_arl.distribute.environment import Place

# A worker that ends so soon after its start, so often in a row, will not do.
_SOON, _MAX_EARLY_ENDS = 60.0, 3
_PATIENCE = 5.0
# Of TensorFlow and of JAX.
_THREAD_COUNTS = ("TF_NUM_INTRAOP_THREADS", "NPROC")


class LocalWorkers:
    """Worker processes that run the program of this process once more.

    They divide the cores among them, are started again when they are killed,
    and leave when this process does. Their output goes to a file each, beside
    the state of the search.

    Args:
        count: Number of workers, at least 1.
        command: What starts a worker, a list of strings. Defaults to `None`:
            the command of this process.

    Raises:
        ValueError: If `count` is out of range.

    Example:

    >>> workers = keras_arl.distribute.LocalWorkers(4)
    >>> workers.place.host
    '127.0.0.1'

    The program goes on so, in the chief and in the workers, which return from
    `search` when it is finished:

    ```python
    tuner.search(workers=workers)
    if not keras_arl.distribute.is_worker():
        keras_arl.losses.save(tuner.best_loss(), "loss.json")
    ```
    """

    def __init__(self, count, command=None):
        if count < 1:
            raise ValueError(
                f"`count` must be at least 1. Received: count={count!r}"
            )
        self._count = count
        self._command = command or [sys.executable, *sys.orig_argv[1:]]
        # Not guessed by other users of the machine.
        self.place = Place(
            "chief", "127.0.0.1", _free_port(), secrets.token_hex(16)
        )
        self._workers = []

    def start(self, directory):
        """Starts the workers.

        Args:
            directory: Where their output goes, to `worker-1.log` and so on.
        """
        self._workers = [
            _Worker(
                self._command,
                self.place,
                number,
                _share_of_cores(number, self._count),
                pathlib.Path(directory, f"worker-{number + 1}.log"),
            )
            for number in range(self._count)
        ]

    def keep_alive(self):
        """Starts workers again that were killed or failed.

        Raises:
            RuntimeError: If one of them fails again and again.
        """
        for worker in self._workers:
            worker.keep_alive()

    def stop(self):
        """Ends the workers."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            try:
                worker.process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._workers = []


class _Worker:
    def __init__(self, command, place, number, cores, log):
        self._command = command
        self._environment = {
            # As many threads as in one process alone, on fewer cores: how sums
            # are cut into parts is then the same, and so is every accuracy.
            **dict.fromkeys(_THREAD_COUNTS, str(len(_cores()))),
            **os.environ,
            **Place(
                f"worker-{number + 1}", place.host, place.port, place.secret
            ).environment(),
            environment.PARENT: str(os.getpid()),
            # So that what was printed is in the file when a worker is killed.
            "PYTHONUNBUFFERED": "1",
        }
        self._cores = cores
        self._log = log
        self._early_ends = 0
        self._start("w")

    def _start(self, mode):
        self._started = time.monotonic()
        with self._log.open(mode) as log:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the chief, which ends its workers.
                start_new_session=True,
            )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, self._cores)

    def keep_alive(self):
        code = self.process.poll()
        if code in (None, 0):
            return
        # One that was killed, with a negative code, may be lucky next time.
        if code > 0 and time.monotonic() - self._started < _SOON:
            self._early_ends += 1
        else:
            self._early_ends = 0
        if self._early_ends == _MAX_EARLY_ENDS:
            lines = self._log.read_text(errors="replace").splitlines()
            raise RuntimeError(
                f"A worker ended {_MAX_EARLY_ENDS} times soon after its start, "
                f"with exit status {self.process.returncode}. The end of "
                f"{self._log}:\n" + "\n".join(lines[-15:])
            )
        self._start("a")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _share_of_cores(number, count):
    """The cores of a worker, as many as fall to it, at least one."""
    cores = _cores()
    return cores[number::count] or [cores[number % len(cores)]]


def _cores():
    # Not all systems tell which cores a process may use.
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count()))
