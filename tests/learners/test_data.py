"""Examples keep their index, and data that break it are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_arl import learners
from keras_arl.learners.base import Learner
from keras_arl.learners.remembering import RememberingLearner

SIZE, NUM_CLASSES, BATCH_SIZE = 22, 3, 5
# Graphs of TensorFlow cost seconds; not where a test is about something else.
UNCOMPILED = {"run_eagerly": keras.config.backend() == "tensorflow"}
X = np.stack([np.arange(SIZE), np.ones(SIZE)], axis=1).astype("float32")
Y = np.arange(SIZE) * 7 % NUM_CLASSES
CLEAN = X[:6], Y[:6]


class Recorder(RememberingLearner):
    """Remembers each example's first feature, which is its number."""

    def __init__(self, model, num_examples=None):
        super().__init__(
            model, tables={"x": (1, "float32")}, num_examples=num_examples
        )
        self.finish_init()

    def training_loss(self, batch, y_pred):
        rows = self.visit(batch).rows
        self.memory.write("x", rows, batch.x[:, :1])
        return ops.mean(y_pred)


class Ordered(keras.utils.PyDataset):
    def __init__(self, x=X, y=Y, reorders=False):
        super().__init__()
        self._data = [x, y]
        self._reorders = reorders

    def __len__(self):
        return -(-len(self._data[1]) // BATCH_SIZE)

    def __getitem__(self, i):
        rows = slice(i * BATCH_SIZE, (i + 1) * BATCH_SIZE)
        return tuple(part[rows] for part in self._data)

    def on_epoch_end(self):
        if self._reorders:
            self._data = [np.roll(part, 1, axis=0) for part in self._data]


def network(**kwargs):
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(NUM_CLASSES, activation="softmax", **kwargs),
        ]
    )


def recorder(num_examples=None, **compile_arguments):
    learner = Recorder(network(), num_examples)
    learner.compile("sgd", **compile_arguments)
    return learner


def examples(x=X):
    return tf.data.Dataset.from_tensor_slices((x, Y))


PIPELINES = {
    "arrays": lambda: {"x": X, "y": Y, "batch_size": BATCH_SIZE},
    "column of labels": lambda: {"x": X, "y": Y[:, None]},
    "one-hot": lambda: {"x": X, "y": np.eye(NUM_CLASSES)[Y]},
    "weighted": lambda: {
        "x": X,
        "y": Y,
        "sample_weight": np.ones(SIZE),
        "class_weight": {0: 2.0},
    },
    "PyDataset": lambda: {"x": Ordered()},
    "tf.data": lambda: {
        "x": learners.with_index(examples()).shuffle(9).batch(BATCH_SIZE)
    },
    "tf.data in order": lambda: {
        "x": examples().batch(BATCH_SIZE),
        "class_weight": {0: 2.0},
    },
}


@pytest.mark.parametrize("name", PIPELINES)
def test_index_stays_with_its_example(name):
    learner = recorder(SIZE, **({} if name == "arrays" else UNCOMPILED))
    learner.fit(epochs=2, verbose=0, **PIPELINES[name]())
    recorded = ops.convert_to_numpy(learner.memory.x)[:, 0]
    np.testing.assert_array_equal(recorded, np.arange(SIZE))
    np.testing.assert_array_equal(learner.memory.labels, Y)


