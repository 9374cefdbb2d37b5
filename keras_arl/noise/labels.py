"""Checks of arrays of class indices."""

import numpy as np


def check_labels(labels, num_classes):
    """Returns class indices as an integer array of shape `(n,)`, or raises."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "Labels must be an integer array of shape (n,). "
            f"Received: shape {labels.shape}, dtype {labels.dtype}"
        )
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(
            f"Labels must be in 0..{num_classes - 1}. "
            f"Received: {labels[outside][:5].tolist()}"
        )
    check_fits(num_classes, labels.dtype)
    return labels


def check_fits(num_classes, dtype):
    """Raises unless a dtype can hold every class index."""
    if num_classes - 1 > np.iinfo(dtype).max:
        raise ValueError(
            f"Labels of dtype {np.dtype(dtype)} cannot hold {num_classes} "
            "classes."
        )
