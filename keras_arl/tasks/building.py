"""Configuration -> task: the data and the model function."""

import functools

import keras
import numpy as np

from keras_arl import noise
from keras_arl.checks import check_at_least
from keras_arl.checks import check_number
from keras_arl.checks import check_weight
from keras_arl.datasets import load_dataset
from keras_arl.tasks import architectures
from keras_arl.tasks.seeds import derive_seeds
from keras_arl.tasks.task import Task

NOISES = (
    "symmetric",
    "pair_flip",
    "asymmetric",
    "class_dependent",
    "instance_dependent",
    "weak_classifier",
    "annotators",
)
_EVALUATIONS = ("validation", "test")
_BY_EXAMPLE = {
    "instance_dependent": noise.instance_dependent_labels,
    "weak_classifier": noise.weak_classifier_labels,
    "annotators": noise.annotator_labels,
}
_MAPPINGS = {
    "digits": noise.MNIST_MAPPING,
    "mnist": noise.MNIST_MAPPING,
    "fashion_mnist": noise.FASHION_MNIST_MAPPING,
    "cifar10": noise.CIFAR10_MAPPING,
}


def build_task(config):
    """Builds the data and the model function of a configuration.

    Training labels are noisy and fixed, example by example, for the whole
    training; evaluation labels are clean; no example is in both.

    Args:
        config: A `TaskConfig`.

    Returns:
        A `Task` with its data in memory.

    Raises:
        ValueError: If the dataset or the noise is unknown, or the dataset has
            too few examples.

    Example:

    >>> task = keras_arl.tasks.build_task(keras_arl.tasks.sample_task(seed=0))
    >>> images, noisy_labels = task.train
    >>> images.shape
    (500, 8, 8, 1)
    """
    dataset = load_dataset(config.dataset)
    (
        choice_seed,
        noise_seed,
        weights_seed,
        shuffle_seed,
        classes_seed,
        inputs_seed,
    ) = derive_seeds(config.seed, 6)
    classes = choose_classes(dataset, config, classes_seed)
    (x, y), validation = split_examples(dataset, config, choice_seed, classes)
    if config.pooling != 1:
        x, x_val = (_pooled(part, config) for part in (x, validation[0]))
        validation = x_val, validation[1]
    if config.input_noise:
        x, x_val = _disturbed((x, validation[0]), config, inputs_seed)
        validation = x_val, validation[1]
    noisy = _corrupt(config, x, y, classes, noise_seed)
    return Task(
        train=(x, noisy),
        validation=validation,
        build_model=functools.partial(
            architectures.build_model,
            config.architecture,
            x.shape[1:],
            len(classes),
            seed=weights_seed,
        ),
        num_classes=len(classes),
        optimizer=_optimizer(config),
        epochs=config.epochs,
        seed=weights_seed,
        batch_size=config.batch_size,
        shuffle_seed=shuffle_seed,
        architecture=(
            config.architecture,
            x.shape[1:],
            len(classes),
        ),
    )


def choose_classes(dataset, config, seed):
    """The classes of a task, in the order of their new labels, an array."""
    if config.num_classes is None:
        return np.arange(dataset.num_classes)
    if not 2 <= config.num_classes <= dataset.num_classes:
        raise ValueError(
            f"{config.dataset!r} has {dataset.num_classes} classes. "
            f"Received: num_classes={config.num_classes}"
        )
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(dataset.num_classes)[: config.num_classes]
    return np.sort(chosen)


