"""CMA-ES as a Keras Tuner oracle."""

import collections
import threading

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial
from keras_tuner.engine.trial import TrialStatus

from keras_arl.losses import polynomial
from keras_arl.search import files
from keras_arl.search import space
from keras_arl.search.journal import Journal
from keras_arl.search.schedule import SELECTION
from keras_arl.search.schedule import Schedule
from keras_arl.search.schedule import rank


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
        self._lock = threading.RLock()
        self._schedule = Schedule(self.settings())
        self._begin_stage()

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
        return self._schedule.stage.phase

    @property
    def generation(self):
        """Number of generations that are complete."""
        return self._schedule.stage.generation

    @property
    def stage_size(self):
        """Number of trials of the current generation, or of the selection."""
        return self._schedule.stage.size

    @property
    def finished(self):
        """Whether the selection is complete."""
        return self.phase == SELECTION and len(self._ends) == self.stage_size

    def create_trial(self, tuner_id):
        """Hands out a trial of the present stage.

        Args:
            tuner_id: Identifies the tuner that asks. One that has a trial is
                given the same again.

        Returns:
            A `Trial` with status `"RUNNING"`; with status `"IDLE"` while
            others have all trials of the stage, and `"STOPPED"` when the
            search is finished.
        """
        with self._lock:
            if tuner_id in self.ongoing_trials:
                return self._hand_out_again(tuner_id)
            self.tuner_ids.add(tuner_id)
            if self._waiting:
                return self._hand_out(tuner_id)
            if not self.finished:
                return Trial(self.get_space(), status=TrialStatus.IDLE)
            self.tuner_ids.remove(tuner_id)
            return Trial(self.get_space(), status=TrialStatus.STOPPED)

    def populate_space(self, trial_id):
        """The hyperparameters of a trial of the present stage."""
        stage = self._schedule.stage
        position = int(trial_id) - stage.first_trial
        return {
            "status": TrialStatus.RUNNING,
            "values": stage.hyperparameters(position, self.order),
        }

    def create_generation(self, tuner_id):
        """Hands out all trials of the present stage that nobody has.

        For a tuner that trains with many candidates together.

        Args:
            tuner_id: Identifies the tuner that asks. What it has of the stage
                already, it is given again.

        Returns:
            A list of trials with status `"RUNNING"`, empty when the search is
            finished.

        Raises:
            RuntimeError: If others have all trials of the stage.
        """
        with self._lock:
            trials = [
                self._hand_out_again(holder)
                for holder in self.ongoing_trials
                if holder.startswith(f"{tuner_id}/")
            ]
            while self._waiting:
                holder = f"{tuner_id}/{self._waiting[0]}"
                trials.append(self._hand_out(holder))
            if not trials and not self.finished:
                raise RuntimeError(
                    f"No trial is left of generation {self.generation}, which "
                    "other tuners have not ended."
                )
            return trials

    def update_trial(self, trial_id, metrics, step=0):
        with self._lock:
            return super().update_trial(trial_id, metrics, step)

    def end_trial(self, trial):
        """Takes the end of a trial, and tells CMA-ES of a whole generation.

        The end of a trial that has ended before is ignored.

        Args:
            trial: A `Trial` that was handed out, with its status and message.

        Raises:
            RuntimeError: If all trials of a generation raised an exception.
        """
        with self._lock:
            tuner_id = self._who_has(trial.trial_id)
            if tuner_id is None:
                return
            status, message = trial.status, trial.message
            trial = self.ongoing_trials[tuner_id]
            trial.message = message
            trial.status = TrialStatus.FAILED
            if status == TrialStatus.COMPLETED:
                self.score_trial(trial)
                if np.isfinite(trial.score):
                    trial.status = TrialStatus.COMPLETED
            stage = self._schedule.stage
            end = {
                "position": int(trial.trial_id) - stage.first_trial,
                "status": trial.status,
                "score": _score(trial),
                "message": trial.message,
            }
            if not self._ends:
                self._journal.begin(stage)
            self._journal.append(stage, end)
            self._ends[end["position"]] = end
            self.end_order.append(trial.trial_id)
            # Last: what interrupts this method leaves a trial to be run again.
            del self.ongoing_trials[tuner_id]
            self._tell_when_complete()

    def _who_has(self, trial_id):
        for tuner_id, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                return tuner_id
        return None

    def _begin_stage(self):
        # How trials of the present stage ended, by their position in it.
        self._ends = {}
        # Positions of those that nobody has.
        self._waiting = collections.deque(range(self._schedule.stage.size))

    def _hand_out(self, holder):
        trial = self._new_trial(self._waiting.popleft())
        self.ongoing_trials[holder] = trial
        return trial

    def _hand_out_again(self, holder):
        # Without the metrics of the run that was interrupted.
        old = self.ongoing_trials[holder]
        trial = Trial(old.hyperparameters, old.trial_id, TrialStatus.RUNNING)
        self.trials[trial.trial_id] = self.ongoing_trials[holder] = trial
        return trial

    def _new_trial(self, position):
        stage = self._schedule.stage
        width = len(str(self.max_trials))
        trial_id = f"{stage.first_trial + position:0{width}d}"
        populated = self.populate_space(trial_id)
        hyperparameters = self.get_space()
        hyperparameters.values = populated["values"]
        trial = Trial(hyperparameters, trial_id, populated["status"])
        self.trials[trial_id] = trial
        self.start_order.append(trial_id)
        return trial

    def _tell_when_complete(self):
        stage = self._schedule.stage
        if self.phase == SELECTION or len(self._ends) < stage.size:
            return
        self._stop_if_all_raised()
        self._schedule.tell(stage.fitness(self._scores()))
        self._begin_stage()

    def _scores(self):
        return [self._ends[k]["score"] for k in range(len(self._ends))]

    def _stop_if_all_raised(self):
        """Stops, so that the same generation is run again on resume."""
        ends = [self._ends[k] for k in range(len(self._ends))]
        if not all(_raised(end) for end in ends):
            return
        self._journal.forget(self._schedule.stage)
        self._begin_stage()
        for order in (self.start_order, self.end_order):
            for trial_id in order[-len(ends) :]:
                self.trials.pop(trial_id, None)
            del order[-len(ends) :]
        raise RuntimeError(
            f"All {len(ends)} trials of generation {self.generation} raised "
            f"an exception. The first one:\n{ends[0]['message']}"
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
        for generation, fitness in enumerate(self._schedule.fitness):
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
        if not self.finished:
            raise RuntimeError(
                f"The search is not finished: {len(self.end_order)} of "
                f"{self.max_trials} trials are done. Call `search()` first."
            )
        stage = self._schedule.stage
        rows = [
            {"name": name, "score": score, "vector": vector}
            for name, score, vector in zip(
                self._schedule.finalists(),
                stage.fitness(self._scores()),
                stage.candidates,
                strict=True,
            )
        ]
        return sorted(rows, key=lambda row: rank(row["score"]), reverse=True)

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
                f"{self._ends[0]['message']}"
            )
        return winner["vector"]

    @property
    def _journal(self):
        return Journal(self._project_dir)

    def save(self):
        """Writes the settings; each trial's end is written when it ends."""
        self._journal.write_settings(self.settings())

    def _save_trial(self, trial):
        # The base class's file for each trial: the stage's file holds its end.
        pass

    def reload(self):
        """Continues the search in the project's directory.

        Raises:
            ValueError: If it has other settings, or another version of this
                package began it.
        """
        saved = self._journal.read_settings()
        if self._seed_is_drawn:
            self.seed = saved["seed"]
        files.check_same_settings(saved, self.settings())
        self._schedule = Schedule(self.settings())
        self._begin_stage()
        while self._read_stage():
            self._tell_when_complete()

    def _read_stage(self):
        """Reads how trials ended; returns whether another stage follows."""
        stage = self._schedule.stage
        for end in self._journal.read_ends(stage):
            position = end["position"]
            if position in self._ends:
                # It was interrupted as it ended, and run again.
                continue
            self._ends[position] = end
            self._waiting.remove(position)
            trial = self._new_trial(position)
            trial.status = end["status"]
            trial.score = end["score"]
            trial.message = end["message"]
            self.end_order.append(trial.trial_id)
        return len(self._ends) == stage.size and not self.finished


def _score(trial):
    """The trial's score, or `None` if it failed."""
    if trial.status != TrialStatus.COMPLETED:
        return None
    return float(trial.score)


def _raised(end):
    """Whether an exception ended the trial; divergence is none."""
    return end["score"] is None and (end["message"] or "").startswith(
        "Traceback"
    )


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
