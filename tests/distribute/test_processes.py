"""Chiefs and workers as real processes, killed, stopped and started again."""

import json
import os
import signal
import threading
import time

import pytest

from keras_arl.distribute import Place
from keras_arl.distribute.local_workers import _free_port
from tests import processes
from tests.search.toy import outcome
from tests.search.toy import search
from tests.search.toy import toy

pytestmark = pytest.mark.slow

SETTINGS = {"generations": 4, "popsize": 6, "tasks": 2, "noise": 0.3}
SLOW = {**SETTINGS, "duration": 0.03, "lease": 1.0}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    tuner = toy(tmp_path_factory.mktemp("alone"), **SETTINGS)
    tuner.search(verbose=0)
    return json.loads(json.dumps(outcome(tuner)))


class Cluster:
    """Processes of a search, which share its directory and a port."""

    def __init__(self, directory, settings):
        self.directory = directory
        self.settings = settings
        self.port = _free_port()
        # A line for each trial that begins.
        self.trials = directory / "trials"
        self.trials.touch()
        self.processes = []

    def start(self, tuner_id, target=search, **settings):
        environment = Place(tuner_id, "127.0.0.1", self.port).environment()
        process = processes.start(
            self.log(tuner_id),
            target,
            self.directory,
            {**self.settings, **settings},
            self.trials,
            **environment,
        )
        self.processes.append(process)
        return process

    def log(self, tuner_id):
        return self.directory / f"{tuner_id}.log"

    def wait_for_trials(self, count):
        processes.wait_for_lines(self.trials, count)

    @property
    def ran(self):
        return self.trials.read_text().split()

    def finish(self, *started, seconds=60):
        for process in started:
            process.join(seconds)
            assert process.exitcode == 0, {
                path.name: path.read_text()[-2000:]
                for path in self.directory.glob("*.log")
            }
        return json.loads((self.directory / "best.json").read_text())


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, SLOW)
    with processes.killed_at_the_end() as started:
        cluster.processes = started
        yield cluster


def test_three_workers_find_what_one_process_finds(cluster, alone):
    workers = [cluster.start(f"worker-{k}") for k in range(3)]
    # They wait for the chief.
    time.sleep(0.3)
    chief = cluster.start("chief")
    assert cluster.finish(chief, *workers) == alone
    # Nothing was run twice.
    assert len(cluster.ran) == len(set(cluster.ran))
    printed = cluster.log("chief").read_text()
    assert "Generation 4/4" in printed
    assert "Selection on fresh tasks" in printed
    assert "failed" not in printed
    for k in range(3):
        assert "Generation" not in cluster.log(f"worker-{k}").read_text()


