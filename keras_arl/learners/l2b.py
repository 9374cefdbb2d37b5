"""L2B, and L2RW as the half of it."""

import keras
from keras import ops

from keras_arl.backend import jvp
from keras_arl.checks import check_positive
from keras_arl.learners.meta import MetaLearner

_NORMALIZATIONS = ("sum", "softmax", "sigmoid")


@keras.saving.register_keras_serializable(package="keras_arl")
class L2B(MetaLearner):
    """Learning to bootstrap: weights of labels and of the model's own guesses.

    Each step weighs every example's given label y_i and the class k_i that
    the model predicts for it, by how much a small step on them would lower the
    loss of a clean batch. With l the loss of one sample, v the gradient of the
    clean batch's mean cross-entropy and r the learning rate,

    ```
    a_i = r * <v, gradient of l(x_i, y_i)>
    b_i = r * <v, gradient of l(x_i, k_i)>
    w   = normalised over all 2n of a and b
    L   = sum over i of w_i * l(x_i, y_i) + w_(n+i) * l(x_i, k_i)
    ```

    It is a sum with weights that add to 1, often on a handful of examples:
    clip the gradient (`global_clipnorm=0.25` for CIFAR-10, 0.8 for CIFAR-100
    are published), and expect little without. The clean set should have all
    classes alike, and with batch normalisation at least 32 examples a batch.

    v is the gradient at the present weights; the authors' program takes it
    where the optimizer's momentum and weight decay alone would lead, which the
    paper's derivation does not have and JAX could not read.

    It logs `real_weight` and `pseudo_weight`, the summed weights of given
    labels and of predictions.

    Args:
        model: `keras.Model` with one output of shape `(n, C)`.
        warmup_epochs: Epochs of plain training with mean loss before. Defaults
            to `10`, published for CIFAR.
        normalization: `"sum"` divides the positive ones by their sum (all are
            0 where none is positive), `"softmax"` and `"sigmoid"` apply that
            function first. Defaults to `"sum"`; the paper takes softmax with
            temperature 10 for ISIC2019.
        temperature: Of the softmax, above 0. Defaults to `1.0`.
        pseudo_labels: Whether predictions are learned from, too. `False` is
            L2RW, "learning to reweight". Defaults to `True`.
        forward_mode: `False` takes the central difference of two passes for
            <v, .>, accurate to about three digits, for a model with an
            operation that has no derivative in forward mode. Defaults to
            `True`.
        **kwargs: `loss`, `from_logits` and `name`, see `Learner`; published
            with cross-entropy.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> learner = keras_arl.learners.L2B(
    ...     model, warmup_epochs=1, from_logits=True
    ... )
    >>> learner.compile(keras.optimizers.SGD(0.1, global_clipnorm=0.25))
    >>> x = np.eye(2)[[0, 1, 0, 1]]
    >>> history = learner.fit(
    ...     x, np.array([0, 1, 0, 0]), epochs=2, verbose=0,
    ...     meta_data=(np.eye(2), np.array([0, 1])),
    ... )
    >>> learner.model.predict(x, verbose=0).shape
    (4, 2)

    Reference:
        - Zhou et al., "L2B: Learning to Bootstrap Robust Models for Combating
          Label Noise", CVPR 2024, arXiv 2202.04291
        - Ren et al., "Learning to Reweight Examples for Robust Deep Learning",
          ICML 2018, arXiv 1803.09050
    """

    def __init__(
        self,
        model,
        warmup_epochs=10,
        normalization="sum",
        temperature=1.0,
        pseudo_labels=True,
        forward_mode=True,
        **kwargs,
    ):
        super().__init__(
            model,
            warmup_epochs=warmup_epochs,
            forward_mode=forward_mode,
            **kwargs,
        )
        if normalization not in _NORMALIZATIONS:
            raise ValueError(
                f"`normalization` must be one of {_NORMALIZATIONS}. Received: "
                f"normalization={normalization!r}"
            )
        self.normalization = normalization
        self.temperature = check_positive("temperature", temperature)
        self.pseudo_labels = bool(pseudo_labels)
        self.track("real_weight", "pseudo_weight")
        self.finish_init()

    def training_loss(self, batch, y_pred):
        pseudo = ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        weights = self.sample_weights(batch, pseudo)
        self.note("real_weight", ops.sum(weights[0]))
        self.note("pseudo_weight", ops.sum(weights[1]))
        losses = self._two_losses(batch.labels, pseudo, y_pred)
        return ops.sum(batch.weighted(ops.sum(weights * losses, axis=0)))

    def sample_weights(self, batch, pseudo):
        """The weights of given labels and of predictions, shape `(2, n)`.

        Args:
            batch: A `Batch`.
            pseudo: int32 tensor of shape `(n,)`, the predicted classes.
        """
        if self.warmup_epochs == 0:
            return self._learned_weights(batch, pseudo)
        return ops.stop_gradient(
            ops.cond(
                self.is_active(),
                lambda: self._learned_weights(batch, pseudo),
                lambda: _plain_weights(pseudo),
            )
        )

    def _learned_weights(self, batch, pseudo):
        weights, others = self.place()
        direction = self.meta_gradient(weights, others, batch.meta)
        outputs, slopes = self.along(direction, weights, others, batch.x)
        _, gains = jvp(
            lambda outputs: self._two_losses(batch.labels, pseudo, outputs[0]),
            [outputs],
            [slopes],
        )
        gains = self.learning_rate * ops.stop_gradient(gains)
        if self.pseudo_labels:
            return self._normalized(gains)
        given = self._normalized(gains[:1])
        return ops.concatenate([given, ops.zeros_like(given)])

    def _normalized(self, gains):
        if self.normalization == "sum":
            positive = ops.relu(gains)
            return positive / (ops.sum(positive) + 1e-10)
        if self.normalization == "sigmoid":
            shares = ops.sigmoid(gains)
            return shares / ops.sum(shares)
        scaled = gains / self.temperature
        exponentials = ops.exp(scaled - ops.max(scaled))
        return exponentials / ops.sum(exponentials)

    def _two_losses(self, labels, pseudo, outputs):
        return ops.stack(
            [
                self.per_sample(self.base_loss, y, outputs)
                for y in (labels, pseudo)
            ]
        )

    def get_config(self):
        return {
            **super().get_config(),
            "normalization": self.normalization,
            "temperature": self.temperature,
            "pseudo_labels": self.pseudo_labels,
        }


def _plain_weights(pseudo):
    given = ops.ones_like(pseudo, dtype="float32")
    given = given / ops.sum(given)
    return ops.stack([given, ops.zeros_like(given)])
