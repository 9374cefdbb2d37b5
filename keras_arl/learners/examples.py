"""A learner of a model that nobody trains, to look at its numbers."""

import keras


def example_of(method, num_classes=2):
    """The learner that a method makes of a small model.

    Args:
        method: Function from a model to a learner.
        num_classes: Number of the model's classes. Defaults to `2`.
    """
    layers = [keras.Input((1,)), keras.layers.Dense(num_classes, "softmax")]
    return method(keras.Sequential(layers))
