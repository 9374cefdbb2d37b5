import functools

import keras
import numpy as np
import pytest

from keras_arl import losses
from keras_arl.training import convolutions
from keras_arl.training.convolutions import PatchesConv2D
from keras_arl.training.convolutions import as_matrix_products

rewrite = functools.partial(as_matrix_products, batch_size=8)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, (1, 3)])
@pytest.mark.parametrize("kernel_size", [1, 3, (2, 4), 5])
def test_it_is_a_convolution(rng, kernel_size, strides, padding):
    arguments = {
        "filters": 3,
        "kernel_size": kernel_size,
        "strides": strides,
        "padding": padding,
        "activation": "tanh",
        "bias_initializer": "normal",
    }
    x = rng.normal(size=(4, 7, 10, 2)).astype("float32")
    reference = keras.layers.Conv2D(**arguments)
    expected = reference(x)
    layer = PatchesConv2D(**arguments)
    layer.build(x.shape)
    layer.set_weights(reference.get_weights())
    found = layer(x)
    assert found.shape == expected.shape
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found),
        keras.ops.convert_to_numpy(expected),
        atol=1e-5,
    )


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def test_models_of_layers_are_rewritten(rng):
    inner = keras.Sequential(
        [keras.Input((6, 6, 4)), keras.layers.Conv2D(2, 3, padding="same")],
        name="inner",
    )
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    skip = keras.layers.Conv2D(2, 1)(inputs)
    outputs = keras.layers.Add()([inner(x), skip])
    model = keras.Model(inputs, outputs)
    losses.l1_regularization(model, 0.1)
    rewritten = rewrite(model)
    assert len(rewritten.losses) == len(model.trainable_weights)
    assert kinds(rewritten).count("PatchesConv2D") == 2
    assert kinds(rewritten.get_layer("inner")) == ["PatchesConv2D"]
    shapes = [tuple(v.shape) for v in model.variables]
    assert [tuple(v.shape) for v in rewritten.variables] == shapes
    rewritten.set_weights(model.get_weights())
    x = rng.normal(size=(3, 6, 6, 1)).astype("float32")
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(rewritten(x)),
        keras.ops.convert_to_numpy(model(x)),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Conv2D(4, 3, groups=2),
        keras.layers.Conv2D(4, 3, dilation_rate=2),
        keras.layers.DepthwiseConv2D(3),
        keras.layers.Conv2DTranspose(4, 3),
    ],
    ids=lambda layer: layer.name,
)
def test_other_convolutions_are_left(layer):
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), type(layer).from_config(layer.get_config())]
    )
    assert kinds(rewrite(model)) == [type(layer).__name__]


def test_large_patches_are_left(monkeypatch):
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), keras.layers.Conv2D(4, 3)]
    )
    # 36 patches of 18 numbers, for each of 8 examples.
    monkeypatch.setattr(convolutions, "_LARGEST_PATCHES", 36 * 18 * 8)
    assert kinds(rewrite(model)) == ["Conv2D"]
    monkeypatch.setattr(convolutions, "_LARGEST_PATCHES", 36 * 18 * 8 + 1)
    assert kinds(rewrite(model)) == ["PatchesConv2D"]


def test_images_of_any_size_are_left():
    model = keras.Sequential(
        [keras.Input((None, None, 2)), keras.layers.Conv2D(4, 3)]
    )
    assert kinds(rewrite(model)) == ["Conv2D"]


def test_a_model_without_convolutions_is_not_made_again():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert rewrite(model) is model


def test_other_layers_keep_what_they_were_adapted_to(rng):
    x = rng.normal(100, 3, size=(20, 6, 6, 1)).astype("float32")
    normalization = keras.layers.Normalization()
    normalization.adapt(x)
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), normalization, keras.layers.Conv2D(2, 3)]
    )
    rewritten = rewrite(model)
    assert kinds(rewritten) == ["Normalization", "PatchesConv2D"]
    rewritten.set_weights(model.get_weights())
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(rewritten(x)),
        keras.ops.convert_to_numpy(model(x)),
        atol=1e-5,
    )


def test_a_layer_without_a_configuration_stays():
    class NoConfig(keras.layers.Layer):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def call(self, x):
            return self.function(x)

    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(4, 3),
            NoConfig(lambda x: 2 * x),
        ]
    )
    assert kinds(rewrite(model)) == ["PatchesConv2D", "NoConfig"]


def test_a_subclass_of_model_is_left():
    class Own(keras.Sequential):
        pass

    model = Own([keras.Input((8, 8, 2)), keras.layers.Conv2D(4, 3)])
    assert rewrite(model) is model
