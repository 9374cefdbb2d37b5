import csv
import json
import os
import signal

import keras
import pandas as pd
import pytest

from tests import processes
from tests.examples.running import EXAMPLES
from tests.examples.running import run
from tests.examples.running import started

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)

PROGRAM = EXAMPLES / "search_oracle.py"
# It draws one small network, and Adam for every task: the least to compile.
SEED = 1303
SMALL = (
    "--generations=2", "--popsize=4", "--tasks_per_generation=1", "--runs=1",
    "--architectures=1", "--finalists=1", f"--seed={SEED}",
)  # fmt: skip
CONTINUED = (*SMALL, "--processes=2", "--trial_timeout=60")
WRITTEN = (
    "loss.json",
    "losses.png",
    "fitness.png",
    "trials.csv",
    "comparison.csv",
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A search interrupted by Ctrl-C, and what two processes continued."""
    directory = tmp_path_factory.mktemp("example")
    folder = directory / "results" / "search" / "loss_search"
    results = folder / "results.jsonl"
    with started(directory, PROGRAM, *SMALL) as (first, ended):
        # Its candidates, and the results of two trials.
        processes.wait_for(results.exists, 120)
        processes.wait_for_lines(results, 3, 120)
        assert first.is_alive()
        os.kill(first.pid, signal.SIGINT)
        interrupted = ended()
    return directory, interrupted, run(directory, PROGRAM, *CONTINUED)


def test_ctrl_c_ends_it_cleanly(finished):
    _, interrupted, _ = finished
    assert interrupted.returncode == 130
    message = "Stopped. The same command continues the search."
    assert message in interrupted.stdout
    assert "Traceback" not in interrupted.stdout + interrupted.stderr


def test_two_processes_continue_it(finished):
    directory, _, second = finished
    assert second.returncode == 0, second.stderr
    assert "Traceback" not in second.stderr
    assert "2 processes write to results/search/loss_search/worker-" in (
        second.stdout
    )
    # One display, which is the search's.
    assert second.stdout.count("Generation 2/2") == 1
    logs = list(directory.glob("results/search/loss_search/worker-*.log"))
    assert len(logs) == 2
    assert not any("Generation" in log.read_text() for log in logs)


def test_it_writes_what_it_says(finished):
    directory, _, second = finished
    for name in WRITTEN:
        assert (directory / "results" / name).stat().st_size > 500
        assert name in second.stdout
    for name in ("losses.png", "fitness.png"):
        content = (directory / "results" / name).read_bytes()
        assert content.startswith(b"\x89PNG")
    content = json.loads((directory / "results/loss.json").read_text())
    provenance = content["provenance"]
    assert provenance["command"].endswith(" ".join(CONTINUED))
    assert provenance["seed"] == SEED
    assert content["expression"] in second.stdout
    with (directory / "results" / "trials.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 * 4 + 2 * 3


def test_it_ends_with_a_table_and_a_verdict(finished):
    directory, _, second = finished
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
        (["--broad", "--datasets=iris"], "--broad and --diverse have datas"),
        (["--long"], "--long needs --diverse"),
        (["--broad", "--deep"], "--deep needs --diverse"),
        (["--start=none.json"], "--start=none.json: "),
        (["--start=none"], "'arl'"),
        (["--plain", "--jit_compile"], "leave out --jit_compile"),
        (["--processes=2", "--scheduler=x"], "either --processes or --sched"),
        (["--datasets="], "--datasets must name at least one"),
        (["--datasets=digitz"], "Unknown dataset 'digitz'"),
        (["--directory=/dev/null/x"], "--directory=/dev/null/x cannot be"),
    ],
)
def test_a_wrong_flag_gets_one_line(tmp_path, flags, message):
    result = run(tmp_path, PROGRAM, *flags)
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
    result = run(directory, PROGRAM, *SMALL[:-1], "--seed=6")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"seed: {SEED} there, 6 asked" in result.stderr.splitlines()[-1]
