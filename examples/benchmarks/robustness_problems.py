"""The problems of robustness.py: data and noises.

None of the datasets is among those that ARL was searched on.
"""

import dataclasses
import functools

import numpy as np
import robustness_networks
import robustness_trainings
from robustness_data import load

import keras_arl

# No mapping of similar classes is published for glyphs and vectors.
_WITHOUT_A_MAPPING = (
    ("none", 0.0),
    ("symmetric", 0.2),
    ("symmetric", 0.4),
    ("symmetric", 0.6),
    ("symmetric", 0.8),
    ("pair_flip", 0.45),
    ("instance_dependent", 0.4),
)
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
    "glyphs": _WITHOUT_A_MAPPING,
    "vectors": _WITHOUT_A_MAPPING,
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
    "letters": Recipe("glyphs", ("mlp", "cnn", "resnet"), 2000, 900, 20),
    "alphabets": Recipe("glyphs", ("mlp", "cnn"), 2000, 800, 20),
    "country_names": Recipe("vectors", ("mlp",), 2000, 1000, 20),
    "image_segments": Recipe("vectors", ("mlp",), 1500, 400, 40),
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
        learning_rate: Learning rate, the first one of SGD.
        batch_size: Examples a batch.
        training: A name of `robustness_trainings.TRAININGS`.
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
    training: str = "adam"

    @property
    def has_many_classes(self):
        """Whether losses have the settings for many classes."""
        return RECIPES[self.dataset].kind == "hundred"

    @property
    def group(self):
        """Problems with an equal group share compiled programs."""
        return self.dataset, self.network, self.training

    def build(self):
        """The `keras_arl.tasks.Task`, evaluated on the test part."""
        return build(self)


def all_problems(
    datasets,
    seeds,
    networks=None,
    full_data=False,
    epochs=None,
    trainings=("adam",),
    learning_rate=None,
    **options,
):
    """The problems of some datasets, in the order in which they are run.

    Args:
        datasets: Names of `RECIPES`.
        seeds: Seeds of the problems.
        networks: Names of networks, or `None` for those of each recipe.
        full_data: Whether on all examples, not on the recipe's number.
        epochs: Number of epochs, or `None` for the recipe's.
        trainings: Names of `robustness_trainings.TRAININGS`.
        learning_rate: Learning rate, or `None` for each training's own.
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
            training=training,
            learning_rate=learning_rate
            or robustness_trainings.TRAININGS[training],
            **options,
        )
        for seed in seeds
        for dataset in datasets
        for training in trainings
        for network in networks or RECIPES[dataset].networks
        for noise, rate in NOISES[RECIPES[dataset].kind]
    ]


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
        build_model=robustness_trainings.with_penalty(
            functools.partial(
                robustness_networks.NETWORKS[problem.network],
                shape,
                num_classes,
                weights,
                problem.width,
            ),
            problem,
        ),
        num_classes=num_classes,
        optimizer=robustness_trainings.optimizer(problem, len(train)),
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
        architecture=(
            problem.network,
            shape,
            num_classes,
            problem.width,
            robustness_trainings.has_penalty(problem),
        ),
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
