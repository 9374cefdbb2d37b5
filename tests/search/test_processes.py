"""Searches in processes of this machine, and what may happen to them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from keras_arl.search import CMAESOracle
from keras_arl.search import LossTuner
from keras_arl.search import dispatch
from keras_arl.search import processes as search_processes
from keras_arl.tasks import ArchitectureConfig
from keras_arl.tasks import TaskFamily
from keras_arl.tasks import TaskSpace
from tests import processes
from tests.search.hostile import BackendTrainer
from tests.search.hostile import HostileTrainer
from tests.search.hostile import LeakingTrainer
from tests.search.toy import QUICK_WORKERS
from tests.search.toy import ToyTrainer
from tests.search.toy import outcome
from tests.search.toy import toy

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick_workers(request, monkeypatch):
    if "real" not in request.node.name:
        for name, value in QUICK_WORKERS.items():
            monkeypatch.setenv(name, value)


SETTINGS = {
    "generations": 2, "popsize": 6, "tasks_per_generation": 2,
    "selection_tasks": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    tuner = toy(tmp_path_factory.mktemp("alone"), noise=0.3, **SETTINGS)
    tuner.search(verbose=0)
    return tuner


@pytest.fixture(scope="module")
def poison(alone):
    """Task seed and coefficients of a trial of the first generation."""
    return alone.trainer.ran[3]


def workers_of(pid):
    workers = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                workers.append(child)
    return workers


@pytest.mark.parametrize("count", [2, 4])
def test_processes_find_what_one_finds_with_as_many_threads(
    tmp_path, alone, count
):
    tuner = toy(tmp_path, BackendTrainer(noise=0.3), **SETTINGS)
    tuner.search(verbose=0, executor=count)
    assert outcome(tuner) == outcome(alone)
    assert tuner.results() == alone.results()
    assert tuner.trainer.ran == []
    # Of those that had come to life before all was done.
    logs = list(tmp_path.glob("loss_search/worker-*.log"))
    names = {f"worker-{k + 1}.log" for k in range(count)}
    assert {log.name for log in logs} <= names
    lines = set()
    for log in logs:
        lines |= set(re.findall("^threads.*$", log.read_text(), re.MULTILINE))
    (line,) = lines
    expected = str(len(os.sched_getaffinity(0)))
    assert line.split()[2:] == [
        os.environ.get(name, expected)
        for name in ("TF_NUM_INTRAOP_THREADS", "NPROC")
    ]


def test_real_trainings_score_the_same_in_processes(tmp_path):
    # One program for all trainings of a process, which takes seconds to make.
    space = TaskSpace(
        architectures=(ArchitectureConfig("mlp", (8,), "relu", False, 0.0),),
        num_train=100,
        epochs=(1,),
        optimizers=(("sgd", 0.1),),
    )

    def tuner(name):
        oracle = CMAESOracle(
            generations=1, popsize=4, tasks_per_generation=2,
            selection_tasks=1, seed=0,
        )  # fmt: skip
        return LossTuner(
            oracle,
            TaskFamily(space),
            directory=tmp_path / name,
            baseline=False,
        )

    here, there = tuner("here"), tuner("there")
    here.search(verbose=0)
    there.search(verbose=0, executor=2)
    assert there.results() == here.results()
    assert outcome(there) == outcome(here)


@pytest.mark.parametrize("deed", ["kill", "hang in C"])
def test_a_trial_that_ends_its_worker_once_costs_nothing(
    tmp_path, monkeypatch, alone, poison, deed
):
    # So that it is the trial's own limit that ends it.
    monkeypatch.setattr(dispatch, "_GRACE_SECONDS", 1000.0)
    once = tmp_path / "once"
    trainer = HostileTrainer(poison, deed, str(once), noise=0.3)
    limit = None if deed == "kill" else 1.0
    tuner = toy(tmp_path, trainer, trial_timeout=limit, **SETTINGS)
    tuner.search(verbose=0, executor=2)
    assert once.exists()
    assert outcome(tuner) == outcome(alone)


@pytest.mark.parametrize("deed", ["kill", "hang"])
def test_a_trial_that_kills_or_hangs_again_and_again_fails_alone(
    tmp_path, poison, deed
):
    trainer = HostileTrainer(poison, deed, noise=0.3)
    limit = None if deed == "kill" else 1.0
    tuner = toy(tmp_path, trainer, trial_timeout=limit, **SETTINGS)
    tuner.search(verbose=0, executor=1)
    assert tuner.oracle.finished
    failed = [row for row in tuner.results() if row["status"] == "FAILED"]
    reason = "trial_timeout=1 s" if deed == "hang" else "lost 3 times"
    assert [reason in row["message"] for row in failed] == [True]
    assert psutil.wait_procs(workers_of(os.getpid()), timeout=10)[1] == []


def test_a_worker_that_stops_is_missed(tmp_path, monkeypatch, alone, poison):
    monkeypatch.setattr(dispatch, "_GRACE_SECONDS", 6.0)
    once = tmp_path / "once"
    trainer = HostileTrainer(poison, "stop", str(once), noise=0.3)
    tuner = toy(tmp_path, trainer, job_timeout=6.0, **SETTINGS)
    tuner.search(verbose=0, executor=2)
    assert once.exists()
    assert outcome(tuner) == outcome(alone)


def test_a_worker_that_leaks_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(search_processes, "_JOBS_PER_WORKER", 3)
    tuner = toy(tmp_path, LeakingTrainer(), **SETTINGS)
    tuner.search(verbose=0, executor=1)
    log = (tmp_path / "loss_search" / "worker-1.log").read_text()
    leaked = [int(number) for number in re.findall(r"leaked (\d+)", log)]
    assert len(leaked) == tuner.oracle.max_trials
    assert max(leaked) <= 3 * SETTINGS["popsize"] < len(leaked)


PROGRAM = """
import json, pathlib, signal, sys
from tests.search import toy
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = json.loads(sys.argv[1])
    toy.search("search", settings, executor=2)
