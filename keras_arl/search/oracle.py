"""CMA-ES as a Keras Tuner oracle."""

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial
from keras_tuner.engine.trial import TrialStatus

from keras_arl.losses import polynomial
from keras_arl.search import files
from keras_arl.search import space
from keras_arl.search.evolution import Evolution

SEARCH, SELECTION = "search", "selection"
_PURPOSES = {SEARCH: 1, SELECTION: 2}
_STATE_VERSION = 1


class CMAESOracle(keras_tuner.Oracle):
    """Searches the coefficients and the centre of a `TaylorLoss` by CMA-ES.

    pycma's `CMAEvolutionStrategy` proposes generations of `popsize`
    candidates; every candidate meets the same `tasks` tasks with the same
    seeds, and each pair of candidate and task is one trial. A candidate's
    fitness is the mean score of its trials; a candidate with a failed trial
    (divergence, NaN, an exception) ranks behind all others, and the search
    goes on. Only a generation all of whose trials raise an exception stops it,
    with the first traceback; started again, it repeats that generation. Each
    generation gets new tasks.

    Single scores of noisy trainings are lucky at times. After the last
    generation the best candidate of each of the last `finalists` generations
    and the mean of the final distribution are therefore evaluated on
    `final_tasks` fresh tasks, again as trials; `best()` is the one with the
    highest mean there.

    The hyperparameters of a trial are its `phase` (`"search"` or
    `"selection"`), `generation`, `candidate`, `task`, `task_seed`, the
    coefficients `theta_ij`, and the centre `center_p`, `center_y`.

    The search depends on `seed` alone, not on the order in which the trials of
    a generation end. State is JSON; CMA-ES is restored by replaying the
    fitness of the generations told so far. A search directory is continued
    only with the arguments it was begun with.

    Args:
        order: Order of the loss, 2 to 6 (a polynomial of order 1 has no term
            with the label). Defaults to `4`.
        generations: Number of generations. Defaults to `8`.
        popsize: Candidates a generation, at least 4. Defaults to `8`.
        tasks: Tasks a generation. Defaults to `1`.
        seed: Non-negative integer. Defaults to `None`: drawn at random, or
            that of the search that is continued.
        x0: Initial mean: the coefficients, then the centre. Defaults to
            `None`: cross-entropy's Taylor polynomial at p = 1/2.
        sigma0: Initial step size. Defaults to `0.3`.
        finalists: Generations whose best candidates are selected from, beside
            the mean. Defaults to `3`.
        final_tasks: Fresh tasks of the selection. Defaults to `3`.
        objective: Name of the score, or a `keras_tuner.Objective` to maximise.
            Defaults to `"val_accuracy"`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> oracle = keras_arl.search.CMAESOracle(
    ...     generations=1, popsize=4, final_tasks=1, seed=0
    ... )
    >>> tuner = keras_arl.search.LossTuner(
    ...     oracle, tasks=keras_arl.tasks.SampledTasks(), directory="results"
    ... )
    >>> tuner.search(verbose=0)
    >>> tuner.best_loss()
    <TaylorLoss name='taylor_loss' order=4 from_logits=False>
    """

    def __init__(
        self,
        order=4,
        generations=8,
        popsize=8,
        tasks=1,
        seed=None,
        x0=None,
        sigma0=0.3,
        finalists=3,
        final_tasks=3,
        objective="val_accuracy",
    ):
        polynomial.check_order(order)
        _check_at_least("order", order, 2)
        _check_at_least("generations", generations, 1)
        _check_at_least("popsize", popsize, 4)
        _check_at_least("tasks", tasks, 1)
        _check_at_least("finalists", finalists, 1)
        _check_at_least("final_tasks", final_tasks, 1)
        self._seed_is_drawn = seed is None
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        _check_at_least("seed", seed, 0)
        if not sigma0 > 0:
            raise ValueError(
                f"`sigma0` must be positive. Received: sigma0={sigma0!r}"
            )
        if x0 is None:
            x0 = space.taylor_cross_entropy(order)
        if len(x0) != polynomial.num_coefficients(order) + 2:
            raise ValueError(
                f"`x0` must hold {polynomial.num_coefficients(order)} "
                f"coefficients and the centre. Received {len(x0)} values"
            )
        if not np.isfinite(x0).all():
            raise ValueError(f"`x0` must be finite. Received: x0={list(x0)}")
        if isinstance(objective, str):
            objective = keras_tuner.Objective(objective, direction="max")
        if objective.direction != "max":
            raise ValueError(
                f"`objective` must be one to maximise. Received: {objective}"
            )
        finalists = min(finalists, generations)
        super().__init__(
            objective=objective,
            max_trials=generations * popsize * tasks
            + (finalists + 1) * final_tasks,
            seed=seed,
            max_consecutive_failed_trials=None,
        )
        # The base class takes seed 0 for none.
        self.seed = seed
        self.order = order
        self.generations = generations
        self.popsize = popsize
        self.tasks = tasks
        self.x0 = [float(x) for x in x0]
        self.sigma0 = float(sigma0)
        self.finalists = finalists
        self.final_tasks = final_tasks
        self._begin()

    def _begin(self):
        self._evolution = Evolution(
            self.x0, self.sigma0, self.popsize, seed=[0, self.seed]
        )
        # Fitness of each generation told, candidate by candidate.
        self._fitness = []
        self._generations_asked = [self._evolution.ask()]
        # Trials of the current generation or of the selection, in order.
        self._issued = []

    def settings(self):
        """The arguments that a resumed search must share, a dictionary."""
        return {
            "order": self.order,
            "generations": self.generations,
            "popsize": self.popsize,
            "tasks": self.tasks,
            "seed": self.seed,
            "x0": self.x0,
            "sigma0": self.sigma0,
            "finalists": self.finalists,
            "final_tasks": self.final_tasks,
            "objective": self.objective.name,
        }

    @property
    def phase(self):
        """`"search"`, or `"selection"` after the last generation."""
        told = len(self._fitness)
        over = told == self.generations or (told and self._evolution.stopped)
        return SELECTION if over else SEARCH

    @property
    def generation(self):
        """Number of generations that are complete."""
        return len(self._fitness)

    @property
    def stage_size(self):
        """Number of trials of the current generation, or of the selection."""
        candidates, num_tasks = self._stage()
        return len(candidates) * num_tasks

    def populate_space(self, trial_id):
        candidates, num_tasks = self._stage()
        position = len(self._issued)
        if position == self.stage_size:
            finished = self.phase == SELECTION and self._all_ended()
            return {
                "status": TrialStatus.STOPPED if finished else TrialStatus.IDLE
            }
        candidate, task = divmod(position, num_tasks)
        self._issued.append(trial_id)
        return {
            "status": TrialStatus.RUNNING,
            "values": {
                "phase": self.phase,
                "generation": self.generation,
                "candidate": candidate,
                "task": task,
                "task_seed": self.task_seed(self.phase, self.generation, task),
                **self._name(candidates[candidate]),
            },
        }

    def task_seed(self, phase, generation, task):
        """Seed of a task, a function of the search's seed and the position."""
        sequence = np.random.SeedSequence(
            [self.seed, _PURPOSES[phase], generation, task]
        )
        # Fits the 32-bit integers of Keras Tuner's messages.
        return int(sequence.generate_state(1)[0] >> 1)

    @keras_tuner.synchronized
    def end_trial(self, trial):
        super().end_trial(trial)
        self._tell_when_complete()

    def _stage(self):
        """Candidates and number of tasks of what is evaluated now."""
        if self.phase == SEARCH:
            return self._generations_asked[-1], self.tasks
        return self._finalists(), self.final_tasks

    def _finalists(self):
        finalists = []
        generations = list(
            zip(self._generations_asked, self._fitness, strict=False)
        )
        for candidates, fitness in generations[-self.finalists :]:
            best = max(range(len(fitness)), key=lambda k: _rank_key(fitness[k]))
            finalists.append(candidates[best])
        return [*finalists, self._evolution.mean]

    def _name(self, vector):
        # Rounded to float32, in which the loss is computed and in which Keras
        # Tuner sends numbers to a worker: every process sees one value.
        values = [float(x) for x in np.asarray(vector, dtype="float32")]
        return dict(zip(space.parameter_names(self.order), values, strict=True))

    def _all_ended(self):
        return set(self._issued) <= set(self.end_order)

    def _tell_when_complete(self):
        if self.phase == SELECTION or not self._issued:
            return
        if len(self._issued) < self.stage_size:
            return
        if not self._all_ended():
            return
        self._stop_if_all_raised()
        self._tell(self._aggregate(self._issued, self.tasks))
        self._issued = []
        self.save()

    def _tell(self, fitness):
        self._evolution.tell(self._generations_asked[-1], fitness)
        self._fitness.append(fitness)
        self._generations_asked.append(self._evolution.ask())

    def _aggregate(self, trial_ids, num_tasks):
        """Mean score of each candidate's trials; `None` where one failed."""
        scores = [_score(self.trials[trial_id]) for trial_id in trial_ids]
        rows = [
            scores[k : k + num_tasks] for k in range(0, len(scores), num_tasks)
        ]
        return [None if None in row else float(np.mean(row)) for row in rows]

    def _stop_if_all_raised(self):
        """Stops, so that the same generation is run again on resume."""
        trials = [self.trials[trial_id] for trial_id in self._issued]
        if not all(_raised(trial) for trial in trials):
            return
        for trial_id in self._issued:
            del self.trials[trial_id]
            self._run_times.pop(trial_id)
            self.start_order.remove(trial_id)
            self.end_order.remove(trial_id)
        self._issued = []
        self.save()
        raise RuntimeError(
            f"All {len(trials)} trials of generation {self.generation} raised "
            f"an exception. The first one:\n{trials[0].message}"
        )

    def history(self):
        """Fitness by generation.

        Returns:
            A list of dictionaries, one per complete generation: `generation`,
            `best` and `mean` fitness over the candidates that have one (NaN if
            none has), `failed` (number of candidates without) and `fitness` by
            candidate.
        """
        rows = []
        for generation, fitness in enumerate(self._fitness):
            scored = [f for f in fitness if f is not None]
            rows.append(
                {
                    "generation": generation,
                    "best": max(scored, default=float("nan")),
                    "mean": float(np.mean(scored)) if scored else float("nan"),
                    "failed": len(fitness) - len(scored),
                    "fitness": fitness,
                }
            )
        return rows

    def selection(self):
        """Result of the selection among the finalists.

        Returns:
            A list of dictionaries, best first: `name` (the generation that a
            finalist comes from, or `"mean"`), `score` (mean over the final
            tasks; `None` if a trial failed) and `vector` (coefficients, then
            centre).

        Raises:
            RuntimeError: If the search is not finished.
        """
        finalists = self._finalists() if self.phase == SELECTION else []
        if (
            not finalists
            or len(self._issued) < self.stage_size
            or not self._all_ended()
        ):
            raise RuntimeError(
                f"The search is not finished: {len(self.end_order)} of "
                f"{self.max_trials} trials are done. Call `search()` first."
            )
        scores = self._aggregate(self._issued, self.final_tasks)
        first = self.generation - (len(finalists) - 1)
        names = [
            f"generation {first + k}" for k in range(len(finalists) - 1)
        ] + ["mean"]
        rows = [
            {
                "name": name,
                "score": score,
                "vector": list(self._name(vector).values()),
            }
            for name, score, vector in zip(
                names, scores, finalists, strict=True
            )
        ]
        return sorted(
            rows, key=lambda row: _rank_key(row["score"]), reverse=True
        )

    def best(self):
        """Coefficients, then centre, of the finalist selected, a list.

        Raises:
            RuntimeError: If the search is not finished, or every finalist
                failed.
        """
        winner = self.selection()[0]
        if winner["score"] is None:
            raise RuntimeError(
                "Every finalist failed. The first one:\n"
                f"{self.trials[self._issued[0]].message}"
            )
        return winner["vector"]

    def get_state(self):
        return {
            **super().get_state(),
            "cmaes": {
                "version": _STATE_VERSION,
                "settings": self.settings(),
                "fitness": self._fitness,
                "issued": self._issued,
            },
        }

    def set_state(self, state):
        saved = state["cmaes"]
        if saved["version"] != _STATE_VERSION:
            raise ValueError(
                f"The search directory has version {saved['version']!r}; this "
                f"version of keras_arl continues version {_STATE_VERSION}."
            )
        if self._seed_is_drawn:
            self.seed = saved["settings"]["seed"]
        files.check_same_settings(saved["settings"], self.settings())
        super().set_state(state)
        self._begin()
        for fitness in saved["fitness"]:
            self._tell(fitness)
        self._issued = list(saved["issued"])

    def save(self):
        files.write_json(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial):
        path = f"{self._get_trial_dir(trial.trial_id)}/trial.json"
        files.write_json(path, trial.get_state())

    def reload(self):
        super().reload()
        # A process that ends between writing a trial and writing the oracle
        # leaves a trial that was never issued.
        issued = set(self.start_order)
        self.trials = {
            trial_id: trial
            for trial_id, trial in self.trials.items()
            if trial_id in issued
        }
        # One that ends between writing a trial's end and taking the trial from
        # the ongoing ones leaves a trial that must not run again.
        self._retry_queue = [
            trial_id
            for trial_id in self._retry_queue
            if trial_id not in self.end_order
        ]
        for trial_id in self._retry_queue:
            self.trials[trial_id] = Trial(
                self.trials[trial_id].hyperparameters, trial_id
            )
        self._tell_when_complete()


def _score(trial):
    """The trial's score, or `None` if it failed."""
    if trial.status != TrialStatus.COMPLETED or not np.isfinite(trial.score):
        return None
    return float(trial.score)


def _raised(trial):
    """Whether an exception ended the trial; divergence is none."""
    return _score(trial) is None and (trial.message or "").startswith(
        "Traceback"
    )


def _rank_key(fitness):
    return -np.inf if fitness is None else fitness


def _check_at_least(name, value, minimum):
    if (
        not isinstance(value, (int, np.integer))
        or isinstance(value, bool)
        or value < minimum
    ):
        raise ValueError(
            f"`{name}` must be an integer of at least {minimum}. "
            f"Received: {name}={value!r}"
        )
