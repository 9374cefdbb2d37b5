"""A task: data, a model and a training recipe; it tells how a loss does."""

import collections.abc
import dataclasses
import typing

import keras
import numpy as np

from keras_arl.tasks import batches
from keras_arl.tasks import fitting


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One training problem on which a loss is scored.

    The data are either pairs of arrays, which are shuffled anew in every epoch
    in an order that `shuffle_seed` determines, or batched pipelines, which are
    used as they are. Arrays are what `keras_arl.training.Trainer` is fastest
    on, and need no TensorFlow under another backend.

    Args:
        train: Pair of arrays `(x, noisy labels)`, where `x` may be a structure
            of arrays, or a batched `tf.data.Dataset` of such pairs.
        validation: Pair of arrays `(x, clean labels)`, or a batched
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
        architecture: Anything hashable that names the model but for the values
            of its variables. Tasks with equal ones share what a
            `keras_arl.training.Trainer` compiles. Defaults to `None`: only
            the trainings of this task share it.

    Raises:
        ValueError: If `train` and `validation` are not of one kind, an array
            has another length than its labels, or `architecture` has no hash.

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
    >>> task.evaluate(keras_arl.ARL()) > 0.9
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
        if not self.in_memory:
            return
        for name in ("train", "validation"):
            pair = getattr(self, name)
            _check_pair(name, pair)
            # Of pandas, an index would be taken for the position.
            pair = keras.tree.map_structure(np.asarray, pair)
            object.__setattr__(self, name, pair)
        if self.batch_size < 1:
            raise ValueError(
                "`batch_size` must be at least 1. "
                f"Received: batch_size={self.batch_size}"
            )

    @property
    def in_memory(self):
        """Whether the data are arrays, not pipelines."""
        return isinstance(self.train, tuple)

    @property
    def orders(self):
        """Order of the training examples in each epoch, for arrays.

        An int32 array of shape `(epochs, examples)`.
        """
        seed = self.seed if self.shuffle_seed is None else self.shuffle_seed
        return batches.epoch_orders(len(self.train[1]), self.epochs, seed)

    def evaluate(self, loss, last_epochs=1):
        """Trains a new model with a loss and returns its clean accuracy.

        The model is built, compiled and fitted. The best epoch is not looked
        for: nobody has a clean set to stop by.

        Args:
            loss: Anything that `model.compile` takes as a loss.
            last_epochs: Number of last epochs whose accuracies are averaged.
                Defaults to `1`.

        Returns:
            Mean accuracy on the validation data, a float in [0, 1].

        Raises:
            TrainingDivergedError: If the training loss, or the loss on the
                validation data, is not finite.
            ValueError: If `last_epochs` is not in 1..epochs.
        """
        return float(np.mean(self.accuracies(loss, last_epochs)))

    def accuracies(self, loss, last_epochs=None):
        """As `evaluate`, but returns the accuracy after each epoch.

        Args:
            loss: Anything that `model.compile` takes as a loss.
            last_epochs: Number of last epochs that are evaluated. Defaults to
                `None`: all.

        Returns:
            A list of floats, one per epoch that is evaluated.

        Raises:
            TrainingDivergedError: If the training loss, or the loss on the
                validation data, is not finite.
            ValueError: If `last_epochs` is not in 1..epochs.
        """
        last_epochs = fitting.checked_last_epochs(last_epochs, self.epochs)
        data = fitting.data_of(self)
        model = fitting.compiled_model(self, loss)
        return fitting.fit(model, data, self.epochs, last_epochs)


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
