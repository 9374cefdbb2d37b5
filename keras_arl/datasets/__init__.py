"""Labelled data: arrays by name, pipelines of images, and Clothing1M.

`Clothing1m` is a TFDS builder. It is imported, and TFDS with it, at its first
use; `import keras_arl.datasets.clothing1m` has `tfds.load("clothing1m")` find
it.
"""

import importlib

from keras_arl.datasets.balance import balanced_subset
from keras_arl.datasets.loading import LabelledData
from keras_arl.datasets.loading import load_dataset

__all__ = [
    "Clothing1m",
    "ImageSize",
    "LabelledData",
    "balanced_subset",
    "image_batches",
    "load_dataset",
    "write_fake_clothing1m",
]


# They need TensorFlow, which JAX and PyTorch can do without.
_MODULES = {
    "Clothing1m": "clothing1m",
    "ImageSize": "images",
    "image_batches": "images",
    "write_fake_clothing1m": "clothing1m",
}


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)
