"""Images as RGB JPEGs that a training can decode."""

import io

import tensorflow as tf
from PIL import Image

_QUALITY = 95


class UnreadableImageError(ValueError):
    """The file holds no image that can be decoded whole."""


def rgb_jpeg(content):
    """Returns an image file's content as an RGB JPEG.

    Every image is decoded once, whole, also by the decoder of trainings: what
    that one cannot decode would end a training hours later.

    Args:
        content: Bytes of an image file.

    Returns:
        The pair of the JPEG, which is `content` itself where that is one of
        RGB, and whether it had to be converted.

    Raises:
        UnreadableImageError: If it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            if image.format == "JPEG" and image.mode == "RGB":
                # Pillow passes over some markers amid the data; crops do not.
                tf.image.extract_jpeg_shape(content)
                tf.image.decode_jpeg(content, channels=3)
                return content, False
            converted = io.BytesIO()
            image.convert("RGB").save(converted, "JPEG", quality=_QUALITY)
    # Pillow's plugins raise what their parsers run into.
    except Exception as error:
        raise UnreadableImageError(
            f"{type(error).__name__}: {error}"
        ) from error
    return converted.getvalue(), True
