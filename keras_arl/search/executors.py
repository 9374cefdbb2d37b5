"""Where the jobs of a search run: here, in processes, or on a cluster."""

import concurrent.futures
import contextlib
import functools
import math
import sys

from keras_arl import checks
from keras_arl.search.dispatch import Dispatch
from keras_arl.search.job import merged
from keras_arl.search.processes import Processes


@contextlib.contextmanager
def ensure_executor(executor, evaluator, directory, **limits):
    """What runs jobs where `LossTuner.search(executor=...)` says.

    Args:
        executor: `None` for this process, an integer for so many processes on
            this machine, an object with the `submit` of
            `concurrent.futures.Executor`, or a `dask.distributed.Client`.
        evaluator: The `Evaluator`.
        directory: Directory of the search, for the logs of processes.
        **limits: Further arguments of `Dispatch`.

    Yields:
        A function from a generation's jobs, one a task, to an iterator of
        dictionaries from position to `Result`.

    Raises:
        ValueError: If `executor` is nothing of the kind.
    """
    if executor is None:
        yield functools.partial(_run_here, evaluator)
        return
    distributed = sys.modules.get("distributed")
    if isinstance(executor, int) and not isinstance(executor, bool):
        checks.check_at_least("executor", executor, 1)
        opened = Processes(executor, evaluator, directory)
    elif distributed is not None and isinstance(executor, distributed.Client):
        from keras_arl.search.dask_cluster import DaskCluster

        opened = DaskCluster(executor)
    elif callable(getattr(executor, "submit", None)):
        opened = _OfUser(executor)
    else:
        raise ValueError(
            "`executor` must be None, a number of processes, an object with "
            "`submit` as concurrent.futures.Executor has it, or a "
            f"dask.distributed.Client. Received: executor={executor!r}"
        )
    with opened:
        dispatch = Dispatch(opened, evaluator, **limits)
        together = evaluator.trains_tasks_together(here=False)
        yield lambda jobs: dispatch.run(
            _shared(jobs, opened.num_workers() or 1, together)
        )


def _run_here(evaluator, jobs):
    if evaluator.trains_tasks_together(here=True):
        jobs = merged(jobs, 1)
    for job in jobs:
        yield from evaluator.results(job)


def _shared(jobs, num_workers, together):
    """The jobs for so many workers.

    Args:
        jobs: One job for each task.
        num_workers: Number of workers.
        together: Whether a worker does best with all its tasks at once.
    """
    if together:
        jobs = merged(jobs, num_workers)
    # Where there are more workers than tasks.
    pieces = math.ceil(num_workers / max(len(jobs), 1))
    return [piece for job in jobs for piece in job.split(pieces)]


class _OfUser(contextlib.AbstractContextManager):
    """An executor that a user brings along, and ends."""

    capacity = math.inf

    def __init__(self, executor):
        self._executor = executor

    def submit(self, function, *args):
        try:
            return self._executor.submit(function, *args)
        except RuntimeError as error:
            # Broken, or shut down.
            self.check(error)
            raise

    def num_workers(self):
        # Of the standard library's pools, loky's and mpi4py's.
        return getattr(self._executor, "_max_workers", None)

    def cancel(self, future):
        future.cancel()

    def check(self, error):
        if isinstance(error, concurrent.futures.BrokenExecutor):
            raise RuntimeError(
                f"The executor is broken: {error}. With a new one the same "
                "program continues the search."
            ) from error

    def __exit__(self, *_):
        pass
