import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_arl
from keras_arl import noise
from keras_arl.tasks import Task
from keras_arl.tasks import TaskFamily
from keras_arl.tasks import TaskSpace
from keras_arl.tasks import broad_spaces
from keras_arl.tasks import build_task
from keras_arl.tasks import load_dataset
from keras_arl.tasks import sample_architectures
from keras_arl.tasks import sample_task
from keras_arl.tasks.seeds import derive_seeds
from keras_arl.training import fitting
from keras_arl.training.fitting import TrainingDivergedError


def batches(task):
    """What `fit` trains on, all epochs."""
    return list(fitting.data_of(task).train.as_numpy_iterator())


def true_label():
    """The clean label of an image of digits, by its pixels."""
    digits = load_dataset("digits")
    images = np.concatenate([digits.pool_inputs, digits.test_inputs])
    labels = np.concatenate([digits.pool_labels, digits.test_labels])
    scaled = images.astype("float32") / 16
    return {x.tobytes(): y for x, y in zip(scaled, labels, strict=True)}


def test_sampling_is_a_function_of_the_seed_and_the_space():
    space = TaskSpace(noises=(("symmetric", 0.25),), epochs=(3,))
    configs = [sample_task(seed, space) for seed in range(20)]
    assert configs == [sample_task(seed, space) for seed in range(20)]
    assert len({c.architecture for c in configs}) > 10
    assert {c.noise_rate for c in configs} == {0.25}
    assert {c.optimizer for c in configs} == {"adam", "sgd"}
    text = json.dumps(dataclasses.asdict(configs[0]))
    assert json.loads(text)["seed"] == 0
    default = [sample_task(seed) for seed in range(40)]
    assert {(c.noise, c.noise_rate) for c in default} == set(TaskSpace().noises)


@pytest.mark.parametrize("evaluation", ["validation", "test"])
@pytest.mark.parametrize("seed", range(3))
def test_training_and_evaluation_examples_never_overlap(seed, evaluation):
    config = dataclasses.replace(
        sample_task(seed), evaluation=evaluation, num_evaluation=300
    )
    task = build_task(config)
    x, _ = task.train
    x_clean, y_clean = task.validation
    assert x.shape == (500, 8, 8, 1)
    assert x_clean.shape == (300, 8, 8, 1)
    assert x.min() == 0
    assert x.max() == 1
    train = {image.tobytes() for image in x}
    evaluated = {image.tobytes() for image in x_clean}
    assert not train & evaluated
    pool = {
        image.tobytes()
        for image in load_dataset("digits").pool_inputs.astype("float32") / 16
    }
    assert train <= pool
    assert (evaluated <= pool) == (evaluation == "validation")
    clean = true_label()
    assert all(
        clean[image.tobytes()] == label
        for image, label in zip(x_clean, y_clean, strict=True)
    )


@pytest.mark.parametrize(
    ("evaluation", "sizes"),
    [("validation", (1000, 400)), ("test", (1400, 397))],
)
def test_all_examples_can_be_used(evaluation, sizes):
    config = dataclasses.replace(
        sample_task(0),
        num_train=None,
        num_evaluation=400 if evaluation == "validation" else None,
        evaluation=evaluation,
    )
    task = build_task(config)
    assert len(task.train[0]) == sizes[0]
    assert len(task.validation[0]) == sizes[1]


def test_training_labels_are_noisy_and_fixed_through_the_epochs():
    config = dataclasses.replace(
        sample_task(0), noise="symmetric", noise_rate=0.4
    )
    task = build_task(config)
    steps = fitting.steps_per_epoch(task)
    trained_on = batches(task)
    assert len(trained_on) == steps * task.epochs
    epochs = [
        [np.concatenate(part) for part in zip(*some, strict=True)]
        for some in np.split(np.array(trained_on, dtype=object), task.epochs)
    ]
    labels = [
        {image.tobytes(): label for image, label in zip(x, y, strict=True)}
        for x, y in epochs
    ]
    assert all(epoch == labels[0] for epoch in labels)
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    clean = true_label()
    wrong = np.mean([clean[x] != y for x, y in labels[0].items()])
    assert wrong == pytest.approx(0.4, abs=0.08)


