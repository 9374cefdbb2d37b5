"""Trains on labels that are really noisy: Clothing1M, or CIFAR-10N.

    python examples/clothing1m.py --manual_dir=PATH      the real benchmark
    python examples/clothing1m.py --fake_data            all of it, on made data
    python examples/clothing1m.py --dataset=cifar10_n --labels=worse
    python examples/clothing1m.py --learner=ELR

Trains on the noisy labels alone, watches clean validation accuracy, and in the
end tells the clean test accuracy of the last epoch and of the epoch of the best
validation accuracy. The same command continues a training that was killed, from
the last epoch that ended. All GPUs are used.

A learner that needs clean examples gets the validation images (14,313 of
Clothing1M, as published; 5,000 of CIFAR-10N). They then do not judge it: go by
the last epoch.

It writes, into --directory:
  report.csv      the accuracies, over all classes and class by class
  confusion.png   the last epoch's confusion matrix
  curves.png      accuracies over the epochs
  history.csv     loss and accuracies, an epoch a row
  tensorboard/    the same for TensorBoard
  last.weights.h5, best.weights.h5
"""

import dataclasses
import json
import pathlib
import shutil

import clothing1m_recipes as recipes
import noisy_learners
import program
from absl import flags

_DATASET = flags.DEFINE_enum(
    "dataset", "clothing1m", ["clothing1m", "cifar10_n"], "Dataset of TFDS."
)
_LABELS = flags.DEFINE_enum(
    "labels",
    None,
    ["noisy", "worse", "aggre", "random1", "random2", "random3", "clean"],
    "Labels to train on: noisy (the default) or clean for clothing1m; worse "
    "(the default), aggre, random1-3 or clean for cifar10_n.",
)
_FAKE_DATA = flags.DEFINE_bool(
    "fake_data",
    False,
    "Make a small set in Clothing1M's layout and train a small network on it.",
)
_MANUAL_DIR = flags.DEFINE_string(
    "manual_dir",
    None,
    "Directory of Clothing1M as it is given out; needed once, to prepare it.",
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory of prepared datasets. Default: TFDS's own."
)
_MODEL = flags.DEFINE_enum(
    "model",
    None,
    ["resnet50", "mobilenet", "tiny"],
    f"Network. {recipes.by_dataset('model')}",
)
_WEIGHTS = flags.DEFINE_string(
    "weights",
    None,
    "Initial weights: imagenet, none, or the path of a weights file. Default: "
    "imagenet, none for tiny.",
)
_LOSS = flags.DEFINE_string(
    "loss",
    None,
    "Loss: a name of keras_arl.losses.names(), two joined by +, with the "
    "settings published for the dataset (for CIFAR-10N CIFAR-10's); or a loss "
    "file (*.json) of a search. Default: arl; of a learner, the published one.",
)
_LEARNER = flags.DEFINE_enum(
    "learner", None, noisy_learners.NAMES, "Learner, at published settings."
)
_BALANCED = flags.DEFINE_bool(
    "balanced",
    False,
    "Train on as many examples of each noisy class, those of the rarest one.",
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, f"Epochs. {recipes.by_dataset('epochs')}", 1
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", None, f"Images a batch. {recipes.by_dataset('batch_size')}", 1
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate",
    None,
    f"Learning rate at first. {recipes.by_dataset('learning_rate')}",
)
_DECAY_EPOCHS = flags.DEFINE_list(
    "decay_epochs",
    None,
    "Epochs after which the learning rate is divided by 10, comma-separated. "
    + recipes.by_dataset("decay_epochs"),
)
_MOMENTUM = flags.DEFINE_float("momentum", 0.9, "Momentum of SGD.")
_WEIGHT_DECAY = flags.DEFINE_float(
    "weight_decay",
    None,
    f"Weight decay of SGD. {recipes.by_dataset('weight_decay')}",
    0.0,
)
_RESIZE = flags.DEFINE_integer(
    "resize",
    None,
    "Length of the shorter side before cropping, in pixels. "
    + recipes.by_dataset("resize"),
)
_CROP = flags.DEFINE_integer(
    "crop",
    None,
    f"Sides of the crop, in pixels. {recipes.by_dataset('crop')}",
    1,
)
_MIXED_PRECISION = flags.DEFINE_enum(
    "mixed_precision",
    None,
    ["float16", "bfloat16"],
    "Compute in this dtype where it is safe. Default: float32 throughout.",
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of initial weights, order and augmentation."
)
_DIRECTORY = flags.DEFINE_string(
    "directory",
    None,
    "Where everything is written. Default: results/DATASET-LABELS-METHOD.",
)
program.positive(_LEARNING_RATE)

