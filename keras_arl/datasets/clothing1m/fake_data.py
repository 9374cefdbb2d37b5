"""A small set in Clothing1M's layout, to try programs without the real one."""

import colorsys
import io
import pathlib
import types

import numpy as np
from PIL import Image

from keras_arl import noise
from keras_arl.datasets.clothing1m import layout

_SIZES = types.MappingProxyType(
    {
        "noisy_train": 2800,
        "clean_train": 280,
        "clean_validation": 420,
        "clean_test": 700,
    }
)
# The share of wrong web labels in Clothing1M.
_NOISE_RATE = 0.38
_SMALLEST, _LARGEST = 72, 112


def write_fake_clothing1m(directory, sizes=_SIZES, seed=0):
    """Writes made images and their lists as Clothing1M is given out.

    Each class is stripes of its own width, direction and two colours, which
    vary, under noise: a small network learns it. 38% of the noisy labels are
    wrong, evenly. As in the real set, half of the clean training images have a
    noisy label too.

    Args:
        directory: Directory to write; TFDS finds it as
            `<manual_dir>/clothing1m` or as the manual directory itself.
        sizes: Dictionary from each split to its number of images. Defaults to
            2,800 noisy and 280, 420 and 700 clean ones (training, validation,
            test).
        seed: Non-negative integer. Defaults to `0`.

    Returns:
        The directory, a `pathlib.Path`.

    Raises:
        ValueError: If `sizes` names other splits.

    Example:

    >>> sizes = dict.fromkeys(
    ...     ["noisy_train", "clean_train", "clean_validation", "clean_test"], 14
    ... )
    >>> root = keras_arl.datasets.write_fake_clothing1m("fake", sizes)
    >>> len((root / "clean_test_key_list.txt").read_text().splitlines())
    14
    """
    if set(sizes) != set(layout.KEY_LISTS):
        raise ValueError(
            f"`sizes` must name the splits {list(layout.KEY_LISTS)}. "
            f"Received: {list(sizes)}"
        )
    root = pathlib.Path(directory)
    rng = np.random.default_rng(seed)
    num_classes = len(layout.CLASS_NAMES)
    matrix = noise.symmetric(_NOISE_RATE, num_classes)
    noisy_lines, clean_lines, first = [], [], 0
    for position, (split, file) in enumerate(layout.KEY_LISTS.items()):
        size = sizes[split]
        labels = rng.permutation(np.arange(size) % num_classes)
        noisy = noise.corrupt_labels(labels, matrix, seed=seed + position)
        keys = [_key(first + k) for k in range(size)]
        first += size
        for key, label in zip(keys, labels, strict=True):
            path = root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_jpeg(int(label), rng))
        with_noisy = {"noisy_train": size, "clean_train": size // 2}
        noisy_lines += _pairs(keys, noisy)[: with_noisy.get(split, 0)]
        if split != "noisy_train":
            clean_lines += _pairs(keys, labels)
        _write_lines(root / file, keys)
    _write_lines(root / layout.NOISY_LABELS, noisy_lines)
    _write_lines(root / layout.CLEAN_LABELS, clean_lines)
    _write_lines(root / layout.CATEGORY_NAMES, layout.CLASS_NAMES)
    return root


def _key(number):
    # As in the real set, with its commas and folders.
    return f"images/{number % 10}/{number % 100:02}/{number},{7 * number}.jpg"


def _pairs(keys, labels):
    return [f"{key} {label}" for key, label in zip(keys, labels, strict=True)]


def _write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))


def _jpeg(label, rng):
    """An image of a class: stripes of two colours, shifted and noisy."""
    height, width = rng.integers(_SMALLEST, _LARGEST + 1, size=2)
    hue = (label / len(layout.CLASS_NAMES) + rng.normal(0, 0.06)) % 1
    colours = [
        colorsys.hsv_to_rgb(hue, 0.7, rng.uniform(0.5, 1.0)),
        colorsys.hsv_to_rgb((hue + 0.4) % 1, 0.5, rng.uniform(0.3, 0.8)),
    ]
    y, x = np.mgrid[:height, :width] / min(height, width)
    along = y if label % 2 else x
    phase = 2 * np.pi * ((2 + label // 2) * along + rng.random())
    share = (0.5 + 0.5 * np.sin(phase))[..., None]
    pixels = share * colours[0] + (1 - share) * colours[1]
    pixels = pixels + rng.normal(0, 0.25, size=pixels.shape)
    image = Image.fromarray((255 * pixels.clip(0, 1)).astype("uint8"))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=90)
    return content.getvalue()
