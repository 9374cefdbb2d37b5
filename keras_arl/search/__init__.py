"""The search for losses: CMA-ES as a Keras Tuner oracle, and its tuner."""

from keras_arl.search.files import write_csv
from keras_arl.search.fitness_plot import plot_fitness
from keras_arl.search.oracle import CMAESOracle
from keras_arl.search.report import compare_losses
from keras_arl.search.report import format_table
from keras_arl.search.report import fresh_configs
from keras_arl.search.report import provenance
from keras_arl.search.report import report_configs
from keras_arl.search.report import summarise
from keras_arl.search.tuner import LossTuner

__all__ = [
    "CMAESOracle",
    "LossTuner",
    "compare_losses",
    "format_table",
    "fresh_configs",
    "plot_fitness",
    "provenance",
    "report_configs",
    "summarise",
    "write_csv",
]
