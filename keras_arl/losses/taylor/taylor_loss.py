"""The loss family that is searched: a Taylor polynomial of p and y."""

import keras
from keras import ops

from keras_arl.losses.base import ClassificationLoss
from keras_arl.losses.numbers import set_number
from keras_arl.losses.numbers import warn_if_constant_of_a_trace
from keras_arl.losses.predictions import Logits
from keras_arl.losses.taylor import expressions
from keras_arl.losses.taylor import polynomial


@keras.saving.register_keras_serializable(package="keras_arl")
class TaylorLoss(ClassificationLoss):
    """Taylor polynomial of class probabilities and labels.

    With p the class probabilities, y the one-hot or soft label and (a, b) the
    centre, the loss of one sample is

    ```
    L = sum over c of sum over i >= 1, i + j <= order of
        theta_ij * (p_c - a)^i * (y_c - b)^j
    ```

    Terms with i = 0 have no gradient and are not parameters. Order 4 has 10
    coefficients.

    What a polynomial of p does depends on the number of classes: an untrained
    network predicts 1/C, where the logits' gradient of a bounded one is of
    order 1/C, too. With `class_aware` it is one of u = p^q, which is 1/2 at
    p = 1/C for ten classes or more, and all other classes count as much as the
    labelled one:

    ```
    K = max(C, 10), q = log 2 / log K
    L = 1/q sum over c of (y_c + (1 - y_c) / (K - 1)) *
        sum over i >= 1, i + j <= order of
        theta_ij * (p_c^q - a)^i * (y_c - b)^j
    ```

    The gradient at uniform predictions is then nearly the same for any C of ten
    or more. With fewer than ten classes, q is the exponent for ten.

    A constant is added, so that a certain right prediction costs 0. It changes
    no gradient with respect to predictions. Without it most such losses are
    below 0, which in a log looks like a mistake.

    A hard label takes two values only, so that the loss is one
    polynomial in the labelled class's probability and another one, summed, in
    the others'; with class indices it is evaluated so, by Horner's rule.

    The coefficients and the centre, tuples of floats, live in non-trainable
    Keras variables from the start: `assign` changes the loss of a compiled
    model without a new trace. On JAX a compiled function keeps, as for every
    variable it is not handed, the values it was traced with; there, hand
    `variables` in through a `keras.StatelessScope`, or compile the model again.

    Args:
        coefficients: The theta_ij in the order of `exponents`, as
            `order * (order + 1) / 2` finite numbers.
        center: The pair (a, b). Defaults to `(0.0, 0.0)`.
        order: Highest total exponent, 1 to 6. Defaults to `4`.
        class_aware: Whether it is a polynomial of p^(log 2 / log C), for ten
            classes or more, instead of p. Defaults to `False`.
        shifted: Whether the constant is added. Defaults to `True`; in a
            configuration that does not say it, which an earlier version saved,
            it is `False`, so that the loss has the values that it had.
        **kwargs: `from_logits`, `ignore_class`, `reduction` and others, see
            `ClassificationLoss`.

    Raises:
        ValueError: If the number of coefficients does not fit the order, a
            coefficient or the centre is not finite, or the order is out of
            range; when called, if predictions have rank < 2 or fewer than two
            classes, or labels fit neither form.

    Example:

    >>> # theta_11 = -1: the negative probability of the labelled class.
    >>> loss = keras_arl.losses.TaylorLoss([0, -1, 0], order=2)
    >>> loss.exponents
    [(1, 0), (1, 1), (2, 0)]
    >>> float(loss(np.array([1, 0]), np.array([[0.25, 0.75], [0.5, 0.5]])))
    0.375

    Reference:
        - Gao, Gouk & Hospedales, "Searching for Robustness: Loss Learning for
          Noisy Classification Tasks", ICCV 2021, arXiv 2103.00243
        - Gonzalez & Miikkulainen, "Optimizing Loss Functions Through
          Multivariate Taylor Polynomial Parameterization", GECCO 2021
    """

    hyperparameters = ("coefficients", "center")

    def __init__(
        self,
        coefficients,
        center=(0.0, 0.0),
        order=4,
        class_aware=False,
        shifted=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        polynomial.check_order(order)
        self.order = int(order)
        self.class_aware = bool(class_aware)
        self.shifted = bool(shifted)
        self._indices = polynomial.coefficient_matrix_indices(self.order)
        # Variables from the start, for `assign`.
        self._make_first_variable(
            "coefficients",
            polynomial.check_coefficients(coefficients, order, self.dtype),
        )
        self._make_first_variable(
            "center", polynomial.check_center(center, self.dtype)
        )

    @property
    def exponents(self):
        """Pairs (i, j) in the order of the coefficients."""
        return polynomial.exponents(self.order)

    @property
    def variables(self):
        """The variables of the coefficients and the centre."""
        return self.hyper_variables()

    def assign(self, coefficients, center=None):
        """Changes the loss in place, without a new trace.

        Args:
            coefficients: New coefficients, as many as before.
            center: New centre (a, b). Defaults to `None`: unchanged.

        Raises:
            ValueError: If a value is not finite or the number is wrong.

        Example:

        >>> loss = keras_arl.losses.TaylorLoss([0, -1, 0], order=2)
        >>> loss.assign([0, -2, 0.5])
        >>> loss.coefficients
        (0.0, -2.0, 0.5)
        """
        coefficients = polynomial.check_coefficients(
            coefficients, self.order, self.dtype
        )
        if center is not None:
            center = polynomial.check_center(center, self.dtype)
        # Both before the one warning of either.
        if center is not None:
            set_number(self, "center", center)
        set_number(self, "coefficients", coefficients)
        warn_if_constant_of_a_trace(self)

    def expression(self, style="text"):
        """The polynomial in readable form.

        Args:
            style: `"text"` or `"latex"`. Defaults to `"text"`.

        Returns:
            The formula, a string. Terms with coefficient zero are left out;
            numbers have six significant digits.

        Example:

        >>> keras_arl.losses.TaylorLoss([0, -1, 0.5], order=2).expression()
        'L = L_0 + sum_c [ -p_c y_c + 0.5 p_c^2 ], L = 0 at p = y'
        """
        return expressions.expression(
            self.coefficients,
            self.center,
            self.order,
            style,
            self.class_aware,
            self.shifted,
        )

    def index_loss(self, labels, predictions):
        other, target = self._univariate_coefficients()
        center = self._numbers("center")[0]
        if keras.config.backend() == "tensorflow" and isinstance(
            predictions, Logits
        ):
            return self._fused_loss(
                labels, predictions.logits, other, target, center
            )
        if self.class_aware:
            other, target = ops.unstack(other), ops.unstack(target)
            return self._class_aware_loss(
                labels, predictions, other, target, center
            )
        x = predictions.probabilities - center
        other, change = ops.unstack(other), ops.unstack(target - other)
        labelled = predictions.of_labelled(labels).probabilities - center
        zero, one = self._certain(other, change, center)
        values = polynomial.horner(other, x) - zero
        own = polynomial.horner(change, labelled)
        return ops.sum(values, axis=-1) + own - one

    def _certain(self, other, change, center):
        """What is subtracted: of each class, and of a sample.

        By the operations of the loss itself, so that it is 0 to the last digit.
        """
        zero = self._at(0, other, center)
        one = self._at(1, other, center) - zero + self._at(1, change, center)
        return zero, one

    def _at(self, p, coefficients, center):
        if not self.shifted:
            return ops.zeros_like(center)
        return polynomial.horner(coefficients, p - center)

    def _fused_loss(self, labels, logits, other, target, center):
        from keras_arl.losses.taylor.fused import taylor_of_softmax

        exponent = 1
        if self.class_aware:
            exponent, weight = polynomial.class_scale(logits.shape[-1])
            other = other * (weight / exponent)
            target = target / exponent
        change = target - other
        certain = self._certain(ops.unstack(other), ops.unstack(change), center)
        return taylor_of_softmax(
            logits, labels, exponent, other, change, center, *certain
        )

    def _class_aware_loss(self, labels, predictions, other, target, center):
        exponent, weight = polynomial.class_scale(predictions.num_classes)
        x = predictions.powers(exponent) - center
        labelled = predictions.of_labelled(labels).powers(exponent) - center
        zero = self._at(0, other, center)
        others = ops.sum(polynomial.horner(other, x) - zero, axis=-1)
        others = others - (polynomial.horner(other, labelled) - zero)
        own = polynomial.horner(target, labelled) - self._at(1, target, center)
        return (own + weight * others) / exponent

    def soft_loss(self, targets, predictions):
        if not self.class_aware:
            terms = self._terms(targets, predictions.probabilities)
            return ops.sum(self._shifted(terms, targets, 1.0), axis=-1)
        exponent, weight = polynomial.class_scale(targets.shape[-1])
        weights = targets + (1 - targets) * weight
        terms = weights * self._terms(targets, predictions.powers(exponent))
        terms = self._shifted(terms, targets, weight)
        return ops.sum(terms, axis=-1) / exponent

    def _shifted(self, terms, targets, weight):
        """The terms of all classes, whose sum is 0 at certainty."""
        if not self.shifted:
            return terms
        both = ops.convert_to_tensor([0.0, 1.0], dtype=self.dtype)
        zero, one = ops.unstack(self._terms(both, both), axis=-1)
        # Of labels that sum to 1 this sums to a constant.
        targets = ops.stop_gradient(targets)
        return terms - (targets * one + (1 - targets) * (weight * zero))

    def _terms(self, targets, predictions):
        """The polynomial of each class."""
        matrix = self._coefficient_matrix()
        center = self._numbers("center")
        p, y = predictions - center[0], targets - center[1]
        total = ops.zeros_like(p)
        for i in range(self.order, 0, -1):
            inner = matrix[i - 1, self.order - i]
            for j in range(self.order - i - 1, -1, -1):
                inner = inner * y + matrix[i - 1, j]
            total = (total + inner) * p
        return total

    def _univariate_coefficients(self):
        """Coefficients of (p - a)^1.. for label 0 and for label 1."""
        labels = ops.convert_to_tensor([[0.0], [1.0]], dtype=self.dtype)
        shifted = labels - self._numbers("center")[1]
        powers = [ops.ones_like(shifted)]
        for _ in range(self.order - 1):
            powers.append(powers[-1] * shifted)
        powers = ops.stack(powers, axis=-1)
        # Not a matrix product, which accelerators round to fewer digits.
        both = ops.sum(self._coefficient_matrix() * powers, -1)
        other, target = ops.unstack(both)
        return other, target

    def _present_coefficients(self):
        return self._numbers("coefficients")

    def _coefficient_matrix(self):
        values = self._present_coefficients()
        padded = ops.concatenate([values, ops.zeros((1,), dtype=self.dtype)])
        return ops.take(padded, self._indices, axis=0)

    def _numbers(self, name):
        return ops.convert_to_tensor(self.number(name), dtype=self.dtype)

    def get_config(self):
        return {
            "order": self.order,
            "class_aware": self.class_aware,
            "shifted": self.shifted,
            **super().get_config(),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{"shifted": False, **config})
