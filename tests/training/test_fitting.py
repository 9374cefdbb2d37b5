import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_arl
from keras_arl.tasks import Task
from keras_arl.training import PlainTrainer
from keras_arl.training import TrainingDivergedError
from keras_arl.training import fitting
from tests.training.models import task as task_in_memory


def epochs_of(task):
    """The batches that `fit` trains on, a list an epoch."""
    met = [
        (np.asarray(x), np.asarray(y)) for x, y in fitting.data_of(task).train
    ]
    steps = fitting.steps_per_epoch(task)
    assert len(met) == steps * task.epochs
    return [met[k : k + steps] for k in range(0, len(met), steps)]


def test_an_example_keeps_its_label_through_the_epochs():
    task = task_in_memory()
    x, y = task.train
    label_of = {image.tobytes(): label for image, label in zip(x, y)}
    orders = set()
    for epoch in epochs_of(task):
        # The last one is uneven.
        assert [len(labels) for _, labels in epoch] == [20, 20, 20, 20, 10]
        images, labels = map(np.concatenate, zip(*epoch))
        found = {image.tobytes(): label for image, label in zip(images, labels)}
        assert found == label_of
        orders.add(images.tobytes())
    assert len(orders) == task.epochs


def test_the_order_is_the_same_whatever_came_before():
    first = epochs_of(task_in_memory())
    # `tf.data` mixes the global seed into `shuffle`.
    keras.utils.set_random_seed(99)
    second = epochs_of(task_in_memory())
    np.testing.assert_equal(first, second)


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="TensorFlow's own order"
)
def test_an_epoch_is_what_fit_makes_of_a_pipeline():
    """The order in memory is that of tf.data, met as `fit` meets it."""
    task = task_in_memory(shuffle_seed=7)
    met = []

    class Watching(keras.Sequential):
        def train_step(self, data):
            tf.py_function(lambda x: met.append(x.numpy()), [data[0]], [])
            return super().train_step(data)

    tf.random.set_seed(task.shuffle_seed)
    pipeline = (
        tf.data.Dataset.from_tensor_slices(task.train)
        .shuffle(len(task.train[1]), seed=task.shuffle_seed)
        .batch(task.batch_size)
    )
    model = Watching([keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    model.fit(pipeline, epochs=task.epochs, shuffle=False, verbose=0)
    expected = [x for epoch in epochs_of(task) for x, _ in epoch]
    assert len(met) == len(expected)
    for a, b in zip(met, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def points(activation="softmax", **kwargs):
    """A user's own task, of pipelines."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(50)
    return Task(
        dataset,
        dataset,
        num_classes=2,
        build_model=lambda: keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(2, activation)]
        ),
        optimizer=keras.optimizers.Adam(0.1),
        **kwargs,
    )


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        (points(), "sparse_categorical_crossentropy"),
        (points(None, from_logits=True), keras_arl.ARL(from_logits=True)),
    ],
)
def test_a_users_own_task_learns_and_is_reproducible(task, loss):
    first = PlainTrainer().evaluate(task, loss)
    assert first > 0.95
    # The optimizer is copied: a second training begins anew.
    assert task.optimizer.iterations == 0
    keras.utils.set_random_seed(99)
    assert PlainTrainer().evaluate(task, loss) == first


class ScriptedModel(keras.Model):
    """Predicts class 0 up to an epoch and class 1 from then on."""

    def __init__(self, changes_after):
        super().__init__()
        self.steps = self.add_weight(
            shape=(), initializer="zeros", trainable=False
        )
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.changes_after = changes_after

    def call(self, x, training=False):
        if training:
            self.steps.assign_add(1.0)
        late = keras.ops.cast(self.steps > self.changes_after, "float32")
        one = keras.ops.ones_like(x[:, :1]) * (0.25 + 0.5 * late)
        return keras.ops.concatenate([1 - one, one], axis=1) + 0 * self.scale


def test_last_epochs_count_and_the_best_does_not():
    x = np.zeros((10, 2), "float32")
    y = np.zeros(10, "int64")
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(10)
    task = Task(
        dataset,
        dataset,
        build_model=functools.partial(ScriptedModel, changes_after=3.5),
        num_classes=2,
        epochs=4,
    )
    loss = keras.losses.SparseCategoricalCrossentropy()
    # One step an epoch: right in epochs 1 to 3, wrong in epoch 4.
    assert PlainTrainer().evaluate(task, loss, last_epochs=2) == 0.5


@pytest.mark.parametrize("last_epochs", [0, 11])
def test_invalid_last_epochs(last_epochs):
    with pytest.raises(ValueError, match=rf"1\.\.10.*={last_epochs}"):
        PlainTrainer().evaluate(points(), "mse", last_epochs=last_epochs)
    with pytest.raises(ValueError, match=rf"1\.\.10.*={last_epochs}"):
        PlainTrainer().evaluate_all(points(), ["mse"], last_epochs)


def test_divergence_is_told():
    def infinite(y_true, y_pred):
        return keras.ops.sum(y_pred, axis=-1) * float("inf")

    with pytest.raises(
        TrainingDivergedError, match=r"diverged: loss became .* within 1 of 10"
    ):
        PlainTrainer().evaluate(points(), infinite)
