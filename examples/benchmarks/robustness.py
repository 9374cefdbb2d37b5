"""Trains with every loss of the package on data that no search has seen.

    python examples/benchmarks/robustness.py

A problem is a dataset, a noise, a network and a seed. All losses meet the same
examples, wrong labels, initial weights and batches, with one optimizer, one
learning rate and one number of epochs; each has its published setting. Neither
the datasets nor the networks are among those that ARL was searched on.

A training is a row of --output, with the clean test accuracy of its last epoch
and of its best one. The same command goes on where it was stopped; where all
rows are there it only prints the tables:

  by loss       mean accuracy over the noisy and the clean problems, average
                rank, and Wilcoxon's signed-rank test against --reference
  by noise      mean accuracy
  by dataset    mean accuracy over its noisy problems
  by network    mean accuracy over its noisy problems
  by problem    mean accuracy

± is the standard deviation over the seeds.

--other_settings trains the losses at further settings, too, and then prints the
first table again with each loss at its best one, chosen for each dataset by the
clean test accuracies themselves: what nobody has who uses it, and an unfair
advantage over a loss with one setting.

--networks trains others than a dataset's own, such as an MLP-Mixer (mixer),
which is among none's.

The sizes are for two cores. Where there is more, --full_data takes all
examples, --width widens the networks and --epochs trains longer. A row says
how it was trained, and rows of several sizes may be in one file.

With KERAS_BACKEND=jax it is several times faster than on TensorFlow, and with
--processes on a CPU faster again with one thread for each: NPROC=1 and
XLA_FLAGS=--xla_cpu_multi_thread_eigen=false in the environment. Fashion-MNIST,
CIFAR-10 and CIFAR-10N are TFDS's; the others need no download.
"""

import collections
import concurrent.futures
import csv
import dataclasses
import multiprocessing
import os
import pathlib
import sys

from absl import app
from absl import flags

