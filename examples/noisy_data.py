"""The batches of clothing1m.py, of a prepared dataset; no program."""

import typing

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_arl import datasets
from keras_arl import learners


class Data(typing.NamedTuple):
    """The batches of all parts.

    Attributes:
        train: To train on.
        validation: To watch.
        test: To report.
        meta: Clean ones, as the training images are made, for learners that
            need them.
        count: Number of training examples.
        steps: Number of steps of an epoch.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    test: tf.data.Dataset
    meta: tf.data.Dataset
    count: int
    steps: int


def batches(builder, splits, labels, recipe, pad, balanced, seed, with_index):
    """The `Data` of a dataset.

    Args:
        builder: Its builder.
        splits: Names of its parts: train, validation and test.
        labels: Pair of features, the clean and the observed labels.
        recipe: Has `resize`, `crop` and `batch_size`.
        pad: Zeros added on each side of a training image, in pixels.
        balanced: Whether to train on as many examples of each observed class.
        seed: Seed of order and augmentation.
        with_index: Whether training labels come as dictionaries, with the
            example's index.
    """
    clean, observed = labels
    train = _encoded(builder, splits["train"], observed, shuffle_files=False)
    if balanced:
        train = _balanced(train, builder, splits["train"], observed, seed)
    count = int(train.cardinality())
    if with_index:
        # Before they are shuffled.
        train = learners.with_index(
            train.map(lambda example: (example["image"], example[observed]))
        )
    validation, test = (
        _encoded(builder, splits[part], clean)
        for part in ("validation", "test")
    )
    size = datasets.ImageSize(recipe.resize, recipe.crop, pad)
    whole = datasets.ImageSize(recipe.resize, recipe.crop)
    train, meta = (
        datasets.image_batches(
            dataset, label, size, recipe.batch_size, training=True, seed=seed
        )
        for dataset, label in ((train, observed), (validation, clean))
    )
    evaluation = [
        datasets.image_batches(part, clean, whole, recipe.batch_size)
        for part in (validation, test)
    ]
    return Data(train, *evaluation, meta, count, int(train.cardinality()))


def _encoded(builder, split, label, **options):
    return builder.as_dataset(
        split=split,
        decoders=tfds.decode.PartialDecoding(
            {"image": True, label: True},
            decoders={"image": tfds.decode.SkipDecoding()},
        ),
        **options,
    )


def _balanced(train, builder, split, observed, seed):
    only_labels = builder.as_dataset(
        split=split, decoders=tfds.decode.PartialDecoding({observed: True})
    )
    chosen = datasets.balanced_subset(
        np.array([e[observed] for e in only_labels.as_numpy_iterator()]),
        builder.info.features[observed].num_classes,
        seed,
    )
    is_chosen = tf.constant(chosen)
    return (
        train.enumerate()
        .filter(lambda index, _: is_chosen[index])
        .map(lambda _, example: example)
        .apply(tf.data.experimental.assert_cardinality(chosen.sum()))
    )
