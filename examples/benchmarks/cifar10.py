"""Trains a residual network on all of CIFAR-10, with wrong labels.

    KERAS_BACKEND=jax python examples/benchmarks/cifar10.py

It is for a GPU: 50,000 images, 40% of their labels wrong, symmetric and by
class pairs; each method at its published setting, without augmentation. The
accuracy is that of the last epoch on the clean test images. The rows go to
--output as CSV; a second run trains what is missing.

Where there is no TensorFlow, through which CIFAR-10 is read, --write_images
writes it to a file elsewhere, as JPEGs, and --images reads it.
"""

import functools
import io
import pathlib
import sys

import keras
import numpy as np
from absl import flags

import keras_arl

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import program

_CLASSES = 10
_QUALITY = 70
_METHODS = {
    "CE": lambda: keras_arl.losses.CrossEntropy(from_logits=True),
    "GCE": lambda: keras_arl.losses.GCE(from_logits=True),
    "SCE": lambda: keras_arl.losses.get(
        "sce", dataset="cifar10", from_logits=True
    ),
    "ARL": lambda: keras_arl.ARL(from_logits=True),
    "ELR": lambda: functools.partial(keras_arl.learners.ELR, from_logits=True),
    "ARLMemory": lambda: functools.partial(
        keras_arl.learners.ARLMemory, from_logits=True
    ),
}
_NOISES = {
    "symmetric": keras_arl.noise.symmetric,
    "pair flip": keras_arl.noise.pair_flip,
}

_NAMES = flags.DEFINE_list(
    "methods", list(_METHODS), "Of " + ", ".join(_METHODS) + "."
)
_CHOSEN_NOISES = flags.DEFINE_list(
    "noises", list(_NOISES), "Of " + ", ".join(_NOISES) + "."
)
_EPOCHS = flags.DEFINE_integer("epochs", 15, "Epochs.", 1)
_EXAMPLES = flags.DEFINE_integer("examples", 50000, "Training images.", 1)
_SEED = flags.DEFINE_integer("seed", 0, "Of labels, weights and batches.", 0)
_IMAGES = flags.DEFINE_string("images", None, "A file of images to read.")
_WRITE_IMAGES = flags.DEFINE_string(
    "write_images", None, "A file of images to write, and nothing else."
)
_OUTPUT = flags.DEFINE_string("output", "results/cifar10.csv", "The table.")


def main():
    names = program.listed(_NAMES, _METHODS)
    noises = {
        name: _NOISES[name] for name in program.listed(_CHOSEN_NOISES, _NOISES)
    }
    if _WRITE_IMAGES.value:
        write_images(_WRITE_IMAGES.value)
        return
    if _IMAGES.value:
        parts = read_images(_IMAGES.value)
    else:
        parts = [of_tfds(split) for split in ("train", "test")]
    (x, y), test = ((scaled(x), y) for x, y in parts)
    chosen = slice(min(_EXAMPLES.value, len(y)))
    tasks = {
        f"CIFAR-10, {name}": keras_arl.tasks.Task(
            train=(
                x[chosen],
                keras_arl.noise.corrupt_labels(
                    y[chosen], matrix(0.4, _CLASSES), _SEED.value
                ),
            ),
            validation=test,
            build_model=residual_network,
            num_classes=_CLASSES,
            optimizer=keras.optimizers.Adam(1e-3),
            epochs=_EPOCHS.value,
            from_logits=True,
            seed=_SEED.value,
            batch_size=128,
            architecture="residual network",
        )
        for name, matrix in noises.items()
    }
    output = pathlib.Path(_OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    rows = keras_arl.evaluation.compare(
        {name: _METHODS[name]() for name in names}, tasks, path=output
    )
    for row in rows:
        print(f"{row['task']}, {row['method']}: {row['accuracy']:.1%}")


def of_tfds(split):
    """Images and labels of a split, as TFDS has it."""
    import tensorflow_datasets as tfds

    examples = tfds.as_numpy(tfds.load("cifar10", split=split, batch_size=-1))
    return examples["image"], examples["label"].astype("int32")


def write_images(path):
    """Writes both splits as JPEGs, which take a third of the place."""
    from PIL import Image

    arrays = {}
    for split in ("train", "test"):
        images, labels = of_tfds(split)
        encoded = []
        for image in images:
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=_QUALITY)
            encoded.append(file.getvalue())
        arrays[f"{split}_sizes"] = np.array([*map(len, encoded)], "int32")
        arrays[f"{split}_bytes"] = np.frombuffer(b"".join(encoded), "uint8")
        arrays[f"{split}_labels"] = labels
    np.savez(path, **arrays)


def read_images(path):
    """What `write_images` wrote: images and labels of both splits."""
    from PIL import Image

    parts = []
    with np.load(path) as file:
        for split in ("train", "test"):
            ends = np.cumsum(file[f"{split}_sizes"])[:-1]
            encoded = np.split(file[f"{split}_bytes"], ends)
            images = [
                np.asarray(Image.open(io.BytesIO(each.tobytes())))
                for each in encoded
            ]
            parts.append((np.stack(images), file[f"{split}_labels"]))
    return parts


def scaled(images):
    """Images with mean 0 and standard deviation 1, about."""
    return ((images / 255 - 0.473) / 0.25).astype("float32")


def residual_network():
    """Three stages of two residual blocks, 700,000 parameters."""
    layers = keras.layers

    def convolution(x, filters, stride=1):
        x = layers.Conv2D(
            filters, 3, strides=stride, padding="same", use_bias=False
        )(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(inputs, 32))
    for filters, stride in ((32, 1), (64, 2), (128, 2)):
        for step in (stride, 1):
            y = layers.ReLU()(convolution(x, filters, step))
            y = convolution(y, filters)
            if x.shape != y.shape:
                x = layers.Conv2D(filters, 1, strides=step)(x)
            x = layers.ReLU()(layers.add([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(_CLASSES)(x))


if __name__ == "__main__":
    program.start(main)
