"""What determines a task, and what tasks are drawn from: plain values."""

import dataclasses

from keras_arl.tasks import architectures
from keras_arl.tasks.architectures import ArchitectureConfig


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """Everything that determines a task; plain values, JSON-able.

    Args:
        dataset: A name that `load_dataset` takes.
        num_train: Number of training examples; `None` for all that are not
            evaluated on.
        num_evaluation: Number of clean evaluation examples; `None` for the
            whole test part.
        evaluation: `"validation"` (held out from the pool) or `"test"` (the
            test part, for reports only).
        noise: `"symmetric"`, `"pair_flip"`, `"class_dependent"`,
            `"instance_dependent"`, `"weak_classifier"`, `"annotators"` or
            `"asymmetric"` (the last where the dataset has a published mapping),
            see `keras_arl.noise`.
        noise_rate: Probability that a training label is wrong, in [0, 1).
        architecture: The network.
        optimizer: Name of a Keras optimizer.
        learning_rate: Its learning rate.
        epochs: Number of epochs.
        batch_size: Number of examples a batch.
        seed: Choice of the classes and examples, noise, initial weights and
            shuffling derive from it, each on its own.
        momentum: Momentum of `"sgd"`. Defaults to `0.0`.
        num_classes: Number of classes, a random choice of the dataset's.
            Defaults to `None`: all.
        imbalance: How often the most frequent class is chosen for training for
            each choice of the rarest one; those between form a geometric
            series, in a random order. The evaluation examples are as in the
            dataset. No example is chosen twice. Where `num_train` is most of
            the data, the classes therefore differ less: an imbalance of 50
            gives 768 digits a ratio of about 3. Defaults to `1.0`.
        input_noise: Standard deviation of the Gaussian noise that is added to
            all inputs, the evaluation examples' too, where the images'
            brightest pixel is 1. It makes an easy dataset a hard one. Defaults
            to `0.0`.
        pooling: Images are averaged over squares of so many pixels a side, for
            faster trainings. Defaults to `1`: they stay as they are.
    """

    dataset: str
    num_train: int | None
    num_evaluation: int | None
    evaluation: str
    noise: str
    noise_rate: float
    architecture: ArchitectureConfig
    optimizer: str
    learning_rate: float
    epochs: int
    batch_size: int
    seed: int
    momentum: float = 0.0
    num_classes: int | None = None
    imbalance: float = 1.0
    input_noise: float = 0.0
    pooling: int = 1


@dataclasses.dataclass(frozen=True)
class TaskSpace:
    """What tasks are sampled from: each field is one choice, made uniformly.

    Args:
        datasets: Names of datasets. Defaults to `("digits",)`.
        noises: Pairs (noise, rate).
        families: Families of architectures, from which each task draws a new
            one.
        architectures: Networks to draw from instead of `families`, a pool;
            see `sample_architectures`. Defaults to `None`.
        optimizers: Tuples (name, learning rate), or with momentum
            ("sgd", learning rate, momentum).
        epochs: Numbers of epochs.
        num_train: Number of training examples, or `None` for all. Defaults to
            `500`.
        num_evaluation: Number of clean validation examples. Defaults to `400`.
        batch_size: Defaults to `64`.
        num_classes: Numbers of classes, or `None` for all of a dataset.
        imbalances: Ratios of the most frequent to the rarest class.
        input_noises: Standard deviations of noise added to the inputs.
        pooling: As in `TaskConfig`. Defaults to `1`.
    """

    datasets: tuple[str, ...] = ("digits",)
    noises: tuple[tuple[str, float], ...] = (
        ("symmetric", 0.0),
        ("symmetric", 0.2),
        ("symmetric", 0.4),
        ("symmetric", 0.6),
        ("pair_flip", 0.3),
    )
    families: tuple[str, ...] = architectures.DEFAULT_FAMILIES
    architectures: tuple[ArchitectureConfig, ...] | None = None
    optimizers: tuple[tuple[str, float], ...] = (
        ("adam", 0.001),
        ("adam", 0.003),
        ("sgd", 0.1),
    )
    epochs: tuple[int, ...] = (10, 20)
    num_train: int | None = 500
    num_evaluation: int = 400
    batch_size: int = 64
    num_classes: tuple[int | None, ...] = (None,)
    imbalances: tuple[float, ...] = (1.0,)
    input_noises: tuple[float, ...] = (0.0,)
    pooling: int = 1
