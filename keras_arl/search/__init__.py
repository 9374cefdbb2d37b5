"""The search for losses: CMA-ES as a Keras Tuner oracle, and its tuner."""

from keras_arl.search.callbacks import SearchCallback
from keras_arl.search.memory_space import MemorySpace
from keras_arl.search.numbers_space import NumbersSpace
from keras_arl.search.optuna_study import to_optuna
from keras_arl.search.oracle import CMAESOracle
from keras_arl.search.pictures import plot_coefficients
from keras_arl.search.pictures import plot_fitness
from keras_arl.search.space import BatchTaylorSpace
from keras_arl.search.space import ScheduledTaylorSpace
from keras_arl.search.space import SearchSpace
from keras_arl.search.space import TaylorSpace
from keras_arl.search.tensorboard import TensorBoard
from keras_arl.search.tuner import LossTuner

__all__ = [
    "BatchTaylorSpace",
    "CMAESOracle",
    "LossTuner",
    "MemorySpace",
    "NumbersSpace",
    "ScheduledTaylorSpace",
    "SearchCallback",
    "SearchSpace",
    "TaylorSpace",
    "TensorBoard",
    "plot_coefficients",
    "plot_fitness",
    "to_optuna",
]
