"""Training data as a learner's step needs it: arrays and `PyDataset`s.

The order of an epoch and its clean batches are functions of a seed and of the
epoch, so that a training that goes on sees what it would have seen.
"""

import math

import keras
import numpy as np
from keras import ops

from keras_arl.learners import batch as batches

# What the draws of an epoch are for.
_ORDER, _META = 0, 1
_DEFAULT_BATCH_SIZE = 32


class Batches(keras.utils.PyDataset):
    """Base: an order of the batches, and a clean batch beside each.

    Args:
        num_steps: Steps of an epoch; `None` for all batches.
        shuffle: Whether the order changes from epoch to epoch.
        class_weight: Dictionary from class to weight, or `None`.
        meta: Clean examples, a tuple of arrays (x, y), or `None`.
        meta_batch_size: Size of a clean batch.
        **kwargs: As `keras.utils.PyDataset` takes them.
    """

    def __init__(
        self, num_steps, shuffle, class_weight, meta, meta_batch_size, **kwargs
    ):
        super().__init__(**kwargs)
        self.meta = meta
        self._meta_batch_size = meta_batch_size
        self._num_steps = num_steps
        self._shuffle = shuffle
        self._class_weight = class_weight
        self._key = (0, 0)
        self._order = None

    def begin_epoch(self, seed, epoch):
        """Sets the epoch whose batches come next."""
        self._key = (seed, epoch)
        self._order = None

    def __len__(self):
        if self._num_steps is None:
            return self.num_own_batches
        if self._num_steps > self.num_own_batches:
            raise ValueError(
                "`steps_per_epoch` must be at most the number of batches, "
                f"{self.num_own_batches}. Received: "
                f"steps_per_epoch={self._num_steps}"
            )
        return self._num_steps

    def __getitem__(self, step):
        x, y, sample_weight = self.training_batch(step)
        sample_weight = weigh(y, sample_weight, self._class_weight)
        if self.meta is not None:
            x = batches.with_meta(x, self._meta_batch(step))
        return (x, y) if sample_weight is None else (x, y, sample_weight)

    def in_order(self, count):
        """The order of this epoch's `count` examples or batches."""
        if not self._shuffle:
            return np.arange(count)
        if self._order is None:
            rng = np.random.default_rng([*self._key, _ORDER])
            self._order = rng.permutation(count)
        return self._order

    def _meta_batch(self, step):
        rng = np.random.default_rng([*self._key, _META, step])
        count = len(keras.tree.flatten(self.meta)[0])
        size = min(self._meta_batch_size, count)
        chosen = rng.choice(count, size, replace=False)
        return batches.slice_of(self.meta, chosen)


class ArrayBatches(Batches):
    """Batches of arrays."""

    def __init__(
        self,
        x,
        y,
        sample_weight,
        batch_size,
        has_index,
        meta_batch_size,
        **args,
    ):
        batch_size = batch_size or _DEFAULT_BATCH_SIZE
        super().__init__(meta_batch_size=meta_batch_size or batch_size, **args)
        self.arrays = (x, y, sample_weight)
        self.num_examples = len(y)
        self._batch_size = batch_size
        self._has_index = has_index

    @property
    def num_own_batches(self):
        return math.ceil(self.num_examples / self._batch_size)

    def training_batch(self, step):
        rows = self.in_order(self.num_examples)
        rows = rows[step * self._batch_size : (step + 1) * self._batch_size]
        x, y, sample_weight = batches.slice_of(self.arrays, rows)
        if self._has_index:
            y = batches.indexed(y, rows.astype("int32"))
        return x, y, sample_weight


