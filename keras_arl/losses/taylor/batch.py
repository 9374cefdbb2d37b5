"""Taylor polynomials that depend on how well a batch is fitted."""

import keras
from keras import ops

from keras_arl.losses.taylor import polynomial
from keras_arl.losses.taylor.changing import ChangingTaylorLoss


@keras.saving.register_keras_serializable(package="keras_arl")
class BatchTaylorLoss(ChangingTaylorLoss):
    """Taylor polynomial of prediction, label and the batch's mean prediction.

    Early in a training a batch's labels are hardly predicted, later most of
    them are. With m the mean of the labelled class's p_y over the batch, a
    constant to the gradient,

    ```
    L = sum over c of sum over i >= 1, i + j + k <= order of
        theta_ijk * (p_c - a)^i * (y_c - b)^j * (m - 0.5)^k
    ```

    or with u = p^q, m the mean of u_y, and the weights of a `class_aware`
    `TaylorLoss`. So the loss moves with what the network has learned, without
    a callback. What a sample costs depends on the others of its batch, also
    on those of weight 0; of several replicas each has its own m. A search finds
    such losses by `keras_arl.search.BatchTaylorSpace`.

    Args:
        coefficients: The theta_ij0 in the order of `exponents`, which are those
            at m = 0.5.
        changes: The other theta_ijk in the order of `change_exponents`, as
            `(order - 1) * order * (order + 1) / 6` finite numbers: 10 of order
            4.
        center: The pair (a, b). Defaults to `(0.0, 0.0)`.
        order: Highest total exponent, 2 to 6. Defaults to `4`.
        class_aware: As in `TaylorLoss`. Defaults to `False`.
        **kwargs: `shifted`, see `TaylorLoss`; `from_logits`, `ignore_class`,
            `reduction` and others, see `ClassificationLoss`.

    Raises:
        ValueError: As `TaylorLoss`; also if the number of changes does not fit
            the order, or one is not finite.

    Example:

    >>> # -(1 + m - 0.5) times the labelled class's probability.
    >>> loss = keras_arl.losses.BatchTaylorLoss(
    ...     [0, -1, 0, 0, 0, 0], [0, -1, 0, 0], order=3, shifted=False
    ... )
    >>> p = np.array([[0.25, 0.75], [0.75, 0.25]])
    >>> float(loss(np.array([1, 0]), p))
    -0.9375
    """

    hyperparameters = ("coefficients", "center", "changes")
    third_variable = ("m", "mean of {u}_y over the batch")
    # Of a batch that is being computed, a tensor.
    _mean = polynomial.MIDDLE

    def at_first(self, num_classes):
        exponent = self._exponent(num_classes)
        return self.at((1 / num_classes) ** exponent)

    def index_loss(self, labels, predictions):
        labelled = predictions.of_labelled(labels)
        own = self._in_a_batch(self._powers(labelled, predictions), predictions)
        return super(BatchTaylorLoss, own).index_loss(labels, predictions)

    def soft_loss(self, targets, predictions):
        powers = self._powers(predictions, predictions)
        labelled = ops.sum(targets * powers, axis=-1)
        own = self._in_a_batch(labelled, predictions)
        return super(BatchTaylorLoss, own).soft_loss(targets, predictions)

    def _exponent(self, num_classes):
        return polynomial.class_scale(num_classes)[0] if self.class_aware else 1

    def _powers(self, of, predictions):
        if not self.class_aware:
            return of.probabilities
        return of.powers(self._exponent(predictions.num_classes))

    def _in_a_batch(self, labelled, predictions):
        """This loss for a batch, whose labelled class's powers are given."""
        labelled = ops.stop_gradient(labelled)
        count = ops.ones_like(labelled)
        if predictions.is_ignored is not None:
            count = ops.where(predictions.is_ignored, 0.0, count)
        # A copy: others may compute with this loss at the same time.
        own = object.__new__(type(self))
        vars(own).update(vars(self))
        own._mean = ops.sum(labelled * count) / ops.maximum(ops.sum(count), 1.0)
        return own

    def _third_variable(self):
        return ops.convert_to_tensor(self._mean, dtype=self.dtype)