_DATASETS = flags.DEFINE_list(
    "datasets",
    [
        "fashion_mnist",
        "cifar10",
        "cifar10_n",
        "fashion_mnist+fashion_mnist",
        "python_library",
        "unicode_names",
        "wine",
    ],
    "Datasets; the fourth is two images side by side, 100 classes.",
)
_NETWORKS = flags.DEFINE_list(
    "networks",
    None,
    "Networks in the place of each dataset's own, of mlp, cnn, resnet and "
    "mixer; all but the first need images.",
)
_LOSSES = flags.DEFINE_list(
    "losses", None, "Names of losses. Default: all that need nothing else."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds per problem, at least 1.")
_LEARNING_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Adam's.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Examples a batch.")
_FULL_DATA = flags.DEFINE_bool(
    "full_data", False, "Whether all examples are used, not a subset."
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "Epochs, at least 1. Default: 20; on wine 100."
)
_WIDTH = flags.DEFINE_integer(
    "width", 1, "Times as many units and channels in all hidden layers."
)
_PROCESSES = flags.DEFINE_integer(
    "processes", 1, "Processes that share the problems and the cores."
)
_OTHER_SETTINGS = flags.DEFINE_bool(
    "other_settings", False, "Whether losses have other settings, too."
)
_REFERENCE = flags.DEFINE_string(
    "reference", "arl", "Loss that the others are tested against."
)
_OUTPUT = flags.DEFINE_string("output", "robustness.csv", "CSV file of rows.")

# They need a transition matrix, coefficients, or another loss before them.
_LEFT_OUT = (
    "backward_correction",
    "forward_correction",
    "taylor",
    "truncated_gce",
)
# That a process keeps, one for each network, loss and setting.
_PROGRAMS = 32
_KEY = (
    "dataset",
    "noise",
    "noise_rate",
    "network",
    "seed",
    "loss",
    "setting",
    "full_data",
    "epochs",
    "width",
    "learning_rate",
    "batch_size",
)


def main(argv):
    if len(argv) > 1:
        fail(f"unexpected argument {argv[1]!r}; flags begin with --")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import robustness_problems
    import robustness_tables

    names = checked_losses()
    unknown = set(_DATASETS.value) - set(robustness_problems.RECIPES)
    if unknown or not _DATASETS.value:
        fail(
            f"--datasets must be of {', '.join(robustness_problems.RECIPES)}, "
            f"not {_DATASETS.value}"
        )
    check_networks()
    for flag in (_SEEDS, _BATCH_SIZE, _EPOCHS, _WIDTH, _PROCESSES):
        if flag.value is not None and flag.value < 1:
            fail(f"--{flag.name} must be at least 1, not {flag.value}")
    if not _LEARNING_RATE.value > 0:
        fail(f"--learning_rate must be positive, not {_LEARNING_RATE.value:g}")
    protocol = robustness_problems.Protocol(
        full_data=_FULL_DATA.value,
        epochs=_EPOCHS.value,
        width=_WIDTH.value,
        learning_rate=_LEARNING_RATE.value,
        batch_size=_BATCH_SIZE.value,
    )
    problems = robustness_problems.all_problems(
        _DATASETS.value, range(_SEEDS.value), _NETWORKS.value
    )
    try:
        rows = run(problems, names, protocol)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on.")
        sys.exit(130)
    except (OSError, RuntimeError, ValueError) as error:
        fail(str(error))
    published = robustness_tables.published(rows)
    print(robustness_tables.by_loss(published, _REFERENCE.value))
    print(robustness_tables.by_noise(published))
    print(robustness_tables.by_dataset(published))
    print(robustness_tables.by_network(published))
    print(robustness_tables.by_problem(published))
    if _OTHER_SETTINGS.value:
        best = robustness_tables.best_settings(rows)
        print(robustness_tables.by_loss(best, _REFERENCE.value))


def checked_losses():
    from keras_arl import losses

    known = [name for name in losses.names() if name not in _LEFT_OUT]
    names = _LOSSES.value or known
    for name in names:
        if name not in known:
            fail(f"--losses must be of {', '.join(known)}, not {name!r}")
    return names


def check_networks():
    import robustness_problems

    for name in _NETWORKS.value or ():
        if name not in robustness_problems.NETWORKS:
            fail(
                "--networks must be of "
                f"{', '.join(robustness_problems.NETWORKS)}, not {name!r}"
            )
        for dataset in _DATASETS.value:
            recipe = robustness_problems.RECIPES[dataset]
            if name != "mlp" and recipe.kind == "vectors":
                fail(f"--networks={name} needs images, not {dataset}")


def run(problems, names, protocol):
    """The rows of all trainings, those that were there and those missing."""
    import keras

    path = pathlib.Path(_OUTPUT.value)
    row_of = {key(row): row for row in read(path)}
    wanted = {problem: settings(problem, names) for problem in problems}
    missing = [
        (
            problem,
            [s for s in chosen if key_of(problem, *s, protocol) not in row_of],
        )
        for problem, chosen in wanted.items()
    ]
    missing = [(problem, chosen) for problem, chosen in missing if chosen]
    bar = keras.utils.Progbar(
        sum(len(chosen) for _, chosen in missing), unit_name="training"
    )
    for new in trained(together(missing), protocol):
        write(path, new)
        row_of.update({key(row): as_text(row) for row in new})
        bar.add(len(new))
    return [
        row_of[key_of(problem, *each, protocol)]
        for problem, chosen in wanted.items()
        for each in chosen
    ]


def together(missing):
    """Parts of what is missing, those that share compiled programs in a row."""
    groups = collections.defaultdict(list)
    for problem, chosen in missing:
        groups[problem.dataset, problem.network].append((problem, chosen))
    for group in groups.values():
        every = list(dict.fromkeys(s for _, chosen in group for s in chosen))
        for start in range(0, len(every), _PROGRAMS):
            now = every[start : start + _PROGRAMS]
            for problem, chosen in group:
                part = [setting for setting in chosen if setting in now]
                if part:
                    yield problem, part


def settings(problem, names):
    """Pairs of a loss and a setting, by their names."""
    import robustness_settings

    pairs = [(name, robustness_settings.PUBLISHED) for name in names]
    if _OTHER_SETTINGS.value:
        pairs += [
            (name, setting)
            for name in names
            for setting in robustness_settings.others(
                name, problem.has_many_classes
            )
        ]
    return pairs


def trained(wanted, protocol):
    """The rows of each problem, as they come."""
    arguments = [(problem, chosen, protocol) for problem, chosen in wanted]
    if _PROCESSES.value == 1:
        for each in arguments:
            yield train(*each)
        return
    with concurrent.futures.ProcessPoolExecutor(
        _PROCESSES.value, multiprocessing.get_context("spawn")
    ) as pool:
        futures = [pool.submit(train, *each) for each in arguments]
        try:
            for future in concurrent.futures.as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def train(problem, chosen, protocol):
    """Trains with each of some losses, a row each."""
    import robustness_problems
    import robustness_settings

    from keras_arl.training.fitting import TrainingDivergedError

    task = robustness_problems.build(problem, protocol)
    rows = []
    for name, setting in chosen:
        loss = robustness_settings.loss(name, setting, problem.has_many_classes)
        try:
            accuracies = trainer().accuracies(task, loss)
        except TrainingDivergedError:
            accuracies = [float("nan")]
        rows.append(
            {
                **dataclasses.asdict(problem),
                "loss": name,
                "setting": setting,
                "last": accuracies[-1],
                "best": max(accuracies),
                "num_train": len(task.train[1]),
                **dataclasses.asdict(protocol.of(problem.dataset)),
            }
        )
    return rows


_trainer = None


def trainer():
    """One for each process, which keeps what it compiled."""
    global _trainer
    if _trainer is None:
        from keras_arl.training import Trainer

        _trainer = Trainer(max_programs=_PROGRAMS)
    return _trainer


def key(row):
    return tuple(str(row[name]) for name in _KEY)


def key_of(problem, loss, setting, protocol):
    protocol = protocol.of(problem.dataset)
    values = (
        *dataclasses.astuple(problem),
        loss,
        setting,
        *dataclasses.astuple(protocol),
    )
    return tuple(map(str, values))


def as_text(row):
    """As `read` returns it."""
    return {name: str(value) for name, value in row.items()}


def read(path):
    if not path.exists():
        return []
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or ()
        missing = [name for name in _KEY if name not in columns]
        if missing:
            raise ValueError(
                f"--output={path} is no file of this program: it has no "
                f"column {missing[0]!r}"
            )
        return list(reader)


def write(path, rows):
    is_new = not path.exists()
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def fail(message):
    sys.exit(f"robustness: {message}")


def parse_flags(argv):
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        fail(str(error))


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
