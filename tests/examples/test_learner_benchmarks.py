import pandas as pd
import pytest

from tests.examples.running import run_anew


def test_learners_are_timed(tmp_path):
    pytest.importorskip("jax")
    result = run_anew(
        tmp_path,
        "benchmarks/learner_cost.py",
        "--batch=8",
        "--steps=2",
        "--rounds=2",
        "--learners=ELR,L2B",
        KERAS_BACKEND="jax",
        # Compiling takes longer than what is compiled.
        XLA_FLAGS="--xla_backend_optimization_level=0",
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "results" / "learner_cost.csv")
    assert table["learner"].tolist() == ["plain, again", "ELR", "L2B"]
    assert table["bar"].tolist()[1:] == [1.15, 3.0]
    assert (table["lower_quartile"] <= table["ratio"]).all()
    assert (table["ratio"] <= table["upper_quartile"]).all()
    assert "| ELR |" in result.stdout
