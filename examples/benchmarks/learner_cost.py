"""Times a training step of every learner against plain training, in one run.

    python examples/benchmarks/learner_cost.py
    KERAS_BACKEND=jax python examples/benchmarks/learner_cost.py

All train one small convolutional network by `fit`, on as many clean examples a
step as noisy ones where they need clean ones. Each round times all in turn; a
ratio is the median over the rounds of a learner's time over plain training's in
the same round, by the clock and by the processor's time, which other programs
on the machine disturb less. A second copy of plain training shows how much is
noise. The rows go to --output as CSV too.
"""

import dataclasses
import pathlib
import statistics
import sys
import time

from absl import flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import program

_LEARNERS = flags.DEFINE_list("learners", None, "Learners. Default: all.")
_BATCH = flags.DEFINE_integer("batch", 64, "Batch size.", 1)
_STEPS = flags.DEFINE_integer("steps", 40, "Steps of a round.", 1)
_ROUNDS = flags.DEFINE_integer("rounds", 15, "Rounds.", 1)
_OUTPUT = flags.DEFINE_string(
    "output", "results/learner_cost.csv", "The table to write."
)

_PLAIN = "plain"
_COPY = "plain, again"


@dataclasses.dataclass(frozen=True)
class Case:
    """A learner that is timed.

    Args:
        settings: Arguments of the learner.
        bar: The ratio that it is to stay below, or `None`.
        memory: What it remembers of an example, in numbers; C is the number of
            classes.
    """

    settings: dict
    bar: float | None
    memory: str = "0"


# In all of them the step is that of the published method after its warm-up.
_CASES = {
    "ELR": Case({}, 1.15, "C + 2"),
    "ARLMemory": Case({}, 1.15, "C + 2"),
    "SELC": Case({"correction_epoch": 0}, None, "C + 2"),
    "Marvel": Case({}, 1.15, "7"),
    "ConfidenceBranch": Case({}, 1.15),
    "L2B": Case({"warmup_epochs": 0}, 3.0),
    "AdaptiveLoss": Case({}, 4.0),
    "AdaptiveLoss, every 10th": Case({"meta_every": 10}, None),
    "MetaWeightNet": Case({}, None),
}


def main():
    names = list(_CASES)
    if _LEARNERS.value is not None:
        names = program.listed(_LEARNERS, names)
    import keras

    trainings = {name: training(name) for name in (_PLAIN, _COPY, *names)}
    for train in trainings.values():
        # The first compiles; in the second all is as it stays.
        train()
        train()
    seconds = {name: [] for name in trainings}
    for _ in range(_ROUNDS.value):
        for name, train in trainings.items():
            begun = time.perf_counter(), time.process_time()
            train()
            ended = time.perf_counter(), time.process_time()
            seconds[name].append(
                [b - a for a, b in zip(begun, ended, strict=True)]
            )
    print(
        f"{keras.config.backend()}, batch {_BATCH.value}, {_ROUNDS.value} "
        f"rounds of {_STEPS.value} steps"
    )
    report([row(name, seconds) for name in trainings if name != _PLAIN])


def training(name):
    """A function of no arguments that trains for some steps."""
    import keras
    import numpy as np

    from keras_arl import learners
    from keras_arl import losses

    rng = np.random.default_rng(0)

    def examples(count):
        x = rng.normal(size=(count, 32, 32, 3)).astype("float32")
        return x, rng.integers(10, size=count)

    keras.utils.set_random_seed(0)
    model = network()
    arguments, loss = {}, losses.CrossEntropy(from_logits=True)
    if name in _CASES:
        kind = getattr(learners, name.partition(",")[0])
        model = kind(model, from_logits=True, **_CASES[name].settings)
        loss = None
        if model.needs_meta_data:
            arguments["meta_data"] = examples(10 * _BATCH.value)
    model.compile("sgd", loss=loss)
    x, y = examples(_STEPS.value * _BATCH.value)

    def train():
        model.fit(x, y, batch_size=_BATCH.value, verbose=0, **arguments)

    return train


def network():
    """Three convolutions with batch normalisation, for small images."""
    import keras

    inputs = keras.Input((32, 32, 3))
    x = inputs
    for filters in (16, 32, 64):
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same")(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation("relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x))


def row(name, seconds):
    """The figures of a training, a dictionary."""
    ratios = [
        [mine / plain for mine, plain in zip(*pair, strict=True)]
        for pair in zip(seconds[name], seconds[_PLAIN], strict=True)
    ]
    by_clock, by_processor = zip(*ratios, strict=True)
    low, median, high = quartiles(by_clock)
    case = _CASES.get(name)
    return {
        "learner": name,
        "ratio": round(median, 3),
        "lower_quartile": round(low, 3),
        "upper_quartile": round(high, 3),
        "ratio, processor": round(quartiles(by_processor)[1], 3),
        "bar": case and case.bar,
        "ms a step": round(
            1000
            * statistics.median(s for s, _ in seconds[name])
            / _STEPS.value,
            2,
        ),
        "memory an example": case and case.memory,
    }


def quartiles(values):
    if len(values) == 1:
        return [*values] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def report(rows):
    from keras_arl import evaluation

    print(evaluation.format_rows(rows, markdown=True))
    path = pathlib.Path(_OUTPUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    evaluation.write_csv(rows, path)


if __name__ == "__main__":
    program.start(main)
