import os
import pathlib

import numpy as np
import pytest
import sklearn.datasets
import tensorflow_datasets as tfds

from keras_arl.tasks import load_dataset

TFDS_DIR = pathlib.Path(
    os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
).expanduser()


@pytest.fixture
def mock_tfds():
    load_dataset.cache_clear()
    with tfds.testing.mock_data(num_examples=20):
        yield
    load_dataset.cache_clear()


def rows(images, labels):
    return {
        (image.tobytes(), int(label))
        for image, label in zip(images, labels, strict=True)
    }


def test_digits_are_scikit_learns():
    digits = load_dataset("digits")
    bundled = sklearn.datasets.load_digits()
    assert digits.pool_images.shape == (1400, 8, 8, 1)
    assert digits.test_images.shape == (397, 8, 8, 1)
    assert digits.pool_images.max() == digits.white == 16
    ours = rows(digits.pool_images, digits.pool_labels) | rows(
        digits.test_images, digits.test_labels
    )
    theirs = rows(bundled.images.astype("uint8")[..., None], bundled.target)
    assert ours == theirs
    # Both parts hold every class about equally often.
    for labels in (digits.pool_labels, digits.test_labels):
        share = np.bincount(labels, minlength=10) / len(labels)
        assert share.min() > 0.07


@pytest.mark.filterwarnings("ignore::UserWarning:tensorflow_datasets")
def test_tfds_by_name(mock_tfds):
    dataset = load_dataset("mnist")
    assert dataset.pool_images.shape == (20, 28, 28, 1)
    assert dataset.pool_images.dtype == "uint8"
    assert dataset.pool_labels.shape == (20,)
    assert dataset.num_classes == 10
    assert dataset.white == 255


@pytest.mark.filterwarnings("ignore::UserWarning:tensorflow_datasets")
def test_images_that_differ_in_size_are_resized(mock_tfds):
    dataset = load_dataset("beans")
    assert dataset.pool_images.shape[1:] == (500, 500, 3)
    dataset = load_dataset("rock_paper_scissors")
    assert dataset.pool_images.shape[1:] == (300, 300, 3)
    dataset = load_dataset("tf_flowers")
    assert dataset.pool_images.shape[1:] == (32, 32, 3)
    assert dataset.num_classes == 5


def test_unknown_names():
    for name in ("digitz", "mnist:99.0.0"):
        with pytest.raises(ValueError, match=f"Unknown dataset '{name}'"):
            load_dataset(name)


def test_datasets_without_labelled_images():
    with pytest.raises(ValueError, match=r"'trec'.*not one of labelled images"):
        load_dataset("trec")


@pytest.mark.skipif(
    not (TFDS_DIR / "mnist").is_dir(),
    reason="MNIST is not prepared on this machine",
)
def test_real_mnist():
    dataset = load_dataset("mnist")
    assert dataset.pool_images.shape == (60_000, 28, 28, 1)
    assert dataset.test_images.shape == (10_000, 28, 28, 1)
    assert np.bincount(dataset.test_labels)[[0, 1]].tolist() == [980, 1135]
