import os
import pathlib
import subprocess
import sys

import pytest

from keras_arl import losses

PROGRAM = pathlib.Path(__file__).parents[2] / "examples" / "plot_losses.py"


def run(directory, *flags):
    return subprocess.run(
        [sys.executable, str(PROGRAM), *flags],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )


def test_it_writes_the_picture(tmp_path):
    losses.save(losses.ARL(), tmp_path / "mine.json")
    result = run(
        tmp_path,
        "--losses=ARL,nce+aul,mine.json",
        "--dataset=cifar100",
        "--num_classes=100",
        "--output=new/picture.svg",
    )
    assert result.stdout == "Written to new/picture.svg\n"
    picture = (tmp_path / "new" / "picture.svg").read_text()
    assert "<svg" in picture
    for name in ("ARL", "nce+aul", "mine.json", "100 classes"):
        assert f"<!-- {name}" in picture


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--losses=alr", "Unknown loss 'alr'"),
        ("--losses=mse", "mse is a loss of Keras"),
        ("--losses=", "names no loss"),
        ("--losses=forward_correction", "missing 1 required positional"),
        ("--losses=none.json", "No such file"),
        ("--num_classes=1", "at least 2, not 1"),
        ("--dataset=imagenet", "should be one of"),
        ("--output=picture.doc", "'doc' is not supported"),
        ("stray", "unexpected argument 'stray'"),
    ],
)
def test_errors_are_one_line(tmp_path, flag, message):
    result = run(tmp_path, flag)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("plot_losses: ")
    assert message in last
    assert "Traceback" not in result.stderr
