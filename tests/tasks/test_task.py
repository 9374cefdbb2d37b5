import numpy as np
import pytest
import tensorflow as tf

from keras_arl.tasks import Task


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": (np.zeros((4, 2)), np.zeros(3))}, r"`train`.*\[3, 4\]"),
        ({"train": (np.zeros((4, 2)),)}, r"`train`.*Received: \(ndarray\)"),
        ({"train": ([[1.0]], [0])}, r"`train`.*Received: \(list, ndarray\)"),
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


def pipeline(change):
    dataset = tf.data.Dataset.from_tensor_slices(
        (np.zeros((4, 2)), np.zeros(4, "int64"))
    )
    return change(dataset)


@pytest.mark.parametrize("name", ["train", "validation"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.batch(2).repeat(), "endless"),
        (lambda d: d, "add `.batch"),
        (
            lambda d: d.map(lambda x, y: {"x": x, "y": y}).batch(2),
            "to pairs.*element_spec",
        ),
        (lambda d: (pair for pair in d.batch(2)), "a generator cannot be"),
    ],
)
def test_pipelines_that_cannot_be_trained_on(name, change, message):
    parts = dict.fromkeys(
        ("train", "validation"), pipeline(lambda d: d.batch(2))
    )
    parts[name] = pipeline(change)
    with pytest.raises(ValueError, match=rf"`{name}`.*{message}"):
        Task(build_model=lambda: None, num_classes=2, **parts)


@pytest.mark.parametrize(
    "labels", [[0, 1, 1], [[0], [1], [1]], np.array([[False], [True], [True]])]
)
def test_labels_are_brought_into_one_form(labels):
    pair = (np.zeros((3, 2)), labels)
    task = Task(pair, pair, build_model=lambda: None, num_classes=2)
    for _, found in (task.train, task.validation):
        assert found.dtype.kind == "i"
        assert found.tolist() == [0, 1, 1]
