"""Which trainings share a program, and which programs are kept."""

import dataclasses
import mmap
import pathlib

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.losses import ActivePassive
from keras_arl.losses import SparseRegularization
from keras_arl.losses import TaylorLoss
from keras_arl.training import Trainer
from keras_arl.training import mappings
from keras_arl.training.keys import program_key
from keras_arl.training.plain import PlainProgram
from tests.training.models import Counting
from tests.training.models import check_agrees
from tests.training.models import counting_model
from tests.training.models import mlp
from tests.training.models import task

BACKEND = keras.config.backend()
compiled = pytest.mark.skipif(
    BACKEND == "torch", reason="nothing is compiled on PyTorch"
)
GCE = losses.GCE()


def regularised(a, q, alpha, beta, temperature, p, weight):
    """A loss of losses, each of which has numbers."""
    loss = ActivePassive(losses.NCE(), losses.AGCE(a, q), alpha, beta)
    return SparseRegularization(loss, temperature, p, weight)


FAMILIES = {
    "composed": [
        regularised(6, 1.5, 1, 4, 0.5, 0.1, 1.2),
        regularised(1.8, 0.6, 10, 0.1, 1.0, 0.5, 0.1),
    ],
    "taylor": [TaylorLoss([0, w, 0], order=2) for w in (-1.0, -2.0)],
}


@compiled
@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_of_a_loss_are_no_reason_to_trace(family):
    trainer = Trainer()
    problem = task(counting_model, architecture="counting")
    first, other = FAMILIES[family]
    trainer.evaluate(problem, first)
    Counting.calls = 0
    found = trainer.evaluate(problem, other)
    # Those of the caller are as they were.
    assert trainer.evaluate(problem, other) == found
    assert Counting.calls == 0
    assert len(trainer._store._programs) == 1
    assert check_agrees(trainer, problem, other) == found


def test_numbers_and_seeds_are_worth_comparing_by_one_program():
    trainer = Trainer()
    every = [losses.GCE(q) for q in (0.1, 0.3, 0.5, 0.7, 1.0)]
    accuracies = {
        trainer.evaluate(task(mlp, seed, architecture="mlp"), loss)
        for seed in (0, 1)
        for loss in every
    }
    assert len(accuracies) > 3
    assert max(accuracies) > 0.6
    assert len(trainer._store._programs) == (0 if BACKEND == "torch" else 1)
    assert not any(isinstance(vars(x)["q"], keras.Variable) for x in every)


class Silent(losses.GCE):
    """Declares nothing, and has more to it than its configuration says."""

    sign = 1.0

    def pointwise(self, predictions):
        return self.sign * super().pointwise(predictions)


class Powered(losses.GCE):
    """A user's own, with one number to feed and one that is compiled in."""

    hyperparameters = ("q", "factor")

    def __init__(self, q=0.7, factor=1.0, power=1, **kwargs):
        super().__init__(q, **kwargs)
        self.factor = factor
        self.power = power

    def pointwise(self, predictions):
        value = super().pointwise(predictions)
        return self.number("factor") * value**self.power

    def get_config(self):
        return {"power": self.power, **super().get_config()}


def share(a, b):
    problem = task(mlp, architecture="mlp")
    return program_key(problem, a) == program_key(problem, b)


