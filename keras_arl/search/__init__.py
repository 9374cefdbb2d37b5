"""The search for losses: CMA-ES as a Keras Tuner oracle, and its tuner."""

from keras_arl.search.fitness_plot import plot_fitness
from keras_arl.search.oracle import CMAESOracle
from keras_arl.search.tuner import LossTuner

__all__ = ["CMAESOracle", "LossTuner", "plot_fitness"]
