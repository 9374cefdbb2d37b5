import numpy as np
import pandas as pd
import pytest
import scipy.stats

from keras_arl import evaluation
from keras_arl.evaluation import statistics


def made_rows(rng, num_seeds=3):
    """Rows of three methods on eight problems."""
    return [
        {
            "method": method,
            "dataset": dataset,
            "noise": noise,
            "noise_rate": rate,
            "seed": seed,
            "last_epochs": 1,
            "accuracy": accuracy,
            "best": accuracy + 0.1,
        }
        for seed in range(num_seeds)
        for dataset in ("digits", "wine")
        for noise, rate in [
            ("none", 0.0),
            *(("flip", k / 10) for k in (1, 2, 3)),
        ]
        for method, accuracy in zip(("ce", "gce", "arl"), rng.random(3))
    ]


def test_a_ranking_has_the_numbers_of_pandas_and_scipy(rng):
    rows = made_rows(rng)
    frame = pd.DataFrame(rows)
    table = frame.pivot_table(
        index=["dataset", "noise", "noise_rate"],
        columns="method",
        values=["accuracy", "best"],
    )
    ranks = table["accuracy"].rank(axis=1, ascending=False).mean()
    by_seed = frame.groupby(["method", "seed"])["accuracy"].mean()
    ranking = evaluation.rank_methods(rows, reference="arl")
    assert [row["method"] for row in ranking] == list(ranks.sort_values().index)
    last = table["accuracy"]
    differences = {name: last[name] - last["arl"] for name in ("ce", "gce")}
    of_wilcoxon = {
        name: scipy.stats.wilcoxon(found).pvalue
        for name, found in differences.items()
    }
    # Holm's correction of two: the smaller one twice, the larger one no less.
    smaller = min(1, 2 * min(of_wilcoxon.values()))
    for row in ranking:
        name = row["method"]
        assert row["rank"] == pytest.approx(ranks[name])
        assert row["accuracy"] == pytest.approx(table["accuracy"][name].mean())
        assert row["best"] == pytest.approx(table["best"][name].mean())
        assert row["std"] == pytest.approx(by_seed[name].std())
        if name == "arl":
            assert row["p"] is row["difference"] is row["low"] is None
            continue
        found = differences[name]
        assert row["difference"] == pytest.approx(found.mean())
        assert row["p"] == pytest.approx(max(smaller, of_wilcoxon[name]))
        interval = scipy.stats.bootstrap(
            (found,), np.mean, n_resamples=10_000, method="percentile"
        ).confidence_interval
        spread = found.std()
        assert row["low"] == pytest.approx(interval.low, abs=0.05 * spread)
        assert row["high"] == pytest.approx(interval.high, abs=0.05 * spread)


def test_holm_multiplies_by_what_is_left():
    # Holm 1979: 0.04 stays above its smaller neighbour's 0.06.
    found = statistics.holm([0.04, 0.01, 0.03, 0.5])
    assert found == pytest.approx([0.09, 0.04, 0.09, 0.5])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    # Demsar 2006, Table 5: q of 0.05 for 2, 5 and 10 methods.
    ("num_methods", "q"),
    [(2, 1.960), (5, 2.728), (10, 3.164)],
)
def test_the_critical_difference_is_nemenyis(num_methods, q):
    found = evaluation.critical_difference(num_methods, num_problems=14)
    expected = q * np.sqrt(num_methods * (num_methods + 1) / (6 * 14))
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_ranking_over_problems_of_choice(rng):
    rows = made_rows(rng, num_seeds=1)
    means = pd.DataFrame(rows).pivot_table(
        index="dataset", columns="method", values="accuracy"
    )
    expected = means.rank(axis=1, ascending=False).mean()
    for row in evaluation.rank_methods(rows, by=("dataset",)):
        assert row["rank"] == pytest.approx(expected[row["method"]])
        assert row["std"] is row["p"] is None


def test_the_smallest_p(rng):
    rows = [
        {"method": name, "noise": k, "accuracy": 0.5 + gain * k, "best": 1.0}
        for k in range(1, 9)
        for name, gain in (("ce", 0.0), ("arl", 0.01))
    ]
    _, ce = evaluation.rank_methods(rows, "arl")
    # The smallest of 2^8 equally likely signs, on both sides.
    assert ce["p"] == pytest.approx(2 / 2**8)
    same = [{**row, "accuracy": 0.5} for row in rows]
    assert [row["p"] for row in evaluation.rank_methods(same, "arl")] == [
        1.0,
        None,
    ]
    assert [row["rank"] for row in evaluation.rank_methods(same)] == [1.5, 1.5]


