"""Searches that are killed at any moment, resumed, and never differ."""

import json

import numpy as np
import pytest

from tests import processes
from tests.search.toy import outcome
from tests.search.toy import search
from tests.search.toy import toy

pytestmark = pytest.mark.slow

SETTINGS = {"generations": 4, "popsize": 6, "tasks": 2, "noise": 0.3}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    tuner = toy(tmp_path_factory.mktemp("whole"), **SETTINGS)
    tuner.search(verbose=0)
    return outcome(tuner)


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
        assert outcome(rest) == uninterrupted
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("settings", [SETTINGS, {**SETTINGS, "tasks": 1}])
def test_a_kill_repeats_only_the_trial_that_ran(tmp_path, settings):
    trials = tmp_path / "trials"
    trials.touch()
    slow = {**settings, "duration": 0.02}
    args = (tmp_path, slow, trials)
    for count in (5, 17):
        process = processes.start(tmp_path / "log", search, *args)
        processes.wait_for_lines(trials, count)
        process.kill()
        process.join()
    process = processes.start(tmp_path / "log", search, *args)
    process.join(60)
    ran = trials.read_text().split()
    assert process.exitcode == 0
    assert len(ran) <= len(set(ran)) + 2
    assert len(set(ran)) == toy(tmp_path, **settings).oracle.max_trials
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    best = json.loads((tmp_path / "best.json").read_text())
    assert best == json.loads(json.dumps(outcome(whole)))
