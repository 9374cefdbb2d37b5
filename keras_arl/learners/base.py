"""What every learner shares: it wraps a model and replaces its loss."""

import keras
import numpy as np
from keras import ops

from keras_arl import losses
from keras_arl.backend import num_replicas
from keras_arl.backend import share_of_replica
from keras_arl.learners import batch as batches
from keras_arl.learners.bookkeeping import with_bookkeeping
from keras_arl.learners.data import training_data
from keras_arl.learners.losses import as_loss
from keras_arl.learners.losses import num_classes
from keras_arl.learners.memory import ExampleMemory
from keras_arl.losses.labels import read

# Batches for passes that only need their result.
_BATCH_SIZE = 256


class Learner(keras.Model):
    """Base of the learners: methods that are more than a loss of (y, p).

    A learner is a model that wraps another one. It is compiled without a loss,
    fitted on noisy labels, and evaluates and predicts as the wrapped model
    does, with plain cross-entropy as its loss. What it has learned is in
    `learner.model`, which is saved and deployed alone; its own state is among
    its weights, so that `keras.callbacks.ModelCheckpoint` and
    `BackupAndRestore` store it. On arrays, and on a `PyDataset` of fixed
    order, a training that was interrupted between two epochs and goes on is
    the one that was not. A learner that is fitted again goes on: its epochs are
    counted over all calls of `fit`. It logs numbers of its own beside the
    metrics.

    A subclass implements `training_loss(batch, y_pred)`, calls
    `finish_init()` at the end of its constructor, and extends `get_config`.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        loss: Loss of this package or its name, what one sample costs. Defaults
            to `None`: cross-entropy.
        from_logits: Whether the model's output is logits. Defaults to `None`:
            as `loss` says, and probabilities where that is `None` or a name.
        num_examples: Number of training examples, for those that remember
            them. Defaults to `None`: that of the arrays or the `PyDataset`
            that `fit` gets. A `tf.data.Dataset` needs it.
        tables: What is remembered of each example, as `ExampleMemory` takes
            it; `None` for nothing.
        name: Name of the learner.

    Attributes:
        model: The wrapped model.
        base_loss: The loss of one sample.
        needs_index: Whether it remembers its examples.
        needs_meta_data: Whether it learns from clean examples, too.
    """

    needs_meta_data = False
    # All settings of a class that shares programs, which are fed with them.
    fed_numbers = ()
    # Whether copies of the model may train it without sharing state.
    can_be_replicated = True

    def __init__(
        self,
        model,
        loss=None,
        from_logits=None,
        num_examples=None,
        tables=None,
        name=None,
    ):
        if not isinstance(model, keras.Model):
            raise ValueError(
                f"`model` must be a keras.Model. Received: model={model!r}"
            )
        super().__init__(name=name, dtype=model.dtype_policy)
        self.model = model
        self.base_loss = as_loss(loss, from_logits)
        self._plain_loss = losses.CrossEntropy(
            from_logits=self.base_loss.from_logits
        )
        self.num_examples = num_examples
        self.num_classes = None
        # Python attributes would be constants of the first trace.
        self._epoch = self._state("epoch", dtype="int32")
        # The steps of the optimizer, which a step of JAX cannot read.
        self._steps = self._state("steps", dtype="int32")
        seed = keras.initializers.Constant(np.random.randint(2**31))
        self.seed = self._state("seed", dtype="int32", initializer=seed)
        # Epochs of all calls of `fit`, and how many of them were before the
        # epoch that the present call counts as 0.
        self._progress = self._state("progress", shape=(2,), dtype="int32")
        self._sums = {}
        self.memory = None if tables is None else ExampleMemory(**tables)

    def _state(self, name, shape=(), dtype="float32", initializer="zeros"):
        """A number of the learner that is saved and that no optimizer moves."""
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )

    def finish_init(self):
        """Makes the weights that follow from the model, if they are known."""
        # Of a subclassed model Keras does not know the shape of the input.
        shape = getattr(self.model, "input_shape", None)
        if self.model.built and shape is not None:
            self.build(shape)

    def build(self, input_shape):
        if not self.model.built:
            self.model.build(input_shape)
        self.num_classes = num_classes(self.model, input_shape)
        self.build_memory()

    def build_memory(self):
        """Makes the tables, once the number of examples is known."""
        shape = self.num_examples, self.num_classes
        if self.memory is not None and not self.memory.built and all(shape):
            self.memory.build(shape)

    @property
    def needs_index(self):
        return self.memory is not None

    def call(self, x, training=None):
        return self.model(batches.data_of(x), training=training)

    def training_loss(self, batch, y_pred):
        """The loss of a training step.

        Args:
            batch: A `Batch`.
            y_pred: What `call` returned.

        Returns:
            A scalar tensor.
        """
        raise NotImplementedError

    def prediction_of(self, y_pred):
        """The model's output, of what `call` returned."""
        return y_pred

    def per_sample(self, loss, labels, outputs):
        """The loss of each sample, float32 of shape `(n,)`.

        Args:
            loss: A loss of this package.
            labels: Class indices or soft labels.
            outputs: The model's output.
        """
        labels = ops.cast(labels, loss.dtype)
        outputs = ops.cast(outputs, loss.dtype)
        return ops.cast(loss.call(labels, outputs), "float32")

    def nan_without_label(self, labels, outputs):
        """0 for each sample with a label, NaN for one whose label is none.

        Args:
            labels: Class indices or soft labels.
            outputs: The model's output.

        Raises:
            ValueError: If it can be seen that a label is none.
        """
        labels = ops.cast(labels, "float32")
        found = read(labels, ops.cast(outputs, "float32"))
        return ops.where(found.is_valid, 0.0, float("nan"))

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        # First, since the passes of a learner's own would empty the list.
        penalties = [ops.mean(ops.cast(x, "float32")) for x in self.losses]
        batch = batches.unpack(x, y, sample_weight)
        if training:
            self._check_batch(batch)
            total = self.training_loss(batch, y_pred)
            self._steps.assign_add(1)
        else:
            outputs = self.prediction_of(y_pred)
            losses = self.per_sample(self._plain_loss, batch.labels, outputs)
            total = ops.mean(batch.weighted(losses))
        return share_of_replica(sum(penalties, total))

    def _check_batch(self, batch):
        missing = []
        if self.needs_index and batch.index is None:
            missing.append("the examples' indices")
        if self.needs_meta_data and batch.meta is None:
            missing.append("clean examples")
        if missing:
            raise ValueError(
                f"{type(self).__name__} needs {' and '.join(missing)} in each "
                "training batch, which its `fit` adds. Received a batch "
                "without."
            )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(
            batches.data_of(x),
            batches.labels_of(y),
            self.prediction_of(y_pred),
            sample_weight,
        )

    def track(self, *names):
        """Makes numbers that are averaged over the steps of an epoch."""
        for name in names:
            self._sums[name] = self._state(name, shape=(2,))

    def note(self, name, value):
        """Adds the value of a step to one of them."""
        value = ops.cast(ops.stop_gradient(value), "float32")
        self._sums[name].assign_add(ops.stack([value, ops.ones_like(value)]))

    def counted(self, epoch):
        """The number of an epoch among those of all calls of `fit`.

        Args:
            epoch: Its number in the present call.
        """
        total, before = (int(n) for n in ops.convert_to_numpy(self._progress))
        # A call that begins at 0 again goes on where the last one ended.
        before = max(before, total - epoch)
        self._progress.assign(np.array([total, before], "int32"))
        return before + epoch

    def begin_epoch(self, epoch):
        """Called before each epoch, with its number by `counted`."""
        self._epoch.assign(epoch)
        # By NumPy: two variables of one buffer cannot both be given to JAX.
        steps = ops.convert_to_numpy(_steps_of(self.optimizer))
        self._steps.assign(steps.astype("int32"))
        for total in self._sums.values():
            total.assign(np.zeros(2, "float32"))
        if self.memory is not None:
            if epoch > 0 and np.all(self.memory.labels < 0):
                raise ValueError(
                    f"The training goes on with epoch {epoch}, but this "
                    "learner remembers nothing of the epochs before. Load the "
                    "weights of the learner, not of its model alone."
                )
            self.memory.begin_epoch()

    def end_epoch(self, epoch):
        """Called after each epoch.

        Args:
            epoch: Its number, as in `begin_epoch`.

        Returns:
            Dictionary of what is logged beside the metrics.
        """
        _, before = ops.convert_to_numpy(self._progress)
        self._progress.assign(np.array([epoch + 1, before], "int32"))
        if self.memory is not None:
            self.memory.check_epoch(epoch)
        logs = {}
        for name, total in self._sums.items():
            total, count = ops.convert_to_numpy(total)
            logs[name] = float(total / max(count, 1.0))
        return logs

    def in_batches(self, function, x, size=_BATCH_SIZE):
        """Applies a function to batches of arrays; returns a NumPy array."""
        count = len(keras.tree.flatten(x)[0])
        parts = []
        for start in range(0, count, size):
            part = function(batches.slice_of(x, slice(start, start + size)))
            parts.append(ops.convert_to_numpy(part))
        return np.concatenate(parts)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        *,
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        steps_per_epoch=None,
        meta_data=None,
        meta_batch_size=None,
        **kwargs,
    ):
        """Trains the model on noisy labels.

        As `keras.Model.fit`, with these additions.

        Args:
            x: Arrays, a `keras.utils.PyDataset` or a batched
                `tf.data.Dataset`.
            y: Noisy labels, class indices or one-hot.
            batch_size: As in `keras.Model.fit`.
            callbacks: As in `keras.Model.fit`.
            validation_split: As in `keras.Model.fit`.
            validation_data: As in `keras.Model.fit`; plain data, with neither
                indices nor clean examples.
            shuffle: Whether arrays, or the batches of a `PyDataset`, come in
                another order in each epoch.
            class_weight: Dictionary from class to weight. It may come with
                `sample_weight`: they are multiplied.
            sample_weight: As in `keras.Model.fit`, one a sample.
            steps_per_epoch: As in `keras.Model.fit`; of arrays and of a
                `PyDataset` an epoch takes the first ones of its order.
            meta_data: Clean examples for the learners that need them: a tuple
                of arrays (x, y); beside a `tf.data.Dataset` also one of
                batches, which is repeated; or `"small_loss"` to choose them
                among the training examples, which must be arrays, anew at the
                start of each epoch after `warmup_epochs`: of each given class
                the 10 of smallest loss (CMW-Net's rule, without its mixup).
            meta_batch_size: Clean examples of a step. Defaults to `None`: as
                many as training examples, but at most all.
            **kwargs: As in `keras.Model.fit`: `epochs`, `verbose`, ....

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: If the data are not what the learner needs, or if a
                pipeline gives one index to different examples.
        """
        if self.loss is not None:
            raise ValueError(
                "A learner brings its loss. Leave it out of `compile`; the "
                "loss of one sample is an argument of the learner, where its "
                f"method allows another. Received: loss={self.loss!r}"
            )
        replicas = num_replicas(self)
        if replicas > 1 and not self.can_be_replicated:
            raise ValueError(
                f"{type(self).__name__} cannot be trained by {replicas} "
                "replicas: each would have its own copy of what the learner "
                "knows, and all but one would be lost."
            )
        data = training_data(
            self,
            x,
            y,
            batch_size=batch_size,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            steps_per_epoch=steps_per_epoch,
            validation_split=0.0 if validation_data else validation_split,
            meta_data=meta_data,
            meta_batch_size=meta_batch_size,
        )
        self._build_for(data)
        return super().fit(
            data.dataset,
            callbacks=with_bookkeeping(callbacks, self, data),
            validation_data=validation_data or data.validation_data,
            shuffle=False,
            steps_per_epoch=data.steps_per_epoch,
            **kwargs,
        )

    def _build_for(self, data):
        if not self.built:
            shape = keras.tree.map_structure(lambda x: x.shape, data.example)
            if not self.model.built:
                self.model(data.example)
            self.build(shape)
        if self.memory is None:
            return
        count = self.num_examples or data.num_examples
        if count is None:
            raise ValueError(
                f"{type(self).__name__} remembers its examples, and a "
                "`tf.data.Dataset`, or a `PyDataset` with indices of its own, "
                "does not say how many there are. Pass `num_examples` when "
                "the learner is made."
            )
        if data.num_examples not in (None, count):
            raise ValueError(
                f"This learner remembers {count} examples. Received: "
                f"{data.num_examples} training examples"
            )
        self.num_examples = count
        self.build_memory()

    def set_learning_rate(self):
        """Called before each epoch, after other callbacks."""

    def save_own_variables(self, store):
        super().save_own_variables(store)
        for i, seed in enumerate(self._random_states()):
            store[f"random_{i}"] = ops.convert_to_numpy(seed)

    def load_own_variables(self, store):
        names = store.keys()
        own = {name: store[name] for name in names}
        for i, seed in enumerate(self._random_states()):
            state = own.pop(f"random_{i}", None)
            if state is not None:
                seed.assign(np.asarray(state))
        super().load_own_variables(own)

    def _random_states(self):
        """The states of dropout and its like, which Keras does not save."""
        weights = {id(v) for v in self.non_trainable_weights}
        return [v for v in self.non_trainable_variables if id(v) not in weights]

    def get_config(self):
        config = {
            "model": keras.saving.serialize_keras_object(self.model),
            "loss": keras.saving.serialize_keras_object(self.base_loss),
            "name": self.name,
        }
        if self.memory is not None:
            config["num_examples"] = self.num_examples
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        given = {
            key: keras.saving.deserialize_keras_object(
                config[key], custom_objects=custom_objects
            )
            for key in ("model", "loss")
        }
        return cls(**{**config, **given})


def _steps_of(optimizer):
    """The steps so far, by which a schedule gives the learning rate.

    `optimizer.iterations` counts `gradient_accumulation_steps` of them as one.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return next(v for v in optimizer.variables if v.name == "iteration")
