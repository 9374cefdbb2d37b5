"""What losses that are made of losses share."""

import keras

from keras_arl.losses.base import ClassificationLoss


class ComposedLoss(ClassificationLoss):
    """Base of the losses that are made of losses.

    The parts' `from_logits` and `dtype` hold, on which they must agree.

    Args:
        parts: Losses of this package by the name of the argument that they
            came as, which becomes the attribute's.
        **kwargs: `reduction` and `name`, see `ClassificationLoss`.

    Raises:
        ValueError: If a part is no loss of this package, or they differ.
    """

    def __init__(self, parts, **kwargs):
        super().__init__(**kwargs, **_shared_settings(parts))
        vars(self).update(parts)

    def get_config(self):
        config = super().get_config()
        del config["from_logits"], config["dtype"]
        parts = {
            name: keras.saving.serialize_keras_object(part)
            for name, part in self.parts.items()
        }
        return {**parts, **config}

    @classmethod
    def from_config(cls, config):
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value)
                if isinstance(value, dict)
                else value
                for name, value in config.items()
            }
        )


class WrappedLoss(ComposedLoss):
    """Base of the losses that change what another loss is given.

    A subclass implements `transformed(predictions)` and, where the loss has a
    term without the label, `penalty` of what was transformed.

    Args:
        loss: A loss of this package.
        **kwargs: `reduction` and `name`, see `ClassificationLoss`.
    """

    def __init__(self, loss, **kwargs):
        super().__init__({"loss": loss}, **kwargs)

    def transformed(self, predictions):
        raise NotImplementedError

    def penalty(self, predictions):
        return 0

    def index_loss(self, labels, predictions):
        predictions = self.transformed(predictions)
        loss = self.loss.index_loss(labels, predictions)
        return loss + self.penalty(predictions)

    def soft_loss(self, targets, predictions):
        predictions = self.transformed(predictions)
        loss = self.loss.soft_loss(targets, predictions)
        return loss + self.penalty(predictions)


def _shared_settings(parts):
    for name, part in parts.items():
        if not isinstance(part, ClassificationLoss):
            raise ValueError(
                f"`{name}` must be a loss of keras_arl.losses. "
                f"Received: {name}={part!r}"
            )
    settings = [
        {"from_logits": part.from_logits, "dtype": part.dtype}
        for part in parts.values()
    ]
    if any(other != settings[0] for other in settings):
        described = ", ".join(
            f"{name} with {setting}"
            for name, setting in zip(parts, settings, strict=True)
        )
        raise ValueError(
            "The parts of a loss must agree on `from_logits` and `dtype`. "
            f"Received: {described}"
        )
    return settings[0]
