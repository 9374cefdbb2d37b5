"""The tuner: the one place where candidates and tasks meet."""

import traceback

import keras
import keras_tuner
from keras_tuner.engine.trial import TrialStatus

from keras_arl.losses import is_trainable
from keras_arl.search import files
from keras_arl.search import space
from keras_arl.search.oracle import CMAESOracle
from keras_arl.search.progress import SearchProgress
from keras_arl.tasks import TrainingDivergedError


class LossTuner(keras_tuner.Tuner):
    """Runs the search for a loss that a `CMAESOracle` steers.

    A trial trains a new model of one task with one candidate and reports the
    clean validation accuracy of the last epochs. A candidate that cannot teach
    an untrained network (`keras_arl.losses.is_trainable`, a closed form) is
    not trained: its trial says so in its message and scores 0, the lowest
    accuracy. A training that diverges or raises an exception fails its trial,
    with the reason in the message, which ranks the candidate behind all others;
    the search goes on.

    No model is saved. A search started again with the same arguments on the
    same directory continues where it stopped, within a generation too.

    Args:
        oracle: A `CMAESOracle`.
        tasks: Function from a seed, a non-negative integer, to a new
            `keras_arl.tasks.Task`; for instance a
            `keras_arl.tasks.SampledTasks`. It is called for each trial. If it
            has `get_config()`, a resumed search checks that it is the same.
        last_epochs: Number of last epochs whose validation accuracies are
            averaged. Defaults to `1`.
        directory: Directory of the search. Defaults to `None`: the current
            one.
        project_name: Folder in `directory`. Defaults to `"loss_search"`.
        overwrite: Whether to begin anew instead of continuing. Defaults to
            `False`.

    Raises:
        ValueError: If the oracle is another one, or the directory holds a
            search with other settings.

    Example:

    A search on a task of one's own, here two classes of points:

    >>> def points(seed):
    ...     x = np.random.default_rng(seed).normal(size=(200, 2))
    ...     y = (x[:, 0] > 0).astype(int)
    ...     T = keras_arl.noise.symmetric(0.4, num_classes=2)
    ...     noisy = keras_arl.noise.corrupt_labels(y, T, seed)
    ...     pairs = tf.data.Dataset.from_tensor_slices
    ...     return keras_arl.tasks.Task(
    ...         train=pairs((x[:100], noisy[:100])).batch(20),
    ...         validation=pairs((x[100:], y[100:])).batch(100),
    ...         build_model=lambda: keras.Sequential(
    ...             [keras.Input((2,)), keras.layers.Dense(2, "softmax")]
    ...         ),
    ...         num_classes=2,
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
        directory=None,
        project_name="loss_search",
        overwrite=False,
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
        self.tasks = tasks
        self.last_epochs = last_epochs
        self._progress = None
        # Keras Tuner prints a table per trial; here is a progress bar.
        oracle.verbose = 0
        super().__init__(
            oracle,
            directory=directory,
            project_name=project_name,
            overwrite=overwrite,
        )

    def search(self, verbose=1):
        """Runs the search, or the rest of it.

        Args:
            verbose: `1` for a progress bar per generation with the best and
                the mean fitness, `0` for silence. Defaults to `1`.

        Raises:
            RuntimeError: If every trial of a generation raises an exception.
        """
        self._progress = SearchProgress(self.oracle) if verbose else None
        super().search()

    def run_trial(self, trial):
        values = trial.hyperparameters.values
        # Pipelines and models that a user's task leaves unseeded.
        keras.utils.set_random_seed(values["task_seed"])
        task = self.tasks(values["task_seed"])
        names = space.parameter_names(self.oracle.order)
        loss = space.to_loss(
            [values[name] for name in names],
            self.oracle.order,
            from_logits=task.from_logits,
        )
        if not is_trainable(loss, task.num_classes):
            trial.message = (
                "not trained: at uniform predictions the loss does not raise "
                "the labelled class's probability"
            )
            return {self.oracle.objective.name: 0.0}
        accuracy = task.evaluate(loss, last_epochs=self.last_epochs)
        return {self.oracle.objective.name: accuracy}

    def _try_run_and_update_trial(self, trial, *fit_args, **fit_kwargs):
        # As in the base class, which prints every traceback in full.
        try:
            self._run_and_update_trial(trial, *fit_args, **fit_kwargs)
            trial.status = TrialStatus.COMPLETED
        except keras_tuner.errors.FatalError:
            raise
        except TrainingDivergedError as error:
            trial.status = TrialStatus.FAILED
            trial.message = str(error)
        except Exception as error:
            trial.status = TrialStatus.INVALID
            trial.message = traceback.format_exc()
            print(
                f"\nTrial {trial.trial_id} failed: {type(error).__name__}: "
                f"{error}"
            )

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        if self._progress:
            self._progress.update(trial)

    def best_loss(self, **kwargs):
        """The loss that the search found.

        Args:
            **kwargs: Further arguments of `TaylorLoss`, such as `from_logits`.

        Returns:
            A `TaylorLoss`.

        Raises:
            RuntimeError: If the search is not finished.
        """
        return space.to_loss(self.oracle.best(), self.oracle.order, **kwargs)

    def results(self):
        """All trials as a table.

        Returns:
            A list of dictionaries, one per trial that has ended, in the order
            of the trials: `trial_id`, the hyperparameters (see
            `CMAESOracle`), `status`, `score` (`None` if it failed) and
            `message`.
        """
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

    def get_state(self):
        get_config = getattr(self.tasks, "get_config", None)
        return {
            "last_epochs": self.last_epochs,
            "tasks": get_config() if get_config else None,
        }

    def set_state(self, state):
        files.check_same_settings(state, self.get_state())

    def save(self):
        if not self._is_worker():
            self.oracle.save()
        files.write_json(self._get_tuner_fname(), self.get_state())
