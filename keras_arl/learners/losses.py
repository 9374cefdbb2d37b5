"""The loss of one sample, as a learner is given it."""

from keras_arl import losses


def as_loss(loss, from_logits):
    """A loss of this package, of itself, of its name or of `None`."""
    if loss is None or isinstance(loss, str):
        arguments = {"from_logits": bool(from_logits)}
        loss = losses.get("ce" if loss is None else loss, **arguments)
    if not isinstance(loss, losses.ClassificationLoss):
        raise ValueError(
            "`loss` must be a loss of keras_arl.losses or its name. Received: "
            f"loss={loss!r}"
        )
    if from_logits not in (None, loss.from_logits):
        raise ValueError(
            f"`from_logits` must be as in `loss`. Received: from_logits="
            f"{from_logits} and loss.from_logits={loss.from_logits}"
        )
    return loss
