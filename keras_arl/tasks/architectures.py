"""Small networks, sampled: seed -> configuration -> `keras.Model`."""

import dataclasses

import keras
import numpy as np

from keras_arl.tasks.seeds import derive_seeds

FAMILIES = ("mlp", "cnn")
ACTIVATIONS = ("relu", "elu", "tanh", "gelu")
_MLP_WIDTHS = (32, 64, 128, 256)
_CNN_FILTERS = (8, 16, 32)
_DROPOUT_RATES = (0.0, 0.2, 0.4)
_SMALLEST_POOLED_SIZE = 4
# There are 936 convolutional networks to draw.
_LARGEST_POOL = 500
# Short trainings: Keras's 0.99 would still remember the initial statistics.
_MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True)
class ArchitectureConfig:
    """A network that `build_model` can build.

    Args:
        family: `"mlp"` (dense layers) or `"cnn"` (3x3 convolutions, each
            followed by 2x2 max pooling while the image is large enough).
        widths: Units of each dense layer, or filters of each convolution.
        activation: Activation of the hidden layers.
        batch_normalization: Whether hidden layers are batch-normalised.
        dropout: Rate of the dropout before the output layer, in [0, 1).
    """

    family: str
    widths: tuple[int, ...]
    activation: str
    batch_normalization: bool
    dropout: float


def sample_architecture(seed, families=FAMILIES):
    """Samples a network: MLPs of 1-4 layers and CNNs of 1-3 convolutions.

    Args:
        seed: Non-negative integer.
        families: Families to draw from. Defaults to `("mlp", "cnn")`.

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
    if family == "mlp":
        depth, choices = rng.integers(1, 5), _MLP_WIDTHS
    else:
        depth, choices = rng.integers(1, 4), _CNN_FILTERS
    return ArchitectureConfig(
        family=family,
        widths=tuple(int(w) for w in rng.choice(choices, size=depth)),
        activation=str(rng.choice(ACTIVATIONS)),
        batch_normalization=bool(rng.random() < 0.5),
        dropout=float(rng.choice(_DROPOUT_RATES)),
    )


def sample_architectures(count, seed, families=FAMILIES):
    """Samples a pool of different networks, for `TaskSpace.architectures`.

    A search over few networks compiles few programs.

    Args:
        count: Number of networks, 1 to 500.
        seed: Non-negative integer.
        families: Families to draw from. Defaults to `("mlp", "cnn")`.

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
        ValueError: If convolutions are asked for and the inputs are no images.

    Example:

    >>> config = keras_arl.tasks.sample_architecture(seed=1)
    >>> model = keras_arl.tasks.build_model(config, (8, 8, 1), 10, seed=0)
    >>> model.output_shape
    (None, 10)
    """
    if config.family == "cnn" and len(input_shape) != 3:
        raise ValueError(
            "Convolutions need images; for other data take architectures of "
            "families=('mlp',). Received: "
            f"input_shape={tuple(input_shape)}"
        )
    seeds = iter(derive_seeds(seed, len(config.widths) + 2))
    inputs = keras.Input(input_shape)
    x = inputs
    if config.family == "mlp":
        x = keras.layers.Flatten()(x)
    for width in config.widths:
        x = _hidden_layer(config, width, next(seeds))(x)
        if config.batch_normalization:
            x = keras.layers.BatchNormalization(momentum=_MOMENTUM)(x)
        x = keras.layers.Activation(config.activation)(x)
        if config.family == "cnn" and min(x.shape[1:3]) >= (
            _SMALLEST_POOLED_SIZE
        ):
            x = keras.layers.MaxPooling2D(2)(x)
    if config.family == "cnn":
        x = keras.layers.Flatten()(x)
    if config.dropout:
        x = keras.layers.Dropout(config.dropout, seed=next(seeds))(x)
    outputs = keras.layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer=_glorot(next(seeds)),
    )(x)
    return keras.Model(inputs, outputs)


def _hidden_layer(config, width, seed):
    if config.family == "mlp":
        return keras.layers.Dense(width, kernel_initializer=_glorot(seed))
    return keras.layers.Conv2D(
        width, 3, padding="same", kernel_initializer=_glorot(seed)
    )


def _glorot(seed):
    return keras.initializers.GlorotUniform(seed=seed)
