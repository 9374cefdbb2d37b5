"""Clothing1M: one million web images of garments with real label noise.

Importing this registers the TFDS builder: `tfds.load("clothing1m")` finds it.
"""

from keras_arl.datasets.clothing1m.clothing1m_dataset_builder import (
    Builder as Clothing1m,
)
from keras_arl.datasets.clothing1m.fake_data import write_fake_clothing1m

__all__ = ["Clothing1m", "write_fake_clothing1m"]
