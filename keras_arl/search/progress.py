"""The progress of a search on the screen."""

import keras
import numpy as np


class SearchProgress:
    """One Keras progress bar per generation, and one for the selection.

    It shows the best and the mean fitness of the candidates so far; a failed
    trial counts as 0. A line tells of each trial that raised an exception.

    Args:
        num_generations: Number of generations of the search.
    """

    def __init__(self, num_generations):
        self._num_generations = num_generations

    def begin(self, generation, results):
        """Begins a generation.

        Args:
            generation: The `Generation`.
            results: Those of its trials that have ended before, a dictionary
                from position to `Result`.
        """
        if generation.phase == "search":
            print(f"Generation {generation.number + 1}/{self._num_generations}")
        else:
            print("Selection on fresh tasks")
        self._num_tasks = len(generation.task_seeds)
        self._first_trial = generation.first_trial
        self._bar = keras.utils.Progbar(
            generation.size,
            stateful_metrics=["best", "mean"],
            unit_name="trial",
        )
        self._scores = {}
        self._add(results)

    def update(self, results):
        """Shows results that have come, a dictionary as in `begin`."""
        for position, result in results.items():
            if result.raised:
                reason = result.message.strip().rpartition("\n")[2]
                number = self._first_trial + position
                print(f"\nTrial {number} failed: {reason}")
        self._add(results)
        done = sum(len(scores) for scores in self._scores.values())
        fitness = [np.mean(scores) for scores in self._scores.values()]
        self._bar.update(
            done,
            values=[("best", max(fitness)), ("mean", np.mean(fitness))],
            finalize=done == self._bar.target,
        )

    def tell(self, line):
        """Shows a line of text."""
        print(f"\n{line}")

    def _add(self, results):
        for position, result in results.items():
            candidate = position // self._num_tasks
            self._scores.setdefault(candidate, []).append(result.score or 0.0)


class NoProgress:
    """Shows nothing, in the place of `SearchProgress`."""

    def begin(self, generation, results):
        """Shows nothing."""

    def update(self, results):
        """Shows nothing."""

    def tell(self, line):
        """Shows nothing."""