def test_a_search_moves_between_one_process_and_many(cluster, alone):
    part = toy(cluster.directory, stop_after=15, **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        part.search(verbose=0)
    chief, worker = cluster.start("chief"), cluster.start("worker")
    cluster.wait_for_trials(15)
    chief.kill()
    worker.kill()
    chief.join()
    rest = toy(cluster.directory, **SETTINGS)
    rest.search(verbose=0)
    assert len(rest.ran) < rest.oracle.max_trials - 15
    assert json.loads(json.dumps(outcome(rest))) == alone


def test_a_worker_that_is_killed_loses_nothing(cluster, alone):
    chief = cluster.start("chief")
    workers = [cluster.start(f"worker-{k}") for k in range(2)]
    for k in range(3):
        victim = cluster.start(f"victim-{k}", duration=1000.0)
        log = len(cluster.ran)
        cluster.wait_for_trials(log + 3)
        victim.kill()
    assert cluster.finish(chief, *workers) == alone
    # Only the trials that were lost, at most, were run again.
    assert len(cluster.ran) <= len(set(cluster.ran)) + 3


def test_a_chief_that_is_killed_goes_on(cluster, alone):
    chief = cluster.start("chief")
    workers = [cluster.start(f"worker-{k}") for k in range(3)]
    for count in (7, 23, 40):
        cluster.wait_for_trials(count)
        chief.kill()
        chief.join()
        time.sleep(0.4)
        chief = cluster.start("chief")
    assert cluster.finish(chief, *workers) == alone
    # What workers did meanwhile was taken.
    assert len(cluster.ran) <= len(set(cluster.ran)) + 9


def test_a_worker_that_returns_after_its_lease(cluster, alone):
    chief = cluster.start("chief", duration=0.1)
    sleeper = cluster.start("sleeper", duration=0.1)
    cluster.wait_for_trials(1)
    os.kill(sleeper.pid, signal.SIGSTOP)
    worker = cluster.start("worker", duration=0.1)
    # The whole generation waits for the lease.
    cluster.wait_for_trials(14)
    os.kill(sleeper.pid, signal.SIGCONT)
    assert cluster.finish(chief, sleeper, worker) == alone
    assert cluster.ran.count("00") == 2


def test_workers_come_and_go(cluster, alone):
    chief = cluster.start("chief")
    first = cluster.start("worker-0")
    cluster.wait_for_trials(10)
    others = [cluster.start(f"worker-{k}") for k in (1, 2)]
    cluster.wait_for_trials(20)
    os.kill(first.pid, signal.SIGTERM)
    first.join()
    # The same name again.
    others.append(cluster.start("worker-0"))
    assert cluster.finish(chief, *others) == alone


def test_a_worker_with_other_settings_is_refused(cluster, alone):
    chief = cluster.start("chief")
    other = cluster.start("other", popsize=7)
    other.join(30)
    assert other.exitcode == 1
    error = cluster.log("other").read_text().splitlines()[-1]
    assert "runs a search with other settings: popsize=6 there, 7" in error
    worker = cluster.start("worker")
    assert cluster.finish(chief, worker) == alone


def test_a_worker_takes_a_drawn_seed_from_the_chief(cluster):
    chief = cluster.start("chief", seed=None)
    worker = cluster.start("worker", seed=None)
    found = cluster.finish(chief, worker)
    seed = toy(cluster.directory, **{**SETTINGS, "seed": None}).oracle.seed
    whole = toy(cluster.directory / "whole", **{**SETTINGS, "seed": seed})
    whole.search(verbose=0)
    assert found == json.loads(json.dumps(outcome(whole)))


def test_a_worker_without_a_chief_gives_up(cluster):
    worker = cluster.start("worker", chief_timeout=0.5)
    worker.join(30)
    assert worker.exitcode == 1
    error = cluster.log("worker").read_text().splitlines()[-1]
    assert error.startswith("ConnectionError: The chief at 127.0.0.1:")


def test_a_second_chief_is_refused(cluster):
    cluster.start("chief")
    processes.wait_for((cluster.directory / "loss_search").exists)
    second = cluster.start("chief-2")
    second.join(30)
    assert second.exitcode == 1
    error = cluster.log("chief-2").read_text().splitlines()[-1]
    assert "Another process is searching" in error


def test_a_chief_of_a_finished_search_tells_so_and_ends(cluster, alone):
    tuner = toy(cluster.directory, **SETTINGS)
    tuner.search(verbose=0)
    chief, worker = cluster.start("chief"), cluster.start("worker")
    assert cluster.finish(chief, worker) == alone
    assert cluster.ran == []


def search_whose_thread_stays(directory, settings, trials):
    """Its search ends with an error, and its process does not."""
    threading.Thread(target=time.sleep, args=(1000.0,)).start()
    search(directory, {**settings, "stop_after": 2}, trials)


def test_a_process_that_stays_after_its_search_keeps_no_trial(cluster, alone):
    chief = cluster.start("chief")
    staying = cluster.start("staying", search_whose_thread_stays)
    cluster.wait_for_trials(2)
    worker = cluster.start("worker")
    assert cluster.finish(chief, worker) == alone
    assert staying.is_alive()


def failing_search(directory, settings, trials):
    search(directory, {**settings, "fail": _in_generation_one}, trials)


def _in_generation_one(values):
    return values["generation"] == 1


def test_a_generation_that_fails_ends_all_processes(cluster):
    started = [
        cluster.start(tuner_id, failing_search, duration=0.2)
        for tuner_id in ("chief", "worker-0", "worker-1")
    ]
    chief, *workers = started
    for process in started:
        process.join(30)
    printed = cluster.log("chief").read_text()
    assert chief.exitcode == 1
    assert "Every candidate of generation 1 failed" in printed
    assert 'in run_trial\n    raise ValueError(f"boom' in printed
    assert [worker.exitcode for worker in workers] == [0, 0]


def search_that_is_stuck(directory, settings, trials):
    """Its first trial heeds no time limit."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    search(directory, {**settings, "duration": 1000.0}, trials)


def test_a_trial_that_is_stuck_ends_its_worker(cluster):
    # Two seconds are for the machine to be slow in.
    limits = {"trial_timeout": 2.0, "lease": 0.5}
    chief = cluster.start("chief", **limits)
    stuck = cluster.start("stuck", search_that_is_stuck, **limits)
    cluster.wait_for_trials(1)
    worker = cluster.start("worker", **limits)
    stuck.join(30)
    assert stuck.exitcode == 1
    cluster.finish(chief, worker)
    results = toy(cluster.directory, **SETTINGS).results()
    failed = [row for row in results if row["status"] == "FAILED"]
    assert [row["trial_id"] for row in failed] == ["00"]
    printed = cluster.log("chief").read_text()
    assert "\nTrial 00 failed: TimeoutError: the trial took" in printed
    assert "could not be interrupted" in failed[0]["message"]
