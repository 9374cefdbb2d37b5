"""A generation: candidates, tasks, and what candidates are compared by."""

import dataclasses
import math
import warnings

import numpy as np
import scipy.stats

from keras_arl.methods.kinds import named
from keras_arl.search.job import Result

SEARCH, SELECTION = "search", "selection"
# Of a trial that racing leaves out.
DROPPED = "dropped: behind half of the candidates after a third of the tasks"
_FITNESSES = ("mean", "rank", "regret")
# By regret, one in so many tasks is among a candidate's worst ones; and racing
# decides after one in so many.
_ONE_IN = 3
# One or two equal scores may be chance.
_FEWEST_COINCIDENCES = 3


def check_comparison(fitness, panel, racing, num_tasks):
    """Raises a `ValueError` unless these are arguments of `CMAESOracle`."""
    if fitness not in _FITNESSES:
        raise ValueError(
            f"`fitness` must be one of {_FITNESSES}. "
            f"Received: fitness={fitness!r}"
        )
    if isinstance(panel, str):
        raise ValueError(
            f"`panel` must be a tuple of names. Received: panel={panel!r}"
        )
    for name in panel:
        named(name)
    if racing and num_tasks < _ONE_IN:
        raise ValueError(
            f"`racing` needs at least {_ONE_IN} tasks a generation. Received: "
            f"tasks_per_generation={num_tasks}"
        )


