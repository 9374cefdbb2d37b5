"""What losses that are made of losses share."""

from keras_arl.losses.base import ClassificationLoss


def shared_settings(**parts):
    """What the parts of a composed loss have to agree on.

    Args:
        **parts: Losses of this package by the name of the argument that they
            came as.

    Returns:
        A dictionary with the `from_logits` and the `dtype` of all parts.

    Raises:
        ValueError: If one is no loss of this package, or they differ.
    """
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
