"""Running the examples as their users do."""

import os
import pathlib
import subprocess
import sys

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
BENCHMARKS = EXAMPLES / "benchmarks"


def run(directory, program, *arguments, **environment):
    """Runs a program of the examples in a directory, to its end.

    Args:
        directory: Where it runs.
        program: Its path in the examples, or the code of a program.
        *arguments: Its arguments.
        **environment: Further environment variables.
    """
    return subprocess.run(
        [sys.executable, str(EXAMPLES / program), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, **environment},
    )


def last_line(result):
    """What a program that failed said, which was no traceback."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]
