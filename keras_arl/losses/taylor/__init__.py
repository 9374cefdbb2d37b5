"""Taylor polynomials of prediction and label, and the one that ships."""

from keras_arl.losses.taylor.arl import ARL
from keras_arl.losses.taylor.batch import BatchTaylorLoss
from keras_arl.losses.taylor.files import load
from keras_arl.losses.taylor.files import save
from keras_arl.losses.taylor.scheduled import ScheduledTaylorLoss
from keras_arl.losses.taylor.taylor_loss import TaylorLoss

__all__ = [
    "ARL",
    "BatchTaylorLoss",
    "ScheduledTaylorLoss",
    "TaylorLoss",
    "load",
    "save",
]
