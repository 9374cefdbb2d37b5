"""Learned robust losses for noisy labels, and the search that finds them."""

import importlib.metadata

from keras_arl import analysis
from keras_arl import datasets
from keras_arl import evaluation
from keras_arl import learners
from keras_arl import losses
from keras_arl import noise
from keras_arl import search
from keras_arl import tasks
from keras_arl import training
from keras_arl.losses import ARL

__all__ = [
    "ARL",
    "analysis",
    "datasets",
    "evaluation",
    "learners",
    "losses",
    "noise",
    "search",
    "tasks",
    "training",
]
__version__ = importlib.metadata.version("keras-arl")
