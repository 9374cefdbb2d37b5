"""Trains with every loss and learner on data that no search has seen.

    python examples/benchmarks/robustness.py

A problem is a dataset, a noise, a network and a seed. All methods meet the same
examples, wrong labels, initial weights and batches, with one optimizer, one
learning rate and one number of epochs; each has its published setting. Neither
the datasets nor the networks are among those that ARL was searched on.

Learners that need clean examples get ten of each class (of wine as many as the
training part leaves, at most ten) that no other method trains on, but for
"ce_with_clean": cross-entropy with these among its examples.

A training is a row of --output, with the clean test accuracy of its last epoch
and of its best one. The same command continues a run that was stopped. If all
rows exist, it only prints the tables:

  by method     mean accuracy over the noisy and the clean problems, average
                rank, and beside --reference, on the noisy ones, the mean
                difference with its 95% bootstrap interval over the problems
                and p of Wilcoxon's signed-rank test with Holm's correction
  by noise      mean accuracy
  by dataset    mean accuracy over its noisy problems
  by network    mean accuracy over its noisy problems
  by training   mean accuracy over the noisy problems, and the first table with
                each method at the training that is best on the other datasets
  by problem    mean accuracy

± is the standard deviation over the seeds.

--other_settings trains the losses and ELR at further settings, too, and prints
the first table again with each method at its best setting. The best setting of
each dataset is chosen by the clean test accuracies themselves, which no user
has: an unfair advantage over a method with one setting.

--networks replaces each dataset's own networks, for instance by an MLP-Mixer
(mixer), which no dataset has by default.

The sizes are for two cores. On a larger machine, --full_data takes all
examples, of which it leaves none clean for learners (--learners=none), --width
widens the networks and --epochs trains longer. One file may hold rows of
several sizes: each row says how it was trained.

KERAS_BACKEND=jax is several times faster than TensorFlow. With --processes on a
CPU, one thread for each process is faster again: set NPROC=1 and
XLA_FLAGS=--xla_cpu_multi_thread_eigen=false in the environment. Fashion-MNIST,
CIFAR-10 and CIFAR-10N come from TFDS; the others need no download, the last two
of the default datasets `pip install 'keras-arl[benchmarks]'`.
"""

import pathlib
import sys

