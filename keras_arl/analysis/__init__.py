"""What can be said of a loss without training with it."""

from keras_arl.analysis.plots import plot_losses
from keras_arl.analysis.properties import asymmetry_ratio
from keras_arl.analysis.properties import is_trainable
from keras_arl.analysis.properties import symmetry_gap
from keras_arl.analysis.styles import style_of

__all__ = [
    "asymmetry_ratio",
    "is_trainable",
    "plot_losses",
    "style_of",
    "symmetry_gap",
]
