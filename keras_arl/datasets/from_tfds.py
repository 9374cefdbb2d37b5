"""Labelled images and texts of TFDS."""

import re
import socket
import urllib.parse
import urllib.request

import numpy as np

from keras_arl.datasets import tables

# Images of sets whose images differ in size are resized to this.
_RESIZED = (32, 32)
_READ_BATCH = 256
_NUM_FEATURES = 1024
_LONGEST_NGRAM = 2
_VERSION = re.compile(r"[\d*]+\.[\d*]+\.[\d*]+")


def load(name):
    """The fields of a `LabelledData`, a dictionary."""
    name, label = _split(name)
    builder = _builder(name)
    features = builder.info.features
    kind, key = _find_input(name, features)
    label = _find_label(name, features, label)
    try:
        _check_network(builder)
        builder.download_and_prepare()
    except Exception as error:
        raise RuntimeError(
            f"TFDS could not download and prepare {name!r}: {error}"
        ) from error
    if "test" in builder.info.splits:
        splits = {"pool": "train", "test": "test"}
    else:
        splits = {"pool": "train[:80%]", "test": "train[80%:]"}
    read = _read_images if kind == "image" else _read_texts
    fields = {
        "num_classes": features[label].num_classes,
        "scale": 255 if kind == "image" else 1,
    }
    for part, split in splits.items():
        inputs, labels = read(builder, split, key, label)
        fields[f"{part}_inputs"], fields[f"{part}_labels"] = inputs, labels
    return fields


def _split(name):
    """The name for TFDS, which may end with a version, and the label's."""
    head, _, last = name.rpartition(":")
    if not head or _VERSION.fullmatch(last):
        return name, ""
    return head, last


def _builder(name):
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name)
    # A wrong name, version and syntax, in this order.
    except (
        tfds.core.registered.DatasetNotFoundError,
        AssertionError,
        ValueError,
    ) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"Unknown dataset {name!r}: expected one of "
            f"{', '.join(tables.NAMES)}, or an image or text classification "
            f"dataset of TFDS, which says: {reason}"
        ) from error
    except Exception as error:
        raise RuntimeError(f"TFDS could not load {name!r}: {error}") from error


def _check_network(builder):
    """Raises at once where TFDS would try to download for minutes."""
    if builder.is_prepared() or urllib.request.getproxies():
        return
    urls = getattr(builder, "url_infos", None) or ()
    hosts = {urllib.parse.urlsplit(url).hostname for url in urls}
    unknown = []
    for host in hosts - {None}:
        try:
            socket.getaddrinfo(host, None)
        except OSError as error:
            unknown.append(f"{host}: {error.strerror}")
    if unknown and len(unknown) == len(hosts):
        raise ConnectionError("; ".join(sorted(unknown)))


def _find_input(name, features):
    """The kind of the inputs, `"image"` or `"text"`, and their key."""
    import tensorflow_datasets as tfds

    if hasattr(features, "keys"):
        for key, feature in features.items():
            if isinstance(feature, tfds.features.Image):
                return "image", key
        for key, feature in features.items():
            if isinstance(feature, tfds.features.Text):
                return "text", key
    raise ValueError(
        f"TFDS dataset {name!r} is not one of labelled images or texts. "
        f"Received features: {features}"
    )


def _find_label(name, features, label):
    import tensorflow_datasets as tfds

    labels = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.ClassLabel)
    ]
    if label in labels:
        return label
    if not label and "label" in labels:
        return "label"
    if not label and len(labels) == 1:
        return labels[0]
    raise ValueError(
        f"TFDS dataset {name!r} has the labels {labels}, of which one is named "
        f"as '{name}:{(labels or ['label'])[0]}'. Received: {label!r}"
    )


def _read_images(builder, split, key, label):
    import tensorflow as tf

    def to_pair(example):
        image = example[key]
        if None in builder.info.features[key].shape:
            resized = tf.image.resize(tf.cast(image, tf.float32), _RESIZED)
            image = tf.cast(tf.round(resized), tf.uint8)
        return image, example[label]

    dataset = builder.as_dataset(split=split).map(
        to_pair, num_parallel_calls=tf.data.AUTOTUNE
    )
    # One at a time, MNIST's 70,000 images would take five times as long.
    batches = dataset.batch(_READ_BATCH).as_numpy_iterator()
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels).astype("int64")


def _read_texts(builder, split, key, label):
    from sklearn.feature_extraction.text import HashingVectorizer

    examples = list(builder.as_dataset(split=split).as_numpy_iterator())
    vectorizer = HashingVectorizer(
        n_features=_NUM_FEATURES,
        ngram_range=(1, _LONGEST_NGRAM),
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    texts = [example[key].decode("utf-8", "replace") for example in examples]
    labels = np.asarray([example[label] for example in examples], "int64")
    return vectorizer.transform(texts).toarray(), labels
