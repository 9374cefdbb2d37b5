"""Losses of the labelled class's probability alone."""

from keras import ops

from keras_arl.losses.base import ClassificationLoss


class PointwiseLoss(ClassificationLoss):
    """Base of the losses l(p_y) of the labelled class's probability p_y.

    A subclass implements `pointwise(predictions)`, elementwise. With soft
    labels the loss is the expectation over the label: the sum over c of
    `y_c * l(p_c)`.
    """

    def pointwise(self, predictions):
        raise NotImplementedError

    def index_loss(self, labels, predictions):
        return self.pointwise(predictions.of_labelled(labels))

    def soft_loss(self, targets, predictions):
        return ops.sum(targets * self.pointwise(predictions), axis=-1)
