"""The problems of robustness.py: data, noises and networks.

None of the datasets is among those that ARL was searched on, nor is any of the
networks.
"""

import collections
import dataclasses
import functools
import pathlib
import re
import sysconfig

import keras
import numpy as np

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
    # There is no published mapping to be mistaken by.
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
class Protocol:
    """How all problems are trained on.

    Args:
        full_data: Whether on all examples, not on the recipe's number.
        epochs: Number of epochs, or `None` for the recipe's.
        width: Factor of the units and channels of all hidden layers.
        learning_rate: Adam's.
        batch_size: Examples a batch.
    """

    full_data: bool = False
    epochs: int | None = None
    width: int = 1
    learning_rate: float = 1e-3
    batch_size: int = 64

    def of(self, dataset):
        """The same with the number of epochs for a dataset."""
        epochs = self.epochs or RECIPES[dataset].epochs
        return dataclasses.replace(self, epochs=epochs)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What determines a training but for the loss."""

    dataset: str
    noise: str
    noise_rate: float
    network: str
    seed: int

    @property
    def has_many_classes(self):
        return RECIPES[self.dataset].kind == "hundred"


def all_problems(datasets, seeds, networks=None):
    """The problems of some datasets, in the order in which they are run.

    Args:
        datasets: Names of `RECIPES`.
        seeds: Seeds of the problems.
        networks: Names of `NETWORKS`, or `None` for those of each recipe.
    """
    return [
        Problem(dataset, noise, rate, network, seed)
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
        # Nothing to be learned from names that are numbered.
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


def build(problem, protocol):
    """The `keras_arl.tasks.Task` of a problem, evaluated on the test part."""
    recipe, protocol = RECIPES[problem.dataset], protocol.of(problem.dataset)
    data = load(problem.dataset)
    # Not the seed of the task's weights.
    choice, noise_seed, weights, shuffling = (
        int(s >> 1)
        for s in np.random.SeedSequence(problem.seed).generate_state(4)
    )
    rng = np.random.default_rng(choice)
    train = rng.permutation(len(data.pool_labels))
    test = rng.permutation(len(data.test_labels))
    if not protocol.full_data:
        train, test = train[: recipe.num_train], test[: recipe.num_test]
    x = data.pool_inputs[train].astype("float32") / data.scale
    shape, num_classes = x.shape[1:], data.num_classes
    return keras_arl.tasks.Task(
        train=(x, _noisy_labels(problem, data, train, x, noise_seed)),
        validation=(
            data.test_inputs[test].astype("float32") / data.scale,
            data.test_labels[test],
        ),
        build_model=functools.partial(
            NETWORKS[problem.network],
            shape,
            num_classes,
            weights,
            protocol.width,
        ),
        num_classes=num_classes,
        optimizer=keras.optimizers.Adam(protocol.learning_rate),
        epochs=protocol.epochs,
        seed=weights,
        batch_size=protocol.batch_size,
        shuffle_seed=shuffling,
        architecture=(problem.network, shape, num_classes, protocol.width),
    )


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


def _mlp(shape, num_classes, seed, width=1):
    """Deeper than any that a search samples."""
    layers = _Layers(seed)
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    for _ in range(5):
        x = keras.layers.Activation("relu")(layers.dense(100 * width)(x))
    return keras.Model(inputs, _softmax(layers.dense(num_classes)(x)))


def _cnn(shape, num_classes, seed, width=1):
    """Patches of 4 x 4, a convolution, and a dense layer."""
    layers = _Layers(seed)
    inputs = keras.Input(shape)
    x = layers.convolution(16 * width, size=4, strides=4)(inputs)
    x = keras.layers.Activation("relu")(x)
    x = layers.convolution(32 * width, size=3, strides=2)(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Activation("relu")(layers.dense(96 * width)(x))
    return keras.Model(inputs, _softmax(layers.dense(num_classes)(x)))


def _resnet(shape, num_classes, seed, width=1):
    """Patches of 4 x 4 and a residual block with batch normalisation."""
    layers = _Layers(seed)
    inputs = keras.Input(shape)
    x = layers.convolution(12 * width, size=4, strides=4)(inputs)
    y = layers.convolution(24 * width, size=3, strides=2)(_normalised_relu(x))
    y = layers.convolution(24 * width, size=3, strides=1)(_normalised_relu(y))
    x = layers.convolution(24 * width, size=1, strides=2)(x)
    x = keras.layers.Activation("relu")(keras.layers.Add()([x, y]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, _softmax(layers.dense(num_classes)(x)))


def _mixer(shape, num_classes, seed, width=1):
    """Patches of 10 x 10 and a block of an MLP-Mixer."""
    layers = _Layers(seed)
    channels = 48 * width
    inputs = keras.Input(shape)
    x = layers.convolution(channels, size=10, strides=10)(inputs)
    x = keras.layers.Reshape((-1, channels))(x)
    num_patches = x.shape[1]
    y = keras.layers.Permute((2, 1))(keras.layers.LayerNormalization()(x))
    y = keras.layers.Activation("relu")(layers.dense(channels // 2)(y))
    y = keras.layers.Permute((2, 1))(layers.dense(num_patches)(y))
    x = keras.layers.Add()([x, y])
    y = keras.layers.LayerNormalization()(x)
    y = keras.layers.Activation("relu")(layers.dense(4 * channels)(y))
    x = keras.layers.Add()([x, layers.dense(channels)(y)])
    x = keras.layers.LayerNormalization()(x)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, _softmax(layers.dense(num_classes)(x)))


# The mixer is in no recipe.
NETWORKS = {"mlp": _mlp, "cnn": _cnn, "resnet": _resnet, "mixer": _mixer}


class _Layers:
    """Layers whose initial weights derive from one seed."""

    def __init__(self, seed):
        self._seeds = np.random.SeedSequence(seed)

    def _initializer(self):
        (seed,) = self._seeds.spawn(1)[0].generate_state(1)
        return keras.initializers.HeNormal(int(seed >> 1))

    def dense(self, units):
        return keras.layers.Dense(units, kernel_initializer=self._initializer())

    def convolution(self, filters, size, strides):
        return keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            kernel_initializer=self._initializer(),
        )


def _normalised_relu(x):
    # Short trainings: Keras's 0.99 would remember the initial statistics.
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.Activation("relu")(x)


def _softmax(x):
    return keras.layers.Activation("softmax")(x)
