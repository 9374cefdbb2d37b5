"""The labelled images that a task can name, as arrays.

Every set has two parts that never mix: the pool, from which a search draws
training and validation examples, and the test part, which no search touches.
"""

import dataclasses
import functools

import numpy as np

# Images of sets whose images differ in size are resized to this.
_RESIZED = (32, 32)
_DIGITS_TEST_SIZE = 397


@dataclasses.dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images in memory.

    Args:
        pool_images: uint8 array of shape `(n, height, width, channels)`.
        pool_labels: int64 array of shape `(n,)`.
        test_images: Images that no search may use.
        test_labels: Their labels.
        num_classes: Number of classes.
        white: Pixel value that is scaled to 1.0.
    """

    pool_images: np.ndarray
    pool_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    white: int


@functools.lru_cache(maxsize=4)
def load_dataset(name):
    """Loads a dataset by name.

    Args:
        name: `"digits"`, the 1,797 handwritten digits of 8x8 pixels that ship
            with scikit-learn (no network needed), or the name of an
            image-classification dataset of TFDS such as `"mnist"`, which is
            downloaded at first use. The whole set is held in memory; images
            that differ in size are resized to 32x32.

    Returns:
        An `ImageDataset`. Its test part is TFDS's `test` split or, for a set
        without one, the last fifth of `train`; of digits, 397 examples.

    Raises:
        ValueError: If there is no such dataset, or it holds no labelled
            images.
        RuntimeError: If TFDS cannot prepare it.

    Example:

    >>> keras_arl.tasks.load_dataset("digits").pool_images.shape
    (1400, 8, 8, 1)
    """
    return _load_digits() if name == "digits" else _load_tfds(name)


def _load_digits():
    import sklearn.datasets

    digits = sklearn.datasets.load_digits()
    images = digits.images.astype("uint8")[..., None]
    labels = digits.target.astype("int64")
    # The stored order goes writer by writer.
    order = np.random.default_rng(0).permutation(len(labels))
    test, pool = order[:_DIGITS_TEST_SIZE], order[_DIGITS_TEST_SIZE:]
    return ImageDataset(
        images[pool], labels[pool], images[test], labels[test], 10, white=16
    )


def _load_tfds(name):
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name)
    # A wrong name, version and syntax, in this order.
    except (
        tfds.core.registered.DatasetNotFoundError,
        AssertionError,
        ValueError,
    ) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"Unknown dataset {name!r}: expected 'digits' or an "
            "image-classification dataset of TFDS, which says: "
            f"{reason}"
        ) from error
    except Exception as error:
        raise RuntimeError(f"TFDS could not load {name!r}: {error}") from error
    features = builder.info.features
    if not (
        hasattr(features, "keys")
        and {"image", "label"} <= features.keys()
        and isinstance(features["image"], tfds.features.Image)
        and isinstance(features["label"], tfds.features.ClassLabel)
    ):
        raise ValueError(
            f"TFDS dataset {name!r} is not one of labelled images. "
            f"Received features: {features}"
        )
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise RuntimeError(
            f"TFDS could not download and prepare {name!r}: {error}"
        ) from error
    if "test" in builder.info.splits:
        pool, test = "train", "test"
    else:
        pool, test = "train[:80%]", "train[80%:]"
    return ImageDataset(
        *_read_split(builder, pool),
        *_read_split(builder, test),
        features["label"].num_classes,
        white=255,
    )


def _read_split(builder, split):
    import tensorflow as tf

    def to_pair(example):
        image = example["image"]
        if None in builder.info.features["image"].shape:
            resized = tf.image.resize(tf.cast(image, tf.float32), _RESIZED)
            image = tf.cast(tf.round(resized), tf.uint8)
        return image, example["label"]

    dataset = builder.as_dataset(split=split).map(
        to_pair, num_parallel_calls=tf.data.AUTOTUNE
    )
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.stack(images), np.asarray(labels, dtype="int64")
