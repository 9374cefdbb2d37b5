import dataclasses
import functools

import keras
import numpy as np
import pytest

from keras_arl import noise
from keras_arl.datasets import load_dataset
from keras_arl.tasks import TaskSpace
from keras_arl.tasks import build_task
from keras_arl.tasks import sample_task
from keras_arl.tasks.seeds import derive_seeds


@functools.cache
def true_label():
    """The clean label of an image of digits, by its pixels."""
    digits = load_dataset("digits")
    images = np.concatenate([digits.pool_inputs, digits.test_inputs])
    labels = np.concatenate([digits.pool_labels, digits.test_labels])
    scaled = images.astype("float32") / 16
    return {x.tobytes(): y for x, y in zip(scaled, labels, strict=True)}


@pytest.mark.parametrize("evaluation", ["validation", "test"])
def test_training_and_evaluation_examples_never_overlap(evaluation):
    config = dataclasses.replace(
        sample_task(0), evaluation=evaluation, num_evaluation=300
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


def test_training_labels_are_noisy():
    config = dataclasses.replace(
        sample_task(0), noise="symmetric", noise_rate=0.4
    )
    clean = true_label()
    x, y = build_task(config).train
    wrong = np.mean(
        [clean[image.tobytes()] != label for image, label in zip(x, y)]
    )
    assert wrong == pytest.approx(0.4, abs=0.08)


def test_a_task_is_the_same_whatever_came_before():
    config = sample_task(2)
    tasks = []
    for global_seed in (1, 99):
        keras.utils.set_random_seed(global_seed)
        tasks.append(build_task(config))
    first, second = (
        [*task.train, *task.validation, *task.build_model().get_weights()]
        for task in tasks
    )
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert tasks[0].shuffle_seed == tasks[1].shuffle_seed
    assert tasks[0].architecture == tasks[1].architecture


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


@pytest.mark.parametrize(
    ("name", "function", "rate"),
    [
        ("instance_dependent", noise.instance_dependent_labels, 0.4),
        ("weak_classifier", noise.weak_classifier_labels, 0.1),
        ("annotators", noise.annotator_labels, 0.3),
    ],
)
def test_noise_that_depends_on_the_example(name, function, rate):
    config = dataclasses.replace(sample_task(0), noise=name, noise_rate=rate)
    x, y = build_task(config).train
    clean = true_label()
    true = np.array([clean[image.tobytes()] for image in x])
    assert np.mean(true != y) == pytest.approx(rate, abs=0.08)
    expected, _ = function(x, true, rate, 10, derive_seeds(config.seed, 2)[1])
    np.testing.assert_array_equal(y, expected)


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


@pytest.mark.parametrize("value", [-0.5, float("nan")])
def test_input_noise_that_is_none(value):
    config = dataclasses.replace(sample_task(0), input_noise=value)
    with pytest.raises(ValueError, match=f"at least 0.*input_noise={value}"):
        build_task(config)


def test_images_are_averaged_over_squares():
    config = dataclasses.replace(sample_task(0), pooling=3)
    x, pooled = (build_task(c).train[0] for c in (sample_task(0), config))
    assert pooled.shape == (500, 2, 2, 1)
    assert pooled.dtype == "float32"
    np.testing.assert_allclose(
        pooled[:, 1, 0, 0], x[:, 3:6, :3, 0].mean(axis=(1, 2)), rtol=1e-5
    )
    for dataset, pooling in (("digits", 9), ("iris", 2)):
        wrong = dataclasses.replace(
            config, dataset=dataset, pooling=pooling, num_train=60,
            num_evaluation=60,
        )  # fmt: skip
        with pytest.raises(
            ValueError, match=f"pooling={pooling} for .{dataset}"
        ):
            build_task(wrong)


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"evaluation": "tests"}, "'test'.*evaluation='tests'"),
        ({"num_evaluation": None}, "held out .*num_evaluation=None"),
        ({"num_train": None, "imbalance": 5.0}, r"imbalance=5\.0 and num_tr"),
    ],
)
def test_fields_that_do_not_fit(fields, message):
    config = dataclasses.replace(sample_task(0), **fields)
    with pytest.raises(ValueError, match=message):
        build_task(config)


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_train": 1200}, r"1400 examples.*num_train=1200"),
        ({"num_train": None, "num_evaluation": 1400}, "num_train=None"),
        ({"evaluation": "test"}, "397 to test on.*num_evaluation=400"),
        ({"noise": "instance"}, "noise='instance' for 'digits'"),
        ({"noise_rate": 1.0}, "rate=1.0"),
    ],
)
def test_configurations_that_cannot_be_built(change, message):
    with pytest.raises(ValueError, match=message):
        build_task(dataclasses.replace(sample_task(0), **change))
