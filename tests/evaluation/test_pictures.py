import numpy as np
import pandas as pd
import pytest

from keras_arl import evaluation
from keras_arl.evaluation import pictures


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


def made_rows(gains, num_problems=12, seeds=(0, 1)):
    return [
        {
            "method": name,
            "dataset": f"set {k % 2}",
            "noise": "symmetric" if k // 2 else "none",
            "noise_rate": k // 2 / 10,
            "seed": seed,
            "accuracy": 0.5 + gain - k / 50 + seed / 100,
            "best": 1.0,
        }
        for name, gain in gains.items()
        for k in range(num_problems)
        for seed in seeds
    ]


def test_bars_join_what_cannot_be_told_apart():
    ranks = np.array([1.0, 1.5, 2.4, 2.6, 4.0])
    assert pictures._indistinguishable(ranks, 1.0) == [(0, 1), (1, 2), (2, 3)]
    assert pictures._indistinguishable(ranks, 0.1) == []
    assert pictures._indistinguishable(ranks, 9.0) == [(0, 4)]


def test_ranks_are_drawn_in_their_order():
    rows = made_rows({"ce": 0.0, "arl": 0.2, "gce": 0.1})
    (axes,) = evaluation.plot_ranks(rows).axes
    points = axes.get_lines()[0]
    np.testing.assert_allclose(points.get_xdata(), [1, 2, 3])
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["arl  1.00", "gce  2.00", "ce  3.00"]


def test_noise_rates_are_means_over_tasks_with_all_rates():
    rows = made_rows({"ce": 0.0, "arl": 0.2})
    # Of a third set one rate alone is there.
    rows.append({**rows[0], "dataset": "set 2"})
    (axes,) = evaluation.plot_noise_rates(rows, ["arl"]).axes
    (line,) = axes.get_lines()
    np.testing.assert_allclose(line.get_xdata(), np.arange(6) / 10)
    # Of two sets and two seeds.
    expected = 100 * (0.7 - (np.arange(6) + 0.25) / 25 + 0.005)
    np.testing.assert_allclose(line.get_ydata(), expected)
    with pytest.raises(ValueError, match=r"`methods` must be of.*'mae'"):
        evaluation.plot_noise_rates(rows, ["mae"])
    with pytest.raises(ValueError, match="each rate of noise='pair_flip'"):
        evaluation.plot_noise_rates([], noise="pair_flip")