def test_asymmetric_noise_of_a_known_dataset():
    config = dataclasses.replace(
        sample_task(0), noise="asymmetric", noise_rate=0.45
    )
    x, y = build_task(config).train
    clean = true_label()
    flips = {
        (clean[image.tobytes()], label)
        for image, label in zip(x, y, strict=True)
        if clean[image.tobytes()] != label
    }
    assert flips == set(noise.MNIST_MAPPING.items())


def test_a_task_is_the_same_whatever_came_before():
    config = sample_task(2)
    first = batches(build_task(config))
    # `tf.data` mixes the global seed into `shuffle`.
    keras.utils.set_random_seed(99)
    second = batches(build_task(config))
    for (x, y), (x2, y2) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)


def test_training_is_reproducible():
    config = dataclasses.replace(sample_task(3), epochs=2)
    loss = keras_arl.ARL()

    def accuracy():
        return build_task(config).evaluate(loss)

    first = accuracy()
    build_task(sample_task(4)).evaluate(loss)
    assert accuracy() == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_train": 1200}, r"1400 examples.*num_train=1200"),
        ({"num_train": None, "num_evaluation": 1400}, "num_train=None"),
        ({"evaluation": "test"}, "397 to test on.*num_evaluation=400"),
        ({"noise": "instance"}, "noise='instance' for 'digits'"),
        ({"dataset": "digitz"}, "Unknown dataset"),
        ({"noise_rate": 1.0}, "rate=1.0"),
    ],
)
def test_configurations_that_cannot_be_built(change, message):
    with pytest.raises(ValueError, match=message):
        build_task(dataclasses.replace(sample_task(0), **change))


def points(num_classes=2, **kwargs):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(50)
    kwargs.setdefault(
        "build_model",
        lambda: keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(2, activation="softmax")]
        ),
    )
    kwargs.setdefault("optimizer", keras.optimizers.Adam(0.1))
    return Task(dataset, dataset, num_classes=num_classes, **kwargs)


def test_a_users_own_task_learns():
    task = points(epochs=10)
    assert task.evaluate("sparse_categorical_crossentropy") > 0.95
    # The optimizer is copied: a second training begins anew.
    assert task.optimizer.iterations == 0
    assert task.evaluate("sparse_categorical_crossentropy") > 0.95


def test_logits():
    task = points(
        epochs=10,
        from_logits=True,
        build_model=lambda: keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(2)]
        ),
    )
    assert task.evaluate(keras_arl.ARL(from_logits=True)) > 0.95


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
        build_model=lambda: ScriptedModel(changes_after=3.5),
        num_classes=2,
        epochs=4,
    )
    loss = keras.losses.SparseCategoricalCrossentropy()
    # One step an epoch: right in epochs 1 to 3, wrong in epoch 4.
    assert task.evaluate(loss) == 0.0
    assert task.evaluate(loss, last_epochs=2) == 0.5
    assert task.evaluate(loss, last_epochs=4) == 0.75


@pytest.mark.parametrize("last_epochs", [0, 11])
def test_invalid_last_epochs(last_epochs):
    with pytest.raises(ValueError, match=rf"1\.\.10.*={last_epochs}"):
        points().evaluate("mse", last_epochs=last_epochs)


def test_divergence_is_told():
    calls = []

    def infinite(y_true, y_pred):
        calls.append(1)
        return keras.ops.sum(y_pred, axis=-1) * float("inf")

    with pytest.raises(
        TrainingDivergedError, match=r"diverged: loss became .* within 1 of 10"
    ):
        points().evaluate(infinite)
    assert calls


def test_sampled_tasks_describe_themselves():
    tasks = TaskFamily(TaskSpace(num_train=100))
    assert tasks.get_config()["num_train"] == 100
    x, _ = tasks(seed=5).train
    assert len(x) == 100


