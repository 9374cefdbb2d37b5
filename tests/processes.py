"""Real processes: functions and programs.

For a function a server that has imported the package already is forked, which
takes milliseconds instead of the seconds of importing TensorFlow.
"""

import contextlib
import gc
import multiprocessing
import os
import subprocess
import sys
import time

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "tests.search.toy",
        "matplotlib.pyplot",
        "pandas",
        "tensorflow_datasets",
    ]
)


def start(log, target, *args, **environment):
    """Starts `target(*args)` in a process that writes to the file `log`."""
    process = CONTEXT.Process(
        target=_run, args=(str(log), target, args, environment), daemon=True
    )
    process.start()
    return process


def _run(log, target, args, environment):
    # As in conftest.py, for what the server has imported.
    gc.freeze()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    target(*args)


@contextlib.contextmanager
def killed_at_the_end(*processes):
    """A list of processes, to add to, none of which survives the block."""
    processes = list(processes)
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join()


@contextlib.contextmanager
def program(command, **options):
    """A program, with the options of `Popen`, that does not survive the block.

    It hears Ctrl-C only if this process does, or if it sees to that itself: a
    shell's job in the background ignores it, and so do the programs it starts.
    """
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_lines(path, count, seconds=60):
    """Waits until a file has so many lines."""
    return wait_for(lambda: path.read_bytes().count(b"\n") >= count, seconds)


def wait_for(condition, seconds=60):
    """Waits until `condition()` is true, and returns its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(0.01)
    return value
