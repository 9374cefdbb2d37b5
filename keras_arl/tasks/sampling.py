"""Seed -> task: sampling a configuration, and tasks for a search."""

import dataclasses

import numpy as np

from keras_arl.tasks import architectures
from keras_arl.tasks.building import build_task
from keras_arl.tasks.config import TaskConfig
from keras_arl.tasks.config import TaskSpace


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
    optimizer, learning_rate = choose(space.optimizers)
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
    )


def _choose_architecture(seed, space):
    if space.architectures is None:
        return architectures.sample_architecture(seed, space.families)
    rng = np.random.default_rng(seed)
    return space.architectures[rng.integers(len(space.architectures))]


@dataclasses.dataclass(frozen=True)
class SampledTasks:
    """The tasks of a search: a function from a seed to a new `Task`.

    Args:
        space: The `TaskSpace` to sample from.

    Example:

    >>> space = keras_arl.tasks.TaskSpace(noises=(("symmetric", 0.8),))
    >>> tasks = keras_arl.tasks.SampledTasks(space)
    >>> tasks(seed=3).num_classes
    10
    """

    space: TaskSpace = dataclasses.field(default_factory=TaskSpace)

    def __call__(self, seed):
        return build_task(sample_task(seed, self.space))

    def get_config(self):
        """The space as a dictionary, by which a resumed search is checked."""
        return dataclasses.asdict(self.space)
