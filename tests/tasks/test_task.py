import numpy as np
import pytest
import tensorflow as tf

from keras_arl.tasks import Task


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
