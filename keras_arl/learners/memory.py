"""What a learner remembers of each example, as weights of it."""

import typing

import keras
import numpy as np
from keras import ops

# Of a table with one number an example and class; 400 MB of float32.
_MOST_NUMBERS = 10**8


class Visit(typing.NamedTuple):
    """A batch's rows of the memory.

    Attributes:
        rows: int32 tensor of shape `(n,)`, indices within the memory.
        is_known: Whether the example was visited before at all.
        is_first: Whether it is the example's first visit of this epoch.
    """

    rows: object
    is_known: object
    is_first: object


class ExampleMemory(keras.layers.Layer):
    """Tables with a row for each training example.

    Beside the tables that a learner asks for it keeps each example's label and
    the epoch of its last visit. With these it finds out whether the index of
    an example stays the same from epoch to epoch: if not, what is remembered
    of one example would be applied to another, and nothing would show it.

    It is a layer for the sake of its weights: they can be made once the number
    of examples is known, and are saved with the learner's.

    Args:
        **tables: For each table a tuple of its number of columns, `None` for
            one a class, and its dtype. All begin with zeros.
    """

    def __init__(self, **tables):
        super().__init__(name="memory", dtype="float32")
        self._columns = tables
        self.num_examples = None

    def build(self, shape):
        self.num_examples, num_classes = shape
        if None in [width for width, _ in self._columns.values()]:
            _check_size(self.num_examples, num_classes)
        for name, (width, dtype) in self._columns.items():
            shape = (self.num_examples, width or num_classes)
            setattr(self, name, self._table(name, shape, dtype, "zeros"))
        never = keras.initializers.Constant(-1)
        # The label and the epoch of the last visit, -1 before the first one.
        self.visits = self._table(
            "visits", (self.num_examples, 2), "int32", never
        )
        # Of this epoch: visits, indices out of range, labels that changed.
        self.counts = self._table("counts", (3,), "int32", "zeros")

    def _table(self, name, shape, dtype, initializer):
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            autocast=False,
        )

    def visit(self, index, classes, epoch):
        """Notes the visit of a batch.

        Args:
            index: int32 tensor of shape `(n,)`.
            classes: int32 tensor of shape `(n,)`, the given labels.
            epoch: Scalar int32 tensor.

        Returns:
            A `Visit`.
        """
        is_valid = ops.logical_and(index >= 0, index < self.num_examples)
        rows = ops.clip(index, 0, self.num_examples - 1)
        before = self.read("visits", rows)
        label, last_epoch = before[:, 0], before[:, 1]
        is_known = label >= 0
        is_changed = ops.logical_and(
            ops.logical_and(is_known, is_valid), ops.not_equal(label, classes)
        )
        counted = ops.stack(
            [ops.ones_like(is_valid), ops.logical_not(is_valid), is_changed]
        )
        self.counts.assign_add(ops.sum(ops.cast(counted, "int32"), axis=1))
        label = ops.where(is_known, label, classes)
        now = ops.zeros_like(label) + epoch
        self.write("visits", rows, ops.stack([label, now], axis=1))
        return Visit(rows, is_known, ops.not_equal(last_epoch, epoch))

    def read(self, table, rows):
        """Rows of a table."""
        return ops.take(getattr(self, table), rows, axis=0)

    def write(self, table, rows, values):
        """Replaces rows of a table."""
        variable = getattr(self, table)
        values = ops.stop_gradient(ops.cast(values, variable.dtype))
        variable.assign(
            ops.scatter_update(variable.value, rows[:, None], values)
        )

    @property
    def labels(self):
        """The labels as they were given, -1 where an example was never seen."""
        return ops.convert_to_numpy(self.visits)[:, 0]

    def begin_epoch(self):
        """Counts anew."""
        self.counts.assign(np.zeros(3, "int32"))

    def check_epoch(self, epoch):
        """Raises if the indices of an epoch did not name one example each.

        Args:
            epoch: The epoch that ended.
        """
        visits, out_of_range, changed = ops.convert_to_numpy(self.counts)
        last = ops.convert_to_numpy(self.visits)[:, 1]
        if out_of_range:
            self._refuse(
                f"{out_of_range} of {visits} indices of epoch {epoch} were "
                f"not in 0..{self.num_examples - 1}. An index that is "
                "attached after `repeat`, or a wrong `num_examples`, does that."
            )
        if np.sum(last == epoch) < visits:
            self._refuse(
                f"epoch {epoch} visited {np.sum(last == epoch)} examples in "
                f"{visits} visits: some came more than once. A pipeline that "
                "repeats or oversamples does that."
            )
        if changed:
            self._refuse(
                f"{changed} of {visits} examples of epoch {epoch} came with "
                "another label than before. A pipeline that reorders the "
                "examples does that, where the index is attached after it."
            )

    def _refuse(self, reason):
        raise ValueError(
            "A learner that remembers its examples needs the same index for "
            f"the same example in every epoch, but {reason} Attach the index "
            "first, by `keras_arl.learners.with_index(dataset)` before "
            "`shuffle` and `batch`, or pass arrays. If it is the labels that "
            "were changed on purpose, start with a new learner."
        )


def _check_size(num_examples, num_classes):
    if num_examples * num_classes > _MOST_NUMBERS:
        raise ValueError(
            "The table of targets has one number an example and class, at "
            f"most {_MOST_NUMBERS:,} of them. Received: "
            f"{num_examples:,} examples and {num_classes:,} classes"
        )
