"""Trains on noisy labels and reports accuracies; clothing1m.py calls it.

All files are in one directory. A training that was killed continues from it.
"""

import csv
import json

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn import metrics

from keras_arl import evaluation


def build_model(name, crop, num_classes, weights=None):
    """A network from images of bytes to logits.

    Args:
        name: `"resnet50"`, `"mobilenet"` or `"tiny"`.
        crop: Length of the sides of the images, in pixels.
        num_classes: Number of classes.
        weights: `"imagenet"`, `"none"` or the path of a weights file. Defaults
            to `None`: ImageNet's, for `"tiny"` none.
    """
    shape = (crop, crop, 3)
    if weights is None:
        weights = "none" if name == "tiny" else "imagenet"
    if name == "tiny" and weights == "imagenet":
        raise ValueError("--model=tiny has no weights of ImageNet")
    options = {
        "include_top": False,
        "weights": "imagenet" if weights == "imagenet" else None,
        "input_shape": shape,
        "pooling": "avg",
    }
    inputs = keras.Input(shape, dtype="uint8")
    x = keras.ops.cast(inputs, "float32")
    # Each channel as the published weights expect it.
    if name == "resnet50":
        x = keras.applications.resnet.preprocess_input(x)
        x = keras.applications.ResNet50(**options)(x)
    elif name == "mobilenet":
        x = keras.applications.mobilenet_v2.preprocess_input(x)
        x = keras.applications.MobileNetV2(**options)(x)
    else:
        x = tiny(shape)(x / 127.5 - 1)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")
    model = keras.Model(inputs, logits(x))
    if weights not in ("imagenet", "none"):
        model.load_weights(weights)
    return model


def tiny(shape):
    """A network of three convolutions, for small images and two cores."""
    inputs = keras.Input(shape)
    x = inputs
    for filters in (32, 64, 128):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation("relu")(x)
        x = keras.layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def build_optimizer(recipe, momentum, steps):
    """SGD whose learning rate is divided by 10 after some epochs.

    Args:
        recipe: Has `learning_rate`, `decay_epochs` and `weight_decay`.
        momentum: Momentum.
        steps: Number of steps an epoch.
    """
    learning_rate = recipe.learning_rate
    if recipe.decay_epochs:
        learning_rate = keras.optimizers.schedules.PiecewiseConstantDecay(
            [steps * epoch for epoch in recipe.decay_epochs],
            [
                recipe.learning_rate * 0.1**k
                for k in range(len(recipe.decay_epochs) + 1)
            ],
        )
    return keras.optimizers.SGD(
        learning_rate,
        momentum=momentum,
        weight_decay=recipe.weight_decay or None,
    )


def check_same_settings(path, settings):
    """Refuses to continue a training that was begun with other flags."""
    if not path.exists():
        return
    begun = json.loads(path.read_text())
    different = [
        f"--{name}={begun.get(name)} there, {settings[name]} asked"
        for name in settings
        if begun.get(name) != settings[name]
    ]
    if different:
        raise ValueError(
            f"{path.parent} holds a training with other settings: "
            f"{'; '.join(different)}. Use another --directory, or remove it."
        )


def fit(model, train, validation, epochs, directory, **kwargs):
    """Trains, or continues; leaves the last and the best weights as files.

    Args:
        model: A compiled model.
        train: Batches to train on.
        validation: Batches to watch.
        epochs: Number of epochs.
        directory: Where everything is written.
        **kwargs: Further arguments of `model.fit`.
    """
    last = directory / "last.weights.h5"
    if last.exists():
        print(f"{directory} holds a finished training; it is evaluated again.")
        return
    best = directory / "best.weights.h5"
    done = read_history(directory)
    accuracies = [float(row["val_accuracy"]) for row in done.values()]
    model.fit(
        train,
        epochs=epochs,
        validation_data=validation,
        shuffle=False,
        callbacks=[
            keras.callbacks.TensorBoard(directory / "tensorboard"),
            keras.callbacks.ModelCheckpoint(
                str(best),
                monitor="val_accuracy",
                mode="max",
                save_best_only=True,
                save_weights_only=True,
                initial_value_threshold=max(accuracies, default=None),
            ),
            keras.callbacks.CSVLogger(
                str(directory / "history.csv"), append=True
            ),
            # Last, so that an epoch is whole on disk before it counts.
            keras.callbacks.BackupAndRestore(str(directory / "backup")),
        ],
        **kwargs,
    )
    model.save_weights(last)


