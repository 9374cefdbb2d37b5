import pandas as pd

from tests.examples.running import run_anew


def test_learners_are_timed(tmp_path):
    result = run_anew(
        tmp_path,
        "benchmarks/learner_cost.py",
        "--batch=8",
        "--steps=2",
        "--rounds=2",
        "--learners=ELR,L2B",
        KERAS_BACKEND="jax",
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "results" / "learner_cost.csv")
    assert table["learner"].tolist() == ["plain, again", "ELR", "L2B"]
    assert table["bar"].tolist()[1:] == [1.15, 3.0]
    assert (table["lower_quartile"] <= table["ratio"]).all()
    assert (table["ratio"] <= table["upper_quartile"]).all()
    assert "| ELR |" in result.stdout
