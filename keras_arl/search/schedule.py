"""Which candidates meet which tasks in each generation: numbers alone."""

import math

import numpy as np

from keras_arl.search.cmaes import CMAES
from keras_arl.search.generation import SEARCH
from keras_arl.search.generation import SELECTION
from keras_arl.search.generation import Generation
from keras_arl.search.generation import mean_of
from keras_arl.search.generation import rank_of

_PURPOSES = {SEARCH: 1, SELECTION: 2}


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
        # Fitness of each generation told, candidate by candidate; and what
        # people are shown of it.
        self._fitness = []
        self._history = []
        self._asked = []
        # Of the runs that have ended, as pairs of name and vector.
        self._finalists = []
        self._run = 0
        self._begin_run()
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
            baseline = mean_of(score for score in of_tasks if score is not None)
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
        by_position = dict(enumerate(results))
        by_position |= zip(generation.rivals, rivals or (), strict=False)
        fitness = generation.told(fitness, by_position)
        self._cmaes.tell(self._asked[-1], fitness)
        self._fitness.append(fitness)
        valid = [gain for gain in gains if gain is not None]
        self._history.append(
            {
                "generation": generation.number,
                "run": self._run,
                "best": max(valid, default=math.nan),
                "mean": mean_of(valid),
                "failed": fitness.count(None),
                "fitness": gains,
                "baseline": baseline,
            }
        )
        self._ask_or_restart()
        self._generation = self._next()

    def history(self):
        """As `CMAESOracle.history`."""
        return [dict(row) for row in self._history]

    def selection(self):
        """As `CMAESOracle.selection`, of a finished search."""
        rows = [
            (
                rank_of(fitness),
                {"name": name, "score": score, "gain": gain, "vector": vector},
            )
            for (name, _), (score, gain, fitness), vector in zip(
                self._finalists,
                self._selected,
                self._generation.candidates,
                strict=True,
            )
        ]
        rows.sort(key=lambda pair: pair[0], reverse=True)
        return [row for _, row in rows]

    def _begin_run(self):
        settings = self._settings
        self._cmaes = CMAES(
            settings["x0"],
            settings["sigma0"],
            settings["popsize"],
            seed=[0, settings["seed"], self._run],
            step_sizes=self._space.step_sizes,
        )
        self._run += 1
        self._first_of_run = len(self._asked)
        self._asked.append(self._cmaes.ask())

    def _ask_or_restart(self):
        """Asks for a generation: of this run, of the next one, or of none."""
        settings = self._settings
        length = len(self._fitness) - self._first_of_run
        if length < settings["generations"] and not self._cmaes.stopped:
            self._asked.append(self._cmaes.ask())
            return
        name = f"mean of run {self._run}" if settings["restarts"] else "mean"
        self._finalists += [*self._winners(), (name, self._cmaes.mean)]
        if self._run <= settings["restarts"]:
            self._begin_run()

    def _next(self):
        told = len(self._fitness)
        # After the last run no generation is asked for.
        if told < len(self._asked):
            phase, num_tasks = SEARCH, self._settings["tasks_per_generation"]
            vectors = self._asked[-1]
        else:
            phase, num_tasks = SELECTION, self._settings["selection_tasks"]
            vectors = [vector for _, vector in self._finalists]
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
            # Cross-entropy is the baseline, and so a rival already.
            panel=tuple(
                name for name in self._settings["panel"] if name.lower() != "ce"
            ),
            racing=self._settings["racing"] and phase == SEARCH,
        )

    def _fitness_kind(self, phase):
        kind = self._settings["fitness"]
        # Among few finalists ranks say little.
        return "mean" if phase == SELECTION and kind == "rank" else kind

    def _winners(self):
        """The best of each of the run's last generations, with its name."""
        told = len(self._fitness)
        first = max(self._first_of_run, told - self._settings["finalists"])
        winners = []
        for k in range(first, told):
            ranks = [rank_of(value) for value in self._fitness[k]]
            best = self._asked[k][ranks.index(max(ranks))]
            winners.append((f"generation {k + 1}", best))
        return winners

    def _task_seed(self, phase, generation, task):
        sequence = np.random.SeedSequence(
            [self._settings["seed"], _PURPOSES[phase], generation, task]
        )
        # Below 2^31, as TensorFlow's seeds have to be.
        return int(sequence.generate_state(1)[0] >> 1)
