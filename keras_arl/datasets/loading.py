"""The labelled data that a task can name, as arrays.

Every set has two parts that never mix: the pool, from which a search draws
training and validation examples, and the test part, which no search touches.
"""

import dataclasses
import functools

import numpy as np

from keras_arl.datasets import from_tfds
from keras_arl.datasets import tables


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledData:
    """Labelled examples in memory.

    Args:
        pool_inputs: Array of shape `(n, ...)`: images of shape
            `(n, height, width, channels)`, or features of shape `(n, size)`.
        pool_labels: int64 array of shape `(n,)`.
        test_inputs: Inputs that no search may use.
        test_labels: Their labels.
        num_classes: Number of classes.
        scale: What inputs are divided by before they are trained on.
    """

    pool_inputs: np.ndarray
    pool_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    scale: float = 1


@functools.lru_cache(maxsize=16)
def load_dataset(name):
    """Loads a dataset by name.

    Args:
        name: One of

            * `"digits"` (8x8 images), `"breast_cancer"`, `"iris"` or `"wine"`
              (tables), which ship with scikit-learn;
            * an image-classification dataset of TFDS such as `"mnist"`; images
              that differ in size are resized to 32x32;
            * a text-classification dataset of TFDS such as `"imdb_reviews"`,
              as counts of words and pairs of words, hashed to 1,024 numbers;
            * of a set with several labels one, as `"trec:label-fine"`;
            * two sets of images side by side, as `"mnist+mnist"`, where a
              class is a pair of classes and each image is used once.

            TFDS downloads a set at its first use. All of it is held in memory.

    Returns:
        A `LabelledData`. Its test part is TFDS's `test` split or, for a set
        without one, the last fifth of `train`; of scikit-learn's sets a fixed
        random fifth or so (of digits, 397 examples).

    Raises:
        ValueError: If there is no such dataset, or it holds no labelled
            images or texts.
        RuntimeError: If TFDS cannot prepare it.

    Example:

    >>> keras_arl.datasets.load_dataset("digits").pool_inputs.shape
    (1400, 8, 8, 1)
    """
    if "+" in name:
        return _side_by_side(name)
    if name in tables.NAMES:
        return LabelledData(**tables.load(name))
    return LabelledData(**from_tfds.load(name))


def _side_by_side(name):
    left_name, _, right_name = name.partition("+")
    if "+" in right_name:
        raise ValueError(
            f"At most two sets can be side by side. Received: {name!r}"
        )
    left, right = load_dataset(left_name), load_dataset(right_name)
    same = left_name == right_name
    if (
        left.pool_inputs.ndim != 4
        or left.scale != right.scale
        or left.pool_inputs.shape[1::2] != right.pool_inputs.shape[1::2]
    ):
        raise ValueError(
            "Sets side by side must both be of images, of one height and "
            f"number of channels. Received: {name!r}"
        )
    parts = {}
    for part in ("pool", "test"):
        sides = [
            (getattr(side, f"{part}_inputs"), getattr(side, f"{part}_labels"))
            for side in (left, right)
        ]
        parts[f"{part}_inputs"], parts[f"{part}_labels"] = _pair(
            *sides, same, right.num_classes
        )
    return LabelledData(
        **parts,
        num_classes=left.num_classes * right.num_classes,
        scale=left.scale,
    )


def _pair(left, right, same, num_right):
    """Images and labels side by side, each image at most once."""
    # A fixed order that mixes the classes; stored orders may go by class.
    rng = np.random.default_rng(0)
    left_order = rng.permutation(len(left[1]))
    if same:
        half = len(left_order) // 2
        left_order, right_order = left_order[:half], left_order[half:]
    else:
        right_order = rng.permutation(len(right[1]))
    count = min(len(left_order), len(right_order))
    left_order, right_order = left_order[:count], right_order[:count]
    images = np.concatenate([left[0][left_order], right[0][right_order]], 2)
    return images, left[1][left_order] * num_right + right[1][right_order]
