"""Golden values of the methods and the networks that they are of.

`golden.json` holds values of the official programs where they are public (L2B,
NAL, ELR, Meta-Weight-Net), of an independent evaluation in float64 checked by
central differences (adaptive losses), and of the rule as `Marvel` states it.
Weights are in PyTorch's layout.
"""

import json
import pathlib

import keras
import numpy as np
from keras import ops

GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden.json").read_text())
_INPUTS = {key: np.array(x) for key, x in GOLDEN["inputs"].items()}
X = np.concatenate([_INPUTS["x_step1"], _INPUTS["x_step2"]]).astype("float32")
Y = np.concatenate([_INPUTS["y_step1"], _INPUTS["y_step2"]])
META = _INPUTS["x_meta"].astype("float32"), _INPUTS["y_meta"]
BATCH_SIZE = 6

_LAYERS = {
    "linear": [lambda: keras.layers.Dense(3)],
    "mlp": [
        lambda: keras.layers.Dense(5),
        lambda: keras.layers.Activation("tanh"),
        lambda: keras.layers.Dense(3),
    ],
    "mlp_bn": [
        lambda: keras.layers.Dense(5),
        lambda: keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        lambda: keras.layers.Activation("tanh"),
        lambda: keras.layers.Dense(3),
    ],
}


def network(case, before):
    """The network of a case, by its name, with given weights."""
    kind = "mlp_bn" if case.startswith("mlp_bn") else case.split("_")[0]
    model = keras.Sequential([keras.Input((4,))])
    for layer in _LAYERS[kind]:
        model.add(layer())
    for name, value in before.items():
        variable = _variable(model, name)
        if variable is not None:
            variable.assign(np.transpose(value))
    return model


def assert_weights(model, after):
    """Compares all weights but variances, unbiased in PyTorch alone."""
    for name, value in after.items():
        variable = _variable(model, name)
        if variable is not None and not name.endswith("running_var"):
            close(variable, np.transpose(value), name)


def close(actual, expected, message=""):
    np.testing.assert_allclose(
        ops.convert_to_numpy(actual),
        expected,
        rtol=1e-5,
        atol=1e-5,
        err_msg=message,
    )


def _variable(model, name):
    layer, kind = name.rsplit(".", 1) if "." in name else ("0", name)
    layer = model.layers[int(layer) if layer.isdigit() else 0]
    is_dense = isinstance(layer, keras.layers.Dense)
    attribute = {
        "weight": "kernel" if is_dense else "gamma",
        "bias": "bias" if is_dense else "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }.get(kind)
    return attribute and getattr(layer, attribute)


class Fed(keras.utils.PyDataset):
    """One batch in which a model without a bias outputs given numbers."""

    def __init__(self, labels, index):
        super().__init__()
        self._batch = (
            np.eye(len(index), dtype="float32"),
            {
                "label": np.array(labels)[index],
                "index": np.array(index, "int32"),
            },
        )

    def __len__(self):
        return 1

    def __getitem__(self, step):
        return self._batch


def fed_network(num_examples, num_classes=3):
    """A model whose kernel is its logits for the inputs of `Fed`.

    Under plain SGD with learning rate 1 a step changes them by the gradient.
    """
    return keras.Sequential(
        [
            keras.Input((num_examples,)),
            keras.layers.Dense(num_classes, use_bias=False),
        ]
    )
