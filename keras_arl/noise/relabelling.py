"""What the noises that look at each example share: checks, and the report."""

import numpy as np

from keras_arl.checks import check_num_classes
from keras_arl.noise.labels import as_vectors
from keras_arl.noise.labels import check_features
from keras_arl.noise.labels import check_labels
from keras_arl.noise.measurement import measure_noise


def relabel(draw, features, labels, num_classes):
    """Replaces labels by what a function draws.

    Args:
        draw: Function of the features, an array of shape `(n, S)`, and of the
            n true classes, which returns the n noisy ones.
        features: Array of shape `(n, ...)` of finite numbers.
        labels: Array of n class indices.
        num_classes: Number of classes.

    Returns:
        The pair of the noisy labels, an array of the shape and dtype of
        `labels`, and their `NoiseReport`.
    """
    check_num_classes(num_classes)
    clean = check_labels(labels, num_classes).ravel()
    noisy = draw(as_vectors(check_features(features, clean)), clean)
    report = measure_noise(clean, noisy, num_classes)
    labels = np.asarray(labels)
    return noisy.astype(labels.dtype).reshape(labels.shape), report
