"""Asymmetric losses: AGCE, AUL, AEL and AMSE."""

import math

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.checks import check_positive
from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.pointwise import PointwiseLoss

# Beyond it the exponential of float32 overflows.
_LARGE_EXPONENT = 80.0
# Bound of 1 + x / base, of which the logarithm is taken.
_SMALLEST = 1e-7


@keras.saving.register_keras_serializable(package="keras_arl")
class AGCE(PointwiseLoss):
    """Asymmetric generalised cross-entropy.

    With p_y the labelled class's probability,

    ```
    L = ((a + 1)^q - (a + p_y)^q) / q
    ```

    It is completely asymmetric for q >= 1; for q < 1 its asymmetry ratio is
    (a / (a + 1))^(1 - q), see
    `keras_arl.analysis.asymmetry_ratio`.

    Args:
        a: Shift, above 0. Defaults to `0.6`, published for CIFAR-10.
        q: Exponent, above 0. Defaults to `0.6`, published for CIFAR-10.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `a` or `q` is not above 0.

    Example:

    >>> loss = keras_arl.losses.AGCE(a=1.0, q=2.0)
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    0.875

    Reference:
        - Zhou et al., "Asymmetric Loss Functions for Learning with Noisy
          Labels", ICML 2021, arXiv 2106.03110
    """

    hyperparameters = ("a", "q")

    def __init__(self, a=0.6, q=0.6, **kwargs):
        super().__init__(**kwargs)
        self.a = check_positive("a", a)
        self.q = check_positive("q", q)

    def pointwise(self, predictions):
        return -_power_difference(
            self.number("a") + 1, -predictions.complements, self.number("q")
        )


@keras.saving.register_keras_serializable(package="keras_arl")
class AUL(PointwiseLoss):
    """Asymmetric unhinged loss.

    With p_y the labelled class's probability,

    ```
    L = ((a - p_y)^q - (a - 1)^q) / q
    ```

    It is completely asymmetric for q <= 1; for q > 1 its asymmetry ratio is
    ((a - 1) / a)^(q - 1), see
    `keras_arl.analysis.asymmetry_ratio`.

    Args:
        a: Shift, above 1. Defaults to `5.5`, published for CIFAR-10.
        q: Exponent, above 0. Defaults to `3.0`, published for CIFAR-10.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `a` is not above 1 or `q` not above 0.

    Example:

    >>> loss = keras_arl.losses.AUL(a=2.0, q=2.0)
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    0.625

    Reference:
        - Zhou et al., "Asymmetric Loss Functions for Learning with Noisy
          Labels", ICML 2021, arXiv 2106.03110
    """

    # Of an `a` that is fed, `a - 1` would have few digits where it is small.
    hyperparameters = ("q",)

    def __init__(self, a=5.5, q=3.0, **kwargs):
        super().__init__(**kwargs)
        self.a = check_number("a", a, "a number above 1", lambda x: x > 1)
        self.q = check_positive("q", q)

    def pointwise(self, predictions):
        return _power_difference(
            self.a - 1, predictions.complements, self.number("q")
        )

    def get_config(self):
        return {"a": self.a, **super().get_config()}


@keras.saving.register_keras_serializable(package="keras_arl")
class AEL(PointwiseLoss):
    """Asymmetric exponential loss.

    With p_y the labelled class's probability,

    ```
    L = exp(-p_y / a)
    ```

    Its asymmetry ratio is exp(-1 / a), see
    `keras_arl.analysis.asymmetry_ratio`.

    Args:
        a: Scale, above 0. Defaults to `2.5`, published for CIFAR-10.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `a` is not above 0.

    Example:

    >>> loss = keras_arl.losses.AEL(a=0.5)
    >>> round(float(loss(np.array([1]), np.array([[0.5, 0.5]]))), 4)
    0.3679

    Reference:
        - Zhou et al., "Asymmetric Loss Functions for Learning with Noisy
          Labels", ICML 2021, arXiv 2106.03110
    """

    hyperparameters = ("a",)

    def __init__(self, a=2.5, **kwargs):
        super().__init__(**kwargs)
        self.a = check_positive("a", a)

    def pointwise(self, predictions):
        return ops.exp(-predictions.probabilities / self.number("a"))


@keras.saving.register_keras_serializable(package="keras_arl")
class AMSE(ClassificationLoss):
    """Asymmetric mean squared error, the passive part of JAL.

    With p the class probabilities, y the one-hot label and C the number of
    classes,

    ```
    L = 1/C sum over c of (a * y_c - p_c)^2
      = (a - 1)^2 / C + (2 * a * (1 - p_y) - (1 - sum over c of p_c^2)) / C
    ```

    with soft labels the expectation over the label. For a = 1 it is the mean
    squared error over the classes; for large a, a constant and MAE times a / C.
    `keras_arl.losses.get("nce+amse")` and `get("nfl+amse")` are the joint
    asymmetric losses JAL-CE and JAL-FL.

    Args:
        a: What the labelled class's probability is pulled to, at least 1.
            Defaults to `30.0`, published for CIFAR-10; 20.0 for CIFAR-100.
        from_zero: Whether the loss of a perfect prediction, (a - 1)^2 / C, is
            left out, so that 0 is the smallest value instead of 84.1 with ten
            classes. The gradient is the same. Defaults to `False`.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If `a` is below 1.

    Example:

    >>> loss = keras_arl.losses.AMSE(a=2.0)
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    1.25

    Reference:
        - Wang et al., "Joint Asymmetric Loss for Learning with Noisy Labels",
          ICCV 2025, arXiv 2507.17692
    """

    hyperparameters = ("a",)

    def __init__(self, a=30.0, from_zero=False, **kwargs):
        super().__init__(**kwargs)
        self.a = check_number(
            "a", a, "a number of at least 1", lambda x: x >= 1
        )
        self.from_zero = bool(from_zero)

    def index_loss(self, labels, predictions):
        labelled = predictions.of_labelled(labels).complements
        return self._of(labelled, predictions)

    def soft_loss(self, targets, predictions):
        complements = ops.sum(targets * predictions.complements, axis=-1)
        return self._of(complements, predictions)

    def _of(self, complements, predictions):
        a, squares = self.number("a"), predictions.sum_of_squares
        rest = 0 if self.from_zero else (a - 1) ** 2
        total = 2 * a * complements + squares - 1 + rest
        return total / predictions.num_classes

    def get_config(self):
        return {"from_zero": self.from_zero, **super().get_config()}


def _power_difference(base, x, q):
    """((base + x)^q - base^q) / q for |x| of at most 1."""
    if isinstance(base, float) and isinstance(q, float):
        is_large = q * math.log1p(1 / base) > _LARGE_EXPONENT
        return (_plain_powers if is_large else _bounded_powers)(base, x, q)
    base = ops.cast(base, x.dtype)
    is_large = q * ops.log1p(1 / base) > _LARGE_EXPONENT
    # Each branch at numbers at which its own gradient is finite.
    plain = _plain_powers(base, x, ops.where(is_large, q, 1.0))
    bounded = _bounded_powers(base, x, ops.where(is_large, 1.0, q))
    return ops.where(is_large, plain, bounded)


def _plain_powers(base, x, q):
    return (ops.power(base + x, q) - base**q) / q


def _bounded_powers(base, x, q):
    # Without cancellation for small x; bounded where base + x is 0.
    ratio = ops.maximum(x / base, _SMALLEST - 1)
    return base**q * ops.expm1(q * ops.log1p(ratio)) / q