def test_an_epoch_is_what_fit_makes_of_a_pipeline():
    """The order in memory is that of tf.data, met as `fit` meets it."""
    config = dataclasses.replace(sample_task(0), epochs=3)
    task = build_task(config)
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
    model = Watching([keras.layers.Flatten(), keras.layers.Dense(10)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(True))
    model.fit(pipeline, epochs=3, shuffle=False, verbose=0)
    expected = [x for x, _ in batches(task)]
    assert len(met) == len(expected)
    for a, b in zip(met, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_pool_of_architectures():
    pool = sample_architectures(3, seed=4)
    assert pool == sample_architectures(5, seed=4)[:3]
    assert len(set(sample_architectures(100, seed=4))) == 100
    assert pool != sample_architectures(3, seed=5)
    space = TaskSpace(architectures=pool)
    drawn = {sample_task(seed, space).architecture for seed in range(50)}
    assert drawn == set(pool)
    mlps = sample_architectures(4, seed=0, families=("mlp",))
    assert {architecture.family for architecture in mlps} == {"mlp"}


@pytest.mark.parametrize("count", [0, 501])
def test_a_pool_of_the_wrong_size(count):
    with pytest.raises(ValueError, match=rf"1\.\.500.*count={count}"):
        sample_architectures(count, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": (np.zeros((4, 2)), np.zeros(3))}, r"`train`.*\[3, 4\]"),
        ({"train": (np.zeros((4, 2)),)}, r"`train`.*Received: \(ndarray\)"),
        ({"train": ([[1.0]], [0])}, r"`train`.*Received: \(list, list\)"),
        ({"train": [np.zeros(4), np.zeros(4)]}, "as tuples.*: list and tuple"),
        ({"train": (np.zeros((0, 2)), np.zeros(0))}, r"`train`.*at least one"),
        (
            {"validation": tf.data.Dataset.range(3)},
            "both be pipelines. Received: tuple and _RangeDataset",
        ),
        ({"batch_size": 0}, "batch_size=0"),
        ({"architecture": ["mlp"]}, r"hashable.*\['mlp'\]"),
    ],
)
def test_data_of_the_wrong_kind(change, message):
    pair = (np.zeros((4, 2)), np.zeros(4))
    settings = {"train": pair, "validation": pair, **change}
    with pytest.raises(ValueError, match=message):
        Task(build_model=lambda: None, num_classes=2, **settings)


def test_a_choice_of_classes():
    config = dataclasses.replace(
        sample_task(1),
        num_classes=4,
        noise="symmetric",
        noise_rate=0.0,
        num_train=300,
        num_evaluation=100,
    )
    task = build_task(config)
    assert task.num_classes == 4
    assert task.build_model().output_shape == (None, 4)
    old = {}
    clean = true_label()
    for x, y in (task.train, task.validation):
        for image, label in zip(x, y, strict=True):
            old.setdefault(int(label), set()).add(clean[image.tobytes()])
    # One of the dataset's classes each, in its order.
    assert sorted(old) == [0, 1, 2, 3]
    assert all(len(classes) == 1 for classes in old.values())
    chosen = [classes.pop() for _, classes in sorted(old.items())]
    assert chosen == sorted(chosen)
    others = build_task(dataclasses.replace(config, seed=2))
    assert {clean[x.tobytes()] for x in others.train[0]} != set(chosen)
    with pytest.raises(ValueError, match=r"10 classes.*num_classes=11"):
        build_task(dataclasses.replace(config, num_classes=11))


def test_asymmetric_noise_among_a_choice_of_classes():
    clean = true_label()
    flips = set()
    for seed in range(6):
        config = dataclasses.replace(
            sample_task(seed),
            num_classes=5,
            noise="asymmetric",
            noise_rate=0.45,
            num_train=300,
            num_evaluation=100,
        )
        task = build_task(config)
        x, y = task.train
        classes = sorted({clean[image.tobytes()] for image in x})
        flips |= {
            (clean[image.tobytes()], classes[label])
            for image, label in zip(x, y, strict=True)
            if clean[image.tobytes()] != classes[label]
        }
    assert flips
    assert flips <= set(noise.MNIST_MAPPING.items())


def test_unbalanced_classes():
    config = dataclasses.replace(
        sample_task(0),
        noise="symmetric",
        noise_rate=0.0,
        num_train=500,
        num_evaluation=400,
    )
    balanced = build_task(config)
    task = build_task(dataclasses.replace(config, imbalance=20.0))
    counts = np.sort(np.bincount(task.train[1], minlength=10))
    assert counts.sum() == 500
    # Draws without replacement exhaust the most frequent classes.
    assert counts[0] < 20
    assert counts[-1] > 80
    for mine, theirs in zip(task.validation, balanced.validation, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    train = {image.tobytes() for image in task.train[0]}
    assert not train & {image.tobytes() for image in task.validation[0]}
    with pytest.raises(ValueError, match=r"at least 1.*imbalance=0\.5"):
        build_task(dataclasses.replace(config, imbalance=0.5))


def test_inputs_in_noise():
    clean_config = dataclasses.replace(sample_task(0), noise="symmetric")
    config = dataclasses.replace(clean_config, input_noise=0.5)
    clean, task, again = map(build_task, (clean_config, config, config))
    for part, pure, same in zip(
        (task.train, task.validation),
        (clean.train, clean.validation),
        (again.train, again.validation),
        strict=True,
    ):
        added = part[0] - pure[0]
        assert added.dtype == "float32"
        assert added.mean() == pytest.approx(0, abs=0.02)
        assert added.std() == pytest.approx(0.5, abs=0.02)
        # No two examples share theirs.
        assert len(np.unique(added[:, 0, 0])) == len(added)
        np.testing.assert_array_equal(part[1], pure[1])
        np.testing.assert_array_equal(part[0], same[0])


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf")])
def test_input_noise_that_is_none(value):
    config = dataclasses.replace(sample_task(0), input_noise=value)
    with pytest.raises(ValueError, match=f"not negative.*input_noise={value}"):
        build_task(config)


def test_instance_dependent_noise():
    config = dataclasses.replace(
        sample_task(0), noise="instance_dependent", noise_rate=0.4
    )
    x, y = build_task(config).train
    clean = true_label()
    true = np.array([clean[image.tobytes()] for image in x])
    assert np.mean(true != y) == pytest.approx(0.4, abs=0.08)
    expected, _ = noise.instance_dependent_labels(
        x, true, 0.4, 10, derive_seeds(config.seed, 2)[1]
    )
    np.testing.assert_array_equal(y, expected)


def test_momentum():
    space = TaskSpace(optimizers=(("sgd", 0.1, 0.9), ("adam", 0.01)))
    for seed in range(8):
        config = sample_task(seed, space)
        optimizer = build_task(config).optimizer
        assert float(optimizer.learning_rate) == pytest.approx(
            config.learning_rate
        )
        if config.optimizer == "sgd":
            assert optimizer.momentum == config.momentum == 0.9
        else:
            assert config.momentum == 0


def test_tasks_of_several_spaces():
    spaces = (
        TaskSpace(noises=(("symmetric", 0.1),)),
        TaskSpace(
            datasets=("iris",),
            families=("mlp",),
            num_train=60,
            num_evaluation=40,
        ),
    )
    tasks = TaskFamily(spaces)
    configs = [tasks.sample(seed) for seed in range(40)]
    assert configs == [TaskFamily(spaces).sample(seed) for seed in range(40)]
    share = np.mean([config.dataset == "iris" for config in configs])
    assert 0.25 < share < 0.75
    seed = [config.dataset for config in configs].index("iris")
    assert tasks(seed).train[0].shape == (60, 4)
    assert json.loads(json.dumps(tasks.get_config()))[1]["datasets"] == ["iris"]


def test_broad_tasks_hold_what_they_promise():
    tasks = TaskFamily(broad_spaces())
    configs = [tasks.sample(seed) for seed in range(400)]
    kinds = {config.noise for config in configs}
    assert kinds == {
        "symmetric", "pair_flip", "asymmetric", "instance_dependent",
    }  # fmt: skip
    assert max(config.noise_rate for config in configs) == 0.8
    assert {config.num_classes for config in configs} == {None, 3, 5, 20}
    assert {config.imbalance for config in configs} == {1, 10, 50}
    assert {config.momentum for config in configs} == {0, 0.9}
    assert {config.input_noise for config in configs} == {0, 0.5, 1}
    families = {config.architecture.family for config in configs}
    assert families == {"mlp", "cnn", "resnet"}
    # What the loss is measured on later is not among them.
    named = " ".join(sorted({config.dataset for config in configs}))
    assert named == (
        "breast_cancer digits iris mnist mnist+mnist trec:label-coarse "
        "trec:label-fine"
    )
