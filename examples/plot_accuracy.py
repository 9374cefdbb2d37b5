"""Draws what wrong labels cost: the picture at the top of the README.

    python examples/plot_accuracy.py

A small network learns scikit-learn's digits, of whose training labels some are
wrong, with cross-entropy, a hand-made loss that is among the best of the
robustness study (NCE+AEL), ARL, and a learner (ELR). Left the clean test
accuracy over the epochs, with 40% of the labels wrong; right the accuracy after
the last epoch against the share of wrong labels. Lines are means over seeds,
bands reach from the lowest seed to the highest.

Takes some minutes on two cores, fewer with KERAS_BACKEND=jax. Writes a picture
and, beside it, its numbers as a CSV file.
"""

import functools
import pathlib

import program
from absl import flags

_EPOCHS = flags.DEFINE_integer("epochs", 100, "Epochs.", 1)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds, each a training.", 1)
_OUTPUT = flags.DEFINE_string(
    "output",
    "results/accuracy.png",
    "The picture to write; its ending says the format.",
)

_RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
_SHOWN_RATE = 0.4
# The name of each method in the package, and in the picture.
_METHODS = {
    "ce": "cross-entropy",
    "nce+ael": "NCE+AEL",
    "arl": "ARL",
    "elr": "ELR (learner)",
}


def main():
    # After the flags are parsed, so that a wrong one fails at once.
    program.import_quietly("keras_arl")
    import numpy as np

    from keras_arl import evaluation

    curves = {}
    for rate in _RATES:
        print(f"{rate:.0%} of the labels wrong")
        for seed in range(_SEEDS.value):
            for method, accuracies in trained(rate, seed):
                curves.setdefault((method, rate), []).append(accuracies)
    output = pathlib.Path(_OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "method": method,
            "noise_rate": rate,
            "seed": seed,
            "epoch": epoch + 1,
            "accuracy": round(float(accuracy), 4),
        }
        for (method, rate), runs in curves.items()
        for seed, run in enumerate(runs)
        for epoch, accuracy in enumerate(run)
    ]
    evaluation.write_csv(rows, output.with_suffix(".csv"))
    curves = {key: 100 * np.array(runs) for key, runs in curves.items()}
    draw(curves).savefig(output, dpi=100)
    print(f"Written to {output} and {output.with_suffix('.csv')}")


def trained(rate, seed):
    """Yields each method and its clean test accuracy after each epoch."""
    import keras

    from keras_arl import learners
    from keras_arl import losses

    task = build_task(rate, seed)
    for name in ("ce", "nce+ael", "arl"):
        yield name, trainer().accuracies(task, losses.get(name))
    keras.utils.set_random_seed(seed)
    learner = learners.ELR(build_model())
    learner.compile(task.optimizer, metrics=["accuracy"])
    history = learner.fit(
        *task.train,
        batch_size=task.batch_size,
        epochs=task.epochs,
        validation_data=task.validation,
        verbose=0,
    )
    yield "elr", history.history["val_accuracy"]


def build_task(rate, seed):
    import keras
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    from keras_arl import noise
    from keras_arl import tasks

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(
        (x / 16).astype("float32"), y, random_state=0
    )
    transition = noise.symmetric(rate, num_classes=10)
    return tasks.Task(
        train=(x, noise.corrupt_labels(y, transition, seed=seed)),
        validation=(x_test, y_test),
        build_model=build_model,
        num_classes=10,
        optimizer=keras.optimizers.Adam(0.003),
        epochs=_EPOCHS.value,
        batch_size=128,
        seed=seed,
        architecture="the network of the README",
    )


def build_model():
    import keras

    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(256, "relu"),
            keras.layers.Dense(256, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )


@functools.cache
def trainer():
    """The one trainer, which compiles once for each loss."""
    from keras_arl import training

    return training.Trainer()


def draw(curves):
    """Two panels, of accuracies in percent by (method, noise rate)."""
    from matplotlib.figure import Figure

    from keras_arl import analysis

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    over_epochs, over_rates = figure.subplots(1, 2, sharey=True)
    for method, label in _METHODS.items():
        style = analysis.style_of(method)
        shown = curves[method, _SHOWN_RATE]
        epochs = range(1, shown.shape[1] + 1)
        band(over_epochs, epochs, shown, label, style)
        last = [curves[method, rate][:, -1] for rate in _RATES]
        rates = [100 * rate for rate in _RATES]
        band(over_rates, rates, list(zip(*last, strict=True)), label, style)
    over_epochs.set_title(f"{_SHOWN_RATE:.0%} of the training labels wrong")
    over_epochs.set_xlabel("epoch")
    over_epochs.set_ylabel("clean test accuracy in percent")
    over_rates.set_title(f"after epoch {_EPOCHS.value}")
    over_rates.set_xlabel("wrong training labels in percent")
    over_rates.set_ylim(0, 100)
    for axes in (over_epochs, over_rates):
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    over_rates.legend(loc="lower left")
    return figure


def band(axes, x, runs, label, style):
    """A line at the mean over runs, and the range between them."""
    import numpy as np

    runs = np.array(runs)
    axes.plot(x, runs.mean(axis=0), label=label, **style)
    axes.fill_between(
        x,
        runs.min(axis=0),
        runs.max(axis=0),
        color=style["color"],
        alpha=0.15,
        linewidth=0,
    )


if __name__ == "__main__":
    program.start(main)
