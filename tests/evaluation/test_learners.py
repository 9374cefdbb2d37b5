"""Learners and losses in one comparison."""

import dataclasses
import functools

import numpy as np
import pytest

from keras_arl import evaluation
from keras_arl import learners
from keras_arl import losses
from keras_arl import tasks
from keras_arl import training
from tests.evaluation import points

CE = losses.CrossEntropy()
METHODS = {
    "CE": CE,
    # Cross-entropy by another way.
    "ELR, weight 0": functools.partial(learners.ELR, weight=0.0),
    "ELR": learners.ELR,
    "L2B": functools.partial(learners.L2B, warmup_epochs=1),
}
NUM_CLEAN = 6


def task_with_clean_examples(seed):
    task = points.points_task(seed)
    clean = tuple(part[:NUM_CLEAN] for part in task.validation)
    return dataclasses.replace(task, meta_data=clean)


@pytest.fixture(scope="module")
def made():
    return [task_with_clean_examples(seed) for seed in (2, 1)]


@pytest.fixture(scope="module")
def rows(made):
    return evaluation.compare(METHODS, made, verbose=0)


def test_a_learner_meets_what_a_loss_meets(rows):
    by_method = {(row["task"], row["method"]): row for row in rows}
    for number in (0, 1):
        one_example = 1.01 / 32
        for result in ("accuracy", "best"):
            assert by_method[number, "ELR, weight 0"][result] == pytest.approx(
                by_method[number, "CE"][result], abs=one_example
            )
    assert len({row["accuracy"] for row in rows}) > 3


def test_a_loss_that_moves_does_so_within_a_learner(made):
    moving = losses.ScheduledTaylorLoss(
        [0, -1, 0, 0, 0, 0], [0, 2.5, 0, 0], order=3
    )
    methods = {
        "alone": moving,
        "within": functools.partial(learners.ELR, weight=0.0, loss=moving),
        "still": moving.at(0.5),
    }
    found = evaluation.compare(methods, made, verbose=0)
    of = {(row["task"], row["method"]): row["accuracy"] for row in found}
    one_example = 1.01 / 32
    for number in (0, 1):
        assert of[number, "within"] == pytest.approx(
            of[number, "alone"], abs=one_example
        )
    assert any(of[k, "within"] != of[k, "still"] for k in (0, 1))


def test_a_kept_learner_trains_as_a_new_one(made, rows):
    # The second task, so that the learners are those of the first.
    kept = [row for row in rows if row["task"] == 1]
    few = {name: METHODS[name] for name in ("ELR", "L2B")}
    new = evaluation.compare(
        few, {1: made[1]}, training.PlainTrainer(), verbose=0
    )
    assert new == [row for row in kept if row["method"] in few]


def test_a_loss_with_the_clean_examples(made):
    seen = []

    class Trainer:
        def accuracies(self, task, loss):
            seen.append((task.train, loss))
            return [0.5] * task.epochs

    methods = {"CE": CE, "both": evaluation.WithMetaData(CE)}
    evaluation.compare(methods, made[:1], Trainer(), verbose=0)
    (plain, _), ((x, y), loss) = seen
    assert loss is CE
    for part, before, clean in zip(
        (x, y), plain, made[0].meta_data, strict=True
    ):
        assert len(before) == 48
        np.testing.assert_array_equal(part, np.concatenate([before, clean]))


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (learners.L2B, "L2B trains on a few clean examples.* has none"),
        (evaluation.WithMetaData(CE), "WithMetaData trains on .* has none"),
        (
            learners.ELR(points.points_task(0).build_model()),
            "A learner is named by its class",
        ),
        (
            functools.partial(learners.ELR, from_logits=True),
            "learners.ELR, from_logits=False.*Received: from_logits=True",
        ),
    ],
)
def test_wrong_methods(method, message):
    with pytest.raises(ValueError, match=message):
        evaluation.compare({"it": method}, [points.points_task(0)], verbose=0)


def test_clean_examples_come_with_their_labels():
    pair = (np.zeros((4, 2)), np.zeros(4))
    with pytest.raises(ValueError, match=r"`meta_data`.*\[1, 2\]"):
        tasks.Task(
            train=pair,
            validation=pair,
            build_model=lambda: None,
            num_classes=2,
            meta_data=(np.zeros((2, 2)), np.zeros(1)),
        )
