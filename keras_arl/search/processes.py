"""Processes on this machine that evaluate the jobs of a search."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pathlib
import pickle
import signal
import sys
import threading

from keras_arl.search.durable import open_no_link

# A network that is compiled leaves some megabytes behind in TensorFlow and JAX,
# and a job compiles at most one.
_JOBS_PER_WORKER = 200
# A process that ends so often before it is ready will not do.
_MAX_STILLBORN = 3
# Of TensorFlow and of JAX: how sums are cut into parts depends on them.
_THREAD_COUNTS = ("TF_NUM_INTRAOP_THREADS", "NPROC")
_LINES_OF_LOG = 15


class Processes(contextlib.AbstractContextManager):
    """Worker processes, each of which is a pool of one of its own.

    A pool of the standard library breaks with all its jobs when one of its
    processes dies, and cannot end one for a job's sake. So each worker has its
    own pool, which breaks, or is ended, alone. (pebble's pool can do both, but
    waits for ever for a job whose worker dies as it begins.)

    Args:
        count: Number of processes.
        evaluator: The `Evaluator` that they are going to be sent.
        directory: Where their output goes, to `worker-1.log` and so on.

    Raises:
        RuntimeError: If processes cannot be sent the task function.
    """

    def __init__(self, count, evaluator, directory):
        _check_can_be_sent(evaluator)
        self._directory = pathlib.Path(directory).resolve()
        self._num_stillborn = 0
        self._workers = [
            _Worker(number, count, self._directory) for number in range(count)
        ]

    @property
    def capacity(self):
        """Number of jobs that can be at work."""
        return self.num_workers()

    def num_workers(self):
        """Number of workers that are ready, or at work.

        Raises:
            RuntimeError: If processes end again and again before they are.
        """
        for worker in self._workers:
            if worker.is_stillborn:
                self._num_stillborn += 1
                if self._num_stillborn == _MAX_STILLBORN:
                    raise RuntimeError(self._last_words())
                worker.end()
            if not worker.is_begun:
                worker.begin()
        ready = sum(worker.is_ready for worker in self._workers)
        if ready:
            self._num_stillborn = 0
        return ready

    def submit(self, function, *args):
        """Has a free worker call a function; returns a future, or `None`."""
        for worker in self._workers:
            if worker.is_ready and worker.is_free:
                with contextlib.suppress(concurrent.futures.BrokenExecutor):
                    return worker.submit(function, *args)
                # It died while it had no job.
                worker.end()
        return None

    def cancel(self, future):
        """Gives up a job and ends the worker that is at it."""
        for worker in self._workers:
            if worker.future is future:
                worker.end()

    def check(self, error):
        """Ends the pool of the worker that a job was lost with."""
        for worker in self._workers:
            if worker.is_broken:
                worker.end()

    def _last_words(self):
        logs = [worker.log for worker in self._workers if worker.log.exists()]
        ends = "\n".join(f"The end of {log}:\n{_tail(log)}" for log in logs)
        return (
            f"Processes ended {_MAX_STILLBORN} times before they were ready. "
            "Does the program call `search` under "
            '`if __name__ == "__main__":`, and can processes import what it '
            f"imports?\n{ends}"
        )

    def __exit__(self, *_):
        for worker in self._workers:
            worker.end()


class _Worker:
    """A process and its pool, begun anew when it is broken or worn."""

    def __init__(self, number, count, directory):
        self._number, self._count = number, count
        self.log = directory / f"worker-{number + 1}.log"
        self.log.unlink(missing_ok=True)
        self._pool, self._process = None, None
        self._answer, self.future = None, None
        self.begin()

    def begin(self):
        """Starts a process, and ends the one before."""
        self.end()
        self._pool = concurrent.futures.ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_initialize,
            initargs=(str(self.log), self._number, self._count, _cores()),
        )
        before = multiprocessing.active_children()
        # Its answer says that the process is ready.
        self._answer = self._pool.submit(os.getpid)
        now = multiprocessing.active_children()
        self._process = next((p for p in now if p not in before), None)
        self._num_jobs = 0
        self.future = None

    def end(self):
        """Ends the process, whatever it is doing."""
        if self._pool is None:
            return
        if self._process is not None:
            self._process.kill()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool, self.future = None, None

    @property
    def is_begun(self):
        """Whether there is a process, ready or not."""
        return self._pool is not None

    @property
    def is_ready(self):
        """Whether the process has come to life."""
        return self._answered and self._answer.exception() is None

    @property
    def is_stillborn(self):
        """Whether the process ended before it was ready."""
        return self._answered and self._answer.exception() is not None

    @property
    def _answered(self):
        return self.is_begun and self._answer.done()

    @property
    def is_free(self):
        """Whether it has no job."""
        return self.future is None or self.future.done()

    @property
    def is_broken(self):
        """Whether the process died with its job."""
        return (
            self.future is not None
            and self.future.done()
            and isinstance(
                self.future.exception(), concurrent.futures.BrokenExecutor
            )
        )

    def submit(self, function, *args):
        """Has the process call a function; returns a future."""
        if self._num_jobs == _JOBS_PER_WORKER:
            self.begin()
        self._num_jobs += 1
        self.future = self._pool.submit(function, *args)
        return self.future


def _check_can_be_sent(evaluator):
    main = sys.modules["__main__"]
    try:
        pickled = pickle.dumps(evaluator)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise RuntimeError(
            "The task function cannot be sent to processes, which import it "
            f"by its name: {error}. Define it at the top of a module."
        ) from error
    # A notebook has no name; that of standard input, which processes would
    # import first, is no file.
    file = getattr(main, "__file__", None)
    if (file or b"__main__" in pickled) and not os.path.exists(file or ""):
        raise RuntimeError(
            "Processes import the program, or the task function, from a file, "
            "and there is none (a notebook cell, or standard input). Move the "
            "program, or of a notebook the function, into a module, or search "
            "with executor=None."
        )


def _initialize(log, number, count, cores):
    """Makes a worker of a new process."""
    # Ctrl-C is the driver's, which ends its workers; they end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(
        target=lambda: (parent.join(), os._exit(1)), daemon=True
    ).start()
    with open(log, "ab", 0, opener=open_no_link) as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
            stream.reconfigure(line_buffering=True)
    # As many threads as in one process alone, on fewer cores: how sums are cut
    # into parts is then the same, and so is every accuracy.
    for name in _THREAD_COUNTS:
        os.environ.setdefault(name, str(len(cores)))
    if hasattr(os, "sched_setaffinity"):
        share = cores[number::count] or [cores[number % len(cores)]]
        os.sched_setaffinity(0, share)


def _tail(log):
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(lines[-_LINES_OF_LOG:])


def _cores():
    # Not all systems tell which cores a process may use.
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count()))
