import os
import pathlib
import subprocess
import sys

import keras
import pandas as pd
import pytest

from keras_arl import losses

PROGRAM = (
    pathlib.Path(__file__).parents[2]
    / "examples"
    / "benchmarks"
    / "loss_speed.py"
)


def run(directory, *flags, backend="tensorflow"):
    return subprocess.run(
        [sys.executable, str(PROGRAM), *flags],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "KERAS_BACKEND": backend},
    )


def test_every_loss_is_timed(tmp_path):
    result = run(tmp_path, "--classes=3", "--batch=8", "--rounds=2")
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "results" / "loss_speed.csv")
    baseline = ["cross-entropy (Keras)", "cross-entropy (Keras), again"]
    by_title = table.groupby("measured")["loss"].apply(list).to_dict()
    assert by_title == {
        "loss, 3 classes": [*baseline, *losses.names()],
        "training step of a CNN": [*baseline, "arl"],
    }
    assert (table["ratio"] > 0).all()
    assert (table["lower_quartile"] <= table["ratio"]).all()
    assert (table["ratio"] <= table["upper_quartile"]).all()
    of_baseline = table[table["loss"] == baseline[0]]
    assert (of_baseline["ratio"] == 1).all()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--classes=1", "at least 2"),
        ("--classes=ten", "at least 2, not ['ten']"),
        ("--rounds=0", "--rounds must be at least 1, not 0"),
    ],
)
def test_errors_are_one_line(tmp_path, flag, message):
    result = run(tmp_path, flag)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("loss_speed: ")
    assert message in last
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)
def test_a_backend_without_a_compiler_is_refused(tmp_path):
    pytest.importorskip("torch")
    result = run(tmp_path, "--classes=3", backend="torch")
    assert result.returncode == 1
    assert "KERAS_BACKEND=torch" in result.stderr