def test_validation_split_leaves_the_first_examples():
    learner = recorder(**UNCOMPILED)
    history = learner.fit(
        X, Y, batch_size=BATCH_SIZE, validation_split=0.5, verbose=0
    )
    assert learner.num_examples == SIZE // 2
    np.testing.assert_array_equal(learner.memory.labels, Y[: SIZE // 2])
    assert "val_loss" in history.history


def test_an_epoch_of_few_steps_takes_a_part():
    learner = recorder(**UNCOMPILED)
    learner.fit(
        X, Y, batch_size=BATCH_SIZE, steps_per_epoch=2, epochs=3, verbose=0
    )
    seen = learner.memory.labels >= 0
    assert 2 * BATCH_SIZE <= seen.sum() < SIZE


def test_order_follows_from_seed_and_epoch():
    def orders(epochs, **kwargs):
        batches = learners.batches.ArrayBatches(
            X,
            Y,
            None,
            batch_size=BATCH_SIZE,
            has_index=True,
            num_steps=None,
            shuffle=True,
            class_weight=None,
            meta=CLEAN,
            meta_batch_size=3,
        )
        seen = []
        for epoch in epochs:
            batches.begin_epoch(7, epoch)
            seen.append(keras.tree.map_structure(np.copy, list(batches)))
        return seen

    first, second = orders([0, 1])
    (again,) = orders([1])
    keras.tree.map_structure(np.testing.assert_array_equal, second, again)
    assert np.any(first[0][1]["index"] != second[0][1]["index"])
    clean = [x["learner_meta"][0] for x, _ in second]
    assert clean[0].shape == (3, 2)
    assert np.any(clean[0] != clean[1])


REFUSED = {
    "attached too late": (
        lambda: {
            "x": learners.with_index(examples().shuffle(SIZE, seed=1)).batch(
                BATCH_SIZE
            )
        },
        "another order",
    ),
    "attached too late, to one class": (
        lambda: {
            "x": learners.with_index(
                examples().map(lambda x, y: (x, 0 * y)).shuffle(SIZE, seed=1)
            ).batch(BATCH_SIZE)
        },
        "another order, or changed, at each pass",
    ),
    "shuffled without index": (
        lambda: {"x": examples().shuffle(SIZE, seed=1).batch(BATCH_SIZE)},
        "another order",
    ),
    "reordered between epochs": (
        lambda: {"x": Ordered(reorders=True)},
        "another label",
    ),
    "repeated": (
        lambda: {
            "x": learners.with_index(examples()).repeat(2).batch(BATCH_SIZE)
        },
        "more than once",
    ),
    "repeated before": (
        lambda: {
            "x": learners.with_index(examples().repeat(2)).batch(BATCH_SIZE)
        },
        "attach the index before `repeat`",
    ),
    "endless": (
        lambda: {
            "x": examples().repeat().batch(BATCH_SIZE),
            "steps_per_epoch": 3,
        },
        "endless",
    ),
    "generator": (lambda: {"x": iter([(X, Y)])}, "must be arrays x and y"),
    "of other length": (lambda: {"x": X, "y": Y[1:]}, "one length"),
    "another number": (
        lambda: {"x": X[:-1], "y": Y[:-1]},
        "remembers 22 examples",
    ),
    "clean data": (
        lambda: {"x": X, "y": Y, "meta_data": CLEAN},
        "does not learn from clean",
    ),
    "dictionaries": (
        lambda: {
            "x": learners.with_index(
                examples().map(lambda x, y: {"image": x, "label": y})
            ).batch(BATCH_SIZE)
        },
        r"must yield examples, not batches: .*image",
    ),
    "dictionaries of labels": (
        lambda: {
            "x": learners.with_index(examples().map(lambda x, y: (x, {"y": y})))
        },
        r"y one label\. Received",
    ),
    "index of a batch": (
        lambda: {"x": learners.with_index(examples().batch(BATCH_SIZE))},
        r"must yield examples, not batches: .*None",
    ),
    "batch size of a dataset": (
        lambda: {"x": Ordered(), "batch_size": 3},
        "brings its own",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, reason = REFUSED[name]
    with pytest.raises(ValueError, match=reason):
        recorder(SIZE, **UNCOMPILED).fit(epochs=2, verbose=0, **make())


def test_batches_of_unequal_size_are_refused():
    class Unequal(Ordered):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return (x[:3], y[:3]) if i == 1 else (x, y)

    with pytest.raises(ValueError, match="one size"):
        recorder(**UNCOMPILED).fit(Unequal(), shuffle=False, verbose=0)


def test_tf_data_needs_the_number_of_examples():
    with pytest.raises(ValueError, match="num_examples"):
        recorder(**UNCOMPILED).fit(examples().batch(BATCH_SIZE), verbose=0)


def test_goes_on_only_with_its_memory():
    with pytest.raises(ValueError, match="remembers nothing"):
        recorder(**UNCOMPILED).fit(X, Y, initial_epoch=1, epochs=2, verbose=0)


def test_replicas_are_refused(monkeypatch):
    monkeypatch.setattr(learners.base, "num_replicas", lambda model: 2)
    with pytest.raises(ValueError, match="2 replicas"):
        recorder(**UNCOMPILED).fit(X, Y, verbose=0)


class Plain(Learner):
    """Plain training, through all that a learner does with data."""

    needs_meta_data = True
    warmup_epochs = 1

    def __init__(self, model):
        super().__init__(model)
        self.finish_init()

    def training_loss(self, batch, y_pred):
        clean_x, _ = batch.meta
        assert clean_x.shape[1] == batch.x.shape[1]
        losses = self.per_sample(self.base_loss, batch.labels, y_pred)
        return ops.mean(batch.weighted(losses))


WEIGHTED = {
    "none": {},
    "class_weight": {"class_weight": {0: 3.0, 2: 0.5}},
    "sample_weight": {"sample_weight": np.linspace(0, 2, SIZE)},
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("arrays", name) for name in WEIGHTED),
        ("PyDataset", "class_weight"),
        ("tf.data", "class_weight"),
    ],
)
def test_weights_and_penalties_are_those_of_keras(kind, name):
    # Small, since TensorFlow's loss of Keras sees through a full softmax.
    x = X / SIZE
    data = {
        "arrays": {"x": x, "y": Y, "batch_size": BATCH_SIZE},
        "PyDataset": {"x": Ordered(x)},
        "tf.data": {"x": examples(x).batch(BATCH_SIZE)},
    }[kind]
    model = network(kernel_regularizer="l2", activity_regularizer="l2")
    learner = Plain(keras.models.clone_model(model))
    learner.model.set_weights(model.get_weights())
    model.compile(
        "sgd",
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **UNCOMPILED,
    )
    expected = model.fit(**data, shuffle=False, verbose=0, **WEIGHTED[name])
    learner.compile("sgd", metrics=["accuracy"], **UNCOMPILED)
    history = learner.fit(
        **data, shuffle=False, verbose=0, meta_data=CLEAN, **WEIGHTED[name]
    )
    for mine, kerass in zip(
        learner.model.get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, kerass, rtol=1e-4, atol=1e-5)
    for key, values in expected.history.items():
        np.testing.assert_allclose(history.history[key], values, rtol=1e-4)


def test_weights_of_class_and_sample_are_multiplied():
    for weights in (np.arange(3.0), np.arange(3.0)[:, None]):
        found = learners.batches.weigh(np.array([0, 1, 1]), weights, {1: 3.0})
        np.testing.assert_array_equal(found, [0.0, 3.0, 6.0])
    y = np.array([0, 1, 1])
    data = tf.data.Dataset.from_tensors((X[:3], y, np.arange(3.0)[:, None]))
    ((_, _, found),) = learners.pipelines._weighted(data, {1: 3.0})
    np.testing.assert_array_equal(found, [0.0, 3.0, 6.0])


def test_small_loss_takes_the_easiest_of_each_class():
    keras.utils.set_random_seed(0)
    x = np.eye(NUM_CLASSES)[np.arange(60) % NUM_CLASSES].astype("float32")
    y = np.arange(60) % NUM_CLASSES
    is_wrong = np.arange(60) >= 36
    noisy = np.where(is_wrong, (y + 1) % NUM_CLASSES, y)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(3, activation="softmax")]
    )
    model.layers[0].kernel.assign(5 * np.eye(3))
    learner = Plain(model)
    learner.compile("sgd", **UNCOMPILED)
    chosen = learners.small_loss.SmallLoss(learner, x, noisy)
    chosen.dataset = chosen
    chosen.begin_epoch(0, 1)
    clean_x, clean_y = chosen.meta
    np.testing.assert_array_equal(np.bincount(clean_y), [10, 10, 10])
    np.testing.assert_array_equal(clean_x.argmax(axis=1), clean_y)
    history = learner.fit(x, noisy, meta_data="small_loss", epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "pass `meta_data="),
        ({"meta_data": "other"}, "small_loss"),
        ({"meta_data": "small_loss"}, "warmup_epochs"),
        ({"meta_data": X}, "tuple of arrays"),
    ],
)
def test_clean_data_are_checked(arguments, reason):
    learner = learners.L2B(network(), warmup_epochs=0)
    learner.compile("sgd")
    with pytest.raises(ValueError, match=reason):
        learner.fit(X, Y, verbose=0, **arguments)


def test_a_learner_brings_its_loss():
    learner = learners.ELR(network())
    learner.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="brings its loss"):
        learner.fit(X, Y, verbose=0)


def test_a_plain_batch_is_refused():
    learner = learners.ELR(network(), num_examples=SIZE)
    learner.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="the examples' indices"):
        learner.train_on_batch(X, Y)