def test_what_is_not_fed_is_part_of_the_key():
    assert not share(SignedLoss(1.0), SignedLoss(-1.0))
    assert share(Powered(0.3, 2.0), Powered(0.5, 3.0))
    assert not share(Powered(power=1), Powered(power=2))
    for name in ("gce", "nce+rce", "ce+sr"):
        a, b = losses.get(name), losses.get(name, from_logits=True)
        assert share(a, losses.get(name))
        assert not share(a, b)
        assert not share(a, losses.get(name, reduction="sum"))
    assert not share(losses.get("nce+rce"), losses.get("nce+mae"))
    assert not share(losses.get("nce+rce"), losses.get("rce+nce"))
    assert not share(losses.get("ce"), losses.get("label_smoothing"))
    assert not share(TaylorLoss([0] * 3, order=2), TaylorLoss([0], order=1))
    assert not share(Silent(), Silent())
    composed = ActivePassive(losses.NCE(), Silent())
    assert not share(composed, ActivePassive(losses.NCE(), Silent()))
    identity = losses.ForwardCorrection(np.eye(3))
    assert not share(identity, losses.ForwardCorrection(np.eye(3)))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("seed", False),
        ("learning_rate", False),
        ("epochs", False),
        ("batch_size", True),
        ("optimizer", True),
        ("examples", True),
        ("architecture", True),
    ],
)
def test_what_of_a_task_is_part_of_the_key(name, change):
    problem = task(mlp, architecture="mlp")
    x, y = problem.train
    other = dataclasses.replace(
        problem,
        **{
            "seed": {"seed": 1},
            "learning_rate": {"optimizer": keras.optimizers.Adam(0.5)},
            "epochs": {"epochs": 7},
            "batch_size": {"batch_size": 21},
            "optimizer": {"optimizer": "sgd"},
            "examples": {"train": (x[1:], y[1:])},
            "architecture": {"architecture": "other"},
        }[name],
    )
    keys = [program_key(each, losses.GCE()) for each in (problem, other)]
    assert (keys[0] != keys[1]) == change


def test_tasks_without_a_name_share_nothing_with_others():
    one, other = task(mlp), task(mlp)
    assert program_key(one, GCE) == program_key(one, GCE)
    assert program_key(one, GCE) != program_key(other, GCE)


class SignedLoss(keras.losses.Loss):
    """A loss whose configuration does not tell its instances apart."""

    def __init__(self, sign):
        super().__init__()
        self.sign = sign
        self.loss = losses.GCE()

    def call(self, y_true, y_pred):
        return self.sign * self.loss.call(y_true, y_pred)


def weighted(weight):
    loss = SparseRegularization(losses.GCE(), weight=0.0, growth=1.0)
    loss.weight = weight
    return loss


def test_a_loss_that_its_configuration_does_not_tell_apart():
    trainer = Trainer()
    problem = task(mlp, architecture="mlp")
    pair = [SignedLoss(1.0), SignedLoss(-1.0)]
    first, second = (trainer.evaluate(problem, loss) for loss in pair)
    assert first != second
    assert [trainer.evaluate(problem, loss) for loss in pair] == [first, second]


def test_a_loss_that_changes_between_trainings_is_the_callers_own():
    trainer = Trainer()
    problem = task(mlp, architecture="mlp", epochs=6)
    loss = weighted(0.0)
    before = trainer.evaluate(problem, loss)
    assert trainer.evaluate(problem, weighted(50.0)) != before
    assert loss.weight == 0.0
    assert trainer.evaluate(problem, loss) == before
    loss.weight = 50.0
    assert check_agrees(trainer, problem, loss) != before


def use(trainer, name):
    """What a trainer does with its programs when it trains."""
    problem = task(mlp, architecture=name)
    key = program_key(problem, GCE)
    trainer._store.prepare(key, problem)
    if trainer._store.get(key) is None:
        trainer._store.keep(key, PlainProgram(problem, GCE))


@compiled
def test_old_programs_are_dropped():
    trainer = Trainer(max_programs=2)
    for name in ("a", "b", "a", "c"):
        use(trainer, name)
    # The one unused for longest.
    assert [key[0] for key in trainer._store._programs] == ["a", "c"]
    assert {key[0] for key in trainer._store._signatures} == {"a", "c"}


@compiled
@pytest.mark.skipif(
    not pathlib.Path("/proc/self/maps").exists(), reason="Linux has the limit"
)
def test_programs_are_dropped_where_mappings_are_scarce():
    trainer = Trainer()
    for name in "ab":
        use(trainer, name)
    assert not mappings.are_scarce()
    limit = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    # Shared ones, which the kernel does not merge.
    taken = [mmap.mmap(-1, mmap.PAGESIZE) for _ in range(limit // 2)]
    assert mappings.are_scarce()
    use(trainer, "e")
    assert len(trainer._store._programs) == 2
    for each in taken:
        each.close()
    assert not mappings.are_scarce()
