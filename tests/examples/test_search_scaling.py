import os

import keras
import pandas as pd
import pytest

from tests.examples.running import run_anew
from tests.search.toy import QUICK_WORKERS


@pytest.mark.slow
@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)
def test_processes_and_dask_are_timed(tmp_path):
    result = run_anew(
        tmp_path,
        "benchmarks/search_scaling.py",
        "--workers=1",
        "--trial_seconds=0.05",
        "--seconds=1",
        "--output=table.csv",
        **QUICK_WORKERS,
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table["engine"]) == ["processes"] * 2 + ["dask"] * 2
    fixed = table[table["trial_seconds"] > 0]
    # Workers sleep in their trials, so that no machine is too slow for this.
    assert fixed["of_ideal"].between(0, 1.05).all()
    assert (table["trials_per_s"] > 0).all()
    assert (table["driver_ms_per_trial"] > 0).all()
    assert "processes, 1 workers: " in result.stdout
    # The search's files are gone.
    assert os.listdir(tmp_path) == ["table.csv"]