def split_examples(dataset, config, seed, classes):
    """Chooses training and evaluation examples of a `LabelledData`.

    Args:
        dataset: A `LabelledData`.
        config: A `TaskConfig`.
        seed: Non-negative integer.
        classes: Sorted classes whose examples are used, an array; their
            positions are the new labels.

    Returns:
        Two pairs (inputs, labels), training and evaluation: inputs float32,
        divided by the dataset's scale; labels int64 and clean.

    Raises:
        ValueError: If there are too few examples.
    """
    if config.evaluation not in _EVALUATIONS:
        raise ValueError(
            f"`evaluation` must be one of {_EVALUATIONS}. Received: "
            f"evaluation={config.evaluation!r}"
        )
    if config.evaluation == "validation" and config.num_evaluation is None:
        raise ValueError(
            "`num_evaluation` must be a number of examples where they are held "
            "out from those to train on. Received: num_evaluation=None and "
            f"evaluation={config.evaluation!r}"
        )
    if config.imbalance != 1 and config.num_train is None:
        raise ValueError(
            "`imbalance` chooses among examples, so that `num_train` must be "
            f"fewer than all. Received: imbalance={config.imbalance} and "
            "num_train=None"
        )
    rng = np.random.default_rng(seed)
    is_in = np.isin(dataset.pool_labels, classes)
    pool = rng.permutation(np.flatnonzero(is_in))
    if config.evaluation == "test":
        inputs, labels = dataset.test_inputs, dataset.test_labels
        available = np.flatnonzero(np.isin(labels, classes))
        chosen = rng.permutation(available)[: config.num_evaluation]
        candidates, num_train = pool, config.num_train
    else:
        inputs, labels = dataset.pool_inputs, dataset.pool_labels
        num_train = config.num_train
        if num_train is None:
            num_train = max(len(pool) - config.num_evaluation, 0)
        end = num_train + config.num_evaluation
        chosen = pool[num_train:end]
        candidates = np.concatenate([pool[:num_train], pool[end:]])
    if config.imbalance != 1:
        ranks = rng.permutation(len(classes))
        candidates = _unbalanced(
            candidates,
            ranks[np.searchsorted(classes, dataset.pool_labels[candidates])],
            config.imbalance,
            rng,
        )
    train = candidates[:num_train]
    if (
        min(len(train), len(chosen)) == 0
        or len(train) < (config.num_train or 0)
        or len(chosen) < (config.num_evaluation or 0)
    ):
        raise ValueError(
            f"{config.dataset!r} has {len(pool)} examples to train and "
            f"validate on and {len(dataset.test_labels)} to test on. "
            f"Received: num_train={config.num_train}, "
            f"num_evaluation={config.num_evaluation} for "
            f"{config.evaluation}"
        )

    def pair(some_inputs, some_labels, rows):
        x = some_inputs[rows].astype("float32") / dataset.scale
        return x, np.searchsorted(classes, some_labels[rows])

    return (
        pair(dataset.pool_inputs, dataset.pool_labels, train),
        pair(inputs, labels, chosen),
    )


def _pooled(images, config):
    """Images averaged over squares; what is left at the edges is cut off."""
    size = check_at_least("pooling", config.pooling, 1)
    if images.ndim != 4 or min(images.shape[1:3]) < size:
        raise ValueError(
            f"`pooling` is of images of at least so many pixels a side. "
            f"Received: pooling={size} for {config.dataset!r}, whose inputs "
            f"have shape {images.shape[1:]}"
        )
    count, height, width, channels = images.shape
    height, width = height // size, width // size
    cut = images[:, : height * size, : width * size]
    squares = cut.reshape(count, height, size, width, size, channels)
    return squares.mean(axis=(2, 4))


def _disturbed(inputs, config, seed):
    """Arrays of inputs with noise of their own."""
    scale = np.float32(check_weight("input_noise", config.input_noise))
    rng = np.random.default_rng(seed)
    return [
        x + scale * rng.standard_normal(x.shape, dtype="float32")
        for x in inputs
    ]


def _unbalanced(candidates, ranks, imbalance, rng):
    """Candidates in a random order where low ranks tend to come first."""
    imbalance = check_number(
        "imbalance", imbalance, "a number of at least 1", lambda x: x >= 1
    )
    weights = imbalance ** (-ranks / max(ranks.max(initial=1), 1))
    # The first n of this order are n draws without replacement.
    return candidates[np.argsort(rng.exponential(size=len(ranks)) / weights)]


def transition_matrix(config, classes):
    """The transition matrix of a `TaskConfig`.

    Args:
        config: A `TaskConfig`.
        classes: The dataset's classes that the task has, an array. Of a
            published mapping what leads out of them is left out.

    Raises:
        ValueError: If the noise is unknown or has no matrix, or is asymmetric
            for a dataset that has no published mapping.
    """
    num_classes = len(classes)
    if config.noise == "symmetric":
        return noise.symmetric(config.noise_rate, num_classes)
    if config.noise == "pair_flip":
        return noise.pair_flip(config.noise_rate, num_classes)
    if config.noise == "class_dependent":
        return noise.class_dependent(
            config.noise_rate, num_classes, config.seed
        )
    if config.noise == "asymmetric" and config.dataset in _MAPPINGS:
        label_of = {int(old): new for new, old in enumerate(classes)}
        mapping = {
            label_of[source]: label_of[target]
            for source, target in _MAPPINGS[config.dataset].items()
            if source in label_of and target in label_of
        }
        return noise.asymmetric(config.noise_rate, mapping, num_classes)
    raise ValueError(
        f"`noise` must be one of {NOISES}, asymmetric for one of "
        f"{tuple(_MAPPINGS)}. "
        f"Received: noise={config.noise!r} for {config.dataset!r}"
    )


def _corrupt(config, x, labels, classes, seed):
    """The noisy training labels of a task."""
    if config.noise in _BY_EXAMPLE:
        noisy, _ = _BY_EXAMPLE[config.noise](
            x, labels, config.noise_rate, len(classes), seed
        )
        return noisy
    matrix = transition_matrix(config, classes)
    return noise.corrupt_labels(labels, matrix, seed)


def _optimizer(config):
    settings = {"learning_rate": config.learning_rate}
    if config.momentum:
        settings["momentum"] = config.momentum
    return keras.optimizers.get(
        {"class_name": config.optimizer, "config": settings}
    )
