"""The tasks of a comparison: configurations that build them."""

import collections.abc
import dataclasses

import numpy as np

from keras_arl.tasks import ArchitectureConfig
from keras_arl.tasks import Task
from keras_arl.tasks import TaskConfig
from keras_arl.tasks import build_task
from keras_arl.tasks import sample_task

# Neither the widths nor the noise rates are among those that
# `keras_arl.tasks` samples.
_ARCHITECTURES = (
    ArchitectureConfig("mlp", (96, 96), "relu", False, 0.0),
    ArchitectureConfig("cnn", (24, 48), "relu", True, 0.1),
)
_NOISES = (("symmetric", 0.3), ("symmetric", 0.5))
# Keeps these seeds apart from those of a search's own tasks.
_PURPOSE = 3


@dataclasses.dataclass(frozen=True)
class SeededTask:
    """The task that a function makes of a seed.

    Args:
        function: Function from a seed to a `keras_arl.tasks.Task`.
        seed: Non-negative integer.

    Example:

    >>> config = keras_arl.evaluation.SeededTask(
    ...     keras_arl.tasks.TaskFamily(), seed=3
    ... )
    >>> config.build().num_classes
    10
    """

    function: collections.abc.Callable[[int], Task]
    seed: int

    def build(self):
        """The task."""
        return self.function(self.seed)


def report_configs(space, runs=3, seed=0, noises=_NOISES):
    """Configurations of tasks that no search over `space` has seen.

    The examples to evaluate on are the whole test part of the dataset, which no
    search touches; architectures and noise rates are not among the default
    ones.

    Args:
        space: The `keras_arl.tasks.TaskSpace` of the search.
        runs: Number of seeds per dataset and noise; an MLP and a CNN, of the
            space's families, alternate. Defaults to `3`.
        seed: Non-negative integer. Defaults to `0`.
        noises: Pairs (noise, rate).

    Returns:
        A list of `keras_arl.tasks.TaskConfig`.

    Raises:
        ValueError: If the space has residual networks alone.

    Example:

    >>> space = keras_arl.tasks.TaskSpace()
    >>> configs = keras_arl.evaluation.report_configs(space, runs=3)
    >>> [config.noise_rate for config in configs]
    [0.3, 0.3, 0.3, 0.5, 0.5, 0.5]
    """
    families = space.families
    if space.architectures is not None:
        families = {config.family for config in space.architectures}
    architectures = [a for a in _ARCHITECTURES if a.family in families]
    if not architectures:
        raise ValueError(
            "A report has MLPs and CNNs, of which the space must have one. "
            f"Received: families={tuple(families)}"
        )
    return [
        dataclasses.replace(
            sample_task(task_seed, space),
            dataset=dataset,
            num_evaluation=None,
            evaluation="test",
            noise=noise,
            noise_rate=rate,
            architecture=architectures[run % len(architectures)],
            optimizer="adam",
            learning_rate=0.002,
            momentum=0.0,
            epochs=max(space.epochs),
        )
        for dataset in space.datasets
        for noise, rate in noises
        for run, task_seed in enumerate(_fresh_seeds(runs, seed))
    ]


def fresh_configs(tasks, count, seed=0):
    """Configurations of tasks drawn as in a search, which it has not seen.

    Args:
        tasks: The `keras_arl.tasks.TaskFamily` of the search, or any function
            from a seed to a `keras_arl.tasks.Task`.
        count: Number of tasks.
        seed: Non-negative integer. Defaults to `0`.

    Returns:
        A list of `keras_arl.tasks.TaskConfig`, evaluated on the whole test
        parts of their datasets; of another function, of `SeededTask`.

    Example:

    >>> tasks = keras_arl.tasks.TaskFamily()
    >>> configs = keras_arl.evaluation.fresh_configs(tasks, count=2)
    >>> [config.evaluation for config in configs]
    ['test', 'test']
    """
    seeds = [task_seed >> 1 for task_seed in _fresh_seeds(count, seed)]
    if not hasattr(tasks, "sample"):
        return [SeededTask(tasks, task_seed) for task_seed in seeds]
    return [
        dataclasses.replace(
            tasks.sample(task_seed), evaluation="test", num_evaluation=None
        )
        for task_seed in seeds
    ]


def _fresh_seeds(count, seed):
    seeds = np.random.SeedSequence([seed, _PURPOSE]).generate_state(count)
    return [int(task_seed) for task_seed in seeds]


def described(tasks, reserved):
    """The tasks of `compare`, and what tells them apart.

    Args:
        tasks: As `compare` takes them.
        reserved: Names that no column of a task may have.

    Returns:
        A list of tasks and configurations, and one of dictionaries, their
        columns.
    """
    named = isinstance(tasks, collections.abc.Mapping)
    names, tasks = list(tasks), list(tasks.values() if named else tasks)
    columns = []
    for number, task in enumerate(tasks):
        is_task = isinstance(task, Task)
        if not (is_task or _is_config(task)):
            raise ValueError(
                "`tasks` must be of `keras_arl.tasks.Task`, `TaskConfig` or "
                "another dataclass with a method `build()`. "
                f"Received: {task!r}"
            )
        columns.append({} if is_task else _cells(task))
        if named or is_task:
            name = names[number] if named else number
            columns[-1] = {"task": name, **columns[-1]}
    fields = {tuple(cells) for cells in columns}
    if len(fields) != 1:
        raise ValueError(
            "`tasks` must be at least one, all with the same fields. Received "
            f"fields: {sorted(fields)}"
        )
    for name in reserved:
        if name in columns[0]:
            raise ValueError(f"A field of a task cannot be named {name!r}.")
    return tasks, columns


def build(task):
    """The `Task` of what `described` returns."""
    if isinstance(task, TaskConfig):
        return build_task(task)
    return task if isinstance(task, Task) else task.build()


def group_of(task, number):
    """What a task, at a position, has in common with others of one program."""
    if isinstance(task, TaskConfig):
        varied = {"noise": "", "noise_rate": 0.0, "seed": 0, "epochs": 1}
        return dataclasses.replace(task, **varied, learning_rate=0.0)
    name = "architecture" if isinstance(task, Task) else "group"
    group = getattr(task, name, None)
    return ("alone", number) if group is None else (name, group)


def _is_config(task):
    return isinstance(task, TaskConfig) or (
        dataclasses.is_dataclass(task)
        and callable(getattr(task, "build", None))
        and not isinstance(task, type)
    )


def _cells(config, prefix=""):
    """The fields of a dataclass as cells of a table, those within it, too."""
    cells = {}
    for field in dataclasses.fields(config):
        name, value = prefix + field.name, getattr(config, field.name)
        if callable(value):
            value = getattr(value, "__qualname__", type(value).__name__)
        elif dataclasses.is_dataclass(value):
            cells |= _cells(value, f"{name}_")
            continue
        elif isinstance(value, tuple):
            value = " ".join(map(str, value))
        cells[name] = value
    return cells
