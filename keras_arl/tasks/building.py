"""Configuration -> task: the data and the model function."""

import functools

import keras
import numpy as np

from keras_arl import noise
from keras_arl.tasks import architectures
from keras_arl.tasks.datasets import load_dataset
from keras_arl.tasks.seeds import derive_seeds
from keras_arl.tasks.task import Task

NOISES = ("symmetric", "pair_flip", "asymmetric")
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
    choice_seed, noise_seed, weights_seed, shuffle_seed = derive_seeds(
        config.seed, 4
    )
    (x, y), validation = split_examples(dataset, config, choice_seed)
    noisy = noise.corrupt_labels(
        y, transition_matrix(config, dataset.num_classes), noise_seed
    )
    optimizer = keras.optimizers.get(config.optimizer)
    optimizer.learning_rate = config.learning_rate
    return Task(
        train=(x, noisy),
        validation=validation,
        build_model=functools.partial(
            architectures.build_model,
            config.architecture,
            x.shape[1:],
            dataset.num_classes,
            seed=weights_seed,
        ),
        num_classes=dataset.num_classes,
        optimizer=optimizer,
        epochs=config.epochs,
        seed=weights_seed,
        batch_size=config.batch_size,
        shuffle_seed=shuffle_seed,
        architecture=(
            config.architecture,
            x.shape[1:],
            dataset.num_classes,
        ),
    )


def split_examples(dataset, config, seed):
    """Chooses training and evaluation examples of an `ImageDataset`.

    Args:
        dataset: An `ImageDataset`.
        config: A `TaskConfig`.
        seed: Non-negative integer.

    Returns:
        Two pairs (images, labels), training and evaluation: images float32 in
        [0, 1], labels int64 and clean.

    Raises:
        ValueError: If there are too few examples.
    """
    rng = np.random.default_rng(seed)
    pool = rng.permutation(len(dataset.pool_labels))
    if config.evaluation == "test":
        images, labels = dataset.test_images, dataset.test_labels
        train = pool[: config.num_train]
        chosen = rng.permutation(len(labels))[: config.num_evaluation]
    else:
        images, labels = dataset.pool_images, dataset.pool_labels
        num_train = config.num_train
        if num_train is None:
            num_train = max(len(pool) - config.num_evaluation, 0)
        train = pool[:num_train]
        chosen = pool[num_train:][: config.num_evaluation]
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

    def scaled(some_images):
        return some_images.astype("float32") / dataset.white

    return (
        (scaled(dataset.pool_images[train]), dataset.pool_labels[train]),
        (scaled(images[chosen]), labels[chosen]),
    )


def transition_matrix(config, num_classes):
    """The transition matrix of a `TaskConfig`.

    Raises:
        ValueError: If the noise is unknown, or asymmetric for a dataset that
            has no published mapping.
    """
    if config.noise == "symmetric":
        return noise.symmetric(config.noise_rate, num_classes)
    if config.noise == "pair_flip":
        return noise.pair_flip(config.noise_rate, num_classes)
    if config.noise == "asymmetric" and config.dataset in _MAPPINGS:
        mapping = _MAPPINGS[config.dataset]
        return noise.asymmetric(config.noise_rate, mapping, num_classes)
    raise ValueError(
        f"`noise` must be one of {NOISES}, asymmetric for one of "
        f"{tuple(_MAPPINGS)}. "
        f"Received: noise={config.noise!r} for {config.dataset!r}"
    )
