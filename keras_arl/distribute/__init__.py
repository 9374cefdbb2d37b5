"""Many workers on one search, by Keras Tuner's chief-worker service."""

from keras_arl.distribute.environment import Place
from keras_arl.distribute.environment import is_worker
from keras_arl.distribute.environment import place
from keras_arl.distribute.local_workers import LocalWorkers

__all__ = ["LocalWorkers", "Place", "is_worker", "place"]
