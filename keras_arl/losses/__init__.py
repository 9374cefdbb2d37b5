"""Losses for noisy labels."""

from keras_arl.losses.analysis import is_trainable
from keras_arl.losses.arl import ARL
from keras_arl.losses.arl import arl_provenance
from keras_arl.losses.files import load
from keras_arl.losses.files import save
from keras_arl.losses.plotting import plot_losses
from keras_arl.losses.registry import get
from keras_arl.losses.taylor import TaylorLoss

__all__ = [
    "ARL",
    "TaylorLoss",
    "arl_provenance",
    "get",
    "is_trainable",
    "load",
    "plot_losses",
    "save",
]
