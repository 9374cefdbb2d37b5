"""Sparse regularisation: a wrapper of losses and the schedule of its weight."""

import keras
from keras import ops

from keras_arl.checks import check_number
from keras_arl.checks import check_positive
from keras_arl.checks import check_weight
from keras_arl.losses.composition import WrappedLoss
from keras_arl.losses.numbers import floats
from keras_arl.losses.numbers import set_number
from keras_arl.losses.predictions import Logits
from keras_arl.losses.schedule import LossSchedule


@keras.saving.register_keras_serializable(package="keras_arl")
class SparseRegularization(WrappedLoss):
    """Sparse regularisation of a loss: predictions are driven to one-hot.

    With z the logits (the logarithm of the probabilities, where the model
    gives those), t the temperature and p the exponent of the norm,

    ```
    s = softmax(z / t)
    L = loss(y, s) + weight * sum over c of s_c^p
    ```

    Confined to one-hot predictions, any loss is symmetric. The weight grows
    over the epochs by `SparseRegularizationSchedule`. For CIFAR the authors
    scale the logits to length 1 first, which is a layer of the model:
    `keras.layers.UnitNormalization()`.

    Args:
        loss: A loss of this package, whose `from_logits` and `dtype` hold.
            Its `reduction` and `name` play no role.
        temperature: Temperature t of the softmax, above 0; less than 1
            sharpens. Defaults to `0.5`, published for CIFAR-10.
        p: Exponent of the norm, above 0. Defaults to `0.1`, published for
            CIFAR-10.
        weight: Weight of the norm in the first epoch, at least 0. Defaults to
            `1.2`, published for CIFAR-10.
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

    Reference:
        - Zhou et al., "Learning with Noisy Labels via Sparse Regularization",
          ICCV 2021, arXiv 2108.00192
    """

    hyperparameters = ("temperature", "p", "weight")

    def __init__(self, loss, temperature=0.5, p=0.1, weight=1.2, **kwargs):
        super().__init__(loss, **kwargs)
        self.temperature = check_positive("temperature", temperature)
        self.p = check_positive("p", p)
        self._first_weight = check_weight("weight", weight)
        # A variable from the start, for a schedule.
        self._make_first_variable("weight", self._first_weight)

    @property
    def weight(self):
        """The weight of the first epoch, a float."""
        return self._first_weight

    @property
    def current_weight(self):
        """The weight of this epoch, a float. It can be assigned to.

        A saved model keeps it.

        On JAX a compiled model keeps the weight that it was traced with until
        it is compiled again; `SparseRegularizationSchedule` does that.
        """
        value = vars(self)["weight"]
        return floats(value) if isinstance(value, keras.Variable) else value

    @current_weight.setter
    def current_weight(self, weight):
        set_number(self, "weight", check_weight("weight", weight))

    def transformed(self, predictions):
        return Logits(predictions.logits / self.number("temperature"))

    def penalty(self, predictions):
        powers = ops.exp(self.number("p") * predictions.log_probabilities)
        return self.number("weight") * ops.sum(powers, axis=-1)

    def get_config(self):
        config = super().get_config()
        if self.current_weight != self.weight:
            config["current_weight"] = self.current_weight
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        weight = config.pop("current_weight", None)
        loss = super().from_config(config)
        if weight is not None:
            loss.current_weight = weight
        return loss


class SparseRegularizationSchedule(LossSchedule):
    """Grows the weight of a `SparseRegularization` over the epochs.

    In epoch t, counted from 0, the weight is

    ```
    loss.weight * growth^(floor(t / every))
    ```

    It depends on the epoch alone, so that a training that goes on with
    `initial_epoch` goes on with the right weight.

    Args:
        loss: The `SparseRegularization` that the model is compiled with.
            Defaults to `None`: the one that is found there.
        growth: Factor, at least 1. Defaults to `1.03`, published for
            CIFAR-10; 1.02 for CIFAR-100, 2.0 for MNIST.
        every: Number of epochs from one change to the next. Defaults to `1`,
            published for CIFAR; 5 for MNIST.

    Raises:
        ValueError: If `loss` is none, or a number is out of range; when the
            training begins, if the model is compiled with another one.

    Example:

    >>> loss = keras_arl.losses.SparseRegularization(
    ...     keras_arl.losses.CrossEntropy(), weight=1.0
    ... )
    >>> schedule = keras_arl.losses.SparseRegularizationSchedule(loss, 2.0)
    >>> model = keras.Sequential([keras.layers.Dense(2, "softmax")])
    >>> model.compile(loss=loss)
    >>> x, y = np.zeros((8, 3)), np.zeros(8)
    >>> history = model.fit(x, y, epochs=3, callbacks=[schedule], verbose=0)
    >>> loss.current_weight
    4.0
    """

    _loss_class = SparseRegularization

    def __init__(self, loss=None, growth=1.03, every=1):
        super().__init__(loss)
        self.growth = check_number(
            "growth", growth, "a number of at least 1", lambda x: x >= 1
        )
        self.every = int(
            check_number(
                "every",
                every,
                "an integer of at least 1",
                lambda x: x >= 1 and x == int(x),
            )
        )

    def numbers(self, epoch):
        growth = self.growth ** (epoch // self.every)
        return {"weight": self.loss.weight * growth}
