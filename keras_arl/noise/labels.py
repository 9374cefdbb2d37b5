"""Checks of arrays of class indices, and of the features beside them."""

import numpy as np

_EXPECTED = (
    "Labels must be class indices: whole numbers in an array of one shape. "
    "Take the argmax of one-hot labels, number names, and pass the values of "
    "ragged labels in one array (`labels.flat_values`)."
)


def check_labels(labels, num_classes):
    """Returns class indices as int64 in the shape that came, or raises.

    Args:
        labels: Array, or nested lists, of integers, floats that are whole, or
            booleans, of any shape.
        num_classes: Number of classes C.

    Raises:
        ValueError: If they are something else, one is outside 0..C-1, or their
            dtype cannot hold C classes.
    """
    try:
        labels = np.asarray(labels)
    # NumPy's of lists that differ in length, TensorFlow's of ragged tensors.
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_EXPECTED} Received: {error}") from error
    if not labels.ndim or labels.dtype.kind not in "biuf":
        raise ValueError(
            f"{_EXPECTED} Received: shape {labels.shape}, dtype {labels.dtype}"
        )
    whole = np.isfinite(labels) & (labels == np.round(labels))
    if not whole.all():
        raise ValueError(f"{_EXPECTED} Received: {labels[~whole][:5].tolist()}")
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(
            f"Labels must be in 0..{num_classes - 1}. "
            f"Received: {labels[outside][:5].tolist()}"
        )
    check_fits(num_classes, labels.dtype)
    if labels.ndim > 1 and labels.shape[-1] == num_classes:
        rows = labels.reshape(-1, num_classes) != 0
        if len(rows) and (rows.sum(axis=1) == 1).all() and labels.max() == 1:
            raise ValueError(
                f"{_EXPECTED} Received: shape {labels.shape}, one 1 in each row"
            )
    return labels.astype("int64")


def check_features(features, labels):
    """Returns the features of examples as an array, or raises.

    Args:
        features: Array of shape `(n, ...)`.
        labels: The n labels.

    Raises:
        ValueError: If they are not as many.
    """
    features = np.asarray(features)
    if not features.ndim or len(features) != len(labels):
        raise ValueError(
            "There must be as many features as labels. Received: features of "
            f"shape {features.shape}, {len(labels)} labels"
        )
    return features


def as_vectors(features):
    """Features as float64 of shape `(n, S)`.

    Raises:
        ValueError: If one is not finite.
    """
    vectors = np.asarray(features, "float64").reshape(len(features), -1)
    if not np.isfinite(vectors).all():
        raise ValueError(
            "Features must be finite numbers. Received: "
            f"{vectors[~np.isfinite(vectors)][:5].tolist()}"
        )
    return vectors


def check_fits(num_classes, dtype):
    """Raises unless a dtype can hold every class index."""
    if np.array(num_classes - 1).astype(dtype) != num_classes - 1:
        raise ValueError(
            f"Labels of dtype {np.dtype(dtype)} cannot hold {num_classes} "
            "classes."
        )
