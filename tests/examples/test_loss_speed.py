import keras
import pandas as pd
import pytest

from tests.examples.running import run

pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)


def test_losses_are_timed(tmp_path):
    result = run(
        tmp_path,
        "benchmarks/loss_speed.py",
        "--classes=3",
        "--batch=8",
        "--rounds=2",
        "--losses=gce,taylor,forward_correction",
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "results" / "loss_speed.csv")
    baseline = ["cross-entropy (Keras)", "cross-entropy (Keras), again"]
    by_title = table.groupby("measured")["loss"].apply(list).to_dict()
    assert by_title == {
        "loss, 3 classes": [
            *baseline,
            "gce",
            "taylor",
            "forward_correction",
        ],
        "training step of a CNN": [*baseline, "arl"],
    }
    assert (table["ratio"] > 0).all()
    assert (table["lower_quartile"] <= table["ratio"]).all()
    assert (table["ratio"] <= table["upper_quartile"]).all()
    # Ratios are to the mean of the two.
    of_baselines = table[table["loss"].isin(baseline)]
    sums = of_baselines.groupby("measured")["ratio"].sum()
    assert sums.to_numpy() == pytest.approx(2, abs=1e-3)
