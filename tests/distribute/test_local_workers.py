"""Workers that a program starts for itself."""

import contextlib
import json
import os
import pathlib
import signal
import sys
import time

import psutil
import pytest

from keras_arl.distribute import LocalWorkers
from keras_arl.distribute.local_workers import _share_of_cores
from tests import processes
from tests.search.toy import outcome
from tests.search.toy import toy

pytestmark = pytest.mark.slow

SETTINGS = {"generations": 3, "popsize": 4, "noise": 0.3}
PROGRAM = """
import json, pathlib, signal, sys
from keras_arl import distribute
from tests.search.toy import outcome, toy
signal.signal(signal.SIGINT, signal.default_int_handler)
settings, duration = json.loads(sys.argv[1]), float(sys.argv[2])
tuner = toy("search", duration=duration, lease=2.0, **settings)
tuner.search(workers=distribute.LocalWorkers(2))
if not distribute.is_worker():
    pathlib.Path("best.json").write_text(json.dumps(outcome(tuner)))
"""


@contextlib.contextmanager
def started(directory, settings, duration):
    (directory / "program.py").write_text(PROGRAM)
    environment = {
        **os.environ,
        "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
    }
    with (
        (directory / "log").open("a") as log,
        processes.program(
            [sys.executable, "program.py", json.dumps(settings), str(duration)],
            cwd=directory,
            stdout=log,
            stderr=log,
            env=environment,
        ) as process,
    ):
        yield process


def workers_of(process):
    return psutil.Process(process.pid).children()


def lines(directory):
    """Lines of the search's files: a trial each, and a header a stage."""
    return sum(
        path.read_bytes().count(b"\n")
        for path in directory.glob("search/loss_search/*.jsonl")
    )


def test_workers_live_and_die_with_the_chief(tmp_path):
    settings = {**SETTINGS, "generations": 6}
    with started(tmp_path, settings, 0.3) as process:
        processes.wait_for(lambda: lines(tmp_path) >= 3, 120)
        first, second = workers_of(process)
        assert first.cpu_affinity() == _share_of_cores(0, 2)
        # One that is killed is started again.
        first.kill()
        (again,) = processes.wait_for(
            lambda: set(workers_of(process)) - {first, second}
        )
    # The chief is killed, and they leave.
    assert psutil.wait_procs([second, again], timeout=60)[1] == []
    with started(tmp_path, settings, 0.0) as rest:
        assert rest.wait(120) == 0, (tmp_path / "log").read_text()
    whole = toy(tmp_path / "whole", **settings)
    whole.search(verbose=0)
    best = json.loads((tmp_path / "best.json").read_text())
    assert best == json.loads(json.dumps(outcome(whole)))


def test_ctrl_c_ends_the_workers(tmp_path):
    with started(tmp_path, SETTINGS, 1000.0) as process:
        worker_log = tmp_path / "search/loss_search/worker-2.log"
        processes.wait_for(worker_log.exists, 120)
        time.sleep(1.0)
        workers = workers_of(process)
        assert len(workers) == 2
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert not any(worker.is_running() for worker in workers)


def test_workers_that_cannot_live_end_the_search(tmp_path):
    tuner = toy(tmp_path, **SETTINGS)
    for program, message in (
        ("raise SystemExit('no such module')", "3 .*status 1.*no such module"),
        ("print('nothing to do')", "3 .*status 0.*nothing to do"),
        ("import os; os.kill(os.getpid(), 11)", "9 .*status -11"),
    ):
        workers = LocalWorkers(1, [sys.executable, "-c", program])
        with pytest.raises(RuntimeError, match=rf"(?s)ended {message}"):
            tuner.search(verbose=0, workers=workers)


def test_no_worker_stays_when_one_cannot_start(tmp_path):
    tuner = toy(tmp_path, **SETTINGS)
    (tmp_path / "loss_search" / "worker-2.log").mkdir(parents=True)
    command = [sys.executable, "-c", "import time; time.sleep(1000)"]
    with pytest.raises(OSError, match=r"worker-2\.log"):
        tuner.search(verbose=0, workers=LocalWorkers(2, command))
    assert psutil.Process().children() == []


def test_a_log_is_no_way_out_of_the_directory(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    tuner = toy(tmp_path, **SETTINGS)
    (tmp_path / "loss_search").mkdir()
    (tmp_path / "loss_search" / "worker-1.log").symlink_to(victim)
    with pytest.raises(RuntimeError, match="ended 3 times"):
        tuner.search(verbose=0, workers=LocalWorkers(1, ["false"]))
    assert victim.read_text() == "precious"


def test_a_finished_search_starts_no_workers(tmp_path):
    toy(tmp_path, **SETTINGS).search(verbose=0)
    again = toy(tmp_path, **SETTINGS)
    again.search(verbose=0, workers=LocalWorkers(2, ["no such program"]))
    assert again.oracle.finished
    assert not list(tmp_path.glob("*/worker*"))


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_cores_are_divided(monkeypatch, count):
    cores = {1, 2, 5, 6, 8}
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda pid: cores, raising=False
    )
    shares = [_share_of_cores(number, count) for number in range(count)]
    assert set().union(*shares) == cores
    assert all(shares)
    if count <= len(cores):
        assert sum(map(len, shares)) == len(cores)


def test_invalid_counts():
    with pytest.raises(ValueError, match="`count` must be at least 1"):
        LocalWorkers(0)
