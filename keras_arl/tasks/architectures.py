"""Small networks, sampled: seed -> configuration -> `keras.Model`."""

import dataclasses

import keras
import numpy as np

from keras_arl.tasks.seeds import derive_seeds

FAMILIES = ("mlp", "cnn", "resnet")
# Residual networks take several times as long to compile.
DEFAULT_FAMILIES = ("mlp", "cnn")
ACTIVATIONS = ("relu", "elu", "tanh", "gelu")
_MLP_WIDTHS = (32, 64, 128, 256)
_CNN_FILTERS = (8, 16, 32)
_RESNET_FILTERS = (8, 16, 24)
_DROPOUT_RATES = (0.0, 0.2, 0.4)
_SMALLEST_POOLED_SIZE = 4
_LARGEST_WHOLE_SIZE = 16
# There are 936 networks of convolutions, and as many residual ones, to draw.
_LARGEST_POOL = 500
# Short trainings: Keras's 0.99 would still remember the initial statistics.
_MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True)
class ArchitectureConfig:
    """A network that `build_model` can build.

    Args:
        family: `"mlp"` (dense layers), `"cnn"` (3x3 convolutions, each
            followed by 2x2 max pooling while the image is large enough), or
            `"resnet"` (a 3x3 convolution, residual blocks of two, each of
            which halves the image while it is large enough, and global
            average pooling).
        widths: Units of each dense layer, or filters of each convolution or
            residual block, of which there is at least one.
        activation: Activation of the hidden layers.
        batch_normalization: Whether hidden layers are batch-normalised.
        dropout: Rate of the dropout before the output layer, in [0, 1).
    """

    family: str
    widths: tuple[int, ...]
    activation: str
    batch_normalization: bool
    dropout: float


def sample_architecture(seed, families=DEFAULT_FAMILIES):
    """Samples a network.

    MLPs have 1-4 layers, CNNs 1-3 convolutions, residual networks 1-3 blocks.

    Args:
        seed: Non-negative integer.
        families: Families to draw from, of `"mlp"`, `"cnn"` and `"resnet"`.
            Defaults to `("mlp", "cnn")`.

    Returns:
        An `ArchitectureConfig`, the same for the same arguments.

    Raises:
        ValueError: If a family is unknown.

    Example:

    >>> keras_arl.tasks.sample_architecture(seed=1).family
    'mlp'
    """
    unknown = set(families) - set(FAMILIES)
    if unknown or not families:
        raise ValueError(
            f"`families` must be drawn from {FAMILIES}. "
            f"Received: families={tuple(families)}"
        )
    rng = np.random.default_rng(seed)
    family = families[rng.integers(len(families))]
    deepest, choices = {
        "mlp": (4, _MLP_WIDTHS),
        "cnn": (3, _CNN_FILTERS),
        "resnet": (3, _RESNET_FILTERS),
    }[family]
    depth = rng.integers(1, deepest + 1)
    return ArchitectureConfig(
        family=family,
        widths=tuple(int(w) for w in rng.choice(choices, size=depth)),
        activation=str(rng.choice(ACTIVATIONS)),
        batch_normalization=bool(rng.random() < 0.5),
        dropout=float(rng.choice(_DROPOUT_RATES)),
    )


def sample_architectures(count, seed, families=DEFAULT_FAMILIES):
    """Samples a pool of different networks, for `TaskSpace.architectures`.

    A search over few networks compiles few programs.

    Args:
        count: Number of networks, 1 to 500.
        seed: Non-negative integer.
        families: Families to draw from, of `"mlp"`, `"cnn"` and `"resnet"`.
            Defaults to `("mlp", "cnn")`.

    Returns:
        A tuple of `ArchitectureConfig`, the same for the same arguments. A
        larger pool of the same seed begins with the smaller one.

    Raises:
        ValueError: If `count` is out of range or a family is unknown.

    Example:

    >>> pool = keras_arl.tasks.sample_architectures(10, seed=0)
    >>> space = keras_arl.tasks.TaskSpace(architectures=pool)
    """
    if not 1 <= count <= _LARGEST_POOL:
        raise ValueError(
            f"`count` must be in 1..{_LARGEST_POOL}. Received: count={count}"
        )
    pool = {}
    seeds = np.random.SeedSequence(seed)
    while len(pool) < count:
        pool[sample_architecture(seeds.spawn(1)[0], families)] = None
    return tuple(pool)


