"""Which candidates meet which tasks in each generation: numbers alone."""

import dataclasses
import math
import warnings

import numpy as np
import scipy.stats

from keras_arl.methods.kinds import named
from keras_arl.search.cmaes import CMAES

SEARCH, SELECTION = "search", "selection"
_FITNESSES = ("mean", "rank", "regret")
_PURPOSES = {SEARCH: 1, SELECTION: 2}
# By regret, one in so many tasks is among a candidate's worst ones.
_ONE_IN = 3
# One or two equal scores may be chance.
_FEWEST_COINCIDENCES = 3


def check_fitness(fitness, panel):
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


@dataclasses.dataclass(frozen=True)
class Generation:
    """Candidates that each meet the same tasks; the finalists are one, too.

    A trial is a pair of both; its position in the generation counts tasks
    first. Positions below 0 are those of the baseline, cross-entropy on each
    task, as if it were candidate -1, and of the losses of the panel, candidates
    -2 and so on.

    Args:
        phase: `"search"` or `"selection"`.
        number: Its number, from 1; the selection's follows the last one.
        first_trial: Number of trials in all generations before.
        candidates: Coefficients, then centre, of each candidate, scaled as the
            loss that is trained with.
        task_seeds: Seeds of the tasks.
        fitness_kind: `"mean"`, `"rank"` or `"regret"`. Defaults to `"mean"`.
        panel: Names of further losses that meet each task.
    """

    phase: str
    number: int
    first_trial: int
    candidates: list[list[float]]
    task_seeds: list[int]
    fitness_kind: str = "mean"
    panel: tuple[str, ...] = ()

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

        It is `None` for the baseline, and a name for a loss of the panel.
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
        mean = _mean
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
        return self._unless_failed(scores, map(_mean, self._table(scores)))

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
    return _mean(
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


class NoFitnessError(RuntimeError):
    """No candidate of a generation could be scored."""


class Schedule:
    """The generations of a search, a function of its settings and results.

    CMA-ES is asked for a generation and told of it as a whole, candidate by
    candidate: who evaluated which trial, and when, does not matter.

    Args:
        settings: What `CMAESOracle.settings` returns.
        space: The `SearchSpace`.
    """

    def __init__(self, settings, space):
        self._settings = settings
        self._space = space
        self._cmaes = CMAES(
            settings["x0"],
            settings["sigma0"],
            settings["popsize"],
            seed=[0, settings["seed"]],
            step_sizes=space.step_sizes,
        )
        # Fitness of each generation told, candidate by candidate; and what
        # people are shown of it.
        self._fitness = []
        self._history = []
        self._asked = [self._cmaes.ask()]
        self._num_trials = 0
        self._selected = None
        self._generation = self._next()

    def ask(self):
        """The present `Generation`, the same until `tell`."""
        return self._generation

    @property
    def finished(self):
        """Whether the selection has been told."""
        return self._selected is not None

    def tell(self, results, rivals=None):
        """Ends the present generation.

        Args:
            results: A `Result` for each of its trials, in their order.
            rivals: A `Result` for each of its `rivals`, in their order.
                Defaults to `None`: there are none.

        Raises:
            NoFitnessError: If no candidate has a fitness and an exception is
                a reason. The generation then is as if it was not told.
        """
        generation = self._generation
        scores = [result.score for result in results]
        of_rivals = [result.score for result in rivals or ()]
        fitness = generation.fitness(scores, of_rivals)
        baseline, gains = None, fitness
        if rivals is not None:
            of_tasks = of_rivals[-len(generation.task_seeds) :]
            gains = generation.gains(scores, of_tasks)
            baseline = _mean(score for score in of_tasks if score is not None)
        if generation.phase == SELECTION:
            if rivals is None:
                gains = [None] * len(fitness)
            means = generation.means(scores)
            self._selected = list(zip(means, gains, fitness, strict=True))
            return
        # Divergence alone stops nothing: other candidates and tasks come.
        raised = next((r.message for r in results if r.raised), None)
        if raised is not None and fitness.count(None) == len(fitness):
            raise NoFitnessError(
                f"Every candidate of generation {generation.number} failed in "
                f"some trial. The first exception:\n{raised}"
            )
        self._num_trials += generation.size
        self._cmaes.tell(self._asked[-1], fitness)
        self._fitness.append(fitness)
        valid = [gain for gain in gains if gain is not None]
        self._history.append(
            {
                "generation": generation.number,
                "best": max(valid, default=math.nan),
                "mean": _mean(valid),
                "failed": fitness.count(None),
                "fitness": gains,
                "baseline": baseline,
            }
        )
        self._asked.append(self._cmaes.ask())
        self._generation = self._next()

    def history(self):
        """As `CMAESOracle.history`."""
        return [dict(row) for row in self._history]

    def selection(self):
        """As `CMAESOracle.selection`, of a finished search."""
        told = len(self._fitness)
        first = max(told - self._settings["finalists"], 0)
        names = [*(f"generation {k + 1}" for k in range(first, told)), "mean"]
        rows = [
            (
                _rank(fitness),
                {"name": name, "score": score, "gain": gain, "vector": vector},
            )
            for name, (score, gain, fitness), vector in zip(
                names, self._selected, self._generation.candidates, strict=True
            )
        ]
        rows.sort(key=lambda pair: pair[0], reverse=True)
        return [row for _, row in rows]

    def _next(self):
        told = len(self._fitness)
        if told < self._settings["generations"] and not (
            told and self._cmaes.stopped
        ):
            phase, num_tasks = SEARCH, self._settings["tasks_per_generation"]
            vectors = self._asked[-1]
        else:
            phase, num_tasks = SELECTION, self._settings["selection_tasks"]
            vectors = [*self._winners(), self._cmaes.mean]
        return Generation(
            phase=phase,
            number=told + 1,
            first_trial=self._num_trials,
            # In float32 the loss is computed.
            candidates=[
                self._space.scaled(np.float32(vector).tolist())
                for vector in vectors
            ],
            task_seeds=[
                self._task_seed(phase, told, task) for task in range(num_tasks)
            ],
            fitness_kind=self._fitness_kind(phase),
            panel=tuple(self._settings["panel"]),
        )

    def _fitness_kind(self, phase):
        kind = self._settings["fitness"]
        # Among few finalists ranks say little.
        return "mean" if phase == SELECTION and kind == "rank" else kind

    def _winners(self):
        told = list(zip(self._asked, self._fitness, strict=False))
        winners = []
        for candidates, fitness in told[-self._settings["finalists"] :]:
            ranks = [_rank(value) for value in fitness]
            winners.append(candidates[ranks.index(max(ranks))])
        return winners

    def _task_seed(self, phase, generation, task):
        sequence = np.random.SeedSequence(
            [self._settings["seed"], _PURPOSES[phase], generation, task]
        )
        # Below 2^31, as TensorFlow's seeds have to be.
        return int(sequence.generate_state(1)[0] >> 1)


def _mean(values):
    values = list(values)
    return float(np.mean(values)) if values else math.nan


def _rank(fitness):
    """What fitness is sorted by: `None`, of a failed candidate, is lowest."""
    return -np.inf if fitness is None else fitness
