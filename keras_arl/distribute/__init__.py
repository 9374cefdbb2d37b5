"""Many workers on one search, by Keras Tuner's chief-worker service."""

from keras_arl.distribute.chief import Chief
from keras_arl.distribute.client import ChiefClient
from keras_arl.distribute.environment import Place
from keras_arl.distribute.environment import is_worker
from keras_arl.distribute.environment import place
from keras_arl.distribute.local_workers import LocalWorkers

__all__ = [
    "Chief",
    "ChiefClient",
    "LocalWorkers",
    "Place",
    "is_worker",
    "place",
]