from absl import flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import program

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
        "letters",
        "alphabets",
        "country_names",
        "image_segments",
    ],
    "Datasets; the fourth is two images side by side, 100 classes. The last "
    "four came after ARL.",
)
_NETWORKS = flags.DEFINE_list(
    "networks",
    None,
    "Networks in the place of each dataset's own, of mlp, cnn, resnet and "
    "mixer; all but the first need images.",
)
_LOSSES = flags.DEFINE_list(
    "losses",
    None,
    "Names of losses, or none. Default: all that need nothing else.",
)
_LEARNERS = flags.DEFINE_list(
    "learners", None, "Learners, or none. Default: all."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Seeds per problem.", 1)
_TRAININGS = flags.DEFINE_list(
    "trainings",
    ["adam"],
    "Training recipes: adam; sgd with momentum 0.9, cosine and weight decay; "
    "adam_l1 and sgd_l1 with an L1 penalty and the gradient's norm clipped.",
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", None, "Default: 0.001 with Adam, 0.01 with SGD."
)
_PICTURES = flags.DEFINE_string(
    "pictures", None, "Directory for pictures of ranks and of noise rates."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Examples a batch.", 1)
_FULL_DATA = flags.DEFINE_bool(
    "full_data", False, "Whether all examples are used, not a subset."
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "Default: 20; on wine 100, on image_segments 40.", 1
)
_WIDTH = flags.DEFINE_integer(
    "width", 1, "Times as many units and channels in all hidden layers.", 1
)
_PROCESSES = flags.DEFINE_integer(
    "processes", 1, "Processes that share the problems and the cores.", 1
)
_OTHER_SETTINGS = flags.DEFINE_bool(
    "other_settings", False, "Whether methods have other settings, too."
)
_REFERENCE = flags.DEFINE_string(
    "reference", "arl", "Method that the others are tested against."
)
_OUTPUT = flags.DEFINE_string(
    "output", "robustness.csv.gz", "CSV file of rows, compressed if .gz."
)
program.positive(_LEARNING_RATE)

_PROBLEM = ("dataset", "noise", "noise_rate", "network", "training")


def main():
    program.import_quietly("keras_arl")
    names, learners = chosen_losses(), chosen_learners()
    if not names and not learners:
        program.fail("--losses and --learners must name at least one")
    problems = chosen_problems(learners)
    rows = run(problems, names, learners)
    published = [row for row in rows if row["method"] in (*names, *learners)]
    noisy = [row for row in published if row["noise"] != "none"]
    if _PICTURES.value:
        draw(published)
    print(by_method(published))
    print(by_group(published, ("noise", "noise_rate"), spread=False))
    print(by_group(noisy, ("dataset",), spread=False))
    print(by_group(noisy, ("network",), spread=False))
    if len(_TRAININGS.value) > 1:
        print(by_group(noisy, ("training",), spread=False))
        print(by_method(at_trainings_chosen_elsewhere(published)))
    print(by_group(published, _PROBLEM, transpose=True))
    if _OTHER_SETTINGS.value:
        from keras_arl import evaluation

        # A method is named by its name, then its setting.
        best = evaluation.best_variants(rows, lambda m: m.partition(" ")[0])
        print(by_method(best))


def chosen_losses():
    import robustness_settings

    return chosen(_LOSSES, robustness_settings.ordinary())


def chosen_learners():
    import robustness_settings

    return chosen(_LEARNERS, list(robustness_settings.LEARNERS))


def chosen(holder, known):
    if holder.value is None:
        return known
    return [] if holder.value == ["none"] else program.listed(holder, known)


def chosen_problems(learners):
    import robustness_networks
    import robustness_problems
    import robustness_trainings

    recipes = robustness_problems.RECIPES
    datasets = program.listed(_DATASETS, recipes)
    if _NETWORKS.value is not None:
        program.listed(_NETWORKS, robustness_networks.NETWORKS)
        vectors = [n for n in datasets if recipes[n].kind == "vectors"]
        if vectors and set(_NETWORKS.value) != {"mlp"}:
            program.fail(
                f"--networks: all but mlp need images, not {vectors[0]}"
            )
    if _FULL_DATA.value and learners:
        program.fail(
            "--full_data leaves no clean examples to learners; take "
            "--learners=none"
        )
    return robustness_problems.all_problems(
        datasets,
        range(_SEEDS.value),
        _NETWORKS.value,
        full_data=_FULL_DATA.value,
        epochs=_EPOCHS.value,
        width=_WIDTH.value,
        trainings=program.listed(_TRAININGS, robustness_trainings.TRAININGS),
        learning_rate=_LEARNING_RATE.value,
        batch_size=_BATCH_SIZE.value,
    )


def run(problems, names, learners):
    """The rows of all trainings, those that were there and those missing."""
    import robustness_settings

    from keras_arl import evaluation

    rows = []
    # A loss has other settings for many classes.
    for many in (False, True):
        some = [p for p in problems if p.has_many_classes == many]
        if some:
            rows += evaluation.compare(
                {
                    **robustness_settings.methods(
                        names, many, _OTHER_SETTINGS.value
                    ),
                    **robustness_settings.learning(
                        learners, many, _OTHER_SETTINGS.value
                    ),
                },
                some,
                path=_OUTPUT.value,
                executor=None if _PROCESSES.value == 1 else _PROCESSES.value,
            )
    order = [tuple(getattr(p, name) for name in _PROBLEM) for p in problems]
    return sorted(
        rows, key=lambda row: order.index(tuple(row[k] for k in _PROBLEM))
    )


def by_method(rows):
    """A row per method, best average rank first, in Markdown."""
    from keras_arl import evaluation

    noisy = ranked(rows, lambda noise: noise != "none")
    clean = ranked(rows, lambda noise: noise == "none")
    table = []
    for name, row in ranked(rows, lambda noise: True).items():
        on_noisy, on_clean = noisy.get(name, {}), clean.get(name, {})
        table.append(
            {
                "method": name,
                "noisy, last epoch": text(on_noisy, "accuracy", "{:.1%}")
                + text(on_noisy, "std", " ± {:.1%}"),
                "noisy, best epoch": text(on_noisy, "best", "{:.1%}"),
                "clean, last epoch": text(on_clean, "accuracy", "{:.1%}")
                + text(on_clean, "std", " ± {:.1%}"),
                "average rank": text(row, "rank", "{:.2f}"),
                f"minus {_REFERENCE.value}": text(
                    on_noisy, "difference", "{:+.1%}"
                )
                + text(on_noisy, "low", " ({:+.1%}")
                + text(on_noisy, "high", " to {:+.1%})"),
                "p": text(on_noisy, "p", "{:.2g}"),
            }
        )
    return evaluation.format_rows(table, markdown=True) + "\n"


def at_trainings_chosen_elsewhere(rows):
    """The rows of each method at the best training on the other datasets."""
    from keras_arl import evaluation

    named = [
        {**row, "method": f"{row['method']} {row['training']}", "training": ""}
        for row in rows
    ]
    return evaluation.best_variants(
        named, lambda method: method.rpartition(" ")[0], elsewhere=True
    )


def draw(rows):
    """Writes the pictures."""
    from keras_arl import evaluation

    directory = pathlib.Path(_PICTURES.value)
    directory.mkdir(parents=True, exist_ok=True)
    figure = evaluation.plot_ranks(rows, by=_PROBLEM)
    figure.savefig(directory / "ranks.png", dpi=120)
    best = [row["method"] for row in evaluation.rank_methods(rows, by=_PROBLEM)]
    shown = dict.fromkeys([*best[:6], _REFERENCE.value, "ce"])
    figure = evaluation.plot_noise_rates(
        rows, [name for name in shown if name in best]
    )
    figure.savefig(directory / "noise_rates.png", dpi=120)


def ranked(rows, is_meant):
    """Figures of the methods over the problems of some noises, by name."""
    from keras_arl import evaluation

    rows = [row for row in rows if is_meant(row["noise"])]
    names = {row["method"] for row in rows}
    reference = _REFERENCE.value if _REFERENCE.value in names else None
    ranking = rows and evaluation.rank_methods(rows, reference, _PROBLEM)
    return {row["method"]: row for row in ranking}


def text(row, name, form):
    """A figure, in percent without the sign; nothing if there is none."""
    value = row.get(name)
    return "" if value is None else form.format(value).replace("%", "")


def by_group(rows, by, **options):
    """The accuracies as a table of Markdown."""
    from keras_arl import evaluation

    if not rows:
        return ""
    summary = evaluation.summarise(rows, by)
    return evaluation.format_table(summary, markdown=True, **options) + "\n"


if __name__ == "__main__":
    program.start(main, "Stopped. The same command goes on.")
