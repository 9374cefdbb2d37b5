"""The tuner: asks for candidates, has them evaluated, tells the results."""

import contextlib
import csv
import os
import pathlib

import keras
import keras_tuner

from keras_arl import checks
from keras_arl.methods.kinds import is_learner
from keras_arl.search.candidates import candidates_of
from keras_arl.search.evaluate import Evaluator
from keras_arl.search.executors import ensure_executor
from keras_arl.search.identity import describe
from keras_arl.search.job import jobs_of
from keras_arl.search.journal import SETTINGS_FILE
from keras_arl.search.lock import search_lock
from keras_arl.search.oracle import CMAESOracle
from keras_arl.search.progress import NoProgress
from keras_arl.search.progress import SearchProgress
from keras_arl.training import Trainer


class LossTuner(keras_tuner.Tuner):
    """Runs the search for a loss that a `CMAESOracle` steers.

    A trial trains a model of one task with one candidate and reports the
    clean validation accuracy of the last epochs. A candidate that cannot teach
    an untrained network (`keras_arl.analysis.is_trainable`, a closed form) is
    not trained: its trial says so in its message and scores 0, the lowest
    accuracy. A training that diverges or raises an exception fails its trial,
    with the reason in the message, which ranks the candidate behind all others;
    the search goes on. A warning tells of a generation whose tasks all gave the
    same scores, as when `tasks` does not use its seed.

    Each task is also trained on once with cross-entropy. Generations have
    different tasks, so that only the difference to cross-entropy on the same
    tasks tells whether a search advances: it is what the progress bar,
    `CMAESOracle.history()` and the pictures show. The search does not depend on
    it.

    No model is saved. A search started again with the same arguments on the
    same directory continues where it stopped, within a generation too, also
    after it was killed. One process at a time searches in a directory.

    Args:
        oracle: A `CMAESOracle`.
        tasks: Function from a seed, a non-negative integer, to a new
            `keras_arl.tasks.Task`; for instance a
            `keras_arl.tasks.TaskFamily`. A task whose data are pipelines is
            made anew for each trial. A search is continued only with the same
            function: the same `get_config()`, if it has one, else the same
            source and the same plain values that it reads.
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
        baseline: Whether each task is trained on with cross-entropy, too, at
            the cost of one training a task. Defaults to `True`.
        job_timeout: Seconds without any answer from workers after which their
            jobs are given to others, where the oracle has no `trial_timeout`.
            Defaults to `3600`.

    Raises:
        ValueError: If the oracle is another one, or the directory holds a
            search with other settings, or damaged files.
        RuntimeError: If environment variables ask for Keras Tuner's chief and
            workers.

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
    ...     space=keras_arl.search.TaylorSpace(order=2),
    ...     generations=1,
    ...     popsize=4,
    ...     tasks_per_generation=1,
    ...     selection_tasks=1,
    ...     seed=0,
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
        baseline=True,
        job_timeout=3600.0,
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
        _check_environment()
        self.tasks = tasks
        self.last_epochs = checks.check_at_least("last_epochs", last_epochs, 1)
        self.trainer = Trainer() if trainer is None else trainer
        self._job_timeout = checks.check_positive("job_timeout", job_timeout)
        # Keras Tuner prints a table per trial; here is a progress bar.
        oracle.verbose = 0
        oracle.has_baseline = bool(baseline)
        oracle.check_baseline()
        if oracle.objective.name != _OBJECTIVE:
            raise ValueError(
                f"A loss search maximises {_OBJECTIVE!r}, the clean accuracy. "
                f"Received: objective={oracle.objective.name!r}"
            )
        oracle.further_settings = {
            "last_epochs": self.last_epochs,
            "tasks": describe(tasks),
            "backend": keras.config.backend(),
            **self.trainer.get_config(),
        }
        self.directory, self.project_name = directory or ".", project_name
        with self._lock() if overwrite else contextlib.nullcontext():
            super().__init__(
                oracle,
                directory=directory,
                project_name=project_name,
                overwrite=overwrite,
            )

    def search(  # noqa: D417
        self, verbose=1, executor=None, callbacks=(), **kwargs
    ):
        """Runs the search, or the rest of it.

        One seed finds one loss, whatever the executor, as long as a training
        gives the same accuracy everywhere.

        Args:
            verbose: `1` for a progress bar per generation with the best and
                the mean fitness, minus cross-entropy's, and, where this process
                trains, with the seconds that compilations took; `0` for
                silence. Defaults to `1`.
            executor: Who evaluates: `None` for this process; an integer for so
                many processes on this machine, which import the program, so
                that `search` has to be called under
                `if __name__ == "__main__":`; a `dask.distributed.Client`; or
                any object with the `submit` of `concurrent.futures.Executor`.
                Defaults to `None`.
            callbacks: Sequence of `SearchCallback`, such as `TensorBoard`.

        Raises:
            keras_tuner.errors.FatalError: If labels, outputs, `num_classes` and
                `from_logits` of the first task do not fit each other.
            RuntimeError: If no candidate of a generation can be scored, by
                exceptions, another process searches in the same directory, or
                workers do not live or do not come.
            ConnectionError: If the connection to the cluster is lost.
            OSError: If the state cannot be written.
            TypeError: If it is given data, as tuners of Keras Tuner are.
        """
        if kwargs or not isinstance(verbose, int):
            raise TypeError(
                "`search` takes no data: each task of `tasks` has its own. "
                "Its arguments are `verbose`, `executor` and `callbacks`."
            )
        with self._lock():
            # What another process may have added.
            if os.path.exists(self._get_tuner_fname()):
                self.reload()
            self.save()
            if not self.oracle.finished:
                for callback in callbacks:
                    callback.on_search_begin(self)
                self._search(verbose, executor, callbacks)
                for callback in callbacks:
                    callback.on_search_end(self)

    def _search(self, verbose, executor, callbacks):
        oracle = self.oracle
        progress = (
            SearchProgress(
                oracle.generations * (1 + oracle.restarts),
                oracle.has_baseline,
                self.trainer,
            )
            if verbose
            else NoProgress()
        )
        evaluator = Evaluator(
            self.tasks,
            oracle.space,
            self.trainer,
            self.last_epochs,
            oracle.trial_timeout,
        )
        with ensure_executor(
            executor,
            evaluator,
            self.project_dir,
            trial_timeout=oracle.trial_timeout,
            job_timeout=self._job_timeout,
            tell=progress.tell,
        ) as run:
            while not oracle.finished:
                generation = oracle.present
                progress.begin(generation, oracle.results)
                while jobs := jobs_of(generation, oracle.missing):
                    for results in run(jobs):
                        self._record(results, progress, callbacks)
                    if oracle.present is not generation or oracle.finished:
                        break

    def _record(self, results, progress, callbacks):
        oracle = self.oracle
        ended = {
            position: result
            for position, result in results.items()
            if not oracle.needs_another_run(position, result)
        }
        progress.update(ended)
        num_ended, num_generations = len(oracle.end_order), oracle.generation
        dropped = oracle.record(ended)
        progress.update(dropped)
        for callback in callbacks:
            for trial_id in oracle.end_order[num_ended:]:
                callback.on_trial_end(self, self._row(trial_id))
            if oracle.generation > num_generations:
                callback.on_generation_end(self, oracle.history()[-1])

    def best_loss(self, **kwargs):
        """The loss that the search found.

        Args:
            **kwargs: Further arguments of the loss, such as `from_logits`.

        Returns:
            A loss of the oracle's `space`, such as a `TaylorLoss`, with the
            numbers of its trials.

        Raises:
            RuntimeError: If the search is not finished.
            ValueError: If the space is one of learners.
        """
        method = self.best_method(**kwargs)
        if is_learner(method):
            raise ValueError(
                "The search found a learner: `best_method()(model)`. Received: "
                f"space={self.oracle.space}"
            )
        return method

    def best_method(self, **kwargs):
        """The loss that the search found, or a function that makes a learner.

        Args:
            **kwargs: Further arguments of the loss or the learner, such as
                `from_logits`.

        Returns:
            A loss of the oracle's `space`, or of a space of learners a
            `functools.partial`: called with a model, it is the learner that
            wraps it.

        Raises:
            RuntimeError: If the search is not finished.
        """
        return self.oracle.space.to_method(self.oracle.best(), **kwargs)

    def results(self):
        """All trials as a table.

        Returns:
            A list of dictionaries, one per trial that has ended, in the order
            of the trials: `trial_id`, the hyperparameters (see
            `CMAESOracle`), `status` (`"STOPPED"` where racing left the trial
            out), `score` (`None` if it has none), `cross_entropy` (the score
            of cross-entropy on the same task, `None` if there is none) and
            `message`.
        """
        return [self._row(trial_id) for trial_id in sorted(self.oracle.trials)]

    def _row(self, trial_id):
        trial = self.oracle.trials[trial_id]
        values = trial.hyperparameters.values
        return {
            "trial_id": trial_id,
            **values,
            "status": trial.status,
            "score": trial.score,
            "cross_entropy": self.oracle.baselines.get(values["task_seed"]),
            "message": trial.message or "",
        }

    def candidates(self):
        """All candidates whose trials have ended, as a table.

        Returns:
            A list of dictionaries, one per candidate, in the order of the
            trials: `phase`, `generation` and `candidate` (see `CMAESOracle`);
            the numbers as they are trained with, by the names of the oracle's
            `space`; `scores` and `cross_entropy`, lists of its scores and of
            cross-entropy's on its tasks, `None` where a training failed or was
            left out; `score`, the mean score, `None` if any is; `dropped`,
            whether racing left it out; and `gain`, the mean difference to
            cross-entropy's scores, `None` also where there are none.
        """
        sizes = {
            "search": self.oracle.tasks_per_generation,
            "selection": self.oracle.selection_tasks,
        }
        return candidates_of(self.results(), self.oracle.space, sizes)

    def write_results(self, path):
        """Writes `results()` as a CSV file with a header.

        Args:
            path: File to write.

        Raises:
            ValueError: If no trial has ended.
        """
        rows = self.results()
        if not rows:
            raise ValueError(f"There are no results to write to {path}.")
        with pathlib.Path(path).open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def settings(self):
        """All that a resumed search must share, a dictionary."""
        return {**self.oracle.settings(), **self.oracle.further_settings}

    def run_trial(self, trial, *args, **kwargs):
        raise NotImplementedError(
            "A loss search evaluates the candidates of a task together: "
            "`search` does."
        )

    def get_best_models(self, num_models=1):
        raise NotImplementedError(
            "A loss search keeps no models: `best_loss()` is what it found, "
            "for a model of your own."
        )

    def search_space_summary(self, extended=False):
        raise NotImplementedError(
            "A loss search has no space of hyperparameters: "
            f"`oracle.space` is {self.oracle.space}."
        )

    def save(self):
        self.oracle.save()

    def reload(self):
        self.oracle.reload()

    def _lock(self):
        return search_lock(self.directory, self.project_name)

    def _get_tuner_fname(self):
        # What tells the base class that there is a search to continue.
        return os.path.join(self.directory, self.project_name, SETTINGS_FILE)


# What `search` scores by.
_OBJECTIVE = "val_accuracy"


def _check_environment():
    found = [name for name in os.environ if name.startswith("KERASTUNER_")]
    if found:
        raise RuntimeError(
            f"{found[0]} is set, but a loss search has no chief and workers of "
            "Keras Tuner: unset it, and pass a number of processes or a "
            "dask.distributed.Client to `search(executor=...)`."
        )
