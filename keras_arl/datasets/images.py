"""Input pipelines of images: from encoded files to batches.

Images should come encoded (`tfds.decode.SkipDecoding`), so that of a JPEG only
the part that is used is decoded. Every step that touches pixels runs in
parallel, and the randomness of the augmentation is a function of the seed and
the position alone. Batches hold bytes: normalisation belongs to the model, on
the device, to which a quarter as much is then sent.
"""

import dataclasses

import tensorflow as tf

from keras_arl.checks import check_at_least


@dataclasses.dataclass(frozen=True)
class ImageSize:
    """How large images are made.

    Args:
        resize: Length of the shorter side before cropping, in pixels.
        crop: Length of the sides of the square that is cropped, in pixels, at
            most `resize`.
        pad: Zeros added on each side before cropping, in pixels of the resized
            image, for images as small as the crop. Defaults to `0`. Images
            that are padded must come in the size `resize`.

    Raises:
        ValueError: If a length is out of range.
    """

    resize: int
    crop: int
    pad: int = 0

    def __post_init__(self):
        check_at_least("crop", self.crop, 1)
        check_at_least("pad", self.pad, 0)
        check_at_least("resize", self.resize, self.crop - 2 * self.pad)


def image_batches(
    dataset,
    label,
    size,
    batch_size,
    training=False,
    seed=0,
):
    """Batches of cropped images and their labels.

    For training: a random square of `crop / resize` of the shorter side,
    resized to `crop` pixels, which is what resizing to `resize` and cropping
    `crop` at random is, flipped half of the time, and shuffled anew in each
    epoch. For evaluation: the square in the middle.

    Args:
        dataset: Unbatched `tf.data.Dataset` of dictionaries with an `image`, or
            of pairs (image, label). Images are encoded (JPEG or PNG), scalar
            strings, or decoded, uint8 of shape `(height, width, 1 or 3)`.
        label: Name of the label in dictionaries. Labels are whole numbers,
            scalars or of shape `(1,)`; in pairs also what
            `keras_arl.learners.with_index` makes of them, and then come so.
        size: An `ImageSize`.
        batch_size: Number of images a batch.
        training: Whether to shuffle and augment. Defaults to `False`.
        seed: Non-negative integer, of shuffling and augmentation. Defaults to
            `0`.

    Returns:
        A `tf.data.Dataset` of pairs of images, uint8 of shape
        `(batch, crop, crop, 3)`, and labels, int64 of shape `(batch,)`. A
        label that is no whole number raises `tf.errors.InvalidArgumentError`
        when the pipeline reaches it.

    Raises:
        ValueError: If the dataset has another form.

    Example:

    >>> encoded = tf.io.encode_jpeg(np.zeros((40, 50, 3), "uint8")).numpy()
    >>> examples = tf.data.Dataset.from_tensors({"image": encoded, "label": 1})
    >>> batches = keras_arl.datasets.image_batches(
    ...     examples,
    ...     "label",
    ...     keras_arl.datasets.ImageSize(resize=32, crop=28),
    ...     batch_size=1,
    ... )
    >>> next(iter(batches))[0].shape
    TensorShape([1, 28, 28, 3])
    """
    image_place, label_place = _places(dataset.element_spec, label)
    if training:
        # The encoded images of a hundred batches fit into memory.
        dataset = dataset.shuffle(100 * batch_size, seed=seed)
    randomness = tf.data.Dataset.random(
        seed=seed, rerandomize_each_iteration=True
    ).batch(2, drop_remainder=True)

    def one(example, random_seed):
        position = tf.constant([0.5, 0.5])
        if training:
            position = tf.random.stateless_uniform([2], random_seed)
        image = _bytes_of_square(example[image_place], size, position)
        if training:
            image = tf.image.stateless_random_flip_left_right(
                image, random_seed + 1
            )
        return image, tf.nest.map_structure(_class_index, example[label_place])

    return (
        tf.data.Dataset.zip((dataset, randomness))
        .map(one, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def _places(spec, label):
    """Where image and label are in an element, or raises."""
    is_tuple = isinstance(spec, tuple)
    places = (0, 1) if is_tuple else ("image", label)
    try:
        image_spec, label_spec = (spec[place] for place in places)
        is_encoded = image_spec.dtype == tf.string and image_spec.shape == ()
        is_decoded = (
            image_spec.dtype == tf.uint8
            and image_spec.shape.rank == 3
            and image_spec.shape[-1] in (1, 3)
        )
        is_valid = (is_encoded or is_decoded) and all(
            map(_is_number, tf.nest.flatten(label_spec))
        )
        # A sample weight would be lost.
        is_valid = is_valid and not (is_tuple and len(spec) > 2)
    except (AttributeError, IndexError, KeyError, TypeError):
        is_valid = False
    if not is_valid:
        raise ValueError(
            "The dataset must yield, unbatched, dictionaries with an 'image' "
            f"and the label {label!r}, or pairs (image, label): images as "
            "encoded scalar strings or uint8 of shape (height, width, 1 or 3), "
            f"labels as whole numbers. Received: element_spec={spec}"
        )
    return places


def _is_number(spec):
    return spec.shape in ((), (1,)) and (
        spec.dtype.is_integer or spec.dtype.is_floating
    )


def _class_index(label):
    index = tf.reshape(tf.cast(label, tf.int64), ())
    is_whole = tf.reshape(tf.cast(index, label.dtype) == label, ())
    message = "Labels must be whole numbers. Received:"
    with tf.control_dependencies(
        [tf.raw_ops.Assert(condition=is_whole, data=[message, label])]
    ):
        return tf.identity(index)


def _bytes_of_square(image, size, position):
    """The square of an image at a relative position."""
    if image.dtype == tf.string:
        square = _decode_square(image, size, position)
    else:
        if image.shape[-1] == 1:
            image = tf.image.grayscale_to_rgb(image)
        square = _crop(image, size, position)
    square = tf.image.resize(square, (size.crop, size.crop))
    square = tf.cast(tf.round(square), tf.uint8)
    return tf.ensure_shape(square, (size.crop, size.crop, 3))


def _decode_square(encoded, size, position):
    if size.pad:
        return _crop(_decode(encoded), size, position)
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _decode_part(encoded, size, position),
        lambda: _crop(_decode(encoded), size, position),
    )


def _decode(encoded):
    return tf.image.decode_image(encoded, channels=3, expand_animations=False)


def _decode_part(jpeg, size, position):
    height_and_width = tf.image.extract_jpeg_shape(jpeg)[:2]
    corner, side = _square(height_and_width, size, position)
    window = tf.concat([corner, [side, side]], axis=0)
    return tf.image.decode_and_crop_jpeg(jpeg, window, channels=3)


def _crop(image, size, position):
    pad = [size.pad, size.pad]
    image = tf.pad(image, [pad, pad, [0, 0]])
    corner, side = _square(tf.shape(image)[:2], size, position)
    y, x = corner[0], corner[1]
    return image[y : y + side, x : x + side]


def _square(height_and_width, size, position):
    """Upper left corner and side of the square, in pixels of the image."""
    shorter = tf.reduce_min(height_and_width)
    share = size.crop / (size.resize + 2 * size.pad)
    side = tf.cast(tf.round(tf.cast(shorter, tf.float32) * share), tf.int32)
    # Of an image of one pixel, too.
    side = tf.maximum(side, 1)
    room = tf.cast(height_and_width - side, tf.float32)
    corner = tf.cast(tf.round(room * position), tf.int32)
    return corner, side
