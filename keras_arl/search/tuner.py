"""The tuner: the one place where candidates and tasks meet."""

import collections
import contextlib
import json
import os
import traceback

import keras
import keras_tuner
from keras_tuner.engine.trial import TrialStatus

from keras_arl import distribute
from keras_arl.analysis import is_trainable
from keras_arl.distribute.chief import Chief
from keras_arl.distribute.client import ChiefClient
from keras_arl.search import files
from keras_arl.search import space
from keras_arl.search import time_limit
from keras_arl.search.journal import SETTINGS_FILE
from keras_arl.search.lock import search_lock
from keras_arl.search.oracle import CMAESOracle
from keras_arl.search.progress import SearchProgress
from keras_arl.training import Trainer
from keras_arl.training import TrainingDivergedError

# Candidates of a generation meet the same tasks, which are kept meanwhile.
_MAX_STAGE_TASKS = 16
_NOT_TRAINED = (
    "not trained: at uniform predictions the loss does not raise the labelled "
    "class's probability"
)


class LossTuner(keras_tuner.Tuner):
    """Runs the search for a loss that a `CMAESOracle` steers.

    A trial trains a model of one task with one candidate and reports the
    clean validation accuracy of the last epochs. A candidate that cannot teach
    an untrained network (`keras_arl.analysis.is_trainable`, a closed form) is
    not trained: its trial says so in its message and scores 0, the lowest
    accuracy. A training that diverges or raises an exception fails its trial,
    with the reason in the message, which ranks the candidate behind all others;
    the search goes on.

    No model is saved. A search started again with the same arguments on the
    same directory continues where it stopped, within a generation too, also
    after it was killed. One process at a time searches in a directory.

    With Keras Tuner's environment variables, or `workers`, many processes
    share a search: see `keras_arl.distribute.place`. In a worker `search` runs
    trials until the search is finished; the rest is the chief's.

    Args:
        oracle: A `CMAESOracle`.
        tasks: Function from a seed, a non-negative integer, to a new
            `keras_arl.tasks.Task`; for instance a
            `keras_arl.tasks.TaskFamily`. A task whose data are pipelines is
            made anew for each trial. If the function has `get_config()`, a
            resumed search checks that it is the same.
        last_epochs: Number of last epochs whose validation accuracies are
            averaged. Defaults to `1`.
        trainer: What trains the models: a `keras_arl.training.Trainer` or a
            `keras_arl.training.PlainTrainer`. Defaults to `None`: a new
            `Trainer()`, which reuses what it compiled.
        directory: Directory of the search. Defaults to `None`: the current
            one.
        project_name: Folder in `directory`. Defaults to `"loss_search"`.
        overwrite: Whether to begin anew instead of continuing. Defaults to
            `False`.
        chief_timeout: Seconds that a worker waits for a chief that does not
            answer. Defaults to `600`.

    Raises:
        ValueError: If the oracle is another one, or the directory holds a
            search with other settings, or damaged files.

    Example:

    A search on a task of one's own, here two classes of points:

    >>> def points(seed):
    ...     x = np.random.default_rng(seed).normal(size=(200, 2))
    ...     y = (x[:, 0] > 0).astype(int)
    ...     T = keras_arl.noise.symmetric(0.4, num_classes=2)
    ...     noisy = keras_arl.noise.corrupt_labels(y, T, seed)
    ...     return keras_arl.tasks.Task(
    ...         train=(x[:100], noisy[:100]),
    ...         validation=(x[100:], y[100:]),
    ...         build_model=lambda: keras.Sequential(
    ...             [keras.Input((2,)), keras.layers.Dense(2, "softmax")]
    ...         ),
    ...         num_classes=2,
    ...         architecture="linear",
    ...     )
    >>> oracle = keras_arl.search.CMAESOracle(
    ...     order=2, generations=1, popsize=4, final_tasks=1, seed=0
    ... )
    >>> tuner = keras_arl.search.LossTuner(oracle, tasks=points)
    >>> tuner.search(verbose=0)
    >>> keras_arl.losses.save(tuner.best_loss(), "loss.json")
    """

    def __init__(
        self,
        oracle,
        tasks,
        last_epochs=1,
        trainer=None,
        directory=None,
        project_name="loss_search",
        overwrite=False,
        chief_timeout=600.0,
    ):
        if not isinstance(oracle, CMAESOracle):
            raise ValueError(
                "`oracle` must be a `keras_arl.search.CMAESOracle`. "
                f"Received: {oracle!r}"
            )
        if not callable(tasks):
            raise ValueError(
                "`tasks` must be a function from a seed to a "
                f"`keras_arl.tasks.Task`. Received: {tasks!r}"
            )
        if last_epochs < 1:
            raise ValueError(
                "`last_epochs` must be at least 1. "
                f"Received: last_epochs={last_epochs}"
            )
        if not 0 < chief_timeout < float("inf"):
            raise ValueError(
                "`chief_timeout` must be a positive number of seconds. "
                f"Received: chief_timeout={chief_timeout!r}"
            )
        self.tasks = tasks
        self.last_epochs = last_epochs
        self.trainer = Trainer() if trainer is None else trainer
        # Tasks of the present stage whose data are in memory, by seed.
        self._stage, self._stage_tasks = None, {}
        self._progress = None
        self._cmaes = oracle
        self._place = distribute.place()
        self._chief_timeout = chief_timeout
        # Keras Tuner prints a table per trial; here is a progress bar.
        oracle.verbose = 0
        # A worker has no files: they are the chief's.
        overwrite = overwrite and not self._is_worker()
        self.directory, self.project_name = directory or ".", project_name
        with self._lock() if overwrite else contextlib.nullcontext():
            super().__init__(
                oracle,
                directory=directory,
                project_name=project_name,
                overwrite=overwrite,
            )

    def search(self, verbose=1, workers=None):
        """Runs the search, or the rest of it.

        Args:
            verbose: `1` for a progress bar per generation with the best and
                the mean fitness, `0` for silence. Defaults to `1`.
            workers: A `keras_arl.distribute.LocalWorkers` to share the trials
                among. Defaults to `None`: all are run here, or by the workers
                that come, where the environment variables say so.

        Raises:
            RuntimeError: If no candidate of a generation can be scored, by
                exceptions, or another process searches in the same directory.
            ValueError: If a worker has other settings than its chief.
            ConnectionError: If a worker's chief does not answer.
            OSError: If the state cannot be written.
        """
        if self._is_worker():
            self._search_as_worker()
            return
        with self._lock():
            # What another process may have added.
            if os.path.exists(self._get_tuner_fname()):
                self.reload()
                self._cmaes.repair()
            shared = workers is not None or self._place is not None
            self._progress = (
                SearchProgress(self.oracle, tell_failures=shared)
                if verbose
                else None
            )
            self.save()
            if workers is not None:
                self._share(workers)
            elif self._place is not None:
                self._serve(self._place)
            else:
                self._search_alone()

    def _search_as_worker(self):
        self._check_time_limit()
        client = ChiefClient(
            self._place,
            self._cmaes.objective,
            self._cmaes.lease,
            self._cmaes.trial_timeout,
            self._chief_timeout,
        )
        theirs = client.settings()
        settings = json.loads(theirs)
        whose = f"The chief at {self._place.address} runs a search"
        self._cmaes.share(settings["oracle"], whose=whose)
        files.check_same_settings(
            settings["tuner"], self.get_state(), whose=whose
        )
        client.join(theirs)
        self.oracle = client
        try:
            super().search()
        finally:
            client.leave()

    def _share(self, workers):
        if self._cmaes.finished:
            return
        try:
            workers.start(self.project_dir)
            self._serve(workers.place, workers.keep_alive)
        finally:
            workers.stop()

    def _serve(self, place, *keep_alive):
        settings = {"oracle": self._cmaes.settings(), "tuner": self.get_state()}
        chief = Chief(self._cmaes, place, json.dumps(settings), self._show_ends)
        chief.serve(*keep_alive)

    def _search_alone(self):
        self._check_time_limit()
        if self._trains_together():
            self._search_together()
        else:
            super().search()

    def _check_time_limit(self):
        if self._cmaes.trial_timeout is not None:
            time_limit.check_available()

    def _lock(self):
        return search_lock(self.directory, self.project_name)

    def _trains_together(self):
        # Nor does it where a subclass runs trials in its own way, or a single
        # one may take too long.
        return (
            self.trainer.trains_together
            and self._cmaes.trial_timeout is None
            and type(self).run_trial is LossTuner.run_trial
        )

    def _search_together(self):
        self.on_search_begin()
        while trials := self.oracle.create_generation(self.tuner_id):
            by_task = collections.defaultdict(list)
            for trial in trials:
                self.on_trial_begin(trial)
                seed = trial.hyperparameters.values["task_seed"]
                by_task[seed].append(trial)
            for group in by_task.values():
                self._run_group(group)
        self.on_search_end()

    def _run_group(self, trials):
        """Runs trials of one task, together if its data are in memory."""
        try:
            task = self._task(trials[0])
            if task.in_memory:
                outcomes = self._train_together(trials, task)
            else:
                outcomes = (self._outcome(trial) for trial in trials)
        except Exception as error:
            outcomes = [error] * len(trials)
        for trial, outcome in zip(trials, outcomes, strict=True):
            self._report(trial, outcome)

    def _outcome(self, trial):
        try:
            return self.run_trial(trial)[self.oracle.objective.name]
        except Exception as error:
            return error

    def _train_together(self, trials, task):
        """Accuracies, or the exceptions in their place, an iterator."""
        losses = [self._loss(trial, task) for trial in trials]
        teaching = [loss for loss in losses if _can_teach(loss, task)]
        accuracies = self.trainer.evaluate_all(task, teaching, self.last_epochs)

        def in_order():
            for trial, loss in zip(trials, losses, strict=True):
                if loss in teaching:
                    yield next(accuracies)
                else:
                    trial.message = _NOT_TRAINED
                    yield 0.0

        return in_order()

    def run_trial(self, trial):
        task = self._task(trial)
        loss = self._loss(trial, task)
        if not _can_teach(loss, task):
            trial.message = _NOT_TRAINED
            return {self.oracle.objective.name: 0.0}
        accuracy = self.trainer.evaluate(task, loss, self.last_epochs)
        return {self.oracle.objective.name: accuracy}

    def _report(self, trial, outcome):
        """Ends a trial with its accuracy, or the exception it raised."""
        if isinstance(outcome, keras_tuner.errors.FatalError):
            raise outcome
        if isinstance(outcome, Exception):
            _fail(trial, outcome)
        else:
            metrics = {self.oracle.objective.name: outcome}
            self.oracle.update_trial(trial.trial_id, metrics)
            trial.status = TrialStatus.COMPLETED
        self.on_trial_end(trial)

    def _task(self, trial):
        values = trial.hyperparameters.values
        seed = values["task_seed"]
        stage = values["phase"], values["generation"]
        if stage != self._stage:
            self._stage, self._stage_tasks = stage, {}
        if seed in self._stage_tasks:
            return self._stage_tasks[seed]
        # Pipelines and models that a user's task leaves unseeded.
        keras.utils.set_random_seed(seed)
        task = self.tasks(seed)
        # A pipeline that shuffles goes on where its last use stopped.
        if task.in_memory and len(self._stage_tasks) < _MAX_STAGE_TASKS:
            self._stage_tasks[seed] = task
        return task

    def _loss(self, trial, task):
        names = space.parameter_names(self._cmaes.order)
        vector = [trial.hyperparameters.values[name] for name in names]
        return self._to_loss(vector, from_logits=task.from_logits)

    def _to_loss(self, vector, **kwargs):
        return space.to_loss(
            vector,
            self._cmaes.order,
            class_aware=self._cmaes.class_aware,
            **kwargs,
        )

    def _try_run_and_update_trial(self, trial, *fit_args, **fit_kwargs):
        # As in the base class, which prints every traceback in full.
        try:
            time_limit.run(
                lambda: self._run_and_update_trial(
                    trial, *fit_args, **fit_kwargs
                ),
                self._cmaes.trial_timeout,
            )
            trial.status = TrialStatus.COMPLETED
        except keras_tuner.errors.FatalError:
            raise
        except Exception as error:
            _fail(trial, error)

    def on_trial_end(self, trial):
        self.oracle.end_trial(trial)
        if not self._is_worker():
            self._show_ends()

    def _show_ends(self):
        if self._progress:
            self._progress.update()

    def best_loss(self, **kwargs):
        """The loss that the search found.

        Args:
            **kwargs: Further arguments of `TaylorLoss`, such as `from_logits`.

        Returns:
            A `TaylorLoss`, scaled as in its trials (see `CMAESOracle`).

        Raises:
            RuntimeError: If the search is not finished, or this is a worker.
        """
        self._check_no_worker()
        return self._to_loss(self.oracle.best(), **kwargs)

    def results(self):
        """All trials as a table.

        Returns:
            A list of dictionaries, one per trial that has ended, in the order
            of the trials: `trial_id`, the hyperparameters (see
            `CMAESOracle`), `status`, `score` (`None` if it failed) and
            `message`.

        Raises:
            RuntimeError: If this is a worker.
        """
        self._check_no_worker()
        ended = set(self.oracle.end_order)
        return [
            {
                "trial_id": trial_id,
                **trial.hyperparameters.values,
                "status": trial.status,
                "score": trial.score,
                "message": trial.message or "",
            }
            for trial_id, trial in sorted(self.oracle.trials.items())
            if trial_id in ended
        ]

    def write_results(self, path):
        """Writes `results()` as a CSV file with a header.

        Args:
            path: File to write.
        """
        files.write_csv(self.results(), path)

    def _check_no_worker(self):
        if self._is_worker():
            raise RuntimeError(
                "This process is a worker; the chief knows what was found."
            )

    def get_state(self):
        get_config = getattr(self.tasks, "get_config", None)
        return {
            "last_epochs": self.last_epochs,
            "tasks": get_config() if get_config else None,
            "backend": keras.config.backend(),
            **self.trainer.get_config(),
        }

    def set_state(self, state):
        files.check_same_settings(state, self.get_state())

    def save(self):
        # First: with the oracle's file there is a search to continue.
        files.write_sealed(self._own_file(), self.get_state())
        self.oracle.save()

    def reload(self):
        if not self._is_worker():
            self.oracle.reload()
            self.set_state(files.read_sealed(self._own_file()))

    def _is_worker(self):
        return self._place is not None and not self._place.is_chief

    def _own_file(self):
        return f"{self.project_dir}/tuner.json"

    def _get_tuner_fname(self):
        # What tells the base class that there is a search to continue.
        return os.path.join(self.directory, self.project_name, SETTINGS_FILE)


def _can_teach(loss, task):
    return is_trainable(loss, task.num_classes)


def _fail(trial, error):
    if isinstance(error, TrainingDivergedError):
        trial.status = TrialStatus.FAILED
        trial.message = str(error)
        return
    trial.status = TrialStatus.INVALID
    trial.message = "".join(traceback.format_exception(error))
    print(f"\nTrial {trial.trial_id} failed: {type(error).__name__}: {error}")