"""


@contextlib.contextmanager
def program(directory, settings, source=PROGRAM):
    (directory / "program.py").write_text(source)
    with (
        (directory / "log").open("a") as log,
        processes.program(
            [sys.executable, "program.py", json.dumps(settings)],
            cwd=directory,
            stdout=log,
            stderr=log,
            env={**os.environ, **QUICK_WORKERS},
        ) as process,
    ):
        yield process


def test_workers_die_with_a_driver_that_is_killed_and_it_goes_on(
    tmp_path, alone
):
    trials = tmp_path / "trials"
    trials.touch()
    slow = {**SETTINGS, "noise": 0.3, "duration": 0.3, "log": str(trials)}
    with program(tmp_path, slow) as driver:
        processes.wait_for_lines(trials, 5, 120)
        workers = workers_of(driver.pid)
        assert len(workers) == 2
        driver.kill()
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    with program(tmp_path, {**SETTINGS, "noise": 0.3}) as rest:
        assert rest.wait(120) == 0, (tmp_path / "log").read_text()
    best = json.loads((tmp_path / "search" / "best.json").read_text())
    assert best == json.loads(json.dumps(outcome(alone)))


def test_ctrl_c_ends_the_workers(tmp_path):
    trials = tmp_path / "trials"
    trials.touch()
    slow = {**SETTINGS, "duration": 1000.0, "log": str(trials)}
    with program(tmp_path, slow) as driver:
        processes.wait_for_lines(trials, 1, 120)
        workers = workers_of(driver.pid)
        driver.send_signal(signal.SIGINT)
        driver.wait(30)
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    log = (tmp_path / "log").read_text()
    assert log.strip().endswith("KeyboardInterrupt")


def test_a_program_without_its_guard_is_told_so(tmp_path):
    unguarded = PROGRAM.replace('if __name__ == "__main__":', "if True:")
    unguarded = unguarded.replace("executor=2", "executor=1")
    with program(tmp_path, SETTINGS, unguarded) as driver:
        assert driver.wait(120) == 1
    log = (tmp_path / "log").read_text()
    assert "ended 3 times before they were ready" in log
    assert 'if __name__ == "__main__":' in log


WITHOUT_FILE = """
from keras_arl import search, tasks
from tests.search.toy import toy_task
def own_task(seed):
    return toy_task(seed)
tuner = search.LossTuner(search.CMAESOracle(), own_task, directory="x")
tuner.search(executor=2)
"""
IMPORTED = WITHOUT_FILE.replace("own_task, d", "toy_task, d")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-"], WITHOUT_FILE),
        (["-c", WITHOUT_FILE], ""),
        # Python of some versions calls it "<stdin>", which processes look for.
        (["-"], "__file__ = '<stdin>'" + IMPORTED),
    ],
)
def test_a_program_without_a_file_is_told_so(tmp_path, arguments, code):
    result = subprocess.run(
        [sys.executable, *arguments],
        input=code,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **QUICK_WORKERS},
    )
    assert result.returncode == 1
    error = result.stderr.splitlines()[-1]
    assert "a notebook cell, or standard input" in error


def test_a_task_function_within_another_is_told_so(tmp_path):
    oracle = CMAESOracle(seed=0)
    tuner = LossTuner(oracle, lambda seed: None, directory=tmp_path)
    with pytest.raises(RuntimeError, match="at the top of a module"):
        tuner.search(verbose=0, executor=2)


def test_a_log_is_no_way_out_of_the_directory(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "loss_search").mkdir()
    (tmp_path / "loss_search" / "worker-1.log").symlink_to(victim)
    tuner = toy(tmp_path, **SETTINGS)
    tuner.search(verbose=0, executor=1)
    assert victim.read_text() == "precious"


def test_searches_that_share_a_pool_of_the_users(tmp_path, alone):
    import concurrent.futures
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        for name in ("one", "two"):
            tuner = toy(tmp_path / name, noise=0.3, **SETTINGS)
            tuner.search(verbose=0, executor=pool)
            assert outcome(tuner) == outcome(alone)


def test_a_pool_of_threads_trains_one_at_a_time(tmp_path, alone):
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tuner = toy(tmp_path, ToyTrainer(noise=0.3), **SETTINGS)
        tuner.search(verbose=0, executor=pool)
    assert outcome(tuner) == outcome(alone)


@pytest.mark.parametrize("executor", [0, "two", object(), True, 1.5])
def test_what_is_no_executor_is_refused(tmp_path, executor):
    tuner = toy(tmp_path, **SETTINGS)
    with pytest.raises(ValueError, match="`executor` must be"):
        tuner.search(verbose=0, executor=executor)


def test_own_cost_of_a_trial_is_small(tmp_path):
    # Not a bar: that is the benchmark's. Ten times more would be a defect.
    settings = {**SETTINGS, "generations": 4, "popsize": 20}
    tuner = toy(tmp_path, **settings)
    before = time.process_time()
    tuner.search(verbose=0, executor=1)
    cost = (time.process_time() - before) / tuner.oracle.max_trials
    assert cost < 0.05
