"""The sets that ship with scikit-learn: handwritten digits and tables."""

import numpy as np

NAMES = ("digits", "breast_cancer", "iris", "wine")
_TEST_SIZES = {"digits": 397}
_TEST_FRACTION = 0.2


def load(name):
    """The fields of a `LabelledData`, a dictionary."""
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")()
    labels = bunch.target.astype("int64")
    # The stored order goes writer by writer, or class by class.
    order = np.random.default_rng(0).permutation(len(labels))
    test_size = _TEST_SIZES.get(name, round(_TEST_FRACTION * len(labels)))
    test, pool = order[:test_size], order[test_size:]
    scale = 1
    if name == "digits":
        inputs = bunch.images.astype("uint8")[..., None]
        scale = 16
    else:
        mean, std = bunch.data[pool].mean(0), bunch.data[pool].std(0)
        inputs = ((bunch.data - mean) / std).astype("float32")
    return {
        "pool_inputs": inputs[pool],
        "pool_labels": labels[pool],
        "test_inputs": inputs[test],
        "test_labels": labels[test],
        "num_classes": len(bunch.target_names),
        "scale": scale,
    }
