"""Which candidates meet which tasks, stage by stage: numbers alone."""

import dataclasses

import numpy as np
import scipy.stats

from keras_arl.search import space
from keras_arl.search.evolution import Evolution

SEARCH, SELECTION = "search", "selection"
FITNESSES = ("mean", "rank")
_PURPOSES = {SEARCH: 1, SELECTION: 2}


@dataclasses.dataclass(frozen=True)
class Stage:
    """Candidates that each meet the same tasks: a generation, or the finalists.

    A trial is a pair of both; its position in the stage counts tasks first.

    Args:
        phase: `"search"` or `"selection"`.
        generation: Number of generations that are complete.
        first_trial: Number of trials in all stages before.
        candidates: Coefficients, then centre, of each candidate. Rounded to
            float32, in which the loss is computed and in which Keras Tuner
            sends numbers to a worker: every process sees one value.
        task_seeds: Seeds of the tasks.
        by_rank: Whether fitness is a mean of ranks instead of scores.
    """

    phase: str
    generation: int
    first_trial: int
    candidates: list[list[float]]
    task_seeds: list[int]
    by_rank: bool = False

    @property
    def size(self):
        """Number of trials."""
        return len(self.candidates) * len(self.task_seeds)

    def hyperparameters(self, position, order):
        """The hyperparameters of a trial, a dictionary."""
        candidate, task = divmod(position, len(self.task_seeds))
        names = space.parameter_names(order)
        return {
            "phase": self.phase,
            "generation": self.generation,
            "candidate": candidate,
            "task": task,
            "task_seed": self.task_seeds[task],
            **dict(zip(names, self.candidates[candidate], strict=True)),
        }

    def fitness(self, scores):
        """Mean score, or rank, of each candidate; `None` where a trial failed.

        A rank is the share of the other candidates whose score is lower, ties
        counting half: 1 is the best.
        """
        table = np.array(scores, dtype=object).reshape(
            len(self.candidates), len(self.task_seeds)
        )
        values = np.where(table == None, np.nan, table)  # noqa: E711
        values = values.astype("float64")
        if self.by_rank:
            values = _shares_beaten(values)
        return [
            None if None in row else float(np.mean(fitness))
            for row, fitness in zip(table, values, strict=True)
        ]


def _shares_beaten(scores):
    """Of the other rows, by column; NaN is beaten by everything."""
    ranks = scipy.stats.rankdata(
        np.where(np.isnan(scores), -np.inf, scores), axis=0
    )
    return (ranks - 1) / max(len(scores) - 1, 1)


class Schedule:
    """The stages of a search, a function of its settings and the fitness told.

    Args:
        settings: What `CMAESOracle.settings` returns.
    """

    def __init__(self, settings):
        self._settings = settings
        self._evolution = Evolution(
            settings["x0"],
            settings["sigma0"],
            settings["popsize"],
            seed=[0, settings["seed"]],
        )
        # Fitness of each generation told, candidate by candidate.
        self.fitness = []
        self._generations = [self._evolution.ask()]
        self._num_trials = 0
        self.stage = self._next_stage()

    def tell(self, fitness):
        """Ends a generation and makes the next stage.

        Args:
            fitness: Of each candidate, higher is better; `None` ranks last.
        """
        self._num_trials += self.stage.size
        self._evolution.tell(self._generations[-1], fitness)
        self.fitness.append(fitness)
        self._generations.append(self._evolution.ask())
        self.stage = self._next_stage()

    def finalists(self):
        """Names of the selection's candidates, in their order."""
        told = len(self.fitness)
        first = max(told - self._settings["finalists"], 0)
        return [*(f"generation {k}" for k in range(first, told)), "mean"]

    def _next_stage(self):
        told = len(self.fitness)
        if told < self._settings["generations"] and not (
            told and self._evolution.stopped
        ):
            phase, num_tasks = SEARCH, self._settings["tasks"]
            vectors = self._generations[-1]
        else:
            phase, num_tasks = SELECTION, self._settings["final_tasks"]
            vectors = [*self._winners(), self._evolution.mean]
        return Stage(
            phase=phase,
            generation=told,
            first_trial=self._num_trials,
            candidates=[np.float32(vector).tolist() for vector in vectors],
            task_seeds=[
                self._task_seed(phase, told, task) for task in range(num_tasks)
            ],
            by_rank=phase == SEARCH and self._settings["fitness"] == "rank",
        )

    def _winners(self):
        told = list(zip(self._generations, self.fitness, strict=False))
        winners = []
        for candidates, fitness in told[-self._settings["finalists"] :]:
            ranks = [rank(value) for value in fitness]
            winners.append(candidates[ranks.index(max(ranks))])
        return winners

    def _task_seed(self, phase, generation, task):
        sequence = np.random.SeedSequence(
            [self._settings["seed"], _PURPOSES[phase], generation, task]
        )
        # Fits the 32-bit integers of Keras Tuner's messages.
        return int(sequence.generate_state(1)[0] >> 1)


def rank(fitness):
    """What fitness sorts by: `None`, of a failed candidate, is the lowest."""
    return -np.inf if fitness is None else fitness
