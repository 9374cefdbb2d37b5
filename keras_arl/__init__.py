"""Learned robust losses for noisy labels, and the search that finds them."""

from keras_arl import distribute as distribute
from keras_arl import losses as losses
from keras_arl import noise as noise
from keras_arl import search as search
from keras_arl import tasks as tasks
from keras_arl import training as training
from keras_arl.losses import ARL as ARL
