import numpy as np
import pytest
import tensorflow as tf

from keras_arl.datasets import ImageSize
from keras_arl.datasets import balanced_subset
from keras_arl.datasets import image_batches


def gradient(height, width):
    """Red grows downwards, green to the right: a pixel tells its place."""
    y, x = np.mgrid[:height, :width]
    blue = np.zeros_like(x)
    return np.stack([255 * y / height, 255 * x / width, blue], -1)


def encoded(images, codec="png"):
    encode = {"png": tf.io.encode_png, "jpeg": encode_jpeg}[codec]
    return tf.data.Dataset.from_generator(
        lambda: (
            {"image": encode(image.astype("uint8")).numpy(), "label": k}
            for k, image in enumerate(images)
        ),
        output_signature={
            "image": tf.TensorSpec((), tf.string),
            "label": tf.TensorSpec((), tf.int64),
        },
    ).apply(tf.data.experimental.assert_cardinality(len(images)))


def encode_jpeg(image):
    return tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False)


def batches(dataset, size, **kwargs):
    kwargs.setdefault("batch_size", 4)
    return image_batches(dataset, "label", size, **kwargs)


@pytest.mark.parametrize("codec", ["png", "jpeg"])
def test_evaluation_takes_the_square_in_the_middle(codec):
    image = gradient(100, 200)
    dataset = encoded([image], codec)
    ((got, labels),) = batches(dataset, ImageSize(50, 40)).as_numpy_iterator()
    # 40 of 50 pixels are 80 of the shorter side's 100.
    middle = image[10:90, 60:140].reshape(40, 2, 40, 2, 3).mean(axis=(1, 3))
    assert got.shape == (1, 40, 40, 3)
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got[0].astype("float64"), middle, atol=5)
    np.testing.assert_array_equal(labels, [0])


@pytest.mark.parametrize("codec", ["png", "jpeg"])
def test_training_crops_anywhere_and_flips(codec):
    image = gradient(100, 200)
    dataset = encoded([image] * 300, codec)
    got = np.concatenate(
        [
            images
            for images, _ in batches(
                dataset, ImageSize(50, 40), training=True
            ).as_numpy_iterator()
        ]
    )
    top = got[:, 0, :, 0].mean(axis=1) / 2.55
    left, right = (got[:, :, k, 1].mean(axis=1) / 1.275 for k in (0, -1))
    flipped = left > right
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.1)
    corner = np.minimum(left, right)
    for where, largest in ((top, 20), (corner, 120)):
        assert where.min() < 0.1 * largest + 2
        assert where.max() > 0.9 * largest - 2
        assert where.max() < largest + 3
        assert np.mean(where) == pytest.approx(largest / 2, rel=0.15)


def test_small_images_are_padded():
    image = np.full((32, 32, 3), 200.0)
    dataset = encoded([image] * 100)
    images = np.concatenate(
        [
            x
            for x, _ in batches(
                dataset, ImageSize(32, 32, pad=4), training=True
            ).as_numpy_iterator()
        ]
    )
    assert set(np.unique(images)) == {0, 200}
    # Shifted by up to four pixels, by none at times.
    rows = (images[:, :, 16, 0] == 0).sum(axis=1)
    assert (rows.min(), rows.max()) == (0, 4)


def test_labels_stay_with_their_images_and_epochs_differ():
    images = [np.full((8, 8, 3), 2.0 * k) for k in range(100)]
    pipeline = batches(
        encoded(images), ImageSize(8, 8), training=True, batch_size=100
    )
    orders = []
    for _ in range(2):
        ((got, labels),) = pipeline.as_numpy_iterator()
        np.testing.assert_array_equal(got[:, 0, 0, 0], 2 * labels)
        np.testing.assert_array_equal(np.sort(labels), np.arange(100))
        orders.append(labels.tolist())
    assert orders[0] != orders[1]
    again = batches(
        encoded(images), ImageSize(8, 8), training=True, batch_size=100
    )
    for order in orders:
        ((_, labels),) = again.as_numpy_iterator()
        assert labels.tolist() == order


