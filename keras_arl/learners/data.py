"""Which data `fit` got, and what it makes of them."""

import typing

import keras

from keras_arl.learners import batch as batches
from keras_arl.learners.batches import ArrayBatches
from keras_arl.learners.batches import WrappedBatches
from keras_arl.learners.batches import as_arrays
from keras_arl.learners.batches import split
from keras_arl.learners.batches import unpack
from keras_arl.learners.small_loss import SMALL_LOSS
from keras_arl.learners.small_loss import SmallLoss


class TrainingData(typing.NamedTuple):
    """Training data as Keras gets them.

    Attributes:
        dataset: A `keras.utils.PyDataset` or a `tf.data.Dataset`.
        example: Input of one example, with a batch axis.
        num_examples: Number of training examples; `None` where unknown.
        steps_per_epoch: For Keras; `None` where the dataset knows.
        validation_data: Split off, or `None`.
        listeners: What has to know of the begin of an epoch.
    """

    dataset: object
    example: object
    num_examples: int | None
    steps_per_epoch: int | None
    validation_data: tuple | None
    listeners: tuple

    def begin_epoch(self, seed, epoch):
        for listener in self.listeners:
            listener.begin_epoch(seed, epoch)


def training_data(
    learner,
    x,
    y,
    *,
    batch_size=None,
    shuffle=False,
    class_weight=None,
    sample_weight=None,
    steps_per_epoch=None,
    validation_split=0.0,
    meta_data=None,
    meta_batch_size=None,
):
    """The `TrainingData` of what `fit` got."""
    _check_meta_data(learner, meta_data)
    if not isinstance(class_weight, dict | None):
        raise ValueError(
            "`class_weight` must be a dictionary from class to weight. "
            f"Received: class_weight={class_weight!r}"
        )
    shared = {
        "has_index": learner.needs_index,
        "class_weight": class_weight,
        "meta_batch_size": meta_batch_size,
    }
    in_steps = {"num_steps": steps_per_epoch, "shuffle": shuffle}
    if isinstance(x, keras.utils.PyDataset) or _is_pipeline(x):
        _refuse_beside_dataset(
            y=y,
            batch_size=batch_size,
            sample_weight=sample_weight,
            validation_split=validation_split or None,
        )
        if isinstance(meta_data, str):
            raise ValueError(
                f'`meta_data="{SMALL_LOSS}"` has to reach each training '
                "example by its number, so that x and y must be arrays. "
                f"Received: x={type(x).__name__}"
            )
        if _is_pipeline(x):
            from keras_arl.learners.pipelines import Pipeline

            pipeline = Pipeline(x, meta=meta_data, **shared)
            example = batches.slice_of(pipeline.first[0], slice(1))
            return TrainingData(
                pipeline.dataset, example, None, steps_per_epoch, None, ()
            )
        meta = _as_meta(meta_data)
        dataset = WrappedBatches(x, meta=meta, **shared, **in_steps)
        example = batches.slice_of(unpack(x[0])[0], slice(1))
        return TrainingData(
            dataset, example, dataset.num_examples, None, None, (dataset,)
        )
    arrays, validation_data = _arrays(x, y, sample_weight), None
    if validation_split:
        arrays, validation_data = split(arrays, validation_split)
    listeners = []
    meta = _as_meta(meta_data)
    if isinstance(meta_data, str):
        choice = SmallLoss(learner, *arrays[:2])
        meta = choice.first
        listeners.append(choice)
    dataset = ArrayBatches(
        *arrays, batch_size=batch_size, meta=meta, **shared, **in_steps
    )
    if listeners:
        choice.dataset = dataset
    example = batches.slice_of(arrays[0], slice(1))
    listeners = (*listeners, dataset)
    return TrainingData(
        dataset, example, len(arrays[1]), None, validation_data, listeners
    )


def _arrays(x, y, sample_weight):
    if y is None:
        raise ValueError(
            "Training data must be arrays x and y, a `keras.utils.PyDataset` "
            "or a batched `tf.data.Dataset`; of others it cannot be known that "
            f"an example keeps its place. Received: x={type(x).__name__}, "
            "y=None"
        )
    x, y = as_arrays((x, y), "x, y")
    if sample_weight is not None:
        y, sample_weight = as_arrays((y, sample_weight), "y, sample_weight")
    return x, y, sample_weight


def _as_meta(meta_data):
    if meta_data is None or isinstance(meta_data, str):
        return None
    if not isinstance(meta_data, (tuple, list)) or len(meta_data) != 2:
        raise ValueError(
            "`meta_data` must be a tuple of arrays (x, y) beside arrays and a "
            f"`PyDataset`. Received: {type(meta_data).__name__}"
        )
    return as_arrays(tuple(meta_data), "meta_data")


def _check_meta_data(learner, meta_data):
    name = type(learner).__name__
    if meta_data is None and learner.needs_meta_data:
        raise ValueError(
            f"{name} learns from clean examples, too: pass "
            "`meta_data=(x_clean, y_clean)`, or `meta_data="
            f'"{SMALL_LOSS}"` to choose them among the training examples.'
        )
    if meta_data is not None and not learner.needs_meta_data:
        raise ValueError(
            f"{name} does not learn from clean examples. Leave `meta_data` out."
        )
    if isinstance(meta_data, str) and meta_data != SMALL_LOSS:
        raise ValueError(
            f'`meta_data` must be data or "{SMALL_LOSS}". Received: '
            f"meta_data={meta_data!r}"
        )


def _is_pipeline(x):
    # Without an import of TensorFlow, where another library computes.
    return hasattr(x, "element_spec") and hasattr(x, "enumerate")


def _refuse_beside_dataset(**arguments):
    given = [name for name, value in arguments.items() if value is not None]
    if given:
        raise ValueError(
            f"A dataset brings its own: {given} must not be passed beside it."
        )
