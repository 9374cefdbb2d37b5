"""The problems of robustness.py: data and noises.

None of the datasets is among those that ARL was searched on.
"""

import collections
import dataclasses
import functools
import pathlib
import re
import sysconfig

import keras
import numpy as np
import robustness_networks

import keras_arl

NOISES = {
    "images": (
        ("none", 0.0),
        ("symmetric", 0.2),
        ("symmetric", 0.4),
        ("symmetric", 0.6),
        ("symmetric", 0.8),
        ("asymmetric", 0.2),
        ("asymmetric", 0.4),
        ("pair_flip", 0.45),
        ("instance_dependent", 0.4),
    ),
    # No mapping of similar classes is published for them.
    "vectors": (
        ("none", 0.0),
        ("symmetric", 0.2),
        ("symmetric", 0.4),
        ("symmetric", 0.6),
        ("symmetric", 0.8),
        ("pair_flip", 0.45),
        ("instance_dependent", 0.4),
    ),
    "hundred": (("none", 0.0), ("symmetric", 0.4)),
    "human": (
        ("human worse", 0.40),
        ("human aggre", 0.09),
        ("human random1", 0.17),
    ),
}
_HUMAN_LABELS = {
    "human worse": "worse_label",
    "human aggre": "aggre_label",
    "human random1": "random_label1",
}
_MAPPINGS = {
    "fashion_mnist": keras_arl.noise.FASHION_MNIST_MAPPING,
    "cifar10": keras_arl.noise.CIFAR10_MAPPING,
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is trained on a dataset, and how long.

    Args:
        kind: Which `NOISES` it meets.
        networks: Names of networks.
        num_train: Number of training examples, unless all are asked for.
        num_test: Number of test examples, unless all are asked for.
        epochs: Number of epochs, unless another is asked for.
    """

    kind: str
    networks: tuple[str, ...]
    num_train: int
    num_test: int
    epochs: int


RECIPES = {
    "fashion_mnist": Recipe("images", ("mlp", "cnn", "resnet"), 2000, 1000, 20),
    "cifar10": Recipe("images", ("cnn",), 2000, 1000, 20),
    "cifar10_n": Recipe("human", ("cnn", "resnet"), 2000, 1000, 20),
    "fashion_mnist+fashion_mnist": Recipe("hundred", ("mlp",), 5000, 1000, 20),
    "python_library": Recipe("vectors", ("mlp",), 2000, 1000, 20),
    "unicode_names": Recipe("vectors", ("mlp",), 2000, 1000, 20),
    "wine": Recipe("vectors", ("mlp",), 100, 36, 100),
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """What determines a training but for the loss.

    Args:
        dataset: A name of `RECIPES`.
        noise: A noise of `NOISES`.
        noise_rate: Its rate.
        network: A name of `robustness_networks.NETWORKS`.
        seed: Seed of everything.
        num_train: Number of training examples, or `None` for all.
        epochs: Number of epochs.
        width: Factor of the units and channels of all hidden layers.
        learning_rate: Adam's.
        batch_size: Examples a batch.
    """

    dataset: str
    noise: str
    noise_rate: float
    network: str
    seed: int
    num_train: int | None
    epochs: int
    width: int = 1
    learning_rate: float = 1e-3
    batch_size: int = 64

    @property
    def has_many_classes(self):
        """Whether losses have the settings for many classes."""
        return RECIPES[self.dataset].kind == "hundred"

    @property
    def group(self):
        """Problems with an equal group share compiled programs."""
        return self.dataset, self.network

    def build(self):
        """The `keras_arl.tasks.Task`, evaluated on the test part."""
        return build(self)


def all_problems(
    datasets, seeds, networks=None, full_data=False, epochs=None, **options
):
    """The problems of some datasets, in the order in which they are run.

    Args:
        datasets: Names of `RECIPES`.
        seeds: Seeds of the problems.
        networks: Names of networks, or `None` for those of each recipe.
        full_data: Whether on all examples, not on the recipe's number.
        epochs: Number of epochs, or `None` for the recipe's.
        **options: Further arguments of `Problem`.
    """
    return [
        Problem(
            dataset=dataset,
            noise=noise,
            noise_rate=rate,
            network=network,
            seed=seed,
            num_train=None if full_data else RECIPES[dataset].num_train,
            epochs=epochs or RECIPES[dataset].epochs,
            **options,
        )
        for seed in seeds
        for dataset in datasets
        for network in networks or RECIPES[dataset].networks
        for noise, rate in NOISES[RECIPES[dataset].kind]
    ]


@functools.lru_cache(maxsize=2)
def load(dataset):
    """The data of a dataset, a `keras_arl.datasets.LabelledData`."""
    if dataset == "cifar10_n":
        return keras_arl.datasets.load_dataset("cifar10_n:label")
    if dataset == "python_library":
        return _labelled_texts(*_lines_of_python())
    if dataset == "unicode_names":
        return _labelled_texts(*_names_of_characters())
    return keras_arl.datasets.load_dataset(dataset)


# With every Python 3.11 or later, and not too small.
_PACKAGES = (
    "asyncio",
    "collections",
    "concurrent",
    "ctypes",
    "email",
    "html",
    "http",
    "importlib",
    "json",
    "logging",
    "multiprocessing",
    "re",
    "tomllib",
    "unittest",
    "urllib",
    "wsgiref",
    "xml",
    "xmlrpc",
    "zoneinfo",
)
_FEWEST_WORDS = 4


def _lines_of_python():
    """Lines of Python's standard library and the package each is from."""
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    package_of = {}
    for number, package in enumerate(_PACKAGES):
        for path in sorted((library / package).rglob("*.py")):
            for line in path.read_text(errors="replace").splitlines():
                words = re.findall(r"[A-Za-z]{2,}", line)
                if len(words) >= _FEWEST_WORDS:
                    package_of.setdefault(" ".join(words), number)
    return list(package_of), list(package_of.values()), len(_PACKAGES)


_FEWEST_CHARACTERS = 300


def _names_of_characters():
    """Names of Unicode characters and their general categories."""
    import unicodedata

    category_of = {}
    for code in range(0x110000):
        name = unicodedata.name(chr(code), "")
        # Names that are numbers teach nothing.
        if name and not re.search(r"-[0-9A-F]{4,}$|HANGUL SYLLABLE", name):
            category_of[name] = unicodedata.category(chr(code))
    counts = collections.Counter(category_of.values())
    kept = sorted(k for k, n in counts.items() if n >= _FEWEST_CHARACTERS)
    pairs = [(n, kept.index(k)) for n, k in category_of.items() if k in kept]
    names, categories = zip(*pairs, strict=True)
    return list(names), list(categories), len(kept)


def _labelled_texts(texts, labels, num_classes):
    from sklearn.feature_extraction.text import HashingVectorizer

    # A fifth for testing, in a fixed order.
    order = np.random.default_rng(0).permutation(len(texts))
    vectorizer = HashingVectorizer(
        n_features=1024, alternate_sign=False, norm=None, dtype=np.float32
    )
    counts = vectorizer.transform([texts[k] for k in order]).toarray()
    labels = np.asarray(labels, "int64")[order]
    split = len(order) // 5
    return keras_arl.datasets.LabelledData(
        pool_inputs=counts[split:],
        pool_labels=labels[split:],
        test_inputs=counts[:split],
        test_labels=labels[:split],
        num_classes=num_classes,
    )


def build(problem):
    """The task of a problem."""
    data = load(problem.dataset)
    # Not the seed of the task's weights.
    choice, noise_seed, weights, shuffling = (
        int(s >> 1)
        for s in np.random.SeedSequence(problem.seed).generate_state(4)
    )
    rng = np.random.default_rng(choice)
    pool = rng.permutation(len(data.pool_labels))
    test = rng.permutation(len(data.test_labels))
    train, rest = np.split(pool, [problem.num_train or len(pool)])
    if problem.num_train is not None:
        test = test[: RECIPES[problem.dataset].num_test]
    x = data.pool_inputs[train].astype("float32") / data.scale
    clean = _some_of_each_class(data.pool_labels, rest)
    shape, num_classes = x.shape[1:], data.num_classes
    return keras_arl.tasks.Task(
        train=(x, _noisy_labels(problem, data, train, x, noise_seed)),
        validation=(
            data.test_inputs[test].astype("float32") / data.scale,
            data.test_labels[test],
        ),
        build_model=functools.partial(
            robustness_networks.NETWORKS[problem.network],
            shape,
            num_classes,
            weights,
            problem.width,
        ),
        num_classes=num_classes,
        optimizer=keras.optimizers.Adam(problem.learning_rate),
        epochs=problem.epochs,
        seed=weights,
        batch_size=problem.batch_size,
        shuffle_seed=shuffling,
        meta_data=(
            data.pool_inputs[clean].astype("float32") / data.scale,
            data.pool_labels[clean],
        )
        if len(clean)
        else None,
        architecture=(problem.network, shape, num_classes, problem.width),
    )


# Clean examples of each class for the learners that need them.
_CLEAN_PER_CLASS = 10


def _some_of_each_class(labels, rows):
    """The first rows of each class, where there are any."""
    order = np.argsort(labels[rows], kind="stable")
    _, starts = np.unique(labels[rows][order], return_index=True)
    groups = np.split(order, starts[1:])
    return rows[np.concatenate([g[:_CLEAN_PER_CLASS] for g in groups])]


def _noisy_labels(problem, data, rows, x, seed):
    labels, num_classes = data.pool_labels[rows], data.num_classes
    rate = problem.noise_rate
    if problem.noise in _HUMAN_LABELS:
        name = f"cifar10_n:{_HUMAN_LABELS[problem.noise]}"
        # In the order of the clean ones.
        return keras_arl.datasets.load_dataset(name).pool_labels[rows]
    if problem.noise == "instance_dependent":
        return keras_arl.noise.instance_dependent_labels(
            x, labels, rate, num_classes, seed
        )[0]
    matrix = {
        "none": lambda: np.eye(num_classes),
        "symmetric": lambda: keras_arl.noise.symmetric(rate, num_classes),
        "pair_flip": lambda: keras_arl.noise.pair_flip(rate, num_classes),
        "asymmetric": lambda: keras_arl.noise.asymmetric(
            rate, _MAPPINGS[problem.dataset], num_classes
        ),
    }[problem.noise]()
    return keras_arl.noise.corrupt_labels(labels, matrix, seed)
