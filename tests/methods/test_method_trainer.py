"""Learners that differ in numbers alone, trained one after another."""

import dataclasses
import functools

import keras
import pytest

from keras_arl import learners
from keras_arl import losses
from keras_arl.methods.kinds import WithMetaData
from keras_arl.methods.kinds import base_loss
from keras_arl.methods.kinds import expression
from keras_arl.methods.kinds import named
from keras_arl.methods.method_trainer import MethodTrainer
from keras_arl.training import PlainTrainer
from keras_arl.training import Trainer
from tests.evaluation.points import points_task


def moving(change):
    return losses.ScheduledTaylorLoss(
        [0, -1, 0, 0, 0, 0], [0, change, 0, 0], order=3
    )


class Counted(learners.TaylorMemory):
    """Counts how often its training loss is traced."""

    fed_numbers = learners.TaylorMemory.fed_numbers
    num_traces = 0

    def training_loss(self, batch, y_pred):
        Counted.num_traces += 1
        return super().training_loss(batch, y_pred)


METHODS = [
    functools.partial(
        Counted,
        changes=[theta, -theta, 0.0, theta],
        weight=weight,
        beta=beta,
        power=power,
        loss=moving(change),
    )
    for theta, weight, beta, power, change in (
        (0.5, 1.0, 0.7, 1.0, 2.5),
        (-0.9, 0.1, 0.2, 3.0, -2.5),
    )
]


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="one program on JAX alone"
)
def test_one_program_serves_learners_that_differ_in_numbers():
    kept, new = MethodTrainer(Trainer()), MethodTrainer(PlainTrainer())
    task = points_task(1, noise_rate=0.4, epochs=4)
    first = kept.accuracies(task, METHODS[0])
    count = Counted.num_traces
    second = kept.accuracies(task, METHODS[1])
    assert Counted.num_traces == count > 0
    assert first != second
    assert kept.accuracies(task, METHODS[0]) == first
    one_example = 1.01 / 32
    for found, method in ((first, METHODS[0]), (second, METHODS[1])):
        assert found == pytest.approx(
            new.accuracies(task, method), abs=one_example
        )


def test_the_mean_of_the_last_epochs():
    trainer = MethodTrainer(Trainer())
    task = points_task(0, epochs=3)
    method = functools.partial(learners.ELR, weight=0.5)
    accuracies = trainer.accuracies(task, method)
    assert len(accuracies) == 3
    assert trainer.evaluate(task, method, 2) == pytest.approx(
        sum(accuracies[1:]) / 2
    )
    with pytest.raises(ValueError, match="last_epochs"):
        trainer.evaluate(task, method, 4)


def test_names_of_methods():
    assert named("sce", alpha=0.5).alpha == 0.5
    method = named("ELR", weight=2.0, from_logits=True)
    assert base_loss(method).from_logits
    assert base_loss(METHODS[0]).changes == (0.0, 2.5, 0.0, 0.0)
    assert expression(METHODS[0]).startswith("L = ")
    with pytest.raises(ValueError, match="Learner"):
        named("Learner!")
    wrapped = WithMetaData(losses.GCE())
    assert expression(wrapped.method) == "GCE(q=0.7)"


def test_another_model_of_one_architecture_is_refused():
    trainer, task = MethodTrainer(Trainer()), points_task(0, epochs=1)
    trainer.accuracies(task, learners.ELR)

    def wide():
        dense = keras.layers.Dense
        return keras.Sequential([keras.Input((2,)), dense(3), dense(2)])

    other = dataclasses.replace(task, build_model=wide)
    with pytest.raises(ValueError, match=r"architecture='linear': variables"):
        trainer.accuracies(other, learners.ELR)
