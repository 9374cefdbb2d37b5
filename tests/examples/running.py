"""Running the examples as their users do."""

import contextlib
import gc
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

from tests import processes

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
BENCHMARKS = EXAMPLES / "benchmarks"
SECONDS = 280


@contextlib.contextmanager
def started(directory, program, *arguments):
    """A program of the examples that runs in a directory.

    In a process of its own, which need not import TensorFlow: the server that
    it is forked from has. It does not survive the block.

    Args:
        directory: Where it runs.
        program: Its path in the examples, or another.
        *arguments: Its arguments.

    Yields:
        The process, and a function that waits for its end and returns a
        `subprocess.CompletedProcess`.
    """
    path = str(EXAMPLES / program)
    with tempfile.TemporaryDirectory() as elsewhere:
        outputs = [pathlib.Path(elsewhere, name) for name in ("out", "err")]
        process = processes.CONTEXT.Process(
            target=_run, args=(str(directory), path, arguments, outputs)
        )

        def ended():
            process.join(SECONDS)
            assert process.exitcode is not None, f"{path} takes too long"
            texts = [output.read_text() for output in outputs]
            return subprocess.CompletedProcess(path, process.exitcode, *texts)

        process.start()
        with processes.killed_at_the_end(process):
            yield process, ended


def run(directory, program, *arguments):
    """Runs a program as `started` does, to its end."""
    with started(directory, program, *arguments) as (_, ended):
        return ended()


def _run(directory, path, arguments, outputs):
    gc.freeze()
    os.chdir(directory)
    for descriptor, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = [path, *arguments]
    sys.path[:0] = [os.path.dirname(path), str(EXAMPLES)]
    runpy.run_path(path, run_name="__main__")


def run_anew(directory, program, *arguments, **environment):
    """As `run`, by a Python that has nothing imported.

    Args:
        directory: Where it runs.
        program: Its path in the examples, or another.
        *arguments: Its arguments.
        **environment: Further environment variables.
    """
    return subprocess.run(
        [sys.executable, str(EXAMPLES / program), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **environment},
    )


def last_line(result):
    """What a program that failed said, which was no traceback."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]