class WrappedBatches(Batches):
    """Batches of a user's `PyDataset`, whose examples have a fixed order."""

    def __init__(self, dataset, has_index, meta_batch_size, **args):
        first = unpack(dataset[0])
        size = len(batches.labels_of(first[1]))
        super().__init__(
            meta_batch_size=meta_batch_size or size,
            workers=dataset.workers,
            use_multiprocessing=dataset.use_multiprocessing,
            max_queue_size=dataset.max_queue_size,
            **args,
        )
        self._dataset = dataset
        self._batch_size = size
        self._has_index = has_index and not batches.is_indexed(first[1])
        if dataset.num_batches is None:
            raise ValueError(
                "A `PyDataset` must have a number of batches: an endless one "
                "has no epochs in which each example comes once."
            )

    @property
    def num_own_batches(self):
        return self._dataset.num_batches

    @property
    def num_examples(self):
        """Their number; `None` where the user's own indices tell."""
        if not self._has_index:
            return None
        last = unpack(self._dataset[self.num_own_batches - 1])
        size = len(batches.labels_of(last[1]))
        return (self.num_own_batches - 1) * self._batch_size + size

    def training_batch(self, step):
        position = int(self.in_order(self.num_own_batches)[step])
        x, y, sample_weight = unpack(self._dataset[position])
        if self._has_index:
            y = batches.indexed(y, self._rows(position, len(y)))
        return x, y, sample_weight

    def _rows(self, position, size):
        is_last = position == self.num_own_batches - 1
        if size > self._batch_size or (size < self._batch_size and not is_last):
            raise ValueError(
                "All batches of a `PyDataset` but its last must have one size, "
                "from which follow the examples' indices; or let it return "
                f'{{"{batches.LABEL}": ..., "{batches.INDEX}": ...}} as y. '
                f"Received: {self._batch_size} examples in batch 0, {size} in "
                f"batch {position}"
            )
        start = position * self._batch_size
        return np.arange(start, start + size, dtype="int32")

    def on_epoch_begin(self):
        self._dataset.on_epoch_begin()

    def on_epoch_end(self):
        self._dataset.on_epoch_end()


def unpack(item):
    """A batch as (x, y, sample_weight)."""
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        raise ValueError(
            "Training data must come as (x, y) or (x, y, sample_weight). "
            f"Received: {type(item).__name__}"
        )
    return (*item, None)[:3]


def weigh(y, sample_weight, class_weight):
    """The sample weights times the weights of the classes, or `None`."""
    if class_weight is None:
        return sample_weight
    classes = ops.convert_to_numpy(batches.labels_of(y))
    if classes.ndim == 2 and classes.shape[1] > 1:
        classes = classes.argmax(axis=1)
    weights = [class_weight.get(int(c), 1.0) for c in classes.ravel()]
    weights = np.array(weights, keras.config.floatx())
    if sample_weight is None:
        return weights
    return weights * ops.convert_to_numpy(sample_weight).reshape(-1)


def as_arrays(tree, name):
    """Arrays of a nested structure as NumPy's, all of one length.

    Args:
        tree: Nested structure of arrays or tensors.
        name: Name of the argument, for the error.
    """
    tree = keras.tree.map_structure(_as_array, tree)
    lengths = {np.shape(x)[:1] for x in keras.tree.flatten(tree)}
    if len(lengths) != 1 or lengths == {()}:
        raise ValueError(
            f"`{name}` must hold arrays of one length. Received shapes: "
            f"{[np.shape(x) for x in keras.tree.flatten(tree)]}"
        )
    return tree


def _as_array(x):
    if x is None:
        return None
    if not isinstance(x, np.ndarray):
        x = np.asarray(x if hasattr(x, "iloc") else ops.convert_to_numpy(x))
    return x.astype(keras.config.floatx()) if x.dtype == np.float64 else x


def split(arrays, validation_split):
    """Divides arrays into the first part and the last, as Keras does."""
    count = len(arrays[1])
    at = math.floor(count * (1 - validation_split))
    if not 0 < at < count:
        raise ValueError(
            "`validation_split` must leave examples on both sides. Received: "
            f"validation_split={validation_split} for {count} examples"
        )
    return batches.slice_of(arrays, slice(at)), batches.slice_of(
        arrays, slice(at, None)
    )
