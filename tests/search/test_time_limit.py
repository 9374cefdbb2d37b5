import concurrent.futures
import dataclasses
import functools
import signal
import time

import keras
import pytest

from keras_arl.search import TaylorSpace
from keras_arl.search import time_limit
from keras_arl.search.evaluate import Evaluator
from keras_arl.search.job import Job
from keras_arl.training.trainer import Trainer
from tests.search.test_tuner import points
from tests.search.toy import ToyTrainer
from tests.search.toy import toy

pytestmark = pytest.mark.slow


def test_it_interrupts_what_takes_too_long():
    before = time.monotonic()
    with pytest.raises(TimeoutError, match=r"trial_timeout=0\.1 s"):
        time_limit.run(lambda: time.sleep(30), 0.1)
    assert time.monotonic() - before < 5


def test_it_is_no_exception_that_the_interrupted_takes_for_its_own():
    def stubborn():
        try:
            time.sleep(30)
        except Exception:
            pytest.fail("it was caught")

    with pytest.raises(TimeoutError):
        time_limit.run(stubborn, 0.1)


def test_it_leaves_nothing_behind():
    handler = signal.getsignal(signal.SIGALRM)
    for seconds in (None, 30.0):
        assert time_limit.run(lambda: 7, seconds) == 7
    with pytest.raises(KeyError):
        time_limit.run(lambda: {}["x"], 30.0)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is handler


def test_an_end_at_the_limit_is_one_or_the_other():
    # Whatever the signal interrupts, no other exception comes of it.
    outcomes = set()
    for k in range(4000):
        try:
            time_limit.run(functools.partial(time.sleep, 1e-5 * (k % 30)), 2e-4)
        except TimeoutError:
            outcomes.add("late")
        else:
            outcomes.add("in time")
    assert outcomes == {"late", "in time"}


def test_it_interrupts_threads_too():
    """In which no signal comes, as in Dask's workers."""

    def forever():
        while True:
            time.sleep(0.01)

    def sleeping(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.01)
        return "awake"

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            late = pool.submit(time_limit.run, forever, 0.1)
            with pytest.raises(TimeoutError, match=r"trial_timeout=0\.1 s"):
                late.result(30)
            # The thread goes on as if nothing had been.
            assert pool.submit(time_limit.run, lambda: 7, 0.1).result(30) == 7
        # No interruption that is repeated comes after the end.
        later = 2.5 * time_limit._REPEAT_SECONDS
        assert pool.submit(sleeping, later).result(30) == "awake"


def test_trials_that_take_too_long_fail_and_the_search_goes_on(tmp_path):
    class Slow(ToyTrainer):
        def hold(self, task, loss):
            if len(self.ran) == 3:
                time.sleep(30)

    tuner = toy(tmp_path, Slow(), generations=2, popsize=4, trial_timeout=3.0)
    tuner.search(verbose=0)
    (failed,) = (row for row in tuner.results() if row["status"] == "FAILED")
    assert failed["message"].startswith("Traceback")
    assert "time.sleep(30)" in failed["message"]
    assert "longer than trial_timeout=3 s" in failed["message"]
    assert None in tuner.oracle.history()[0]["fitness"]


class Pausing(keras.layers.Layer):
    """Stops for long in the calls that it is told to."""

    pauses = ()
    calls = 0

    def call(self, x):
        # Runs when the model is traced.
        Pausing.calls += 1
        if Pausing.calls in Pausing.pauses:
            time.sleep(30)
        return x


def test_a_training_that_is_interrupted_leaves_the_others_as_they_are(
    monkeypatch,
):
    def build_model():
        return keras.Sequential(
            [keras.Input((2,)), Pausing(), keras.layers.Dense(2)]
        )

    def task(seed):
        # Traced anew for each training.
        return dataclasses.replace(points(seed, build_model), architecture=None)

    space = TaylorSpace(2)
    good = tuple(space.starting_point("linear"))
    other = tuple(0.5 * number for number in good)

    def results(candidates, pauses):
        monkeypatch.setattr(Pausing, "pauses", pauses)
        monkeypatch.setattr(Pausing, "calls", 0)
        limit = 8.0 if pauses else 60.0
        evaluator = Evaluator(task, space, Trainer(), 1, limit)
        positions = tuple(range(len(candidates)))
        job = Job((0,) * len(candidates), candidates, positions)
        found = {
            k: v for some in evaluator.results(job) for k, v in some.items()
        }
        return [found[k] for k in positions]

    (whole,) = results((good,), ())
    # The last call but one traces the step of a training.
    late, part = results((other, good), (Pausing.calls - 1,))
    assert "longer than trial_timeout=8 s" in late.message
    assert part == whole
    assert part.score is not None
