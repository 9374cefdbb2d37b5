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


@pytest.mark.slow
@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)
def test_processes_and_dask_are_timed(tmp_path):
    result = subprocess.run(
        [sys.executable, str(PROGRAM), "--workers=2", "--seconds=1",
         "--output=table.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table["engine"]) == ["processes"] * 2 + ["dask"] * 2
    fixed = table[table["trial_seconds"] > 0]
    # Workers sleep in their trials, so that no machine is too slow for this.
    assert fixed["of_ideal"].between(0, 1.05).all()
    assert (table["trials_per_s"] > 0).all()
    assert (table["driver_ms_per_trial"] > 0).all()
    assert "processes, 2 workers: " in result.stdout
    # The search's files are gone.
    assert os.listdir(tmp_path) == ["table.csv"]
