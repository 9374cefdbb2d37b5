"""Seed -> task: sampling a configuration, and tasks for a search."""

import dataclasses

import numpy as np

from keras_arl.tasks import architectures
from keras_arl.tasks.building import build_task
from keras_arl.tasks.config import TaskConfig
from keras_arl.tasks.config import TaskSpace

_WHICH_SPACE = 0x73706163


def sample_task(seed, space=None):
    """Samples the configuration of a task.

    Args:
        seed: Non-negative integer.
        space: A `TaskSpace`. Defaults to `TaskSpace()`.

    Returns:
        A `TaskConfig`, the same for the same arguments.

    Example:

    >>> config = keras_arl.tasks.sample_task(seed=0)
    >>> config.dataset, config.noise, config.noise_rate
    ('digits', 'pair_flip', 0.3)
    """
    space = space or TaskSpace()
    recipe, network = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(recipe)

    def choose(options):
        return options[rng.integers(len(options))]

    noise_name, noise_rate = choose(space.noises)
    optimizer, learning_rate, *momentum = choose(space.optimizers)
    return TaskConfig(
        dataset=choose(space.datasets),
        num_train=space.num_train,
        num_evaluation=space.num_evaluation,
        evaluation="validation",
        noise=noise_name,
        noise_rate=noise_rate,
        architecture=_choose_architecture(network, space),
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=choose(space.epochs),
        batch_size=space.batch_size,
        seed=seed,
        momentum=momentum[0] if momentum else 0.0,
        num_classes=choose(space.num_classes),
        imbalance=choose(space.imbalances),
        input_noise=choose(space.input_noises),
        pooling=space.pooling,
    )


def _choose_architecture(seed, space):
    if space.architectures is None:
        return architectures.sample_architecture(seed, space.families)
    rng = np.random.default_rng(seed)
    return space.architectures[rng.integers(len(space.architectures))]


@dataclasses.dataclass(frozen=True)
class TaskFamily:
    """The tasks of a search: a function from a seed to a new `Task`.

    Args:
        space: The `TaskSpace` to sample from, or a tuple of them, of which
            each task chooses one first.

    Example:

    >>> space = keras_arl.tasks.TaskSpace(noises=(("symmetric", 0.8),))
    >>> tasks = keras_arl.tasks.TaskFamily(space)
    >>> tasks(seed=3).num_classes
    10
    """

    space: TaskSpace | tuple[TaskSpace, ...] = dataclasses.field(
        default_factory=TaskSpace
    )

    def __call__(self, seed):
        return build_task(self.sample(seed))

    def sample(self, seed):
        """The configuration of a task.

        Args:
            seed: Non-negative integer.

        Returns:
            A `TaskConfig`.
        """
        if isinstance(self.space, TaskSpace):
            return sample_task(seed, self.space)
        # Its stream is not one of the choices within a space.
        rng = np.random.default_rng([seed, _WHICH_SPACE])
        return sample_task(seed, self.space[rng.integers(len(self.space))])

    def get_config(self):
        """The spaces as plain values, by which a resumed search is checked."""
        if isinstance(self.space, TaskSpace):
            return dataclasses.asdict(self.space)
        return [dataclasses.asdict(space) for space in self.space]
