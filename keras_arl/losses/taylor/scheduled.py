"""Taylor polynomials whose coefficients move over a training."""

import warnings

import keras

from keras_arl.checks import check_fraction
from keras_arl.losses.taylor import polynomial
from keras_arl.losses.taylor.changing import ChangingTaylorLoss


@keras.saving.register_keras_serializable(package="keras_arl")
class ScheduledTaylorLoss(ChangingTaylorLoss):
    """Taylor polynomial of prediction, label and the progress of a training.

    A loss that is the same from the first epoch to the last one is a compromise
    between learning fast and not memorising wrong labels. This one moves from
    one to the other: with s the share of the training that is done,

    ```
    L = sum over c of sum over i >= 1, i + j + k <= order of
        theta_ijk * (p_c - a)^i * (y_c - b)^j * (s - 0.5)^k
    ```

    or with u = p^q and the weights of a `class_aware` `TaylorLoss`. The terms
    with k = 0 are the `coefficients`, those at the middle of the training; the
    others are the `changes`. At each s it is a `TaylorLoss`, `at(s)`.

    The callback `LossSchedule` moves s: in epoch e of E, counted from 0, it is
    (e + 0.5) / E. Without the callback the loss warns once, and stays the one
    of the middle. A `keras_arl.training.Trainer`, a search and
    `keras_arl.evaluation.compare` move s by themselves.

    Args:
        coefficients: The theta_ij0 in the order of `exponents`.
        changes: The other theta_ijk in the order of `change_exponents`, as
            `(order - 1) * order * (order + 1) / 6` finite numbers: 10 of order
            4.
        center: The pair (a, b). Defaults to `(0.0, 0.0)`.
        order: Highest total exponent, 2 to 6. Defaults to `4`.
        class_aware: As in `TaylorLoss`. Defaults to `False`.
        progress: The s at which it is, in [0, 1]. Defaults to `0.5`.
        **kwargs: `shifted`, see `TaylorLoss`; `from_logits`, `ignore_class`,
            `reduction` and others, see `ClassificationLoss`.

    Raises:
        ValueError: As `TaylorLoss`; also if the number of changes does not fit
            the order, or one is not finite.

    Example:

    >>> # -(1 + s - 0.5) times the labelled class's probability.
    >>> loss = keras_arl.losses.ScheduledTaylorLoss(
    ...     [0, -1, 0, 0, 0, 0], [0, -1, 0, 0], order=3
    ... )
    >>> loss.change_exponents
    [(1, 0, 1), (1, 1, 1), (2, 0, 1), (1, 0, 2)]
    >>> loss.at(1.0).coefficients
    (0.0, -1.5, 0.0, 0.0, 0.0, 0.0)
    """

    hyperparameters = ("coefficients", "center", "changes", "progress")
    third_variable = ("s", "share of the training that is done")

    def __init__(
        self,
        coefficients,
        changes,
        center=(0.0, 0.0),
        order=4,
        class_aware=False,
        progress=polynomial.MIDDLE,
        **kwargs,
    ):
        super().__init__(
            coefficients, changes, center, order, class_aware, **kwargs
        )
        self._make_first_variable(
            "progress", check_fraction("progress", progress)
        )
        # Whether something moves the loss, or nothing should.
        self.is_moved = progress != polynomial.MIDDLE
        self._num_calls = 0

    def __call__(self, y_true, y_pred, sample_weight=None):
        self._num_calls += 1
        if not self.is_moved and self._num_calls > _num_calls_before_fit():
            self.is_moved = True
            warnings.warn(
                "This loss changes over a training, and nothing moves it: it "
                "stays the one of the training's middle. Train with "
                "`callbacks=[keras_arl.losses.LossSchedule()]`.",
                stacklevel=2,
            )
        return super().__call__(y_true, y_pred, sample_weight)

    def moving_numbers(self, epoch, epochs):
        return {"progress": (epoch + 0.5) / epochs}

    def at_first(self, num_classes):
        return self.at(0.0)

    def _third_variable(self):
        return self._numbers("progress")


def _num_calls_before_fit():
    """How often `fit` calls a loss before it calls the first callback."""
    # On JAX Keras builds a model by a symbolic call of all that it compiles.
    return 1 if keras.config.backend() == "jax" else 0
