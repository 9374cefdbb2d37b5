import math

import numpy as np
import pytest
import scipy.stats

from keras_arl import evaluation


def rows_of(**accuracies):
    """Rows of methods, each with its accuracies on the same tasks."""
    return [
        {
            "method": method, "seed": seed, "noise": "flip", "last_epochs": 1,
            "accuracy": accuracy, "best": 1.0,
        }
        for method, values in accuracies.items()
        for seed, accuracy in enumerate(values)
    ]  # fmt: skip


def test_the_interval_is_that_of_a_paired_t_test(rng):
    found, other = rng.random((2, 8))
    rows = rows_of(found=found, ARL=other, CE=other + 1)
    rng.shuffle(rows)
    difference = evaluation.paired_difference(rows, "found", "ARL", level=0.9)
    test = scipy.stats.ttest_rel(found, other)
    expected = test.confidence_interval(0.9)
    assert difference == {
        "tasks": 8,
        "mean": pytest.approx(np.mean(found - other)),
        "low": pytest.approx(expected.low),
        "high": pytest.approx(expected.high),
        "diverged": 0,
    }


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        # t of 4 degrees of freedom: 2.776 * 0.5 / sqrt(5) = 0.62.
        (
            [1.0, 1.5, 0.5, 1.5, 0.5],
            "The loss found beats ARL by 1.0 points, 95% interval 0.4 to 1.6, "
            "on 5 fresh tasks.",
        ),
        (
            [-1.0, -1.5, -0.5, -1.5, -0.5],
            "The loss found does not beat ARL: it is 1.0 points behind, 95% "
            "interval -1.6 to -0.4, on 5 fresh tasks.",
        ),
        (
            [3.0, -2.0, 1.0, -1.0, 0.0],
            "The loss found does not beat ARL, nor ARL it: the difference is "
            "+0.2 points, 95% interval -2.2 to 2.6, on 5 fresh tasks.",
        ),
        (
            [1.0, 1.0, 1.0, 1.0],
            "Whether the loss found beats ARL cannot be judged on 4 fresh "
            "tasks: it is +1.0 points there, and 5 tasks are the fewest that "
            "judge.",
        ),
    ],
)
def test_the_verdict_in_words(gains, said):
    other = np.linspace(0.5, 0.9, len(gains))
    rows = rows_of(found=other + np.array(gains) / 100, ARL=other)
    assert evaluation.verdict(rows) == said


def test_every_other_method_has_a_line_and_divergence_counts_as_0():
    found = [0.9, 0.9, 0.9, 0.9, math.nan]
    rows = rows_of(found=found, ARL=[0.8] * 5, CE=[0.1, 0.2, 0.3, 0.2, 0.1])
    lines = evaluation.verdict(rows).splitlines()
    assert lines[0].startswith("The loss found does not beat ARL, nor ARL it:")
    assert lines[1].startswith("The loss found beats CE by 54.0 points, ")
    for line in lines:
        assert line.endswith(" It diverged on 1 of them, which count as 0%.")
    only = evaluation.verdict(rows, "CE", ["ARL"])
    assert only.startswith("CE does not beat ARL: it is 62.0 points behind")


def test_rows_that_are_no_pairs_are_refused():
    rows = rows_of(found=[0.1, 0.2], ARL=[0.1])
    with pytest.raises(ValueError, match="Received 2 and 1 tasks, 1 of them"):
        evaluation.verdict(rows)
    with pytest.raises(ValueError, match="two rows of 'ARL' on the task"):
        evaluation.verdict(rows_of(found=[0.1], ARL=[0.1]) + rows[-1:])
    with pytest.raises(ValueError, match="no row of the method 'MAE'"):
        evaluation.verdict(rows, "MAE", ["ARL"])
    with pytest.raises(ValueError, match="a method beside 'found'"):
        evaluation.verdict(rows_of(found=[0.1]))
