"""What can be said of a loss without training with it."""

from keras_arl.analysis.plots import plot_losses
from keras_arl.analysis.properties import asymmetry_ratio
from keras_arl.analysis.properties import is_trainable
from keras_arl.analysis.properties import symmetry_gap

__all__ = ["asymmetry_ratio", "is_trainable", "plot_losses", "symmetry_gap"]
