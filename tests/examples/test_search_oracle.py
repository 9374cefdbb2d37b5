import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from keras_arl import losses
from tests import processes

PROGRAM = pathlib.Path(__file__).parents[2] / "examples" / "search_oracle.py"
SMALL = (
    "--generations=2", "--popsize=4", "--tasks_per_generation=1", "--runs=1",
    "--architectures=2", "--seed=5",
)  # fmt: skip
WRITTEN = (
    "loss.json",
    "losses.png",
    "fitness.png",
    "trials.csv",
    "comparison.csv",
)


def command(*flags):
    return [sys.executable, str(PROGRAM), *flags]


def run(directory, *flags):
    return subprocess.run(
        command(*flags),
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A search interrupted by Ctrl-C, then continued; and its output."""
    directory = tmp_path_factory.mktemp("example")
    folder = directory / "results" / "search" / "loss_search"
    results = folder / "results.jsonl"
    with processes.program(
        command(*SMALL),
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    ) as first:
        deadline = time.monotonic() + 120
        # Its candidates, and the results of two trials.
        while not results.exists() or results.read_bytes().count(b"\n") < 3:
            assert first.poll() is None, first.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        first.send_signal(signal.SIGINT)
        printed, _ = first.communicate(timeout=60)
    return directory, first.returncode, printed, run(directory, *SMALL)


def test_ctrl_c_ends_it_cleanly(finished):
    _, code, printed, _ = finished
    assert code == 130
    assert "Stopped. The same command continues the search." in printed
    assert "Traceback" not in printed


def test_continued_it_finds_what_two_processes_find_at_once(finished, tmp_path):
    directory, _, _, second = finished
    assert second.returncode == 0, second.stderr
    assert "Traceback" not in second.stderr
    shared = run(tmp_path, *SMALL, "--processes=2", "--trial_timeout=60")
    assert shared.returncode == 0, shared.stderr
    assert "2 processes write to results/search/loss_search/worker-" in (
        shared.stdout
    )
    # One display, which is the search's.
    assert shared.stdout.count("Generation 1/2") == 1
    logs = list(tmp_path.glob("results/search/loss_search/worker-*.log"))
    assert len(logs) == 2
    assert not any("Generation" in log.read_text() for log in logs)
    found = [
        losses.load(folder / "results" / "loss.json").get_config()
        for folder in (directory, tmp_path)
    ]
    assert found[0] == found[1]
    for name in ("trials.csv", "comparison.csv"):
        tables = [
            pd.read_csv(folder / "results" / name)
            for folder in (directory, tmp_path)
        ]
        pd.testing.assert_frame_equal(*tables)


def test_it_writes_what_it_says(finished):
    directory, _, _, second = finished
    for name in WRITTEN:
        assert (directory / "results" / name).stat().st_size > 500
        assert name in second.stdout
    for name in ("losses.png", "fitness.png"):
        content = (directory / "results" / name).read_bytes()
        assert content.startswith(b"\x89PNG")
    content = json.loads((directory / "results/loss.json").read_text())
    provenance = content["provenance"]
    assert provenance["command"].endswith(" ".join(SMALL))
    assert provenance["seed"] == 5
    assert content["expression"] in second.stdout
    with (directory / "results" / "trials.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * 4 + 3 * 3


def test_it_ends_with_a_table_and_a_verdict(finished):
    directory, _, _, second = finished
    frame = pd.read_csv(directory / "results" / "comparison.csv")
    assert set(frame["method"]) == {"found", "ARL", "CE", "MAE", "GCE"}
    assert set(frame["evaluation"]) == {"test"}
    assert frame["accuracy"].between(0, 1).all()
    table = second.stdout[second.stdout.index("Percent of the test part") :]
    means = frame.groupby(["noise_rate", "method"])["accuracy"].mean()
    for rate in (0.3, 0.5):
        assert f"{100 * means[rate]['found']:.1f}" in table
    # One run is two tasks.
    assert "nan" not in table
    for other in ("ARL", "CE", "MAE", "GCE"):
        assert (
            f"Whether the loss found beats {other} cannot be judged on 2 fresh"
        ) in table


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--order=7"], "--order=7"),
        (["--sigma0=0"], "--sigma0=0"),
        (["--broad", "--datasets=iris"], "--broad has its own datasets"),
        (["--plain", "--jit_compile"], "leave out --jit_compile"),
        (["--processes=2", "--scheduler=x"], "either --processes or --sched"),
        (["--datasets="], "--datasets must name at least one"),
        (["--datasets=digitz"], "Unknown dataset 'digitz'"),
        (["--directory=/dev/null/x"], "--directory=/dev/null/x cannot be"),
    ],
)
def test_a_wrong_flag_gets_one_line(tmp_path, flags, message):
    result = run(tmp_path, *flags)
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr
    # TensorFlow's own start-up lines are not ours.
    told = [
        line
        for line in result.stderr.splitlines()
        if line.startswith("search_oracle: ")
    ]
    assert len(told) == 1
    assert message in told[0]
    assert result.stderr.endswith(told[0] + "\n")


def test_other_settings_on_the_same_directory_get_one_line(finished):
    directory, *_ = finished
    result = run(directory, *SMALL[:-1], "--seed=6")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "seed: 5 there, 6 asked" in result.stderr.splitlines()[-1]


def test_help_explains(tmp_path):
    result = run(tmp_path, "--help")
    assert "Searches a noise-robust loss" in result.stdout
    for flag in ("datasets", "generations", "directory", "output"):
        assert f"--{flag}" in result.stdout or f"[no]{flag}" in result.stdout
