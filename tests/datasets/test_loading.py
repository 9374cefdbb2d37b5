import os
import pathlib
import socket
import time

import numpy as np
import pytest
import sklearn.datasets
import tensorflow_datasets as tfds

from keras_arl.datasets import load_dataset

TFDS_DIR = pathlib.Path(
    os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")
).expanduser()


@pytest.fixture
def mock_tfds(monkeypatch):
    load_dataset.cache_clear()
    # Nothing is downloaded, so whether there is a network is not asked.
    proxies = {"https": "http://localhost"}
    monkeypatch.setattr("urllib.request.getproxies", lambda: proxies)
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
    assert digits.pool_inputs.shape == (1400, 8, 8, 1)
    assert digits.test_inputs.shape == (397, 8, 8, 1)
    assert digits.pool_inputs.max() == digits.scale == 16
    ours = rows(digits.pool_inputs, digits.pool_labels) | rows(
        digits.test_inputs, digits.test_labels
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
    assert dataset.pool_inputs.shape == (20, 28, 28, 1)
    assert dataset.pool_inputs.dtype == "uint8"
    assert dataset.pool_labels.shape == (20,)
    assert dataset.num_classes == 10
    assert dataset.scale == 255


@pytest.mark.filterwarnings("ignore::UserWarning:tensorflow_datasets")
def test_images_that_differ_in_size_are_resized(mock_tfds):
    dataset = load_dataset("tf_flowers")
    assert dataset.pool_inputs.shape == (20, 32, 32, 3)
    assert dataset.num_classes == 5


def test_unknown_names():
    for name in ("digitz", "mnist:99.0.0"):
        with pytest.raises(ValueError, match=f"Unknown dataset '{name}'"):
            load_dataset(name)


@pytest.mark.parametrize("name", ["titanic", "coco"])
def test_datasets_without_labelled_examples(name):
    with pytest.raises(ValueError, match=f"'{name}'"):
        load_dataset(name)


@pytest.mark.filterwarnings("ignore::UserWarning:tensorflow_datasets")
def test_texts_are_counts_of_words(mock_tfds):
    dataset = load_dataset("trec:label-coarse")
    assert dataset.pool_inputs.shape == (20, 1024)
    assert dataset.num_classes == 6
    assert dataset.scale == 1
    # Of every text the words and the pairs of words.
    assert (dataset.pool_inputs == np.round(dataset.pool_inputs)).all()
    assert (dataset.pool_inputs >= 0).all()
    assert load_dataset("trec:label-fine").num_classes == 47
    assert load_dataset("imdb_reviews").num_classes == 2


def test_a_set_with_several_labels_wants_one_named():
    for name in ("trec", "trec:label"):
        with pytest.raises(ValueError, match="'trec:label-coarse'"):
            load_dataset(name)


@pytest.mark.parametrize(
    ("name", "size", "num_classes"),
    [("breast_cancer", 569, 2), ("iris", 150, 3), ("wine", 178, 3)],
)
def test_tables_are_standardised_by_the_pool(name, size, num_classes):
    table = load_dataset(name)
    assert table.num_classes == num_classes
    assert len(table.pool_labels) + len(table.test_labels) == size
    assert table.pool_inputs.dtype == "float32"
    np.testing.assert_allclose(table.pool_inputs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(table.pool_inputs.std(0), 1, atol=1e-5)
    assert np.unique(table.test_labels).size == num_classes


def test_images_side_by_side():
    both, digits = load_dataset("digits+digits"), load_dataset("digits")
    assert both.num_classes == 100
    assert both.pool_inputs.shape == (700, 8, 16, 1)
    assert both.test_inputs.shape == (198, 8, 16, 1)
    for part in ("pool", "test"):
        images = getattr(both, f"{part}_inputs")
        labels = getattr(both, f"{part}_labels")
        halves = [
            *zip(images[:, :, :8], labels // 10, strict=True),
            *zip(images[:, :, 8:], labels % 10, strict=True),
        ]
        single = rows(
            getattr(digits, f"{part}_inputs"), getattr(digits, f"{part}_labels")
        )
        found = {(image.tobytes(), int(label)) for image, label in halves}
        # Each image once, with its own label.
        assert found <= single
        assert len(halves) == len(images) * 2
        assert len(found) > 0.99 * len(halves)


def test_what_cannot_stand_side_by_side():
    with pytest.raises(ValueError, match=r"both be of images.*'digits\+iris'"):
        load_dataset("digits+iris")
    with pytest.raises(ValueError, match=r"At most two.*'digits\+digits\+dig"):
        load_dataset("digits+digits+digits")


@pytest.mark.skipif(
    not (TFDS_DIR / "mnist").is_dir(),
    reason="MNIST is not prepared on this machine",
)
def test_real_mnist():
    dataset = load_dataset("mnist")
    assert dataset.pool_inputs.shape == (60_000, 28, 28, 1)
    assert dataset.test_inputs.shape == (10_000, 28, 28, 1)
    assert np.bincount(dataset.test_labels)[[0, 1]].tolist() == [980, 1135]


def test_without_a_network_a_download_fails_at_once(monkeypatch):
    def getaddrinfo(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"'cmaterdb': raw\.github.*known"):
        load_dataset("cmaterdb")
    # TFDS alone tries for minutes.
    assert time.monotonic() - began < 60
