"""Which examples of a noisy set to train on."""

import numpy as np

from keras_arl.noise.labels import check_labels


def balanced_subset(labels, num_classes, seed):
    """Chooses as many examples of each noisy class.

    Web labels are unbalanced, and a network trained on them predicts frequent
    classes. Many published numbers on Clothing1M are of such a subset: every
    class has as many examples as the rarest one.

    Args:
        labels: Array of n class indices, the noisy labels; -1, no label, is
            never chosen.
        num_classes: Number of classes C.
        seed: Non-negative integer.

    Returns:
        A boolean array of shape `(n,)`, true for the examples chosen.

    Raises:
        ValueError: If a class has no example, or a label is no class index.

    Example:

    >>> labels = np.array([0, 1, 0, 0, 1, -1])
    >>> int(keras_arl.datasets.balanced_subset(labels, 2, seed=0).sum())
    4
    """
    labels = np.ravel(labels)
    check_labels(labels[labels != -1], num_classes)
    counts = [int(np.sum(labels == c)) for c in range(num_classes)]
    if not all(counts):
        raise ValueError(
            "Every class needs an example. Received none of the classes "
            f"{[c for c, count in enumerate(counts) if not count]}"
        )
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for c in range(num_classes):
        members = rng.permutation(np.flatnonzero(labels == c))
        chosen[members[: min(counts)]] = True
    return chosen