def build_model(config, input_shape, num_classes, seed):
    """Builds the network of a configuration, with softmax outputs.

    Args:
        config: An `ArchitectureConfig`.
        input_shape: Shape of one example: of an image
            `(height, width, channels)`, for an MLP any.
        num_classes: Number of classes C.
        seed: Non-negative integer; initial weights and dropout derive from it.

    Returns:
        An uncompiled `keras.Model` from `(batch, *input_shape)` to
        probabilities of shape `(batch, C)`.

    Raises:
        ValueError: If the family is unknown, a residual network has no block,
            or convolutions are asked for and the inputs are no images.

    Example:

    >>> config = keras_arl.tasks.sample_architecture(seed=1)
    >>> model = keras_arl.tasks.build_model(config, (8, 8, 1), 10, seed=0)
    >>> model.output_shape
    (None, 10)
    """
    if config.family not in FAMILIES:
        raise ValueError(
            f"`family` must be one of {FAMILIES}. "
            f"Received: family={config.family!r}"
        )
    if config.family == "resnet" and not config.widths:
        raise ValueError(
            "`widths` of a residual network must hold at least one number of "
            f"filters. Received: widths={config.widths}"
        )
    if config.family != "mlp" and len(input_shape) != 3:
        raise ValueError(
            "Convolutions need images; for other data take architectures of "
            "families=('mlp',). Received: "
            f"input_shape={tuple(input_shape)}"
        )
    layers = _Layers(config, seed)
    inputs = keras.Input(input_shape)
    x = _BODIES[config.family](config, layers, inputs)
    if config.dropout:
        x = keras.layers.Dropout(config.dropout, seed=layers.seed())(x)
    outputs = layers.dense(num_classes, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def _mlp(config, layers, x):
    x = keras.layers.Flatten()(x)
    for width in config.widths:
        x = layers.activated(layers.dense(width)(x))
    return x


def _cnn(config, layers, x):
    for width in config.widths:
        x = layers.activated(layers.convolution(width)(x))
        if _is_large(x):
            x = keras.layers.MaxPooling2D(2)(x)
    return keras.layers.Flatten()(x)


def _resnet(config, layers, x):
    # Large images are halved at once: small networks, many trainings.
    strides = 2 if min(x.shape[1:3]) > _LARGEST_WHOLE_SIZE else 1
    x = layers.convolution(config.widths[0], strides=strides)(x)
    for width in config.widths:
        strides = 2 if _is_large(x) else 1
        y = layers.activated(x)
        y = layers.convolution(width, strides=strides)(y)
        y = layers.convolution(width)(layers.activated(y))
        if strides > 1 or x.shape[-1] != width:
            x = layers.convolution(width, size=1, strides=strides)(x)
        x = keras.layers.Add()([x, y])
    return keras.layers.GlobalAveragePooling2D()(layers.activated(x))


_BODIES = {"mlp": _mlp, "cnn": _cnn, "resnet": _resnet}


def _is_large(x):
    return min(x.shape[1:3]) >= _SMALLEST_POOLED_SIZE


class _Layers:
    """Layers of a configuration, seeded one after the other."""

    def __init__(self, config, seed):
        self._config = config
        self._seeds = iter(derive_seeds(seed, 4 * len(config.widths) + 3))

    def seed(self):
        return next(self._seeds)

    def dense(self, units, activation=None):
        return keras.layers.Dense(
            units, activation=activation, kernel_initializer=self._glorot()
        )

    def convolution(self, filters, size=3, strides=1):
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            kernel_initializer=self._glorot(),
        )

    def activated(self, x):
        if self._config.batch_normalization:
            x = keras.layers.BatchNormalization(momentum=_MOMENTUM)(x)
        return keras.layers.Activation(self._config.activation)(x)

    def _glorot(self):
        return keras.initializers.GlorotUniform(seed=self.seed())
