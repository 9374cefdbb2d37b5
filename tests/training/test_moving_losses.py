"""Losses whose numbers move over a training, in each kind of program."""

import keras
import pytest

from keras_arl import losses
from keras_arl.training import PlainTrainer
from keras_arl.training import Trainer
from tests.training.models import task

NUMBERS = ([0, -1, 0, 0, 0, 0], [0, 2.5, 0, 0])


def moving(cls=losses.ScheduledTaylorLoss):
    return cls(*NUMBERS, order=3)


class Undeclared(losses.ScheduledTaylorLoss):
    """Shares no program, and its numbers are not fed."""


def settings():
    if keras.config.backend() == "tensorflow":
        return [{}, {"jit_compile": True}]
    return (
        [{}, {"vectorize": True}] if keras.config.backend() == "jax" else [{}]
    )


@pytest.fixture(scope="module")
def problem():
    return task(epochs=2)


@pytest.fixture(scope="module")
def expected(problem):
    return PlainTrainer().accuracies(problem, moving())


def test_each_trainer_moves_a_loss_as_fit_does(problem, expected):
    assert expected != PlainTrainer().accuracies(problem, moving().at(0.5))
    for arguments in settings():
        trainer = Trainer(**arguments)
        assert trainer.accuracies(problem, moving()) == pytest.approx(
            expected, abs=1e-6
        )
        both = trainer.evaluate_all(problem, [moving(), moving()])
        assert list(both) == pytest.approx([expected[-1]] * 2, abs=1e-6)


def test_a_moving_loss_without_declared_numbers_is_moved_too(problem, expected):
    assert Trainer().accuracies(problem, moving(Undeclared)) == pytest.approx(
        expected
    )
