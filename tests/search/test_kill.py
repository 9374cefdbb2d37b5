"""Searches that are killed at any moment, resumed, and never differ."""

import numpy as np
import pytest

from tests import processes
from tests.search.toy import outcome
from tests.search.toy import search
from tests.search.toy import toy

pytestmark = pytest.mark.slow

SETTINGS = {
    "generations": 4, "popsize": 6, "tasks_per_generation": 2, "noise": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    tuner = toy(tmp_path_factory.mktemp("whole"), **SETTINGS)
    tuner.search(verbose=0)
    return tuner


def test_twenty_kills_at_random_moments(tmp_path, uninterrupted):
    rng = np.random.default_rng(0)
    # Half of the time passes between trials.
    slow = {**SETTINGS, "duration": 0.002}
    log = tmp_path / "log"
    kills, finished = 0, 0
    while kills < 20 or finished == 0:
        # Longer and longer, lest a slow machine never gets through.
        longest = 0.15 + 0.01 * kills
        directory = tmp_path / str(finished)
        process = processes.start(log, search, directory, slow)
        process.join(rng.uniform(0.02, longest))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
        else:
            assert process.exitcode == 0, log.read_text()
            finished += 1
    for k in range(finished + 1):
        rest = toy(tmp_path / str(k), **SETTINGS)
        assert k == finished or rest.oracle.finished
        rest.search(verbose=0)
        assert outcome(rest) == outcome(uninterrupted)
    assert "Traceback" not in log.read_text()


def test_a_kill_repeats_only_the_trial_that_ran(tmp_path, uninterrupted):
    trials = tmp_path / "trials"
    trials.touch()
    slow = {**SETTINGS, "duration": 0.02, "log": str(trials)}
    for count in (5, 17):
        process = processes.start(tmp_path / "log", search, tmp_path, slow)
        processes.wait_for_lines(trials, count)
        process.kill()
        process.join()
    process = processes.start(tmp_path / "log", search, tmp_path, slow)
    process.join(60)
    assert process.exitcode == 0
    lines = trials.read_text().splitlines()
    ran = [line.split(maxsplit=1)[1] for line in lines]
    assert len(ran) <= len(set(ran)) + 2
    rest = toy(tmp_path, **SETTINGS)
    assert rest.results() == uninterrupted.results()
