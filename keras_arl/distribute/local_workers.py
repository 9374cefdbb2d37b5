"""Workers of a search on this machine."""

import contextlib
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import time

from keras_arl.distribute import environment
from keras_arl.distribute.environment import Place

# A worker that ends so often while no trial of the search does will not do. One
# that is killed may do so more often: a trial that none survives takes some.
_MAX_ENDS, _MAX_KILLS = 3, 9
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0
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
        for number in range(self._count):
            worker = _Worker(
                self._command,
                self.place,
                number,
                _share_of_cores(number, self._count),
                pathlib.Path(directory, f"worker-{number + 1}.log"),
            )
            self._workers.append(worker)
            worker.start()

    def keep_alive(self, num_ended):
        """Starts workers again that have ended.

        Args:
            num_ended: Number of trials of the search that have ended.

        Raises:
            RuntimeError: If one of them ends again and again.
        """
        for worker in self._workers:
            worker.keep_alive(num_ended)

    def stop(self):
        """Ends the workers."""
        processes = [w.process for w in self._workers if w.process is not None]
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
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
        self.process = None
        # When it is to be started, if it has ended.
        self._next_start = None
        self._pause = _FIRST_PAUSE
        # How often it ended since a trial of the search did.
        self._num_ends = 0
        self._num_ended = 0

    def start(self):
        """Starts the process, with a log of its own."""
        self._log.unlink(missing_ok=True)
        self._start()

    def _start(self):
        self._next_start = None
        with open(self._log, "ab", opener=_open_no_link) as log:
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
            # It may have ended already.
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(self.process.pid, self._cores)

    def keep_alive(self, num_ended):
        """As `LocalWorkers.keep_alive`."""
        code = self.process.poll()
        if code is None:
            return
        if self._next_start is None:
            self._note_end(code, num_ended)
        elif time.monotonic() >= self._next_start:
            self._start()

    def _note_end(self, code, num_ended):
        if num_ended > self._num_ended:
            self._num_ends, self._pause = 0, _FIRST_PAUSE
        self._num_ended = num_ended
        self._num_ends += 1
        if self._num_ends == (_MAX_KILLS if code < 0 else _MAX_ENDS):
            lines = self._log.read_text(errors="replace").splitlines()
            raise RuntimeError(
                f"A worker ended {self._num_ends} times while no trial did, "
                f"now with exit status {code}. The end of {self._log}:\n"
                + "\n".join(lines[-15:])
            )
        self._next_start = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _open_no_link(path, flags):
    # A link may lead anywhere.
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


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
