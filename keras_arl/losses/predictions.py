"""Predictions in the forms that losses need, each computed when asked for.

A loss may want the probabilities, their logarithms or their complements, of
all classes or of the labelled one, or a sum over the classes. From logits each
of these is computed so that a saturated softmax loses no digits and no
gradient. From probabilities all are as exact as these are: a softmax in float32
has all its digits at 1e-30, too, below which a probability counts as 0 and its
logarithm as that of 1e-30.
"""

import functools

import keras
import numpy as np
from keras import ops

# Small enough for any softmax that learns; the reciprocal, which is the slope
# of the logarithm, leaves room in float32 for weights.
_SMALLEST = 1e-30


class _Predictions:
    """What all forms share."""

    # Which samples are left out, a boolean tensor, for losses of whole batches.
    is_ignored = None
    # The labels that were asked for last, and their predictions.
    _labelled = (None, None)

    @property
    def num_classes(self):
        return self.probabilities.shape[-1]

    def of_labelled(self, labels):
        """The predictions of the labelled class, without the class axis."""
        # Once for all parts of a composed loss: each gather is a scatter in the
        # gradient.
        if self._labelled[0] is not labels:
            self._labelled = (labels, self._of_labelled(labels))
        return self._labelled[1]

    @property
    def sum_of_logs(self):
        """The sum of the logarithms over the classes."""
        return ops.sum(self.log_probabilities, axis=-1)

    @property
    def sum_of_squares(self):
        """The sum of the squares of the probabilities over the classes."""
        return ops.sum(ops.square(self.probabilities), axis=-1)


class Probabilities(_Predictions):
    """Predictions that came as probabilities."""

    def __init__(self, values):
        self.probabilities = values

    @functools.cached_property
    def log_probabilities(self):
        return self.log(self.probabilities)

    @property
    def logits(self):
        return self.log_probabilities

    @functools.cached_property
    def complements(self):
        """1 - p."""
        return 1 - self.probabilities

    def log(self, probabilities):
        """The logarithm of sums of these probabilities, bounded at 0."""
        return ops.log(ops.maximum(probabilities, _SMALLEST))

    def powers(self, exponent):
        """p^exponent, of an exponent above 0."""
        powers = ops.exp(exponent * self.log_probabilities)
        return ops.where(self.probabilities <= _SMALLEST, 0.0, powers)

    def _of_labelled(self, labels):
        return Probabilities(take_labelled(self.probabilities, labels))


# A class that a model rules out by a logit of minus infinity.
_SMALLEST_LOG = -1e30


class LogProbabilities(_Predictions):
    """Predictions that came as logarithms of probabilities."""

    def __init__(self, values):
        self.log_probabilities = values

    @functools.cached_property
    def probabilities(self):
        return ops.exp(self.log_probabilities)

    @functools.cached_property
    def complements(self):
        return -ops.expm1(self.log_probabilities)

    def powers(self, exponent):
        return ops.exp(exponent * self.log_probabilities)

    def log(self, probabilities):
        # Of float32, the smallest order of size with a finite reciprocal.
        return ops.log(ops.maximum(probabilities, 1e-37))


class Logits(LogProbabilities):
    """Predictions that came as logits."""

    def __init__(self, values):
        self.logits = values

    @property
    def num_classes(self):
        return self.logits.shape[-1]

    @functools.cached_property
    def log_probabilities(self):
        # With a maximum XLA keeps one array fewer of the sums of NNFL than with
        # `_bounded`.
        return ops.maximum(self._unbounded, _SMALLEST_LOG)

    @functools.cached_property
    def _unbounded(self):
        return self.logits - self._largest - ops.log(self._sums)

    def powers(self, exponent):
        return ops.exp(exponent * _bounded(self._unbounded))

    @functools.cached_property
    def probabilities(self):
        # A softmax with one division a sample instead of one a class. XLA
        # would repeat the division wherever the probabilities are used.
        return self._exponentials * (1 / self._sums)

    # The gradients of these two sums need no sum over the classes, for which
    # XLA makes a loop of its own.

    @property
    def sum_of_logs(self):
        shifted = ops.sum(_bounded(self.logits - self._largest), axis=-1)
        return shifted - self.num_classes * ops.log(self._sums[..., 0])

    @property
    def sum_of_squares(self):
        squares = ops.sum(ops.square(self._exponentials), axis=-1)
        return squares / ops.square(self._sums[..., 0])

    @functools.cached_property
    def _largest(self):
        return ops.stop_gradient(ops.max(self.logits, axis=-1, keepdims=True))

    @functools.cached_property
    def _exponentials(self):
        return ops.exp(self.logits - self._largest)

    @functools.cached_property
    def _sums(self):
        return ops.sum(self._exponentials, axis=-1, keepdims=True)

    def _of_labelled(self, labels):
        # Only the labelled entry of a log-softmax.
        shifted = take_labelled(self.logits, labels) - self._largest[..., 0]
        return LogProbabilities(_bounded(shifted - ops.log(self._sums[..., 0])))


class Summands(LogProbabilities):
    """Predictions of all classes, for a sum of a loss over the classes.

    Complements are above 0 without a bound, which is faster. Where p is close
    to 1 they have few digits; in such a sum the other classes count there.
    """

    def __init__(self, predictions):
        # The probabilities are computed from these anew: one path of the
        # gradient instead of two, each with its sum over the classes.
        super().__init__(predictions.log_probabilities)

    @functools.cached_property
    def complements(self):
        dtype = keras.backend.standardize_dtype(self.probabilities.dtype)
        # Rounded, a probability may be a little above 1.
        above_1 = 1 + 8 * float(np.finfo(dtype).eps)
        return above_1 - self.probabilities


def _bounded(log_p):
    # Not a maximum, in whose gradient JAX divides.
    return ops.where(log_p < _SMALLEST_LOG, _SMALLEST_LOG, log_p)


def take_labelled(values, labels):
    """Entries of the last axis at class indices."""
    taken = ops.take_along_axis(values, labels[..., None], axis=-1)
    return ops.squeeze(taken, axis=-1)


def model_logits(predictions):
    """The logits that a model gave, for losses that see a common shift.

    Of predictions that came as probabilities, the logits whose mean is 0. The
    gradients of cross-entropy and its like sum to 0 over the classes, so that
    the mean of a network's logits hardly moves from where it starts.
    """
    if isinstance(predictions, Logits):
        return _bounded(predictions.logits)
    log_p = predictions.log_probabilities
    return log_p - ops.mean(log_p, axis=-1, keepdims=True)