def test_the_seed_decides_the_crops_of_every_epoch():
    image = gradient(60, 60)

    def crops(seed):
        pipeline = batches(
            encoded([image] * 8),
            ImageSize(50, 40),
            training=True,
            seed=seed,
            batch_size=8,
        )
        return [next(pipeline.as_numpy_iterator())[0] for _ in range(2)]

    first, second = crops(1)
    np.testing.assert_array_equal(crops(1), [first, second])
    assert (first != second).any()
    assert (first != crops(2)[0]).any()


def test_decoded_images_in_pairs_are_those_of_encoded_ones():
    images = [
        gradient(60, 90).astype("uint8"),
        gradient(50, 40).astype("uint8"),
    ]

    def pairs():
        yield from zip(images, ([1.0], [0.0]), strict=True)

    decoded = tf.data.Dataset.from_generator(
        pairs,
        output_signature=(
            tf.TensorSpec((None, None, 3), tf.uint8),
            tf.TensorSpec((1,), tf.float32),
        ),
    )
    size = ImageSize(50, 40)
    ((expected, _),) = batches(encoded(images), size).as_numpy_iterator()
    ((got, labels),) = batches(decoded, size).as_numpy_iterator()
    np.testing.assert_array_equal(got, expected)
    assert (labels.dtype, labels.tolist()) == (np.int64, [1, 0])
    gray = decoded.map(lambda x, y: {"image": x[..., :1], "label": y})
    ((got, _),) = batches(gray, size).as_numpy_iterator()
    np.testing.assert_array_equal(got, expected[..., :1].repeat(3, axis=-1))


def test_labels_that_are_no_whole_numbers():
    dataset = encoded([gradient(20, 20)]).map(lambda e: {**e, "label": 1.7})
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"whole.*1\.7"):
        list(batches(dataset, ImageSize(8, 8)))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.batch(2),
        lambda d: d.map(lambda e: {"label": e["label"]}),
        lambda d: d.map(lambda e: {"image": e["image"], "y": e["label"]}),
        lambda d: d.map(lambda e: {**e, "label": "seven"}),
        lambda d: d.map(lambda e: {**e, "image": tf.zeros((8, 8, 3))}),
        lambda d: d.map(lambda e: e["image"]),
        lambda d: d.map(lambda e: (e["image"], tf.one_hot(e["label"], 3))),
        lambda d: d.map(lambda e: (e["image"], e["label"], 0.5)),
    ],
)
def test_datasets_of_another_form(change):
    with pytest.raises(ValueError, match=r"must yield, unbatched.*Received"):
        batches(change(encoded([gradient(20, 20)])), ImageSize(8, 8))


def test_a_crop_of_a_tiny_image():
    dataset = encoded([np.full((1, 9, 3), 7.0)], "jpeg")
    ((got, _),) = batches(dataset, ImageSize(256, 100)).as_numpy_iterator()
    assert (got == 7).all()


def test_balanced_subset(rng):
    labels = np.concatenate([rng.choice(3, size=1000, p=[0.7, 0.2, 0.1]), [-1]])
    chosen = balanced_subset(labels, 3, seed=0)
    rarest = np.sum(labels == 2)
    assert np.bincount(labels[chosen]).tolist() == [rarest] * 3
    assert not chosen[-1]
    np.testing.assert_array_equal(chosen, balanced_subset(labels, 3, seed=0))
    assert (chosen != balanced_subset(labels, 3, seed=1)).any()
    with pytest.raises(ValueError, match=r"none of the classes \[3\]"):
        balanced_subset(labels, 4, seed=0)
    with pytest.raises(ValueError, match=r"in 0\.\.1.*\[2"):
        balanced_subset(labels, 2, seed=0)
