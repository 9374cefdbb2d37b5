"""CMA-ES as a Keras Tuner oracle."""

import collections
import math
import threading
import time

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial
from keras_tuner.engine.trial import TrialStatus

from keras_arl.losses.taylor import polynomial
from keras_arl.search import files
from keras_arl.search import space
from keras_arl.search.journal import Journal
from keras_arl.search.record import Record
from keras_arl.search.schedule import FITNESSES

# A trial that whoever runs it does not survive is given up.
_MAX_LOSSES = 5


class CMAESOracle(keras_tuner.Oracle):
    """Searches the coefficients and the centre of a `TaylorLoss` by CMA-ES.

    pycma's `CMAEvolutionStrategy` proposes generations of `popsize`
    candidates; every candidate meets the same `tasks` tasks with the same
    seeds, and each pair of candidate and task is one trial. A candidate's
    fitness is the mean score of its trials; a candidate with a failed trial
    (divergence, NaN, an exception, `trial_timeout`) ranks behind all others,
    and the search goes on. Only a generation in which no candidate can be
    scored, by exceptions and not by divergence alone, stops it, with the first
    traceback; started again, it repeats that generation. Each generation gets
    new tasks.

    Single scores of noisy trainings are lucky at times. After the last
    generation the best candidate of each of the last `finalists` generations
    and the mean of the final distribution are therefore evaluated on
    `final_tasks` fresh tasks, again as trials; `best()` is the one with the
    highest mean there.

    The hyperparameters of a trial are its `phase` (`"search"` or
    `"selection"`), `generation`, `candidate`, `task`, `task_seed`, the
    coefficients `theta_ij`, and the centre `center_p`, `center_y`.

    The scale of a loss is the learning rate's business, not the search's: a
    trial is trained with its coefficients divided by one number, so that with
    ten classes the steepest gradient of the labelled class's logit, over its
    probability p where the others share the rest, is 1, as cross-entropy's.

    Many workers may share a search (`keras_arl.distribute`). A trial whose
    worker is not heard of for the `lease` is handed to another, and fails as
    if by an exception once five workers were lost with it.

    The search depends on `seed` alone, not on the order in which the trials of
    a generation end, nor on who ran them. State is JSON; CMA-ES is restored by
    replaying the fitness of the generations told so far. A search directory is
    continued only with the arguments it was begun with, the last three apart.

    Args:
        order: Order of the loss, 2 to 6 (a polynomial of order 1 has no term
            with the label). Defaults to `4`.
        generations: Number of generations. Defaults to `8`.
        popsize: Candidates a generation, at least 4. Defaults to `8`.
        tasks: Tasks a generation. Defaults to `1`.
        seed: Non-negative integer. Defaults to `None`: drawn at random, or
            that of the search that is continued.
        x0: Initial mean: the coefficients, then the centre; `"ce"`,
            cross-entropy's Taylor polynomial at p = 1/2; or `"linear"`, minus
            twice the labelled class's prediction. Defaults to `"ce"`.
        sigma0: Initial step size. Defaults to `0.3`.
        finalists: Generations whose best candidates are selected from, beside
            the mean. Defaults to `3`.
        final_tasks: Fresh tasks of the selection. Defaults to `3`.
        class_aware: As in `TaylorLoss`. Defaults to `False`.
        fitness: `"mean"` for the mean score of a candidate, `"rank"` for the
            mean, over the tasks, of the share of other candidates that it
            beats. The selection goes by mean scores. Defaults to `"mean"`.
        objective: Name of the score, or a `keras_tuner.Objective` to maximise.
            Defaults to `"val_accuracy"`.
        max_retries_per_trial: How often a trial that raised an exception is
            run again before it counts as failed. Defaults to `0`.
        trial_timeout: Seconds after which a trial fails as if by an exception.
            Defaults to `None`: never.
        lease: Seconds after which a trial is handed to another worker if the
            one that has it was not heard of. Defaults to `120`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> oracle = keras_arl.search.CMAESOracle(
    ...     generations=1, popsize=4, final_tasks=1, seed=0
    ... )
    >>> tuner = keras_arl.search.LossTuner(
    ...     oracle, tasks=keras_arl.tasks.TaskFamily(), directory="results"
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
        x0="ce",
        sigma0=0.3,
        finalists=3,
        final_tasks=3,
        class_aware=False,
        fitness="mean",
        objective="val_accuracy",
        max_retries_per_trial=0,
        trial_timeout=None,
        lease=120.0,
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
        if isinstance(x0, str):
            x0 = space.starting_point(x0, order)
        if len(x0) != polynomial.num_coefficients(order) + 2:
            raise ValueError(
                f"`x0` must hold {polynomial.num_coefficients(order)} "
                f"coefficients and the centre. Received {len(x0)} values"
            )
        if not np.isfinite(x0).all():
            raise ValueError(f"`x0` must be finite. Received: x0={list(x0)}")
        if fitness not in FITNESSES:
            raise ValueError(
                f"`fitness` must be one of {FITNESSES}. "
                f"Received: fitness={fitness!r}"
            )
        _check_at_least("max_retries_per_trial", max_retries_per_trial, 0)
        for name, seconds in (
            ("lease", lease),
            ("trial_timeout", 1 if trial_timeout is None else trial_timeout),
        ):
            if not 0 < seconds < np.inf:
                raise ValueError(
                    f"`{name}` must be a positive number of seconds. "
                    f"Received: {name}={seconds!r}"
                )
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
            max_retries_per_trial=max_retries_per_trial,
        )
        self.trial_timeout = trial_timeout
        self.lease = lease
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
        self.class_aware = bool(class_aware)
        self.fitness = fitness
        self._lock = threading.RLock()
        # When each tuner was last heard of.
        self._heard = {}
        self._record = Record(self.settings())
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
            "class_aware": self.class_aware,
            "fitness": self.fitness,
            "objective": self.objective.name,
        }

    @property
    def phase(self):
        """`"search"`, or `"selection"` after the last generation."""
        return self._record.stage.phase

    @property
    def generation(self):
        """Number of generations that are complete."""
        return self._record.stage.generation

    @property
    def stage_size(self):
        """Number of trials of the current generation, or of the selection."""
        return self._record.stage.size

    @property
    def finished(self):
        """Whether the selection is complete."""
        return self._record.finished

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
            self._heard[tuner_id] = time.monotonic()
            self.tuner_ids.add(tuner_id)
            if tuner_id in self.ongoing_trials:
                return self._hand_out_again(tuner_id)
            self._lose_the_silent()
            if self._waiting:
                return self._hand_out(tuner_id, self._waiting[0])
            if not self.finished:
                return Trial(self.get_space(), status=TrialStatus.IDLE)
            self.tuner_ids.remove(tuner_id)
            return Trial(self.get_space(), status=TrialStatus.STOPPED)

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
            for position in sorted(self._waiting):
                holder = f"{tuner_id}/{position}"
                self._heard[holder] = time.monotonic()
                trials.append(self._hand_out(holder, position))
            if not trials and not self.finished:
                raise RuntimeError(
                    f"No trial is left of generation {self.generation}, which "
                    "other tuners have not ended."
                )
            return trials

    def renew(self, tuner_id, trial_id):
        """Prolongs the lease of a tuner that is at work on a trial.

        A tuner whose trial nobody has, since its lease ended or the search was
        started again meanwhile, has it again.

        Args:
            tuner_id: Identifies the tuner.
            trial_id: The trial it works on.
        """
        with self._lock:
            self._heard[tuner_id] = time.monotonic()
            position = self._positions.get(trial_id)
            has_one = tuner_id in self.ongoing_trials
            if position in self._waiting and not has_one:
                self._hand_out(tuner_id, position)

    def populate_space(self, trial_id):
        """The hyperparameters of a trial of the present stage."""
        position = self._positions[trial_id]
        return {
            "status": TrialStatus.RUNNING,
            "values": self._record.stage.hyperparameters(position, self.order),
        }

    def update_trial(self, trial_id, metrics, step=0):
        with self._lock:
            position = self._positions.get(trial_id)
            if trial_id not in self.trials or position in self._record.ends:
                raise ValueError(f"Trial {trial_id!r} is not running.")
            if self.objective.name not in metrics:
                raise ValueError(
                    f"Metrics must include {self.objective.name!r}. Received: "
                    f"{sorted(metrics)}"
                )
            trial = self.trials[trial_id]
            for name, value in metrics.items():
                # Keras Tuner warns of NaN.
                if math.isnan(value):
                    continue
                if not trial.metrics.exists(name):
                    trial.metrics.register(name, direction="max")
                trial.metrics.update(name, value, step=step)
            return trial

    def lose(self, tuner_id):
        """Takes the trial of a tuner that has died.

        Args:
            tuner_id: Identifies the tuner.

        Raises:
            RuntimeError: If no candidate of a generation could be scored, by
                exceptions.
            OSError: If the end of the trial cannot be written.
        """
        with self._lock:
            if tuner_id in self.ongoing_trials:
                self._lose(tuner_id)

    def end_trial(self, trial, tuner_id=None):
        """Takes the end of a trial, and tells CMA-ES of a whole generation.

        Each trial of the present stage ends once, by whoever says so first:
        the end of any other trial is ignored.

        Args:
            trial: A `Trial` that was handed out, with its status: `"COMPLETED"`
                with metrics, `"FAILED"`, or `"INVALID"` if it raised an
                exception, which its message shows.
            tuner_id: Whose word it is. An exception counts if the tuner has
                the trial. Defaults to `None`: of who has it.

        Returns:
            Whether the trial has ended now; `False` if it is ignored or is to
            be run again.

        Raises:
            RuntimeError: If no candidate of a generation could be scored, by
                exceptions.
            OSError: If it cannot be written.
        """
        with self._lock:
            position = self._positions.get(trial.trial_id)
            if position is None or position in self._record.ends:
                return False
            if trial.status == TrialStatus.INVALID:
                if tuner_id is not None and not self._has(tuner_id, position):
                    return False
                self._failures[position] += 1
                if self._failures[position] <= self.max_retries_per_trial:
                    self._take_back(position)
                    return False
            self._end(position, trial)
            return True

    def _end(self, position, report):
        trial = self.trials.get(report.trial_id) or self._new_trial(position)
        if report.metrics.exists(self.objective.name):
            trial.metrics = report.metrics
        # Both may be one object.
        raised = report.status == TrialStatus.INVALID
        score = _score(trial, report.status, self.objective.name)
        trial.score = score
        trial.status = (
            TrialStatus.FAILED if score is None else TrialStatus.COMPLETED
        )
        trial.message = report.message
        if score is None and trial.message is None:
            trial.message = f"ended without a finite {self.objective.name}"
        end = {
            "position": position,
            "status": trial.status,
            "score": score,
            "message": trial.message,
            "raised": raised,
        }
        try:
            another_stage = self._record.add(end, self._journal)
        except RuntimeError:
            self._forget_stage()
            raise
        self.end_order.append(trial.trial_id)
        if another_stage:
            self._begin_stage()
        else:
            self._release(position)

    def _begin_stage(self):
        stage = self._record.stage
        width = len(str(self.max_trials))
        self._trial_ids = [
            f"{stage.first_trial + position:0{width}d}"
            for position in range(stage.size)
        ]
        self._positions = {
            trial_id: position
            for position, trial_id in enumerate(self._trial_ids)
        }
        # Positions of trials that have not ended and that nobody has.
        self._waiting = [
            position
            for position in range(stage.size)
            if position not in self._record.ends
        ]
        # How often a trial raised an exception, and how often it was lost.
        self._failures = collections.Counter()
        self._losses = collections.Counter()
        self.ongoing_trials = {}

    def _hand_out(self, holder, position):
        self._waiting.remove(position)
        trial = self._new_trial(position)
        self.ongoing_trials[holder] = trial
        return trial

    def _hand_out_again(self, holder):
        # Without the metrics of the run that was interrupted.
        position = self._positions[self.ongoing_trials[holder].trial_id]
        self.ongoing_trials[holder] = self._new_trial(position)
        return self.ongoing_trials[holder]

    def _has(self, holder, position):
        trial = self.ongoing_trials.get(holder)
        return trial is not None and self._positions[trial.trial_id] == position

    def _take_back(self, position):
        """Has a trial wait for the next tuner that asks."""
        self._release(position)
        self._waiting.insert(0, position)

    def _release(self, position):
        """Takes a trial from who has it, or from those that wait."""
        if position in self._waiting:
            self._waiting.remove(position)
        for holder, trial in self.ongoing_trials.items():
            if self._positions[trial.trial_id] == position:
                del self.ongoing_trials[holder]
                return

    def _lose_the_silent(self):
        earliest = time.monotonic() - self.lease
        for holder in list(self.ongoing_trials):
            if holder in self.ongoing_trials and self._heard[holder] < earliest:
                self._lose(holder)

    def _lose(self, holder):
        """Takes a trial back from who lost it, in the end as a failed one."""
        trial = self.ongoing_trials[holder]
        position = self._positions[trial.trial_id]
        self._losses[position] += 1
        if self._losses[position] < _MAX_LOSSES:
            self._take_back(position)
            return
        trial.status = TrialStatus.INVALID
        trial.message = (
            f"lost {_MAX_LOSSES} times: the worker that ran it began anew, or "
            f"was not heard of for {self.lease:g} s, as when it is killed for "
            "its memory"
        )
        self._end(position, trial)

    def _new_trial(self, position):
        trial_id = self._trial_ids[position]
        populated = self.populate_space(trial_id)
        hyperparameters = self.get_space()
        hyperparameters.values = populated["values"]
        trial = Trial(hyperparameters, trial_id, populated["status"])
        if trial_id not in self.trials:
            self.start_order.append(trial_id)
        self.trials[trial_id] = trial
        return trial

    def _forget_stage(self):
        """Has the present stage begin anew."""
        self._begin_stage()
        for trial_id in self._positions:
            self.trials.pop(trial_id, None)
        for order in (self.start_order, self.end_order):
            order[:] = [k for k in order if k not in self._positions]

    def history(self):
        """Fitness by generation.

        Returns:
            A list of dictionaries, one per complete generation: `generation`,
            `best` and `mean` fitness over the candidates that have one (NaN if
            none has), `failed` (number of candidates without) and `fitness` by
            candidate.
        """
        return self._record.history()

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
        self._check_finished()
        return self._record.selection()

    def best(self):
        """Coefficients, then centre, of the finalist selected, a list.

        Raises:
            RuntimeError: If the search is not finished, or every finalist
                failed.
        """
        self._check_finished()
        return self._record.best()

    def _check_finished(self):
        if not self.finished:
            raise RuntimeError(
                f"The search is not finished: {len(self.end_order)} of "
                f"{self.max_trials} trials are done. Call `search()` first."
            )

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
            ValueError: If it has other settings, another version of this
                package began it, or a file is damaged.
        """
        self.share(self._journal.read_settings())
        with self._lock:
            self.trials.clear()
            self.start_order.clear()
            self.end_order.clear()
            self._record = Record(self.settings())
            self._begin_stage()
            for ends in self._record.read(self._journal):
                self._begin_stage()
                for end in ends:
                    self._restore(end)

    def repair(self):
        """Removes what was half written when the search was killed."""
        self._journal.repair(self._record.stage)

    def _restore(self, end):
        trial = self._new_trial(end["position"])
        trial.status = end["status"]
        trial.score = end["score"]
        trial.message = end["message"]
        self.end_order.append(trial.trial_id)

    def share(self, settings, **kwargs):
        """Takes part in a search that was begun with `settings`.

        Args:
            settings: What `settings()` returned there.
            **kwargs: Further arguments of `files.check_same_settings`.

        Raises:
            ValueError: If they differ from these, a drawn seed apart.
        """
        if self._seed_is_drawn:
            self.seed = settings.get("seed")
        files.check_same_settings(settings, self.settings(), **kwargs)


def _score(trial, status, name):
    """A completed trial's score, as messages hold it, or `None`."""
    if status != TrialStatus.COMPLETED or not trial.metrics.exists(name):
        return None
    with np.errstate(over="ignore"):
        score = float(np.float32(trial.metrics.get_best_value(name)))
    return score if math.isfinite(score) else None


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
