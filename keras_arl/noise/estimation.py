"""Estimating a transition matrix from a model trained on noisy labels."""

import numpy as np

from keras_arl.checks import check_number
from keras_arl.noise.labels import check_labels

# What the softmax of a half-precision model may miss 1 by.
_ROUNDING = 0.02


def estimate_transition(model_probabilities, labels, skipped=0.3):
    """Estimates the transition matrix from anchor points.

    An anchor point of class i is an example that is surely of class i. What a
    model trained on the noisy labels predicts there is row i of the matrix:

    ```
    T[i, j] = p_j(anchor of class i)
    ```

    Patrini et al. take the example with the largest p_i; in their experiments
    they pass over the 3% of all examples with the largest, to be safe from
    outliers. Here `skipped` times as many examples as there are labels of
    class i are passed over, which for ten balanced classes is their 3%, and
    with many or unbalanced classes stays within the class.

    The model should be trained with cross-entropy, so that it predicts
    probabilities, and not until it has memorised the labels. Then give the
    matrix to `keras_arl.losses.ForwardCorrection` and train a new model.

    Args:
        model_probabilities: Array of shape `(n, C)`: the model's probabilities
            for examples with noisy labels, those it was trained on or others.
        labels: Array of n class indices: their noisy labels.
        skipped: Share of the examples labelled i with a larger p_i than the
            anchor's, in [0, 1). Defaults to `0.3`; 0 takes the largest p_i.

    Returns:
        A float64 array of shape `(C, C)`, rows summing to 1.

    Raises:
        ValueError: If the arrays do not fit each other, a row is no
            distribution, a class has no label, or `skipped` is out of range.

    Example:

    >>> p = np.array([[0.8, 0.2], [0.7, 0.3], [0.1, 0.9], [0.5, 0.5]])
    >>> keras_arl.noise.estimate_transition(p, np.array([0, 0, 1, 1]))
    array([[0.8, 0.2],
           [0.1, 0.9]])

    Reference:
        - Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a
          Loss Correction Approach", CVPR 2017, arXiv 1609.03683
    """
    probabilities = _check_probabilities(model_probabilities)
    labels = check_labels(labels, probabilities.shape[1]).ravel()
    if len(labels) != len(probabilities):
        raise ValueError(
            "There must be as many labels as predictions. Received: "
            f"{len(labels)} labels, predictions of shape {probabilities.shape}"
        )
    check_number("skipped", skipped, "a number in [0, 1)", lambda x: 0 <= x < 1)
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    if not counts.all():
        raise ValueError(
            "Each class needs labels. Received none of the classes "
            f"{np.flatnonzero(counts == 0)[:5].tolist()}"
        )
    descending = np.argsort(-probabilities, axis=0, kind="stable")
    ranks = (skipped * counts).astype(int)
    anchors = descending[ranks, np.arange(len(counts))]
    transition = probabilities[anchors]
    return transition / transition.sum(axis=1, keepdims=True)


def _check_probabilities(probabilities):
    probabilities = np.asarray(probabilities, dtype="float64")
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(
            "Probabilities must have shape (n, C) with at least two classes. "
            f"Received: shape {probabilities.shape}"
        )
    sums = probabilities.sum(axis=1)
    if not (
        (probabilities >= 0).all() and np.allclose(sums, 1, atol=_ROUNDING)
    ):
        raise ValueError(
            "Probabilities must not be negative and must sum to 1 in each row; "
            "logits need a softmax first. Received: values from "
            f"{probabilities.min():g} to {probabilities.max():g}, sums from "
            f"{sums.min():g} to {sums.max():g}"
        )
    return probabilities
