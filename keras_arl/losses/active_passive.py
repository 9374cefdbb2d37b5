"""Active-passive losses: any two losses, weighted."""

import keras

from keras_arl.checks import check_weight
from keras_arl.losses.composition import ComposedLoss


@keras.saving.register_keras_serializable(package="keras_arl")
class ActivePassive(ComposedLoss):
    """Active-passive loss: a weighted sum of two losses.

    ```
    L = alpha * active + beta * passive
    ```

    An active loss only raises the labelled class's probability (`NCE`, `NFL`);
    a passive one also lowers the others' (`MAE`, `RCE`, and in the comparisons
    the asymmetric `AGCE`, `AUL` and `AEL`). Two symmetric parts make a
    symmetric sum that learns more than either. Any two losses of this package
    can be composed; `keras_arl.losses.get("nce+rce")` does it by name.

    Args:
        active: A loss of this package.
        passive: Another one, with the same `from_logits`, `dtype`,
            `ignore_class` and `axis`, which the sum has too. The parts'
            `reduction` and `name` play no role.
        alpha: Weight of the active part, at least 0. Defaults to `1.0`.
        beta: Weight of the passive part, at least 0. Defaults to `1.0`.
        **kwargs: `reduction` and `name`, see `ClassificationLoss`.

    Raises:
        ValueError: If a part is no loss of this package, the parts differ in
            one of those, or a weight is negative.

    Example:

    >>> loss = keras_arl.losses.ActivePassive(
    ...     keras_arl.losses.NCE(), keras_arl.losses.MAE(), alpha=1.0, beta=10.0
    ... )
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    10.5

    Reference:
        - Ma et al., "Normalized Loss Functions for Deep Learning with Noisy
          Labels", ICML 2020, arXiv 2006.13554
    """

    hyperparameters = ("alpha", "beta")

    def __init__(self, active, passive, alpha=1.0, beta=1.0, **kwargs):
        super().__init__({"active": active, "passive": passive}, **kwargs)
        self.alpha = check_weight("alpha", alpha)
        self.beta = check_weight("beta", beta)

    def index_loss(self, labels, predictions):
        return self._weighted(
            self.active.index_loss(labels, predictions),
            self.passive.index_loss(labels, predictions),
        )

    def soft_loss(self, targets, predictions):
        return self._weighted(
            self.active.soft_loss(targets, predictions),
            self.passive.soft_loss(targets, predictions),
        )

    def _weighted(self, active, passive):
        return self.number("alpha") * active + self.number("beta") * passive
