"""The L1 penalty with which some losses were published."""

import keras

from keras_arl.checks import check_weight


def l1_regularization(model, delta):
    """Adds delta times the sum of all weights' absolute values to the loss.

    All trainable weights count, biases and those of normalisations, too. ANL
    and JAL are published with this penalty in the place of weight decay; a
    loss cannot see the model. Call it before the first training step. A saved
    model does not keep it: call it again after loading.

    Args:
        model: A `keras.Model`, built.
        delta: Weight of the penalty, at least 0; another call replaces it, 0
            removes it. A layer's own regularizers stay. Published are
            5e-5 for CIFAR-10, with ANL 5e-7 and with JAL 5e-6 for CIFAR-100,
            with ANL 1e-6 for MNIST and 5e-6 for WebVision, all with SGD.

    Raises:
        ValueError: If the model has no weights yet, or `delta` is negative.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> model.set_weights([np.ones((2, 3)), np.zeros(3)])
    >>> keras_arl.losses.l1_regularization(model, delta=0.5)
    >>> [float(loss) for loss in model.losses]
    [3.0, 0.0]
    """
    check_weight("delta", delta)
    if not model.trainable_weights:
        raise ValueError(
            "`model` must be built and have trainable weights. Received: "
            f"model={model.name}"
        )
    for variable in model.trainable_weights:
        own = variable.regularizer
        if isinstance(own, _AddedL1):
            own = own.own
        variable.regularizer = _AddedL1(delta, own) if delta else own


class _AddedL1(keras.regularizers.L1):
    """An L1 penalty beside the regularizer that a variable has of its own."""

    def __init__(self, delta, own):
        super().__init__(delta)
        self.own = own

    def __call__(self, x):
        penalty = super().__call__(x)
        return penalty if self.own is None else penalty + self.own(x)
