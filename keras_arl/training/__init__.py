"""Training many losses on many tasks: compile once, then feed."""

from keras_arl.training.fitting import TrainingDivergedError
from keras_arl.training.plain import PlainTrainer
from keras_arl.training.trainer import Trainer

__all__ = [
    "PlainTrainer",
    "Trainer",
    "TrainingDivergedError",
]