# Images as small as the crop are padded instead, by the usual 4 pixels.
_CIFAR_PAD = 4
_CIFAR_LABELS = {
    "worse": "worse_label",
    "aggre": "aggre_label",
    "random1": "random_label1",
    "random2": "random_label2",
    "random3": "random_label3",
    "clean": "label",
}
_CLOTHING_LABELS = {"noisy": "noisy_label", "clean": "clean_label"}
_SPLITS = {
    "clothing1m": {
        "noisy": "noisy_train",
        "clean": "clean_train",
        "validation": "clean_validation",
        "test": "clean_test",
    },
    "cifar10_n": {
        "train": "train[:90%]",
        "validation": "train[90%:]",
        "test": "test",
    },
}


def main():
    recipe, labels = chosen_recipe(), chosen_labels()
    check_flags(recipe)
    run(recipe, labels)


def chosen_recipe():
    recipe = recipes.RECIPES["fake" if _FAKE_DATA.value else _DATASET.value]
    given = {
        field.name: flags.FLAGS[field.name].value
        for field in dataclasses.fields(recipes.Recipe)
        if flags.FLAGS[field.name].value is not None
    }
    if "decay_epochs" in given:
        try:
            given["decay_epochs"] = tuple(
                int(epoch) for epoch in given["decay_epochs"]
            )
        except ValueError:
            program.fail(
                f"--decay_epochs must be integers, not {_DECAY_EPOCHS.value}"
            )
    return dataclasses.replace(recipe, **given)


def chosen_labels():
    known = tuple(label_features())
    labels = _LABELS.value or known[0]
    if labels not in known:
        program.fail(
            f"--labels of {_DATASET.value} are {known}, not {labels!r}"
        )
    return labels


def label_features():
    """The feature of each kind of labels, the default one first."""
    is_cifar = _DATASET.value == "cifar10_n"
    return _CIFAR_LABELS if is_cifar else _CLOTHING_LABELS


def check_flags(recipe):
    if _FAKE_DATA.value and _DATASET.value != "clothing1m":
        program.fail("--fake_data makes a set in Clothing1M's layout only")
    if not 0 <= _MOMENTUM.value < 1:
        program.fail(f"--momentum must be in [0, 1), not {_MOMENTUM.value}")
    if recipe.crop > recipe.resize:
        program.fail(
            f"--crop={recipe.crop} is larger than --resize={recipe.resize}"
        )


def run(recipe, labels):
    # After the flags are checked, so that a wrong one fails at once.
    program.import_quietly("keras_arl", "tensorflow")
    import keras
    import noisy_training
    import tensorflow as tf

    loss, method = chosen_loss(), method_name()
    directory = pathlib.Path(_DIRECTORY.value or default_directory(labels))
    settings = settings_of(recipe, labels)
    noisy_training.check_same_settings(directory / "settings.json", settings)
    builder = prepared(directory)
    names = names_of(builder)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "settings.json").write_text(json.dumps(settings, indent=2))
    keras.utils.set_random_seed(_SEED.value)
    if _MIXED_PRECISION.value:
        keras.mixed_precision.set_global_policy(
            f"mixed_{_MIXED_PRECISION.value}"
        )
    gpus = tf.config.list_physical_devices("GPU")
    strategy = (
        tf.distribute.MirroredStrategy()
        if len(gpus) > 1
        else tf.distribute.get_strategy()
    )
    data = batches(builder, recipe, labels)
    arguments = {}
    with strategy.scope():
        model = noisy_training.build_model(
            recipe.model, recipe.crop, len(names), _WEIGHTS.value
        )
        if _LEARNER.value is not None:
            model = noisy_learners.wrapped(
                _LEARNER.value, model, data.count, recipe.epochs, loss
            )
            loss = None
            if model.needs_meta_data:
                arguments["meta_data"] = data.meta
        model.compile(
            optimizer=noisy_training.build_optimizer(
                recipe, _MOMENTUM.value, data.steps
            ),
            loss=loss,
            metrics=["accuracy"],
        )
    print(
        f"{_DATASET.value}, {labels} labels, {recipe.model}, {method}, "
        f"{data.steps} steps of {recipe.batch_size} images an epoch, "
        f"{len(gpus)} GPUs"
    )
    noisy_training.fit(
        model,
        data.train,
        data.validation,
        recipe.epochs,
        directory,
        **arguments,
    )
    dataset = "made data" if _FAKE_DATA.value else _DATASET.value
    title = f"{dataset}, {labels} labels, {method}"
    noisy_training.report(model, data.test, names, title, directory)