def test_a_diverged_training_ranks_last():
    rows = [
        {"method": name, "noise": "flip", "accuracy": accuracy, "best": 0.9}
        for name, accuracy in (("ce", 0.5), ("arl", float("nan")), ("gce", 0.1))
    ]
    ranking = evaluation.rank_methods(rows)
    assert [row["method"] for row in ranking] == ["ce", "gce", "arl"]
    assert np.isnan(ranking[-1]["accuracy"])


def test_a_ranking_of_unequal_problems_is_refused(rng):
    rows = made_rows(rng)
    with pytest.raises(
        ValueError, match=r"no row of arl on \(.wine., 0.3, 2\)"
    ):
        evaluation.rank_methods(rows[:-1], by=("dataset", "noise_rate", "seed"))
    with pytest.raises(ValueError, match="`reference` must be of ce, gce, arl"):
        evaluation.rank_methods(rows, reference="mae")


def test_the_best_setting_is_of_a_dataset():
    def row(method, dataset, noise, accuracy):
        return {
            "method": method,
            "dataset": dataset,
            "noise": noise,
            "accuracy": accuracy,
        }

    rows = [
        row("gce", "wine", "none", 0.9),
        row("gce", "wine", "flip", 0.5),
        row("gce q=0.9", "wine", "none", 0.8),
        row("gce q=0.9", "wine", "flip", 0.7),
        row("gce q=0.1", "wine", "none", 1.0),
        row("gce q=0.1", "wine", "flip", float("nan")),
        row("arl", "wine", "none", 0.8),
        row("gce", "digits", "none", 0.9),
        row("gce q=0.9", "digits", "none", 0.3),
    ]
    found = evaluation.best_variants(rows, lambda name: name.split()[0])
    assert found == [
        {**rows[2], "method": "gce"},
        {**rows[3], "method": "gce"},
        rows[6],
        rows[7],
    ]


def test_a_setting_chosen_elsewhere_is_the_best_of_the_others():
    rows = [
        {"method": f"gce {q}", "dataset": dataset, "accuracy": accuracy}
        for dataset, of_q in {
            "wine": (0.9, 0.1),
            "digits": (0.2, 0.8),
            "iris": (0.3, 0.6),
        }.items()
        for q, accuracy in zip("ab", of_q, strict=True)
    ]
    found = evaluation.best_variants(
        rows, lambda name: name.split()[0], elsewhere=True
    )
    # By the two others: b, 0.7 to 0.25; a, 0.6 to 0.35; a, 0.55 to 0.45.
    assert [row["accuracy"] for row in found] == [0.1, 0.2, 0.3]
    with pytest.raises(ValueError, match=r"rows of .gce a. beside those of"):
        evaluation.best_variants(
            rows[:2], lambda name: name.split()[0], elsewhere=True
        )


def test_a_summary_has_the_numbers_of_pandas(rng):
    rows = made_rows(rng)
    rows[0]["accuracy"] = rows[1]["accuracy"] = float("nan")
    frame = pd.DataFrame(rows)
    grouped = frame.groupby(["method", "dataset"])["accuracy"]
    summary = evaluation.summarise(rows, by=("dataset",))
    assert len(summary) == 6
    for row in summary:
        values = grouped.get_group((row["method"], row["dataset"]))
        assert row["mean"] == pytest.approx(values.mean())
        assert row["std"] == pytest.approx(values.std())
        assert (row["runs"], row["diverged"]) == (12, values.isna().sum())


SUMMARY = evaluation.summarise(
    [
        {"method": name, "noise": noise, "noise_rate": rate, "accuracy": value}
        for name, noise, rate, value in [
            ("CE", "none", 0.0, 0.9),
            ("CE", "none", 0.0, 0.7),
            ("CE", "flip", 0.45, float("nan")),
            ("ARL", "none", 0.0, 0.8),
            ("ARL", "none", 0.0, 0.8),
            ("ARL", "flip", 0.45, 0.6),
        ]
    ],
    by=("noise", "noise_rate"),
)


def test_tables_of_text():
    assert evaluation.format_table(SUMMARY).splitlines() == [
        "method  none 0       flip 0.45",
        "CE      80.0 ± 14.1  nan (1 diverged)",
        "ARL     80.0 ± 0.0   60.0",
    ]
    assert evaluation.format_table(
        SUMMARY, spread=False, transpose=True, markdown=True
    ).splitlines() == [
        "| task | CE | ARL |",
        "|---|---|---|",
        "| none 0 | 80.0 | 80.0 |",
        "| flip 0.45 | nan (1 diverged) | 60.0 |",
    ]


def test_a_table_as_a_file(tmp_path):
    path = tmp_path / "table.csv"
    rows = [{"method": "ARL", "accuracy": 0.1 + 0.2}]
    evaluation.write_csv(rows, path)
    table = pd.read_csv(path)
    assert table.to_dict("records") == rows
    with pytest.raises(ValueError, match=r"no rows to write to .*table\.csv"):
        evaluation.write_csv([], path)
