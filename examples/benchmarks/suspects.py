"""Finds the wrong labels of CIFAR-10N, whose human errors are known.

    python examples/benchmarks/suspects.py

Learners that remember their examples rank them by `learner.suspects()`, and
ConfidenceBranch by its confidence, each after one training. Beside them: the
ranking by cross-entropy's loss, of the examples that the network was trained on
and, in a cross-validation, of those that it was not; and cleanlab's
`find_label_issues` on the same out-of-sample probabilities. Precision is the
share of wrong labels among as many suspects as there are wrong labels, which
then is the recall, too; at a random order it is the share of wrong labels.
cleanlab chooses a number of its own. The rows go to --output, each as soon as
it is known.

CIFAR-10N is TFDS's; cleanlab is not installed with this package
(`pip install 'keras-arl[benchmarks]'`).
"""

import pathlib
import sys

from absl import flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import program

_RANKING = ["ELR", "SELC", "Marvel", "ConfidenceBranch"]

_LABELS = flags.DEFINE_enum(
    "labels",
    "worse_label",
    ["worse_label", "aggre_label", "random_label1"],
    "Human labels.",
)
_LEARNERS = flags.DEFINE_list(
    "learners", _RANKING, "Learners with `suspects` or `confidence`."
)
_EXAMPLES = flags.DEFINE_integer("examples", 10000, "Training examples.", 100)
_EPOCHS = flags.DEFINE_integer("epochs", 20, "Epochs.", 1)
_FOLDS = flags.DEFINE_integer("folds", 4, "Parts of a cross-validation.", 2)
_SEEDS = flags.DEFINE_integer("seeds", 1, "Seeds.", 1)
_NETWORK = flags.DEFINE_enum(
    "network", "resnet", ["mlp", "cnn", "resnet"], "Network of robustness.py."
)
_OUTPUT = flags.DEFINE_string(
    "output", "results/suspects.csv", "The table to write."
)


def main():
    import keras
    import robustness_settings

    from keras_arl import evaluation

    names = program.listed(_LEARNERS, _RANKING)
    settings = robustness_settings.learning(names, False)
    path = pathlib.Path(_OUTPUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(_SEEDS.value):
        x, given, true = examples(seed)
        keras.utils.set_random_seed(seed)
        is_wrong = given != true
        outside = cross_validated(x, given, seed)
        rows.append(of_cleanlab(given, outside, is_wrong, seed))
        for name, suspicion in rankings(x, given, outside, settings, seed):
            rows.append(row(name, seed, suspicion, is_wrong))
            evaluation.write_csv(rows, path)
    print(evaluation.format_rows(rows, markdown=True))


def examples(seed):
    """Images, given labels and true ones."""
    import numpy as np

    from keras_arl import datasets

    data = datasets.load_dataset("cifar10_n:label")
    given = datasets.load_dataset(f"cifar10_n:{_LABELS.value}").pool_labels
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(given))[: _EXAMPLES.value]
    x = data.pool_inputs[rows].astype("float32") / data.scale
    return x, given[rows], data.pool_labels[rows]


def rankings(x, given, outside, settings, seed):
    """Yields names and how suspicious each example is."""
    import numpy as np

    yield "cross-entropy, out of sample", loss_of(outside, given)
    inside = fitted(None, x, given, seed).predict(x, verbose=0)
    yield "cross-entropy, in sample", loss_of(inside, given)
    for name, learner in settings.items():
        trained = fitted(learner, x, given, seed)
        if trained.needs_index:
            suspicion = np.empty(len(given))
            indices, scores = trained.suspects()
            suspicion[indices] = scores
        else:
            suspicion = -trained.confidence(x)
        yield name, suspicion


def fitted(learner, x, y, seed):
    """A model, wrapped by a learner if there is one, after its training."""
    import keras
    import robustness_networks

    from keras_arl import losses

    network = robustness_networks.NETWORKS[_NETWORK.value]
    model = network(x.shape[1:], 10, seed)
    loss = losses.CrossEntropy()
    if learner is not None:
        model, loss = learner(model), None
    model.compile(keras.optimizers.Adam(1e-3), loss=loss)
    model.fit(x, y, batch_size=64, epochs=_EPOCHS.value, verbose=0)
    return model


def cross_validated(x, given, seed):
    """The class probabilities of each example by a model without it."""
    import numpy as np

    parts = np.arange(len(given)) % _FOLDS.value
    probabilities = np.empty((len(given), 10), "float32")
    for part in range(_FOLDS.value):
        is_in = parts != part
        model = fitted(None, x[is_in], given[is_in], seed)
        probabilities[~is_in] = model.predict(x[~is_in], verbose=0)
    return probabilities


def loss_of(probabilities, labels):
    import numpy as np

    return -np.log(np.maximum(probabilities[range(len(labels)), labels], 1e-30))


def row(name, seed, suspicion, is_wrong):
    import numpy as np

    count = int(is_wrong.sum())
    found = np.argsort(-suspicion, kind="stable")[:count]
    return figures(name, seed, found, is_wrong)


def of_cleanlab(given, outside, is_wrong, seed):
    from cleanlab.filter import find_label_issues

    found = find_label_issues(
        given,
        outside,
        return_indices_ranked_by="self_confidence",
        # Others would be forks of this process, in which JAX may hang.
        n_jobs=1,
    )
    return figures("cleanlab, its own number", seed, found, is_wrong)


def figures(name, seed, found, is_wrong):
    right = is_wrong[found].sum()
    return {
        "ranking": name,
        "seed": seed,
        "suspects": len(found),
        "precision": f"{100 * right / len(found):.1f}",
        "recall": f"{100 * right / is_wrong.sum():.1f}",
        "wrong labels": int(is_wrong.sum()),
    }


if __name__ == "__main__":
    program.start(main)
