"""Times every loss against Keras's cross-entropy, in one run.

    python examples/benchmarks/loss_speed.py
    KERAS_BACKEND=jax python examples/benchmarks/loss_speed.py

Forward and backward, compiled, from logits and class indices; then a whole
training step of a small convolutional network with ARL and with cross-entropy.
The figures are ratios: each round times all losses in turn, and a loss's ratio
is the median over the rounds of its time over cross-entropy's in the same
round. Cross-entropy is there twice, compiled twice, and its time is the mean of
both; how far each is from 1 shows how much is noise. The rows go to --output as
CSV too.
"""

import functools
import os
import pathlib
import platform
import statistics
import sys
import time

from absl import flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import program

_CLASSES = flags.DEFINE_list(
    "classes", ["10", "100", "1000"], "Numbers of classes."
)
_LOSSES = flags.DEFINE_list("losses", None, "Names of losses. Default: all.")
_BATCH = flags.DEFINE_integer("batch", 1024, "Batch size.", 1)
_ROUNDS = flags.DEFINE_integer("rounds", 50, "Rounds.", 1)
_OUTPUT = flags.DEFINE_string(
    "output", "results/loss_speed.csv", "The table to write."
)

_BASELINE = "cross-entropy (Keras)"
_COPY = "cross-entropy (Keras), again"
# A round times a loss for about as long, so that calls do not drown in noise.
_SECONDS = 0.01
# By XLA's names.
_COUNTED = ("bytes accessed", "transcendentals")


def main():
    if not all(c.isdigit() and int(c) >= 2 for c in _CLASSES.value):
        program.fail(
            f"--classes must be integers of at least 2, not {_CLASSES.value}"
        )
    program.import_quietly("keras_arl")
    import keras

    from keras_arl import evaluation

    print(
        f"{keras.config.backend()}, {platform.processor() or 'CPU'}, "
        f"{os.cpu_count()} cores, batch {_BATCH.value}, "
        f"{_ROUNDS.value} rounds"
    )
    rows = []
    for num_classes in map(int, _CLASSES.value):
        rows += timed(
            f"loss, {num_classes} classes",
            loss_functions(num_classes, _BATCH.value),
        )
    rows += timed("training step of a CNN", training_steps())
    output = pathlib.Path(_OUTPUT.value)
    output.parent.mkdir(parents=True, exist_ok=True)
    evaluation.write_csv(rows, output)
    print(f"Written to {output}")


def timed(title, functions):
    """Times functions in turn; prints and returns a row for each."""
    calls = {}
    for name, function in functions.items():
        function()
        start = time.perf_counter()
        function()
        calls[name] = max(1, round(_SECONDS / (time.perf_counter() - start)))
    seconds = {name: [] for name in functions}
    for _ in range(_ROUNDS.value):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            elapsed = time.perf_counter() - start
            seconds[name].append(elapsed / calls[name])
    baseline = [
        (first + second) / 2
        for first, second in zip(
            seconds[_BASELINE], seconds[_COPY], strict=True
        )
    ]
    # Of losses on JAX alone; other functions have no counts.
    counted = getattr(functions[_BASELINE], "counts", {})
    header = "".join(f"{name:>18}" for name in counted)
    print(f"\n{title}\n{'':30}{'ratio':>7}{'quartiles':>14}{'ms':>9}{header}")
    rows = []
    for name in functions:
        pairs = zip(seconds[name], baseline, strict=True)
        ratios = [a / b for a, b in pairs]
        low, median, high = quartiles(ratios)
        milliseconds = 1000 * statistics.median(seconds[name])
        counts = functions[name].counts if counted else {}
        print(
            f"{name:30}{median:7.2f}{f'{low:.2f}-{high:.2f}':>14}"
            f"{milliseconds:9.3f}"
            + "".join(f"{count:18.1f}" for count in counts.values())
        )
        rows.append(
            {
                "measured": title,
                "loss": name,
                "ratio": round(median, 4),
                "lower_quartile": round(low, 4),
                "upper_quartile": round(high, 4),
                "median_ms": round(milliseconds, 4),
                **dict.fromkeys(_COUNTED, ""),
                **counts,
            }
        )
    return rows


def quartiles(values):
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def loss_functions(num_classes, batch):
    """Losses by name, compiled with their gradients, as functions to call."""
    import keras
    import numpy as np

    from keras_arl import losses
    from keras_arl import noise

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(batch, num_classes)).astype("float32")
    labels = rng.integers(num_classes, size=batch).astype("int32")
    required = {
        "taylor": {"coefficients": losses.ARL().coefficients},
        **{
            name: {"transition": noise.symmetric(0.2, num_classes)}
            for name in ("backward_correction", "forward_correction")
        },
    }
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    timed_losses = {_BASELINE: cross_entropy, _COPY: cross_entropy}
    chosen = program.listed(_LOSSES, losses.names()) if _LOSSES.value else None
    for name in chosen or losses.names():
        timed_losses[name] = losses.get(
            name, from_logits=True, **required.get(name, {})
        )
    return {
        name: compiled_gradient(loss, labels, logits)
        for name, loss in timed_losses.items()
    }


def compiled_gradient(loss, labels, logits):
    """A function of no arguments that computes loss and gradient once."""
    import keras

    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=True, reduce_retracing=True)
        def value_and_gradient(labels, logits):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                value = loss(labels, logits)
            return value, tape.gradient(value, logits)

        run = functools.partial(
            value_and_gradient, tf.constant(labels), tf.constant(logits)
        )
        return lambda: run()[0].numpy()
    if backend == "jax":
        import jax

        labels, logits = jax.device_put((labels, logits))
        function = jax.jit(jax.value_and_grad(lambda x, y: loss(y, x)))
        compiled = function.lower(logits, labels).compile()

        def run():
            return jax.block_until_ready(compiled(logits, labels))

        cost = compiled.cost_analysis()
        run.counts = {
            name: round(cost[name] / logits.size, 1) for name in _COUNTED
        }
        return run
    program.fail(f"there is no compiler of Keras's for KERAS_BACKEND={backend}")


def training_steps():
    """`train_on_batch` of one network, compiled with ARL and cross-entropy."""
    import keras
    import numpy as np

    from keras_arl import losses

    rng = np.random.default_rng(0)
    images = rng.normal(size=(128, 28, 28, 1)).astype("float32")
    labels = rng.integers(10, size=128).astype("int32")

    def step(loss):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
                keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(64, activation="relu"),
                keras.layers.Dense(10),
            ]
        )
        model.compile(optimizer="adam", loss=loss, jit_compile=True)
        return functools.partial(model.train_on_batch, images, labels)

    def cross_entropy():
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    return {
        _BASELINE: step(cross_entropy()),
        _COPY: step(cross_entropy()),
        "arl": step(losses.ARL(from_logits=True)),
    }


if __name__ == "__main__":
    program.start(main)
