"""Datasets of our own, as TFDS builders, and input pipelines of images.

Importing this registers the builders: `tfds.load("clothing1m")` finds them.
"""

from keras_arl.datasets.clothing1m.clothing1m_dataset_builder import (
    Builder as Clothing1m,
)
from keras_arl.datasets.clothing1m.fake_data import write_fake_clothing1m
from keras_arl.datasets.images import ImageSize
from keras_arl.datasets.images import image_batches
from keras_arl.datasets.sampling import balanced_subset

__all__ = [
    "Clothing1m",
    "ImageSize",
    "balanced_subset",
    "image_batches",
    "write_fake_clothing1m",
]
