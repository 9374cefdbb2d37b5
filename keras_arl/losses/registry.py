"""Losses by name."""

import keras

from keras_arl.losses.arl import ARL

_LOSSES = {"arl": ARL}


def get(identifier, **kwargs):
    """Returns a loss by name.

    Keras resolves no third-party loss by a string; this does, and falls back
    to Keras for its own.

    Args:
        identifier: `"arl"`, the name of a Keras loss, or anything else that
            `keras.losses.get` takes; a loss is returned as it is.
        **kwargs: Arguments of the named loss of this package.

    Returns:
        A `keras.losses.Loss`, or what `keras.losses.get` returns.

    Raises:
        ValueError: If the name is neither ours nor Keras's.

    Example:

    >>> keras_arl.losses.get("arl", from_logits=True).from_logits
    True
    """
    if isinstance(identifier, str) and identifier.lower() in _LOSSES:
        return _LOSSES[identifier.lower()](**kwargs)
    if kwargs:
        raise ValueError(
            f"Arguments are accepted for {sorted(_LOSSES)} only. "
            f"Received: {identifier!r} with {sorted(kwargs)}"
        )
    if not isinstance(identifier, str):
        return keras.losses.get(identifier)
    try:
        return keras.losses.get(identifier)
    except ValueError:
        raise ValueError(
            f"Unknown loss {identifier!r}: neither one of {sorted(_LOSSES)} "
            "nor a loss of Keras"
        ) from None
