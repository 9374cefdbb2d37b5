"""The networks of robustness.py, none of which ARL was searched on."""

import keras
import numpy as np


def _mlp(shape, num_classes, seed, width=1):
    """A perceptron, deeper than those that a search samples."""
    layers = _Layers(seed)
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    for _ in range(5):
        x = keras.layers.Activation("relu")(layers.dense(100 * width)(x))
    return keras.Model(inputs, _softmax(layers.dense(num_classes)(x)))


def _cnn(shape, num_classes, seed, width=1):
    """Patches of 4 x 4, a convolution, and a dense layer."""
    layers = _Layers(seed)
    inputs = keras.Input(shape)
    x = layers.convolution(16 * width, size=4, strides=4)(inputs)
    x = keras.layers.Activation("relu")(x)
    x = layers.convolution(32 * width, size=3, strides=2)(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Activation("relu")(layers.dense(96 * width)(x))
    return keras.Model(inputs, _softmax(layers.dense(num_classes)(x)))


def _resnet(shape, num_classes, seed, width=1):
    """Patches of 4 x 4 and a residual block with batch normalisation."""
    layers = _Layers(seed)
    inputs = keras.Input(shape)
    x = layers.convolution(12 * width, size=4, strides=4)(inputs)
    y = layers.convolution(24 * width, size=3, strides=2)(_normalised_relu(x))
    y = layers.convolution(24 * width, size=3, strides=1)(_normalised_relu(y))
    x = layers.convolution(24 * width, size=1, strides=2)(x)
    x = keras.layers.Activation("relu")(keras.layers.Add()([x, y]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, _softmax(layers.dense(num_classes)(x)))


def _mixer(shape, num_classes, seed, width=1):
    """Patches of 10 x 10 and a block of an MLP-Mixer."""
    layers = _Layers(seed)
    channels = 48 * width
    inputs = keras.Input(shape)
    x = layers.convolution(channels, size=10, strides=10)(inputs)
    x = keras.layers.Reshape((-1, channels))(x)
    num_patches = x.shape[1]
    y = keras.layers.Permute((2, 1))(keras.layers.LayerNormalization()(x))
    y = keras.layers.Activation("relu")(layers.dense(channels // 2)(y))
    y = keras.layers.Permute((2, 1))(layers.dense(num_patches)(y))
    x = keras.layers.Add()([x, y])
    y = keras.layers.LayerNormalization()(x)
    y = keras.layers.Activation("relu")(layers.dense(4 * channels)(y))
    x = keras.layers.Add()([x, layers.dense(channels)(y)])
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, _softmax(layers.dense(num_classes)(x)))


# The mixer is in no recipe.
NETWORKS = {"mlp": _mlp, "cnn": _cnn, "resnet": _resnet, "mixer": _mixer}


class _Layers:
    """Layers whose initial weights derive from one seed."""

    def __init__(self, seed):
        self._seeds = np.random.SeedSequence(seed)

    def _initializer(self):
        (seed,) = self._seeds.spawn(1)[0].generate_state(1)
        return keras.initializers.HeNormal(int(seed >> 1))

    def dense(self, units):
        return keras.layers.Dense(units, kernel_initializer=self._initializer())

    def convolution(self, filters, size, strides):
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            kernel_initializer=self._initializer(),
        )


def _normalised_relu(x):
    # Short trainings: Keras's 0.99 would remember the initial statistics.
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.Activation("relu")(x)


def _softmax(x):
    return keras.layers.Activation("softmax")(x)
