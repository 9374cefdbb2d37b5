"""Values and gradients of a loss at given predictions, as NumPy arrays."""

import keras
import numpy as np
from keras import ops

from keras_arl.backend import value_and_gradient

# A probability of which the logarithm is taken as a logit for 0.
_SMALLEST = 1e-30


def values(loss, labels, probabilities):
    """The loss of each sample.

    Args:
        loss: A `keras.losses.Loss` over class indices, or a function
            `(y_true, y_pred)` of class indices and probabilities.
        labels: Class indices, an array of shape `(n,)`.
        probabilities: Predictions, an array of shape `(n, C)`.

    Returns:
        A float64 array of shape `(n,)`.

    Raises:
        ValueError: If it is no loss of each sample, or one is not finite.
    """
    predictions = np.asarray(probabilities, "float64")
    if getattr(loss, "from_logits", False):
        predictions = np.log(np.maximum(predictions, _SMALLEST))
    predictions = ops.convert_to_tensor(predictions.astype(_dtype(loss)))
    losses = _per_sample(loss)(_indices(labels), predictions)
    losses = ops.convert_to_numpy(losses).astype("float64")
    if losses.shape != (len(labels),):
        raise ValueError(
            "A loss must return one value per sample, for class indices. "
            f"Received shape {losses.shape} for {len(labels)} samples"
        )
    _check_finite(losses, probabilities)
    return losses


def path_slopes(loss, labels, probabilities, steps):
    """The slope of each sample's loss along a straight path of predictions.

    It comes from the gradient, which has all its digits where differences of
    the loss have none left.

    Args:
        loss: As in `values`.
        labels: Class indices, an array of shape `(n,)`.
        probabilities: Predictions, an array of shape `(n, C)`.
        steps: Direction of the path at each, an array of shape `(n, C)` that
            is 0 where a probability is 0.

    Returns:
        A float64 array of shape `(n,)`.

    Raises:
        ValueError: If a slope is not finite.
    """
    probabilities = np.maximum(probabilities, _SMALLEST)
    gradients = logit_gradients(loss, labels, np.log(probabilities))
    slopes = np.sum(gradients / probabilities * steps, axis=1)
    _check_finite(slopes, probabilities)
    return slopes


def logit_gradients(loss, labels, logits):
    """The gradient of each sample's loss with respect to its logits.

    Args:
        loss: As in `values`.
        labels: Class indices, an array of shape `(n,)`.
        logits: Logits, an array of shape `(n, C)`.

    Returns:
        A float64 array of shape `(n, C)`.
    """
    labels = _indices(labels)
    per_sample = _per_sample(loss)
    from_logits = getattr(loss, "from_logits", False)

    def total(x):
        predictions = x if from_logits else ops.softmax(x)
        return ops.sum(per_sample(labels, predictions))

    _, gradient = value_and_gradient(total, np.asarray(logits, _dtype(loss)))
    return np.asarray(gradient, "float64")


def _per_sample(loss):
    if isinstance(loss, keras.losses.Loss):
        return loss.call
    if not callable(loss):
        raise ValueError(
            "`loss` must be a keras.losses.Loss or a function "
            f"(y_true, y_pred). Received: loss={loss!r}"
        )
    return loss


def _dtype(loss):
    dtype = getattr(loss, "dtype", None)
    return "float64" if dtype == "float64" else "float32"


def _check_finite(values, probabilities):
    if not np.isfinite(values).all():
        first = np.flatnonzero(~np.isfinite(values))[0]
        raise ValueError(
            "The loss and its slope must be finite. Received "
            f"{values[first]} at probabilities {probabilities[first][:5]}"
        )


def _indices(labels):
    return ops.convert_to_tensor(np.asarray(labels, "int32"))
