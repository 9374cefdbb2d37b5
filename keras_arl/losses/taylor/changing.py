"""Base of the Taylor polynomials that depend on a third variable."""

from keras import ops

from keras_arl.checks import check_fraction
from keras_arl.losses.taylor import expressions
from keras_arl.losses.taylor import polynomial
from keras_arl.losses.taylor.taylor_loss import TaylorLoss


class ChangingTaylorLoss(TaylorLoss):
    """Taylor polynomial of prediction, label and a third variable x.

    ```
    L = sum over c of sum over i >= 1, i + j + k <= order of
        theta_ijk * (p_c - a)^i * (y_c - b)^j * (x - 0.5)^k
    ```

    A subclass says what x is: it implements `_third_variable`.

    Args:
        coefficients: The theta_ij0 in the order of `exponents`.
        changes: The other theta_ijk in the order of `change_exponents`.
        center: The pair (a, b). Defaults to `(0.0, 0.0)`.
        order: Highest total exponent, 2 to 6. Defaults to `4`.
        class_aware: As in `TaylorLoss`. Defaults to `False`.
        **kwargs: As `TaylorLoss` takes them.
    """

    # Symbol and meaning of x, for `expression`.
    third_variable = ("x", "a third variable")

    def __init__(
        self,
        coefficients,
        changes,
        center=(0.0, 0.0),
        order=4,
        class_aware=False,
        **kwargs,
    ):
        polynomial.check_order(order, smallest=2)
        super().__init__(coefficients, center, order, class_aware, **kwargs)
        self._make_first_variable(
            "changes", polynomial.check_changes(changes, order, self.dtype)
        )

    @property
    def change_exponents(self):
        """Triples (i, j, k) in the order of the changes."""
        return polynomial.change_exponents(self.order)

    def at(self, x):
        """The loss at one value of the third variable.

        Args:
            x: A number in [0, 1].

        Returns:
            A `TaylorLoss`.
        """
        check_fraction("x", x)
        config = self.get_config()
        for name in {*self.hyperparameters} - {*TaylorLoss.hyperparameters}:
            del config[name]
        config["coefficients"] = polynomial.coefficients_at(
            self.coefficients, self.changes, self.order, x
        ).tolist()
        return TaylorLoss.from_config(config)

    def at_first(self, num_classes):
        """The loss that an untrained network meets, a `TaylorLoss`.

        Args:
            num_classes: Number of classes that it predicts uniformly.
        """
        raise NotImplementedError

    def expression(self, style="text"):
        """The polynomial in readable form; see `TaylorLoss.expression`."""
        return expressions.expression(
            self.coefficients,
            self.center,
            self.order,
            style,
            self.class_aware,
            self.shifted,
            self.changes,
            self.third_variable,
        )

    def _third_variable(self):
        """The present x, a scalar tensor."""
        raise NotImplementedError

    def _present_coefficients(self):
        shifted = self._third_variable() - polynomial.MIDDLE
        powers = [shifted]
        for _ in range(self.order - 2):
            powers.append(powers[-1] * shifted)
        powers = ops.stack([powers[k - 1] for _, _, k in self.change_exponents])
        matrix = ops.convert_to_tensor(
            polynomial.change_matrix(self.order), dtype=self.dtype
        )
        # Not a matrix product, which accelerators round to fewer digits.
        moved = ops.sum(matrix * (self._numbers("changes") * powers), axis=-1)
        return super()._present_coefficients() + moved
