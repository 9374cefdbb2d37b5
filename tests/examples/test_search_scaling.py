import os
import pathlib
import subprocess
import sys

import keras
import pandas as pd
import pytest

PROGRAM = (
    pathlib.Path(__file__)
    .parents[2]
    .joinpath("examples", "benchmarks", "search_scaling.py")
)

# Trials do nothing, with any backend.
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)


def run(directory, *flags):
    return subprocess.run(
        [sys.executable, str(PROGRAM), *flags],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.slow
def test_workers_are_timed(tmp_path):
    result = run(tmp_path, "--workers=1,2", "--seconds=2", "--output=table.csv")
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table["workers"]) == [1, 2, 1, 2]
    assert list(table["trial_seconds"]) == [0.25, 0.25, 0, 0]
    fixed, instant = table[:2], table[2:]
    # Workers sleep in their trials, so that no machine is too slow for this.
    assert fixed["of_ideal"].between(0, 1.01).all()
    assert fixed["trials_per_s"].between(0, 8.1).all()
    assert instant["of_ideal"].isna().all()
    assert (instant["trials_per_s"] > 0).all()
    assert (table["chief_ms_per_trial"] > 0).all()
    for bar in ("two workers over one", "trials a second of the chief"):
        assert f"\n{bar}: " in result.stdout
    assert "On paper, 1000 workers: the chief serves " in result.stdout
    # The search's files are gone.
    assert os.listdir(tmp_path) == ["table.csv"]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--workers=0", "--workers must be positive integers, not ['0']"),
        ("--workers=two", "--workers must be positive integers, not ['two']"),
        ("--workers=", "--workers must be positive integers, not []"),
        ("--seconds=0", "--seconds must be positive, not 0.0"),
        ("--trial_seconds=-1", "--trial_seconds must be positive, not -1.0"),
        ("more", "unexpected argument 'more'"),
        ("--rounds=1", "Unknown command line flag 'rounds'"),
    ],
)
def test_errors_are_one_line(tmp_path, flag, message):
    result = run(tmp_path, flag)
    assert result.returncode == 1
    assert result.stderr.startswith("search_scaling: ")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
