"""CMA-ES as a Keras Tuner oracle."""

import keras_tuner
import numpy as np

from keras_arl import checks
from keras_arl.search.generation import check_comparison
from keras_arl.search.identity import check_same_settings
from keras_arl.search.schedule import NoFitnessError
from keras_arl.search.schedule import Schedule
from keras_arl.search.space import SearchSpace
from keras_arl.search.space import TaylorSpace
from keras_arl.search.trial_oracle import TrialOracle


class CMAESOracle(TrialOracle):
    """Searches a loss by CMA-ES: by default the numbers of a `TaylorLoss`.

    What is searched is a `space`: the coefficients and the centre of a Taylor
    polynomial (`TaylorSpace`), of one that moves over a training
    (`ScheduledTaylorSpace`) or with what a batch predicts
    (`BatchTaylorSpace`), or numbers of a known loss (`NumbersSpace`).

    pycma's `CMAEvolutionStrategy` proposes generations of `popsize`
    candidates; every candidate meets the same `tasks_per_generation` tasks
    with the same seeds, and each pair of candidate and task is one trial. A
    candidate's fitness is the mean score of its trials; a candidate with a
    failed trial (divergence, NaN, an exception, `trial_timeout`) ranks behind
    all others, and the search goes on. Only a generation in which no candidate
    can be scored, by exceptions and not by divergence alone, stops it, with
    the first traceback; started again, it repeats that generation. Each
    generation gets new tasks.

    Single scores of noisy trainings are lucky at times. After the last
    generation the best candidate of each of the last `finalists` generations
    and the mean of the final distribution (of each run, with `restarts`) are
    therefore evaluated on `selection_tasks` fresh tasks, again as trials;
    `best()` is the one with the highest mean there, or the lowest regret.

    `LossTuner` runs the trials. Keras Tuner's own tuners can, too, in one
    process: in a hypermodel, `oracle.loss(hp)` is the candidate of a trial.
    The hyperparameters of a trial are its `phase` (`"search"` or
    `"selection"`), `generation`, `candidate`, `task`, `task_seed`, and the
    numbers of the loss that it is trained with, by the `names` of the space:
    the coefficients `theta_ij`, and the centre `center_p`, `center_y`.

    The scale of a loss is the learning rate's business, not the search's: the
    coefficients of a polynomial are divided by one number, so that with ten
    classes the steepest gradient of the labelled class's logit, over its
    probability p where the others share the rest, is 1, as cross-entropy's.

    The search depends on `seed` alone, not on the order in which the trials of
    a generation end, nor on who ran them. State is JSON; CMA-ES is restored by
    replaying the results. A search directory is continued only with the
    arguments it was begun with, the last two apart.

    Args:
        space: What is searched. Defaults to `None`: `TaylorSpace()`.
        generations: Number of generations of a run. Defaults to `8`.
        popsize: Candidates a generation, at least 4. Defaults to `8`.
        tasks_per_generation: Tasks that each candidate meets. A loss that is
            searched on one fits that one. Defaults to `8`.
        seed: Non-negative integer. Defaults to `None`: drawn at random, or
            that of the search that is continued.
        x0: Initial mean: a number for each name of the space; for Taylor
            polynomials also `"linear"`, minus twice the labelled class's
            prediction, `"ce"`, cross-entropy's Taylor polynomial at p = 1/2,
            or `"arl"`, `keras_arl.ARL`. Defaults to `None`: `"linear"`, or the
            published numbers of a loss.
        sigma0: Initial step size. Defaults to `0.3`.
        finalists: Generations of a run whose best candidates are selected
            from, beside the mean. Defaults to `3`.
        restarts: How often CMA-ES begins again at `x0`, with other draws and
            tasks, after `generations` generations or where pycma deems it
            converged. Each run has its finalists, and all meet in one
            selection, so that one unlucky run costs little. Defaults to `0`.
        selection_tasks: Fresh tasks of the selection. Defaults to `None`:
            three times `tasks_per_generation`.
        fitness: `"mean"` for the mean score of a candidate, `"rank"` for the
            mean, over the tasks, of the share of other candidates that it
            beats; the selection then goes by mean scores. `"regret"` compares
            a score with the best one of cross-entropy and the `panel` on the
            same task, and takes the mean of these differences over all tasks
            and over the worst third, a half each: a candidate is not to fail
            where a known loss would do. Defaults to `"mean"`.
        panel: Names of losses (`keras_arl.losses.get`) and learners that each
            task is trained on with, too, at the cost of one training each; for
            `"regret"`, such as `("sce", "nce+agce", "ELR")`. Cross-entropy is
            among them anyway. Defaults to none.
        racing: Whether only the better half of a generation's candidates meets
            all tasks, the others a third of them; CMA-ES ranks these behind.
            It saves a third of the trainings, and needs three tasks.
            Defaults to `False`.
        objective: Name of the score, or a `keras_tuner.Objective` to maximise.
            Defaults to `"val_accuracy"`.
        max_retries_per_trial: How often a trial that raised an exception is
            run again before it counts as failed. Defaults to `0`.
        trial_timeout: Seconds after which a trial fails as if by an exception.
            Defaults to `None`: never.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> oracle = keras_arl.search.CMAESOracle(
    ...     generations=1,
    ...     popsize=4,
    ...     tasks_per_generation=1,
    ...     selection_tasks=1,
    ...     seed=0,
    ... )
    >>> tuner = keras_arl.search.LossTuner(
    ...     oracle, tasks=keras_arl.tasks.TaskFamily(), directory="results"
    ... )
    >>> tuner.search(verbose=0)
    >>> keras_arl.losses.save(tuner.best_loss(), "loss.json")
    """

    def __init__(
        self,
        space=None,
        generations=8,
        popsize=8,
        tasks_per_generation=8,
        seed=None,
        x0=None,
        sigma0=0.3,
        finalists=3,
        restarts=0,
        selection_tasks=None,
        fitness="mean",
        panel=(),
        racing=False,
        objective="val_accuracy",
        max_retries_per_trial=0,
        trial_timeout=None,
    ):
        if space is None:
            space = TaylorSpace()
        if not isinstance(space, SearchSpace):
            raise ValueError(
                "`space` must be a `keras_arl.search.SearchSpace`, such as "
                f"`TaylorSpace(order=4)`. Received: space={space!r}"
            )
        if selection_tasks is None:
            selection_tasks = 3 * tasks_per_generation
        for name, value, minimum in (
            ("generations", generations, 1),
            ("popsize", popsize, 4),
            ("tasks_per_generation", tasks_per_generation, 1),
            ("finalists", finalists, 1),
            ("restarts", restarts, 0),
            ("selection_tasks", selection_tasks, 1),
            ("max_retries_per_trial", max_retries_per_trial, 0),
        ):
            checks.check_at_least(name, value, minimum)
        self._seed_is_drawn = seed is None
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        checks.check_at_least("seed", seed, 0)
        check_comparison(fitness, panel, racing, tasks_per_generation)
        if trial_timeout is not None:
            checks.check_positive("trial_timeout", trial_timeout)
        if isinstance(objective, str):
            objective = keras_tuner.Objective(objective, direction="max")
        if objective.direction != "max":
            raise ValueError(
                f"`objective` must be one to maximise. Received: {objective}"
            )
        finalists = min(finalists, generations)
        trials_of_run = (
            generations * popsize * tasks_per_generation
            + (finalists + 1) * selection_tasks
        )
        super().__init__(
            objective=objective,
            max_trials=(1 + restarts) * trials_of_run,
            seed=seed,
            max_retries_per_trial=max_retries_per_trial,
        )
        # The base class takes seed 0 for none.
        self.seed = int(seed)
        self.generations = int(generations)
        self.popsize = int(popsize)
        self.tasks_per_generation = int(tasks_per_generation)
        self.sigma0 = checks.check_positive("sigma0", sigma0)
        self.finalists = int(finalists)
        self.restarts = int(restarts)
        self.selection_tasks = int(selection_tasks)
        self.fitness = fitness
        self.panel = tuple(panel)
        self.racing = bool(racing)
        self.trial_timeout = trial_timeout
        self.space = space
        self.x0 = self.space.starting_point(x0)
        # Whether each task is trained on with cross-entropy, too. `LossTuner`
        # has it so; the tuners of Keras Tuner know of trials alone.
        self.has_baseline = False
        # What else a search that is continued has to share with this one.
        self.further_settings = {}
        self._begin()

    def _begin(self):
        self._schedule = Schedule(self.settings(), self.space)
        self._forget_trials()

    def settings(self):
        """The arguments that a resumed search must share, a dictionary."""
        return {
            **self.space.get_config(),
            "generations": self.generations,
            "popsize": self.popsize,
            "tasks_per_generation": self.tasks_per_generation,
            "seed": self.seed,
            "x0": self.x0,
            "sigma0": self.sigma0,
            "finalists": self.finalists,
            "restarts": self.restarts,
            "selection_tasks": self.selection_tasks,
            "fitness": self.fitness,
            "panel": list(self.panel),
            "racing": self.racing,
            "objective": self.objective.name,
            "baseline": self.has_baseline,
        }

    def check_baseline(self):
        """Raises a `ValueError` if cross-entropy is needed but not trained."""
        if self.has_baseline or not (self.panel or self.fitness == "regret"):
            return
        raise ValueError(
            "A `panel` and `fitness='regret'` need cross-entropy on each task, "
            "which a `LossTuner` with `baseline=True` trains. Received: "
            f"panel={self.panel} and fitness={self.fitness!r}"
        )

    def create_trial(self, tuner_id):
        """As `TrialOracle.create_trial`, for the tuners of Keras Tuner."""
        self.check_baseline()
        return super().create_trial(tuner_id)

    def loss(self, hyperparameters, **kwargs):
        """The candidate of a trial.

        Args:
            hyperparameters: The trial's `keras_tuner.HyperParameters`.
            **kwargs: Further arguments of the loss, such as `from_logits`.

        Returns:
            A loss of the `space`; of a space of learners a function that makes
            one of a model.
        """
        values = hyperparameters.values
        vector = [values[name] for name in self.space.names]
        return self.space.to_method(vector, **kwargs)

    @property
    def present(self):
        """The present `Generation`."""
        return self._schedule.ask()

    @property
    def results(self):
        """Results of the present generation, by position, a dictionary."""
        return dict(self._results)

    @property
    def missing(self):
        """Positions of the present generation to train at now, a list."""
        return self.present.missing(self._results, self.has_baseline)

    @property
    def phase(self):
        """`"search"`, or `"selection"` after the last generation."""
        return self.present.phase

    @property
    def generation(self):
        """Number of generations that are complete."""
        return self.present.number - 1

    @property
    def finished(self):
        """Whether the selection is complete."""
        return self._schedule.finished

    def record(self, results):
        """Takes results of the present generation, and writes them down.

        CMA-ES is told of a whole generation, in the candidates' order.

        Args:
            results: A dictionary from the position of a trial in the
                generation to its `Result`. What is there already stays.

        Returns:
            A dictionary of further results, of trials that racing leaves out.

        Raises:
            RuntimeError: If no candidate of the generation could be scored, by
                exceptions. The generation then is to be run again.
            OSError: If the results cannot be written.
        """
        results = {
            position: result
            for position, result in results.items()
            if position not in self._results
        }
        journal = self._journal
        if not journal.exists:
            self.save()
        journal.append(self.present, results)
        self._take(results)
        dropped = self._drop()
        if not self.missing:
            self.present.warn_of_equal_tasks(self._results)
        try:
            self._tell_if_whole()
        except NoFitnessError:
            journal.forget()
            self._forget_generation()
            raise
        return dropped

    def _drop(self):
        """Ends what racing leaves out; returns the results, by position."""
        dropped = self.present.dropped(self._results, self.has_baseline)
        if dropped:
            self._journal.append(self.present, dropped)
            self._take(dropped)
        return dropped

    def _tell_if_whole(self):
        if self.missing:
            return
        rivals = None
        if self.has_baseline:
            rivals = [self._results[k] for k in self.present.rivals]
        in_order = [self._results[k] for k in range(self.present.size)]
        self._schedule.tell(in_order, rivals)
        if not self._schedule.finished:
            self._begin_generation()

    def history(self):
        """Fitness by generation, relative to cross-entropy.

        Generations have different tasks, so that their scores cannot be
        compared; the differences to cross-entropy on the same tasks can.

        Returns:
            A list of dictionaries, one per complete generation: `generation`,
            from 1; `run`, the number of its run, from 1; `fitness`, for each
            candidate the mean over the tasks of its score minus
            cross-entropy's, `None` if a trial failed or racing left it out;
            their maximum `best` and their mean `mean` (NaN if there is none);
            `failed`, the number of candidates with a failed trial; and
            `baseline`, cross-entropy's mean score. Without a baseline (see
            `LossTuner`) `baseline` is `None`, and `fitness` is the mean score
            or the mean rank, as the oracle's argument of this name says.
        """
        return self._schedule.history()

    def selection(self):
        """Result of the selection among the finalists.

        Returns:
            A list of dictionaries, best first: `name` (the generation that a
            finalist comes from, or `"mean"`; with `restarts`, `"mean of run
            1"` and so on), `score` (mean over the selection's tasks; `None` if
            a trial failed), `gain` (mean difference to cross-entropy's scores
            there, `None` without a baseline) and `vector` (see the names of
            the space).

        Raises:
            RuntimeError: If the search is not finished.
        """
        if not self.finished:
            raise RuntimeError(
                f"The search is not finished: {len(self.end_order)} of "
                f"{self.max_trials} trials are done. Call `search()` first."
            )
        return self._schedule.selection()

    def best(self):
        """The numbers of the finalist selected, a list.

        Raises:
            RuntimeError: If the search is not finished, or every finalist
                failed.
        """
        winner = self.selection()[0]
        if winner["score"] is None:
            failed = (
                result.message
                for position, result in sorted(self._results.items())
                if position >= 0 and result.score is None
            )
            raise RuntimeError(
                f"Every finalist failed. The first one:\n{next(failed)}"
            )
        return winner["vector"]

    def reload(self):
        """Continues the search in the project's directory.

        Raises:
            ValueError: If it has other settings, another version of this
                package began it, or a file is damaged.
        """
        saved = self._journal.read_settings()
        if self._seed_is_drawn:
            self.seed = saved.get("seed")
        check_same_settings(saved, {**self.settings(), **self.further_settings})
        self._begin()
        for _, results in self._journal.replay(
            self._schedule, self.has_baseline
        ):
            self._take(results)
            try:
                self._tell_if_whole()
            except NoFitnessError:
                # The process ended with it.
                self._journal.forget()
                self._forget_generation()
        self._drop()
