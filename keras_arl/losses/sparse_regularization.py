"""Sparse regularisation: a wrapper of losses whose weight grows."""

import keras
from keras import ops

from keras_arl.checks import check_at_least
from keras_arl.checks import check_number
from keras_arl.checks import check_positive
from keras_arl.checks import check_weight
from keras_arl.losses.composition import WrappedLoss
from keras_arl.losses.predictions import Logits


@keras.saving.register_keras_serializable(package="keras_arl")
class SparseRegularization(WrappedLoss):
    """Sparse regularisation of a loss: predictions are driven to one-hot.

    With z the logits (the logarithm of the probabilities, where the model
    gives those), t the temperature and p the exponent of the norm,

    ```
    s = softmax(z / t)
    L = loss(y, s) + weight * sum over c of s_c^p
    ```

    Confined to one-hot predictions, any loss is symmetric. In epoch e, counted
    from 0,

    ```
    weight = start * growth^(floor(e / every))
    ```

    The callback `LossSchedule` moves it in `fit`; without it the weight stays
    that of the first epoch. A `keras_arl.training.Trainer`, a search and
    `keras_arl.evaluation.compare` move it by themselves. For CIFAR the authors
    scale the logits to length 1 first, which is a layer of the model:
    `keras.layers.UnitNormalization()`.

    Args:
        loss: A loss of this package, whose `from_logits` and `dtype` hold.
            Its `reduction` and `name` play no role.
        temperature: Temperature t of the softmax, above 0; less than 1
            sharpens. Defaults to `0.5`, published for CIFAR-10.
        p: Exponent of the norm, above 0. Defaults to `0.1`, published for
            CIFAR-10.
        weight: Weight of the norm, at least 0. Defaults to `1.2`, published for
            the first epoch on CIFAR-10.
        growth: Factor, at least 1; of 1 nothing moves. Defaults to `1.03`,
            published for CIFAR-10; 1.02 for CIFAR-100, 2.0 for MNIST.
        every: Number of epochs from one change to the next. Defaults to `1`,
            published for CIFAR; 5 for MNIST.
        start: Weight of the first epoch. Defaults to `None`: that of `weight`.
        **kwargs: `reduction` and `name`, see `ClassificationLoss`.

    Raises:
        ValueError: If `loss` is no loss of this package or a number is out of
            range.

    Example:

    >>> loss = keras_arl.losses.SparseRegularization(
    ...     keras_arl.losses.MAE(), temperature=1.0, p=1.0, weight=2.0
    ... )
    >>> float(loss(np.array([1]), np.array([[0.5, 0.5]])))
    3.0
    >>> loss = keras_arl.losses.get("ce+sr", "mnist")
    >>> model = keras.Sequential([keras.layers.Dense(2, "softmax")])
    >>> model.compile(loss=loss)
    >>> x, y = np.zeros((8, 3)), np.zeros(8)
    >>> schedule = keras_arl.losses.LossSchedule()
    >>> history = model.fit(x, y, epochs=6, callbacks=[schedule], verbose=0)
    >>> loss.weight
    8.0

    Reference:
        - Zhou et al., "Learning with Noisy Labels via Sparse Regularization",
          ICCV 2021, arXiv 2108.00192
    """

    hyperparameters = ("temperature", "p", "weight", "start")

    def __init__(
        self,
        loss,
        temperature=0.5,
        p=0.1,
        weight=1.2,
        growth=1.03,
        every=1,
        start=None,
        **kwargs,
    ):
        super().__init__(loss, **kwargs)
        self.temperature = check_positive("temperature", temperature)
        self.p = check_positive("p", p)
        # A variable from the start, to be moved.
        self._make_first_variable("weight", check_weight("weight", weight))
        self.growth = check_number(
            "growth", growth, "a number of at least 1", lambda x: x >= 1
        )
        self.every = check_at_least("every", every, 1)
        self.start = check_weight("start", weight if start is None else start)

    def moving_numbers(self, epoch, epochs):
        if self.growth == 1:
            return {}
        return {"weight": self.start * self.growth ** (epoch // self.every)}

    def transformed(self, predictions):
        return Logits(predictions.logits / self.number("temperature"))

    def penalty(self, predictions):
        powers = ops.exp(self.number("p") * predictions.log_probabilities)
        return self.number("weight") * ops.sum(powers, axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "growth": self.growth,
            "every": self.every,
        }