def read_history(directory):
    """Rows of the epochs trained so far, by epoch; the latest of each."""
    path = directory / "history.csv"
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {int(row["epoch"]): row for row in csv.DictReader(file)}


def report(model, test, names, title, directory):
    """Evaluates the last and the best epoch; writes table and picture."""
    history = read_history(directory)
    watched = {e: float(row["val_accuracy"]) for e, row in history.items()}
    epochs = {"last": max(watched), "best": max(watched, key=watched.get)}
    true = np.concatenate([labels for _, labels in test.as_numpy_iterator()])
    rows = []
    for which, epoch in epochs.items():
        model.load_weights(directory / f"{which}.weights.h5")
        predicted = model.predict(test, verbose=0).argmax(axis=1)
        recalls = metrics.recall_score(
            true,
            predicted,
            labels=range(len(names)),
            average=None,
            zero_division=np.nan,
        )
        rows.append(
            {
                "epoch": which,
                "number": epoch + 1,
                "validation": watched[epoch],
                "test": metrics.accuracy_score(true, predicted),
                **dict(zip(names, map(float, recalls), strict=True)),
            }
        )
        if which == "last":
            figure = confusion(true, predicted, names)
            figure.suptitle(f"{title}, last epoch")
            figure.savefig(directory / "confusion.png", dpi=120)
    figure = learning_curves(history, epochs)
    figure.suptitle(title)
    figure.savefig(directory / "curves.png", dpi=120)
    evaluation.write_csv(rows, directory / "report.csv")
    print("\nClean test accuracy in percent:")
    width = max(map(len, [*names, "validation"])) + 2
    print(" " * width + "".join(f"{row['epoch']:>8}" for row in rows))
    for key in list(rows[0])[1:]:
        scale = 1 if key == "number" else 100
        digits = 0 if key == "number" else 1
        cells = "".join(f"{scale * row[key]:8.{digits}f}" for row in rows)
        title = {"number": "epoch", "test": "all classes"}.get(key, key)
        print(f"{title:{width}}{cells}")
    print(
        f"\nWritten to {directory}: report.csv, confusion.png, curves.png, "
        "history.csv"
    )


def confusion(true, predicted, names):
    """Draws a confusion matrix in percent of each true class."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    shown = metrics.ConfusionMatrixDisplay(
        100
        * metrics.confusion_matrix(
            true, predicted, labels=range(len(names)), normalize="true"
        ),
        display_labels=names,
    ).plot(
        ax=figure.subplots(),
        values_format=".0f",
        xticks_rotation=45,
        cmap="Blues",
        im_kw={"vmin": 0, "vmax": 100},
        text_kw={"fontsize": 8},
    )
    for text in shown.text_.flat:
        # Most pairs of classes are never mistaken for each other.
        text.set_visible(text.get_text() != "0")
    shown.ax_.set_title("percent of the true class; below 0.5 left empty")
    return figure


def learning_curves(history, epochs):
    """Draws accuracies over epochs.

    Args:
        history: What `read_history` returns.
        epochs: The epochs that are reported, a dictionary by name.
    """
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    numbers = [epoch + 1 for epoch in sorted(history)]
    for key, label in (
        ("accuracy", "training, on the labels trained on"),
        ("val_accuracy", "validation, on clean labels"),
    ):
        values = [100 * float(history[epoch - 1][key]) for epoch in numbers]
        axes.plot(numbers, values, marker=".", label=label)
    for (which, epoch), mark in zip(epochs.items(), ("s", "*"), strict=True):
        value = 100 * float(history[epoch]["val_accuracy"])
        axes.plot(epoch + 1, value, mark, color="black", label=f"{which} epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy in percent")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
