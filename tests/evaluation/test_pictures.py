import numpy as np
import pandas as pd
import pytest

from keras_arl import evaluation


def test_a_heat_map_holds_the_means(tmp_path, rng):
    rows = [
        {"method": method, "noise": noise, "noise_rate": rate, "seed": seed,
         "accuracy": accuracy}
        for seed in range(2)
        for noise, rate in (("none", 0.0), ("flip", 0.4), ("flip", 0.2))
        for method, accuracy in zip(("ce", "gce", "arl"), rng.random(3))
    ]  # fmt: skip
    means = 100 * pd.DataFrame(rows).pivot_table(
        index="method", columns=["noise", "noise_rate"], values="accuracy"
    )
    order = means.mean(axis=1).sort_values(ascending=False).index
    for reference in (None, "ce"):
        figure = evaluation.plot_noise(rows, reference)
        axes = figure.axes[0]
        methods = [each.get_text() for each in axes.get_yticklabels()]
        kinds = [each.get_text() for each in axes.get_xticklabels()]
        assert methods == list(order)
        assert kinds == ["none 0", "flip 0.4", "flip 0.2"]
        columns = [("none", 0.0), ("flip", 0.4), ("flip", 0.2)]
        expected = np.array([[means.loc[m, k] for k in columns] for m in order])
        bold = expected == expected.max(axis=0)
        if reference is not None:
            expected = expected - expected[list(order).index(reference)]
        drawn = axes.images[0].get_array()
        np.testing.assert_allclose(drawn, expected)
        is_bold = [text.get_weight() == "bold" for text in axes.texts]
        assert is_bold == bold.ravel().tolist()
        figure.savefig(tmp_path / "noise.png")
    with pytest.raises(ValueError, match=r"one of .*Received: reference='mae'"):
        evaluation.plot_noise(rows, "mae")
