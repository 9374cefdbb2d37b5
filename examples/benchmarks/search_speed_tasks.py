"""What all contenders of `search_speed.py` share: data, sizes, the start."""

import functools

import numpy as np

CLASSES = 10
TRAINING_EXAMPLES = 4000
VALIDATION_EXAMPLES = 1000
EPOCHS = 5
BATCH = 128
LEARNING_RATE = 0.001
NOISE_RATE = 0.4
ORDER = 4
# Candidates so near the start can all teach an untrained network, so that no
# contender gets by without trainings.
SPREAD = 0.02

# Multiply-adds of one example's forward pass, layer by layer.
_MULTIPLY_ADDS = {
    "mlp": (784 * 256, 256 * 10),
    "cnn": (14 * 14 * 9 * 16, 7 * 7 * 9 * 16 * 32, 7 * 7 * 32 * 64, 64 * 10),
}
# Numbers that each layer puts out for an example.
_OUTPUTS = {
    "mlp": (256, 10),
    "cnn": (14 * 14 * 16, 7 * 7 * 32, 64, 10),
}
_PARAMETERS = {
    "mlp": 784 * 256 + 256 + 256 * 10 + 10,
    "cnn": 9 * 16 + 16 + 9 * 16 * 32 + 32 + 1568 * 64 + 64 + 64 * 10 + 10,
}
FAMILIES = tuple(_MULTIPLY_ADDS)
STEPS = EPOCHS * -(-TRAINING_EXAMPLES // BATCH)


def flops(family):
    """Floating-point operations of one trial: training, then validation."""
    forward = sum(_MULTIPLY_ADDS[family])
    # Back, once for the kernels and once for the inputs, which are the data
    # in the first layer and have no gradient there.
    training = 3 * forward - _MULTIPLY_ADDS[family][0]
    return 2 * (
        EPOCHS * TRAINING_EXAMPLES * training + VALIDATION_EXAMPLES * forward
    )


def least_bytes(family):
    """Bytes that one trial moves at least, where many are trained at once.

    In each step parameters and Adam's two moments are read and written, and so
    are each layer's outputs and their gradients, all in float32.
    """
    numbers = 6 * _PARAMETERS[family] + 4 * BATCH * sum(_OUTPUTS[family])
    return 4 * STEPS * numbers


def start():
    """The vector that searches begin at: cross-entropy's Taylor polynomial."""
    from keras_arl.losses.taylor import polynomial

    theta = [
        (-1) ** i / (i * 0.5**i) if j == 1 else 0.0
        for i, j in polynomial.exponents(ORDER)
    ]
    return [*theta, 0.5, 0.0]


@functools.cache
def arrays(seed):
    """Ten blurred classes of 28x28 images, the training labels 40% wrong.

    Args:
        seed: Non-negative integer.

    Returns:
        Training images and noisy labels, validation images and clean labels.
    """
    # Here, so that the program that only starts others has no TensorFlow.
    from keras_arl import noise

    rng = np.random.default_rng(seed)
    coarse = rng.random((CLASSES, 7, 7, 1), dtype="float32")
    prototypes = np.kron(coarse, np.ones((1, 4, 4, 1), "float32"))
    count = TRAINING_EXAMPLES + VALIDATION_EXAMPLES
    labels = rng.integers(CLASSES, size=count, dtype="int32")
    images = 0.5 + 0.4 * (prototypes[labels] - 0.5)
    images += 0.7 * rng.standard_normal(images.shape, dtype="float32")
    np.clip(images, 0, 1, out=images)
    noisy = noise.corrupt_labels(
        labels[:TRAINING_EXAMPLES], noise.symmetric(NOISE_RATE, CLASSES), seed
    )
    return (
        images[:TRAINING_EXAMPLES],
        noisy,
        images[TRAINING_EXAMPLES:],
        labels[TRAINING_EXAMPLES:],
    )
