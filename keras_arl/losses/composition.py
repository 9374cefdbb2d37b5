"""What losses that are made of losses share."""

import keras

from keras_arl.losses.base import ClassificationLoss

# What the parts of a composed loss have in common.
SHARED = ("from_logits", "dtype", "ignore_class", "axis")


class ComposedLoss(ClassificationLoss):
    """Base of the losses that are made of losses.

    The parts' `from_logits`, `dtype`, `ignore_class` and `axis` hold, on which
    they must agree.

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
        for name in SHARED:
            del config[name]
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
        predictions = self._transformed(predictions)
        loss = self.loss.index_loss(labels, predictions)
        return loss + self.penalty(predictions)

    def soft_loss(self, targets, predictions):
        predictions = self._transformed(predictions)
        loss = self.loss.soft_loss(targets, predictions)
        return loss + self.penalty(predictions)

    def _transformed(self, predictions):
        transformed = self.transformed(predictions)
        transformed.is_ignored = predictions.is_ignored
        return transformed


def _shared_settings(parts):
    for name, part in parts.items():
        if not isinstance(part, ClassificationLoss):
            raise ValueError(
                f"`{name}` must be a loss of keras_arl.losses. "
                f"Received: {name}={part!r}"
            )
    settings = [
        {name: getattr(part, name) for name in SHARED}
        for part in parts.values()
    ]
    if any(other != settings[0] for other in settings):
        described = ", ".join(
            f"{name} with {setting}"
            for name, setting in zip(parts, settings, strict=True)
        )
        raise ValueError(
            "The parts of a loss must agree on `from_logits`, `dtype`, "
            f"`ignore_class` and `axis`. Received: {described}"
        )
    return settings[0]