@dataclasses.dataclass(frozen=True)
class Generation:
    """Candidates that each meet the same tasks; the finalists are one, too.

    A trial is a pair of both; its position in the generation counts tasks
    first. Positions below 0 are those of the baseline, cross-entropy on each
    task, as if it were candidate -1, and of the methods of the panel, as if
    they were candidates -2 and so on.

    Args:
        phase: `"search"` or `"selection"`.
        number: Its number, from 1; the selection's follows the last one.
        first_trial: Number of trials in all generations before.
        candidates: The numbers of each candidate, as it is trained with.
        task_seeds: Seeds of the tasks.
        fitness_kind: `"mean"`, `"rank"` or `"regret"`. Defaults to `"mean"`.
        panel: Names of further methods that meet each task.
        racing: Whether only the better half of the candidates meets all tasks.
    """

    phase: str
    number: int
    first_trial: int
    candidates: list[list[float]]
    task_seeds: list[int]
    fitness_kind: str = "mean"
    panel: tuple[str, ...] = ()
    racing: bool = False

    @property
    def size(self):
        """Number of trials."""
        return len(self.candidates) * len(self.task_seeds)

    @property
    def baselines(self):
        """Positions of the baseline's trainings, one a task."""
        return range(-len(self.task_seeds), 0)

    @property
    def rivals(self):
        """Positions of the trainings of the baseline and of the panel."""
        return range(-(1 + len(self.panel)) * len(self.task_seeds), 0)

    def candidate(self, position):
        """The candidate of a training.

        It is `None` for the baseline, and a name for a method of the panel.
        """
        number = position // len(self.task_seeds)
        if number >= 0:
            return tuple(self.candidates[number])
        return None if number == -1 else self.panel[-2 - number]

    def hyperparameters(self, position, names):
        """The hyperparameters of a trial, a dictionary.

        Args:
            position: Position of the trial.
            names: Names of a candidate's numbers.
        """
        candidate, task = divmod(position, len(self.task_seeds))
        return {
            "phase": self.phase,
            "generation": self.number,
            "candidate": candidate,
            "task": task,
            "task_seed": self.task_seeds[task],
            **dict(zip(names, self.candidates[candidate], strict=True)),
        }

    def missing(self, results, has_baseline):
        """The positions to train at now, a list.

        With racing, as long as there are any, those of the first third of the
        tasks.

        Args:
            results: A `Result` for each training that ended, by position.
            has_baseline: Whether there are `rivals`.
        """
        first = self.rivals.start if has_baseline else 0
        positions = [k for k in range(first, self.size) if k not in results]
        return self._early(positions) or positions

    def _early(self, positions):
        if not self.racing:
            return []
        num_tasks = len(self.task_seeds)
        return [k for k in positions if k % num_tasks < num_tasks // _ONE_IN]

    def dropped(self, results, has_baseline):
        """Results of the trials that racing leaves out, by position.

        There are none until the first third of the tasks is done.

        Args:
            results: As `missing` takes them.
            has_baseline: Whether there are `rivals`.
        """
        missing = self.missing(results, has_baseline)
        if not self.racing or self._early(missing):
            return {}
        num_tasks, fitness = len(self.task_seeds), self._early_fitness(results)
        order = sorted(
            range(len(fitness)), key=lambda k: rank_of(fitness[k]), reverse=True
        )
        return {
            position: Result(None, DROPPED)
            for candidate in order[math.ceil(len(order) / 2) :]
            for position in range(
                candidate * num_tasks, (candidate + 1) * num_tasks
            )
            if position not in results
        }

    def _early_fitness(self, results):
        """Fitness of each candidate on the first third of the tasks."""
        of_tasks = self.task_seeds[: len(self.task_seeds) // _ONE_IN]
        early = dataclasses.replace(self, task_seeds=of_tasks)
        scores, rivals = (
            [results[k].score for k in self._early(positions) if k in results]
            for positions in (range(self.size), self.rivals)
        )
        return early.fitness(scores, rivals)

    def told(self, fitness, results):
        """What CMA-ES is told: dropped candidates are behind the others.

        Args:
            fitness: What `fitness` returned.
            results: A `Result` for each training, by position.
        """
        dropped = {
            position // len(self.task_seeds)
            for position, result in results.items()
            if result.message == DROPPED
        }
        if not dropped:
            return fitness
        early = self._early_fitness(results)
        lowest = min((f for f in fitness if f is not None), default=0.0)
        behind = lowest - 1 - max(early[k] or 0.0 for k in dropped)
        return [
            behind + early[k]
            if k in dropped and early[k] is not None
            else value
            for k, value in enumerate(fitness)
        ]

    def warn_of_equal_tasks(self, results):
        """Warns where every candidate got the same score on all tasks.

        Args:
            results: A `Result` for each trial, a dictionary by position.
        """
        num_tasks = len(self.task_seeds)
        # Without candidates that were not trained, or failed.
        scores = [
            None if results[k].message else results[k].score
            for k in range(self.size)
        ]
        rows = [
            set(scores[start : start + num_tasks])
            for start in range(0, self.size, num_tasks)
        ]
        rows = [row for row in rows if None not in row]
        if (
            len(rows) * (num_tasks - 1) >= _FEWEST_COINCIDENCES
            and max(map(len, rows)) == 1
        ):
            warnings.warn(
                "In this generation every candidate got the same score on all "
                "tasks, which then are as good as one. Does the task function "
                "use its seed, for the choice of examples, noise and "
                "`Task(seed=...)`? Or are the tasks so easy?",
                stacklevel=4,
            )

    def fitness(self, scores, rivals=()):
        """Fitness of each candidate; `None` where a trial failed.

        It is the mean score; or the mean rank, the share of the other
        candidates whose score is lower, ties counting half; or by regret, what
        a score is above the best rival's on the task, the mean over all tasks
        and that over the worst third, a half each.

        Args:
            scores: Scores of the trials.
            rivals: Scores of `rivals`, in that order, for regret.
        """
        values = self._table(scores)
        mean = mean_of
        if self.fitness_kind == "rank":
            values = _shares_beaten(values)
        elif self.fitness_kind == "regret":
            shape = -1, len(self.task_seeds)
            best = np.array(rivals, dtype="float64").reshape(shape)
            # Without any score of a rival what counts is a candidate's own.
            best = np.nan_to_num(best, nan=0.0).max(axis=0, initial=0.0)
            values, mean = values - best, _mean_and_worst
        return self._unless_failed(scores, map(mean, values))

    def means(self, scores):
        """Mean score of each candidate; `None` where a trial failed."""
        return self._unless_failed(scores, map(mean_of, self._table(scores)))

    def gains(self, scores, baselines):
        """The `mean_gain` of each candidate.

        Args:
            scores: Scores of the trials.
            baselines: Score of the baseline on each task.

        Returns:
            A list: `None` for a candidate with a failed trial; NaN where the
            baseline failed on every task.
        """
        gains = [mean_gain(row, baselines) for row in self._table(scores)]
        return self._unless_failed(scores, gains)

    def _table(self, scores):
        """Scores by candidate and task, NaN where a trial failed."""
        shape = len(self.candidates), len(self.task_seeds)
        return np.array(scores, dtype="float64").reshape(shape)

    def _unless_failed(self, scores, values):
        """The candidates' values, `None` where a trial failed."""
        failed = np.isnan(self._table(scores)).any(axis=1)
        return [
            None if has_failed else float(value)
            for has_failed, value in zip(failed, values, strict=True)
        ]


def mean_gain(scores, baselines):
    """The mean difference of scores to the baseline's on the same tasks.

    Args:
        scores: A score a task.
        baselines: Score of the baseline on each. A task on which it failed,
            `None`, does not count.

    Returns:
        A float, NaN where the baseline failed on every task.
    """
    return mean_of(
        score - baseline
        for score, baseline in zip(scores, baselines, strict=True)
        if baseline is not None
    )


def _mean_and_worst(values):
    """The mean of all values and that of the lowest third, a half each."""
    values = np.sort(list(values))
    worst = values[: max(len(values) // _ONE_IN, 1)]
    return float(values.mean() + worst.mean()) / 2


def _shares_beaten(scores):
    """Of the other rows, by column; NaN is beaten by everything."""
    ranks = scipy.stats.rankdata(
        np.where(np.isnan(scores), -np.inf, scores), axis=0
    )
    return (ranks - 1) / max(len(scores) - 1, 1)


def mean_of(values):
    """The mean, NaN of nothing."""
    values = list(values)
    return float(np.mean(values)) if values else math.nan


def rank_of(fitness):
    """What fitness is sorted by: `None`, of a failed candidate, is lowest."""
    return -np.inf if fitness is None else fitness
