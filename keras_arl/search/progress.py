"""The progress of a search on the screen."""

import math

import keras
import numpy as np

from keras_arl.search.generation import DROPPED
from keras_arl.search.generation import mean_gain

_COMPILING = "seconds compiling"


class SearchProgress:
    """One Keras progress bar per generation, and one for the selection.

    It shows the best and the mean fitness of the candidates so far, each minus
    cross-entropy's on the same tasks; a failed trial counts as 0. A line tells
    of each training that raised an exception. Where this process trains, the
    seconds that compilations took in the generation follow.

    Args:
        num_generations: Number of generations of the search if no run of
            CMA-ES converges early.
        has_baseline: Whether cross-entropy is trained, too. Without it fitness
            is shown as it is.
        trainer: What trains; its `compile_seconds` are shown if it has them.
    """

    def __init__(self, num_generations, has_baseline, trainer):
        self._num_generations = num_generations
        self._has_baseline = has_baseline
        suffix = " minus CE" if has_baseline else ""
        self._names = [f"best{suffix}", f"mean{suffix}"]
        self._trainer = trainer

    def begin(self, generation, results):
        """Begins a generation.

        Args:
            generation: The `Generation`.
            results: Those of its trainings that have ended before, a
                dictionary from position to `Result`.
        """
        if generation.phase == "search":
            print(f"Generation {generation.number}/{self._num_generations}")
        else:
            print("Selection on fresh tasks")
        self._generation = generation
        self._bar = keras.utils.Progbar(
            generation.size,
            stateful_metrics=[*self._names, _COMPILING],
            unit_name="trial",
        )
        self._results = dict(results)
        self._compiled_before = self._compile_seconds()

    def update(self, results):
        """Shows results that have come, a dictionary as in `begin`."""
        for position, result in results.items():
            if result.raised:
                reason = result.message.strip().rpartition("\n")[2]
                print(f"\n{self._name(position)} failed: {reason}")
        self._results.update(results)
        done = sum(position >= 0 for position in self._results)
        fitness = self._fitness()
        values = [max(fitness), np.mean(fitness)] if fitness else []
        values = list(zip(self._names, values, strict=False))
        compiling = self._compile_seconds() - self._compiled_before
        if compiling:
            values.append((_COMPILING, compiling))
        self._bar.update(
            done,
            values=values,
            finalize=len(self._results) == self._num_trainings(),
        )

    def tell(self, line):
        """Shows a line of text."""
        print(f"\n{line}")

    def _name(self, position):
        if position >= 0:
            return f"Trial {self._generation.first_trial + position}"
        return self._generation.candidate(position) or "Cross-entropy"

    def _compile_seconds(self):
        return getattr(self._trainer, "compile_seconds", 0.0)

    def _num_trainings(self):
        num_rivals = len(self._generation.rivals) if self._has_baseline else 0
        return self._generation.size + num_rivals

    def _fitness(self):
        """Of each candidate, over its tasks whose baseline is known."""
        num_tasks = len(self._generation.task_seeds)
        scores = {}
        for position, result in sorted(self._results.items()):
            candidate, task = divmod(position, num_tasks)
            if candidate >= 0 and result.message != DROPPED:
                of_candidate = scores.setdefault(candidate, {})
                of_candidate[task] = result.score or 0.0
        gains = [
            mean_gain(each.values(), map(self._baseline, each))
            for each in scores.values()
        ]
        return [gain for gain in gains if not math.isnan(gain)]

    def _baseline(self, task):
        if not self._has_baseline:
            return 0.0
        position = task - len(self._generation.task_seeds)
        result = self._results.get(position)
        return result and result.score


class NoProgress:
    """Shows nothing, in the place of `SearchProgress`."""

    def begin(self, generation, results):
        """Shows nothing."""

    def update(self, results):
        """Shows nothing."""

    def tell(self, line):
        """Shows nothing."""