def loss_name():
    """Its name; `None` for the published one of a learner."""
    return _LOSS.value or (None if _LEARNER.value else "arl")


def chosen_loss():
    from keras_arl import losses

    name = loss_name()
    if name is None:
        return None
    if name.endswith(".json"):
        return losses.load(name, from_logits=True)
    try:
        published_for = _DATASET.value.removesuffix("_n")
        return losses.get(name, published_for, from_logits=True)
    except TypeError as error:
        program.fail(f"--loss={name} needs more than its name: {error}")


def method_name():
    """Learner and loss in one word."""
    loss = loss_name() and pathlib.Path(loss_name()).stem
    return "-".join(filter(None, [_LEARNER.value, loss]))


def default_directory(labels):
    name = "fake" if _FAKE_DATA.value else _DATASET.value
    return f"results/{name}-{labels}-{method_name()}"


def settings_of(recipe, labels):
    """What a training that is continued has to share, as JSON returns it."""
    settings = {
        **dataclasses.asdict(recipe),
        "dataset": _DATASET.value,
        "fake_data": _FAKE_DATA.value,
        "labels": labels,
        "loss": loss_name(),
        "learner": _LEARNER.value,
        "weights": _WEIGHTS.value,
        "balanced": _BALANCED.value,
        "momentum": _MOMENTUM.value,
        "mixed_precision": _MIXED_PRECISION.value,
        "seed": _SEED.value,
    }
    return json.loads(json.dumps(settings))


def prepared(directory):
    """The builder of the dataset, prepared; made first if it is to be fake."""
    import tensorflow_datasets as tfds

    from keras_arl import datasets

    data_dir, manual_dir = _DATA_DIR.value, _MANUAL_DIR.value
    if _FAKE_DATA.value:
        data_dir = directory / "fake_data" / "prepared"
        manual_dir = directory / "fake_data" / "clothing1m"
        if not data_dir.exists():
            print(f"Making images in {manual_dir}")
            shutil.rmtree(manual_dir, ignore_errors=True)
            datasets.write_fake_clothing1m(manual_dir, seed=_SEED.value)
    if _DATASET.value == "clothing1m":
        builder = datasets.Clothing1m(data_dir=data_dir)
    else:
        builder = tfds.builder(_DATASET.value, data_dir=data_dir)
    if not builder.is_prepared():
        if manual_dir is None:
            program.fail(
                f"{_DATASET.value} is not prepared in {builder.data_dir}.\n"
                f"{builder.MANUAL_DOWNLOAD_INSTRUCTIONS.rstrip()}\n\n"
                "    Then run this program with --manual_dir=DIRECTORY. To see "
                "it work\n    without the data, use --fake_data."
            )
        manual_dir = pathlib.Path(manual_dir).resolve()
        try:
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    manual_dir=str(manual_dir)
                )
            )
        # So TFDS says that the directory does not exist, or is empty.
        except AssertionError as error:
            program.fail(f"{manual_dir} holds nothing of the dataset. {error}")
    return builder


def names_of(builder):
    return builder.info.features[label_features()["clean"]].names


def batches(builder, recipe, labels):
    """The `noisy_data.Data` of a dataset."""
    import noisy_data

    splits = _SPLITS[_DATASET.value]
    is_cifar = _DATASET.value == "cifar10_n"
    return noisy_data.batches(
        builder,
        {**splits, "train": splits["train" if is_cifar else labels]},
        [label_features()[each] for each in ("clean", labels)],
        recipe,
        pad=_CIFAR_PAD if is_cifar else 0,
        balanced=_BALANCED.value,
        seed=_SEED.value,
        with_index=_LEARNER.value is not None,
    )


if __name__ == "__main__":
    program.start(
        main, "Stopped. The same command continues from the last epoch."
    )
