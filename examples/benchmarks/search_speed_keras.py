"""The contenders of `search_speed.py` on Keras: Keras Tuner's and ours."""

import functools
import pathlib
import tempfile
import time

import keras
import numpy as np
import search_speed_tasks as shared

import keras_arl


def keras_tuner_search(family, trials, lean):
    """Random search as Keras Tuner's guide writes it.

    Lean, it leaves out what Keras Tuner does around a training that a search
    for losses has no use for.
    """
    import keras_tuner
    import tensorflow as tf

    # One task for all trials: Keras Tuner knows one data set a search.
    x, noisy, x_val, y_val = shared.arrays(0)
    slices = tf.data.Dataset.from_tensor_slices
    train = slices((x, noisy)).cache().shuffle(len(x)).batch(shared.BATCH)
    train = train.prefetch(tf.data.AUTOTUNE)
    validation = slices((x_val, y_val)).cache().batch(len(x_val)).prefetch(1)
    losses = []

    class TaylorModel(keras_tuner.HyperModel):
        def build(self, hp):
            vector = [
                hp.Float(str(k), value - shared.SPREAD, value + shared.SPREAD)
                for k, value in enumerate(shared.start())
            ]
            losses.append(
                keras_arl.losses.TaylorLoss(
                    vector[:-2], center=vector[-2:], order=shared.ORDER
                )
            )
            model = build_model(family)
            model.compile(
                optimizer=keras.optimizers.Adam(shared.LEARNING_RATE),
                loss=losses[-1],
                metrics=["accuracy"],
            )
            return model

    class Search(keras_tuner.RandomSearch):
        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            ends.append(time.perf_counter())

    class LeanSearch(Search):
        # As Keras Tuner's documentation overrides it: no weights written at
        # each better epoch, no validation before the last one, no session
        # cleared.
        def run_trial(self, trial, *args, **kwargs):
            hp = trial.hyperparameters
            model = self.hypermodel.build(hp)
            kwargs["validation_freq"] = [shared.EPOCHS]
            history = model.fit(*args, **kwargs).history
            return {"val_accuracy": history["val_accuracy"][-1]}

    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as directory:
        ends = [time.perf_counter()]
        tuner = (LeanSearch if lean else Search)(
            TaylorModel(),
            objective=keras_tuner.Objective("val_accuracy", "max"),
            max_trials=trials,
            seed=0,
            directory=directory,
        )
        # Its constructor builds one model to learn the hyperparameters.
        del losses[:]
        tuner.search(
            train, epochs=shared.EPOCHS, validation_data=validation, verbose=0
        )
        accuracies = [trial.score for trial in tuner.oracle.trials.values()]
    for loss in losses:
        if not keras_arl.analysis.is_trainable(loss, shared.CLASSES):
            raise RuntimeError(f"a candidate cannot train: {loss.expression()}")
    return ends, accuracies


def loss_tuner(family, trials, popsize, tasks, jit_compile, vectorize):
    """`keras_arl.search.LossTuner` on the backend that Keras has."""
    generations = -(-trials // (popsize * tasks))
    number_of = {}

    def task(seed):
        # Every contender gets the tasks in the same order, whatever seeds
        # its search draws for them.
        return make_task(family, number_of.setdefault(seed, len(number_of)))

    for number in range(generations * tasks):
        shared.arrays(number)
    with tempfile.TemporaryDirectory() as directory:
        ends = [time.perf_counter()]
        oracle = TimedOracle(
            ends,
            space=keras_arl.search.TaylorSpace(shared.ORDER, class_aware=False),
            generations=generations,
            popsize=popsize,
            tasks_per_generation=tasks,
            finalists=1,
            selection_tasks=1,
            sigma0=shared.SPREAD,
            x0=shared.start(),
            seed=0,
        )
        trainer = keras_arl.training.Trainer(
            jit_compile=jit_compile, vectorize=vectorize
        )
        tuner = keras_arl.search.LossTuner(
            oracle,
            tasks=task,
            trainer=trainer,
            baseline=False,
            directory=directory,
        )
        tuner.search(verbose=0)
        results = [row for row in tuner.results() if row["phase"] == "search"]
    for row in results:
        if row["message"] or row["score"] is None:
            raise RuntimeError(
                f"trial {row['trial_id']} was no full training: "
                f"{row['message']}"
            )
    return ends[: trials + 1], [row["score"] for row in results[:trials]]


def make_task(family, number):
    """The task of a number, a `keras_arl.tasks.Task`."""
    x, noisy, x_val, y_val = shared.arrays(number)
    return keras_arl.tasks.Task(
        train=(x, noisy),
        validation=(x_val, y_val),
        build_model=lambda: build_model(family),
        num_classes=shared.CLASSES,
        optimizer=keras.optimizers.Adam(shared.LEARNING_RATE),
        epochs=shared.EPOCHS,
        batch_size=shared.BATCH,
        architecture=family,
        seed=number,
    )


def make_losses(count):
    """Losses around the start, a list."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(shared.start(), shared.SPREAD, (count, 12))
    return [
        keras_arl.losses.TaylorLoss(
            vector[:-2], center=vector[-2:], order=shared.ORDER
        )
        for vector in vectors
    ]


def overhead(trials, popsize):
    """What a search costs beside its trainings, by trials of no length.

    Returns:
        When trials ended, and the bytes of the search's directory.
    """
    x = np.zeros((1, 28, 28, 1), "float32")
    data = x, np.zeros(1, "int32")
    # A search looks at the first task before it trains.
    build = functools.partial(build_model, "mlp")
    task = keras_arl.tasks.Task(data, data, build, shared.CLASSES)
    with tempfile.TemporaryDirectory() as directory:
        ends = [time.perf_counter()]
        oracle = TimedOracle(
            ends,
            generations=-(-trials // popsize),
            popsize=popsize,
            tasks_per_generation=1,
            seed=0,
        )
        tuner = keras_arl.search.LossTuner(
            oracle,
            tasks=lambda seed: task,
            trainer=InstantTrainer(),
            baseline=False,
            directory=directory,
        )
        tuner.search(verbose=0)
        files = pathlib.Path(directory).rglob("*.*")
        size = sum(path.stat().st_size for path in files)
    return ends, size


class TimedOracle(keras_arl.search.CMAESOracle):
    """Notes when trials end."""

    def __init__(self, ends, **kwargs):
        super().__init__(**kwargs)
        self._ends = ends

    def record(self, results):
        super().record(results)
        self._ends += [time.perf_counter()] * len(results)


class InstantTrainer:
    """Trains nothing."""

    trains_together = False

    def __init__(self):
        self._rng = np.random.default_rng(0)

    def evaluate(self, task, loss, last_epochs):
        # No landscape, in which the search would converge and end.
        return self._rng.random()

    def get_config(self):
        return {"trainer": "none"}


def build_model(family):
    """An uncompiled model with softmax."""
    layers = keras.layers
    if family == "mlp":
        hidden = [layers.Flatten(), layers.Dense(256, "relu")]
    else:
        hidden = [
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(64, "relu"),
        ]
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *hidden,
            layers.Dense(shared.CLASSES, "softmax"),
        ]
    )
