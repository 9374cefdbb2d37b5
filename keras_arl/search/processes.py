"""Processes on this machine that evaluate the jobs of a search."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pathlib
import pickle
import sys
import threading

import filelock
import pebble

from keras_arl.search.durable import open_no_link

# A network that is compiled leaves some megabytes behind in TensorFlow and JAX,
# and a job compiles at most one.
_JOBS_PER_WORKER = 200
# Of TensorFlow and of JAX: how sums are cut into parts depends on them.
_THREAD_COUNTS = ("TF_NUM_INTRAOP_THREADS", "NPROC")
_LINES_OF_LOG = 15


class Processes(contextlib.AbstractContextManager):
    """A pool of processes, begun anew when it breaks.

    pebble's pool loses nothing but a job when a worker dies at work, and can
    end a worker for one job's sake; the standard library's breaks, and loky's.
    A worker that dies without a job breaks pebble's, too.

    Args:
        count: Number of processes.
        evaluator: The `Evaluator` that they are going to be sent.
        directory: Where their output goes, to `worker-1.log` and so on.

    Raises:
        RuntimeError: If processes cannot be sent the task function.
    """

    def __init__(self, count, evaluator, directory):
        _check_can_be_sent(evaluator)
        self._count = count
        self._directory = pathlib.Path(directory).resolve()
        # One job at work and one that waits for each.
        self.capacity = 2 * count
        for number in range(count):
            _log(self._directory, number).unlink(missing_ok=True)
        self._begin()

    def _begin(self):
        self._pool = pebble.ProcessPool(
            self._count,
            max_tasks=_JOBS_PER_WORKER,
            initializer=_initialize,
            initargs=(str(self._directory), self._count, _cores()),
            context=multiprocessing.get_context("spawn"),
        )

    def submit(self, function, *args):
        """Returns a future of pebble's."""
        try:
            return self._pool.schedule(function, args)
        except RuntimeError as error:
            # So pebble says that the pool broke before.
            raise concurrent.futures.BrokenExecutor(str(error)) from error

    def num_workers(self):
        return self._count

    def cancel(self, future):
        """Gives up a job, and the worker that is at it."""
        future.cancel()

    def renew(self):
        """Ends all workers and starts others."""
        self._end()
        self._begin()

    def last_words(self):
        """The ends of the workers' logs, for an error."""
        logs = (_log(self._directory, k) for k in range(self._count))
        return "\n".join(
            f"The end of {log}:\n{_tail(log)}" for log in logs if log.exists()
        )

    def _end(self):
        self._pool.stop()
        self._pool.join()

    def __exit__(self, *_):
        self._end()


def _check_can_be_sent(evaluator):
    main = sys.modules["__main__"]
    try:
        pickled = pickle.dumps(evaluator)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise RuntimeError(
            "The task function cannot be sent to processes, which import it "
            f"by its name: {error}. Define it at the top of a module."
        ) from error
    if b"__main__" in pickled and not os.path.exists(
        getattr(main, "__file__", None) or ""
    ):
        raise RuntimeError(
            "Processes import the task function from a file, and this program "
            "has none (a notebook cell, or standard input). Move the function "
            "into a module, or search with executor=None."
        )


def _initialize(directory, count, cores):
    """Makes a worker of a new process."""
    parent = multiprocessing.parent_process()
    threading.Thread(
        target=lambda: (parent.join(), os._exit(1)), daemon=True
    ).start()
    number = _take_number(directory, count)
    with open(_log(directory, number), "ab", 0, opener=open_no_link) as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
            stream.reconfigure(line_buffering=True)
    # As many threads as in one process alone, on fewer cores: how sums are cut
    # into parts is then the same, and so is every accuracy.
    for name in _THREAD_COUNTS:
        os.environ.setdefault(name, str(len(cores)))
    if hasattr(os, "sched_setaffinity"):
        share = cores[number::count] or [cores[number % len(cores)]]
        os.sched_setaffinity(0, share)


_held = []


def _take_number(directory, count):
    """A number that no other worker has, as long as this process lives."""
    for number in range(count):
        lock = filelock.FileLock(
            pathlib.Path(directory, f".worker-{number + 1}.lock"), timeout=0
        )
        with contextlib.suppress(filelock.Timeout):
            lock.acquire()
            _held.append(lock)
            return number
    # One that is about to end still has its own.
    return count - 1


def _log(directory, number):
    return pathlib.Path(directory, f"worker-{number + 1}.log")


def _tail(log):
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(lines[-_LINES_OF_LOG:])


def _cores():
    # Not all systems tell which cores a process may use.
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count()))
