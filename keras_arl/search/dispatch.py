"""Jobs out, results in: what a search does against workers that fail it.

A training that fails is a result. What is met here is the rest: a worker that
dies, a job without an answer, and nobody who works.
"""

import collections
import concurrent.futures
import queue
import time
import traceback

import keras_tuner

from keras_arl.search.evaluate import evaluate
from keras_arl.search.job import Result

# A job of one candidate that is lost so often is given up.
_MAX_LOST = 3
# For a worker to start in and for a job to travel, beyond the trials' time.
_GRACE_SECONDS = 60.0
_TELL_SECONDS = 60.0
_LONGEST_WITHOUT_WORKERS = 3600.0
_POLL_SECONDS = 0.5


class Dispatch:
    """Has an executor evaluate jobs, whatever happens to its workers.

    Args:
        executor: What has `submit`, `capacity`, `num_workers`, `cancel` and
            `check`, such as `processes.Processes`.
        evaluator: An `Evaluator`.
        trial_timeout: Seconds that a trial may take, or `None`.
        job_timeout: Seconds without any answer after which jobs are submitted
            again where `trial_timeout` is `None`.
        tell: Function of a line of text for the user.
    """

    def __init__(self, executor, evaluator, trial_timeout, job_timeout, tell):
        self._executor = executor
        self._evaluator = evaluator
        self._trial_timeout = trial_timeout
        self._job_timeout = job_timeout
        self._tell = tell
        self._ended = queue.SimpleQueue()
        # From a future to its job and when it was submitted.
        self._running = {}
        self._waiting = collections.deque()
        self._last_answer = time.monotonic()
        self._last_look = -float("inf")
        self._last_worker = time.monotonic()
        self._last_told = time.monotonic()

    def run(self, jobs):
        """Evaluates jobs.

        Args:
            jobs: A list of `Job`.

        Yields:
            A dictionary from position to `Result`, of each job as it ends.

        Raises:
            RuntimeError: If workers do not live, or none comes.
        """
        self._waiting.extend(jobs)
        self._last_answer = time.monotonic()
        try:
            while self._waiting or self._running:
                self._look_for_workers()
                self._submit()
                try:
                    future = self._ended.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    yield from self._meet_silence()
                    continue
                if future in self._running:
                    yield from self._take(future)
        finally:
            for future in self._running:
                self._executor.cancel(future)
            self._running.clear()
            self._waiting.clear()

    def _submit(self):
        while self._waiting and len(self._running) < self._executor.capacity:
            job = self._waiting[0]
            future = self._executor.submit(evaluate, self._evaluator, job)
            if future is None:
                return
            self._waiting.popleft()
            self._running[future] = job, time.monotonic()
            future.add_done_callback(self._ended.put)

    def _take(self, future):
        """The results of a job that has ended, if it has any."""
        job, _ = self._running.pop(future)
        try:
            results = future.result(timeout=_GRACE_SECONDS)
        except keras_tuner.errors.FatalError:
            raise
        except (Exception, concurrent.futures.CancelledError) as error:
            self._executor.check(error)
            yield from self._lose(job, _reason(error))
            return
        self._last_answer = time.monotonic()
        yield results

    def _lose(self, job, reason):
        """Has a lost job run again, or gives it up."""
        jobs = job.lost()
        if jobs[0].num_lost < _MAX_LOST:
            self._waiting.extendleft(reversed(jobs))
            return
        message = (
            f"lost {_MAX_LOST} times: its worker died or gave no answer, as "
            "when it is killed for its memory or hangs where Python cannot "
            f"interrupt it. The last time: {reason}"
        )
        failed = Result(None, message, raised=True)
        yield dict.fromkeys(job.positions, failed)

    def _meet_silence(self):
        """Gives up jobs that have been without an answer for too long."""
        now = time.monotonic()
        silent = [
            (future, job)
            for future, (job, submitted) in self._running.items()
            if now - max(submitted, self._last_answer) > self._limit(job)
        ]
        for future, job in silent:
            del self._running[future]
            self._executor.cancel(future)
            reason = f"no answer within {self._limit(job):g} s"
            self._tell(f"A job of {len(job.positions)} trials: {reason}.")
            yield from self._lose(job, reason)

    def _limit(self, job):
        if self._trial_timeout is None:
            return self._job_timeout
        return len(job.positions) * self._trial_timeout + _GRACE_SECONDS

    def _look_for_workers(self):
        now = time.monotonic()
        if now - self._last_look < _POLL_SECONDS:
            return
        self._last_look = now
        if self._executor.num_workers() != 0:
            self._last_worker = self._last_told = now
            return
        # What waits for a worker is not late.
        self._last_answer = now
        waited = now - self._last_worker
        if waited > _LONGEST_WITHOUT_WORKERS:
            raise RuntimeError(
                f"No worker came for {waited:.0f} s. The same program "
                "continues the search."
            )
        if now - self._last_told > _TELL_SECONDS:
            self._last_told = now
            self._tell(f"There has been no worker for {waited:.0f} s.")


def _reason(error):
    lines = "".join(traceback.format_exception_only(error)).strip()
    return lines.partition("\n")[0]
