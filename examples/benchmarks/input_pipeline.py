"""Times the input pipeline of Clothing1M against decoding alone.

    python examples/benchmarks/input_pipeline.py

Makes JPEGs, then counts images per second of the whole pipeline (random square,
resize, flip, batches), and of decoding the same images alone, in parallel, too.
No pipeline that decodes whole images can be faster. The ratio is the time of
the pipeline over the time of decoding in the same round, the median over the
rounds.
"""

import io
import os
import pathlib
import statistics
import sys
import time

from absl import flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import program

_IMAGES = flags.DEFINE_integer("images", 8000, "Images a pass.", 1)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Rounds.", 1)
_SIDE = flags.DEFINE_integer("side", 400, "Sides of the images in pixels.", 256)

_DISTINCT = 50
_BATCH = 64


def main():
    program.import_quietly("tensorflow")
    passes = {"decoding alone": decoding(), "pipeline": pipeline()}
    for dataset in passes.values():
        consume(dataset)
    seconds = {name: [] for name in passes}
    for _ in range(_ROUNDS.value):
        for name, dataset in passes.items():
            start = time.perf_counter()
            consume(dataset)
            seconds[name].append(time.perf_counter() - start)
    print(
        f"{_IMAGES.value} images of {_SIDE.value}x{_SIDE.value} pixels, "
        f"{os.cpu_count()} cores, {_ROUNDS.value} rounds"
    )
    for name, times in seconds.items():
        rate = _IMAGES.value / statistics.median(times)
        print(f"{name:16}{rate:8.0f} images/s")
    pairs = zip(seconds["pipeline"], seconds["decoding alone"], strict=True)
    ratios = sorted(a / b for a, b in pairs)
    print(
        f"ratio of times  {statistics.median(ratios):8.2f} "
        f"({ratios[0]:.2f}-{ratios[-1]:.2f})"
    )


def encoded():
    """Encoded images that look like photographs to a decoder."""
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    rng = np.random.default_rng(0)
    contents = []
    for _ in range(_DISTINCT):
        coarse = Image.fromarray(
            rng.integers(0, 256, size=(40, 40, 3)).astype("uint8")
        )
        smooth = coarse.resize((_SIDE.value, _SIDE.value), Image.BICUBIC)
        pixels = np.asarray(smooth) + rng.normal(
            0, 8, size=(_SIDE.value, _SIDE.value, 3)
        )
        content = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(
            content, "JPEG", quality=85
        )
        contents.append(content.getvalue())
    examples = {"image": contents, "noisy_label": [0] * _DISTINCT}
    dataset = tf.data.Dataset.from_tensor_slices(examples)
    return dataset.repeat().take(_IMAGES.value)


def decoding():
    import tensorflow as tf

    return (
        encoded()
        .map(
            lambda example: tf.io.decode_jpeg(example["image"], channels=3),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .prefetch(tf.data.AUTOTUNE)
    )


def pipeline():
    from keras_arl import datasets

    return datasets.image_batches(
        encoded(),
        "noisy_label",
        datasets.ImageSize(resize=256, crop=224),
        _BATCH,
        training=True,
    )


def consume(dataset):
    for _ in dataset:
        pass


if __name__ == "__main__":
    program.start(main)
