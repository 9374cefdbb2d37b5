"""A task: data, a model function and a training recipe."""

import collections.abc
import dataclasses
import inspect
import typing

import keras
import numpy as np

from keras_arl.checks import check_at_least


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One training problem on which a loss is scored.

    The data are either pairs of arrays, which are shuffled anew in every epoch
    in an order that `shuffle_seed` determines, or batched pipelines, which are
    used as they are. Arrays are what `keras_arl.training.Trainer` is fastest
    on, and need no TensorFlow under another backend.

    Args:
        train: Pair of arrays `(x, noisy labels)`, where `x` may be a structure
            of arrays, or a batched, finite `tf.data.Dataset` of such pairs.
        validation: Pair of arrays `(x, clean labels)`, or a batched, finite
            `tf.data.Dataset` of such pairs.
        build_model: Function without arguments that returns an uncompiled
            `keras.Model` with outputs of shape `(batch, num_classes)`.
        num_classes: Number of classes.
        optimizer: Name of an optimizer or a `keras.optimizers.Optimizer`,
            which is copied for each training. Defaults to `"adam"`.
        epochs: Number of epochs. Defaults to `10`.
        from_logits: Whether the model returns logits. Defaults to `False`.
        seed: Global seed of Keras and the backend at the start of a training,
            for model functions that seed nothing themselves. Defaults to `0`.
        batch_size: Number of examples a batch, for arrays. Defaults to `32`.
        shuffle_seed: Seed of the order of the examples, for arrays. Defaults
            to `None`: that of `seed`.
        meta_data: Pair of arrays of a few clean examples, for learners that
            need them (`keras_arl.learners`); nothing else trains on them.
            Defaults to `None`: there are none.
        architecture: Anything hashable that names the model but for the values
            of its variables. Tasks with equal ones share what a
            `keras_arl.training.Trainer` compiles, and an error tells of models
            that differ otherwise, in an activation or a constant of
            `Normalization`, say. Defaults to `None`: only the trainings of this
            task share it.

    Raises:
        ValueError: If `train` and `validation` are not of one kind, an array
            has another length than its labels, a pipeline yields no pairs or
            never ends, or `architecture` has no hash.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(300, 2))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> T = keras_arl.noise.symmetric(0.3, num_classes=2)
    >>> noisy = keras_arl.noise.corrupt_labels(y, T, seed=0)
    >>> task = keras_arl.tasks.Task(
    ...     train=(x, noisy),
    ...     validation=(x, y),
    ...     build_model=lambda: keras.Sequential(
    ...         [keras.Input((2,)), keras.layers.Dense(2, "softmax")]
    ...     ),
    ...     num_classes=2,
    ...     optimizer=keras.optimizers.Adam(0.05),
    ... )
    >>> keras_arl.training.PlainTrainer().evaluate(task, keras_arl.ARL()) > 0.9
    True
    """

    train: typing.Any
    validation: typing.Any
    build_model: collections.abc.Callable[[], keras.Model]
    num_classes: int
    optimizer: str | keras.optimizers.Optimizer = "adam"
    epochs: int = 10
    from_logits: bool = False
    seed: int = 0
    batch_size: int = 32
    shuffle_seed: int | None = None
    meta_data: tuple | None = None
    architecture: collections.abc.Hashable | None = None

    def __post_init__(self):
        if not isinstance(self.architecture, collections.abc.Hashable):
            raise ValueError(
                "`architecture` must be hashable, such as a name. "
                f"Received: architecture={self.architecture!r}"
            )
        kinds = [type(self.train), type(self.validation)]
        if list in kinds or kinds.count(tuple) == 1:
            raise ValueError(
                "`train` and `validation` must both be pairs of arrays, as "
                "tuples, or both be pipelines. Received: "
                f"{kinds[0].__name__} and {kinds[1].__name__}"
            )
        if self.in_memory:
            self._check_arrays("train")
            self._check_arrays("validation")
            check_at_least("batch_size", self.batch_size, 1)
        else:
            _check_pipeline("train", self.train)
            _check_pipeline("validation", self.validation)
        if self.meta_data is not None:
            self._check_arrays("meta_data")

    def _check_arrays(self, name):
        pair = getattr(self, name)
        if len(pair) == 2 and isinstance(pair[1], list):
            # Of inputs, a list would be one of several arrays.
            pair = pair[0], np.asarray(pair[1])
        _check_pair(name, pair)
        # Of pandas, an index would be taken for the position.
        x, labels = keras.tree.map_structure(np.asarray, pair)
        object.__setattr__(self, name, (x, _as_classes(labels)))

    @property
    def in_memory(self):
        """Whether the data are arrays, not pipelines."""
        return isinstance(self.train, tuple)


def _as_classes(labels):
    """Class indices in one form: of shape `(n,)`, booleans as integers."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    return labels.astype("int64") if labels.dtype == bool else labels


def _check_pipeline(name, data):
    if inspect.isgenerator(data):
        raise ValueError(
            f"`{name}` is read more than once, which a generator cannot be: "
            "take arrays, a `tf.data.Dataset` or a `keras.utils.PyDataset`. "
            f"Received: {name}={data!r}"
        )
    spec = getattr(data, "element_spec", None)
    if spec is None:
        return
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            f"`{name}` must yield batches (x, labels), or triples with a "
            "sample weight: `map` dictionaries, as TFDS has them, to pairs. "
            f"Received: element_spec={spec}"
        )
    if getattr(getattr(spec[1], "shape", None), "rank", None) == 0:
        raise ValueError(
            f"`{name}` must yield batches: add `.batch(...)`. "
            f"Received: element_spec={spec}"
        )
    # The number that stands for endless.
    if int(data.cardinality()) == -1:
        raise ValueError(
            f"`{name}` must end with an epoch, or a training would not: leave "
            "out `repeat`, or add `.take(...)`. Received an endless pipeline"
        )


def _check_pair(name, pair):
    arrays = keras.tree.flatten(pair)
    if len(pair) != 2 or not all(hasattr(array, "shape") for array in arrays):
        found = ", ".join(type(entry).__name__ for entry in pair)
        raise ValueError(
            f"`{name}` must be a pair (x, labels) of arrays. "
            f"Received: ({found})"
        )
    lengths = sorted({len(array) for array in arrays})
    if len(lengths) > 1 or lengths == [0]:
        raise ValueError(
            f"`{name}` must hold as many examples as labels, at least one. "
            f"Received lengths {lengths}"
        )
