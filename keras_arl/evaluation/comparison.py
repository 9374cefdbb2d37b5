"""Every method on every task, a row each."""

import concurrent.futures
import contextlib
import multiprocessing

import keras
import numpy as np

from keras_arl import checks
from keras_arl.evaluation import configs
from keras_arl.evaluation.row_file import RowFile
from keras_arl.methods.kinds import checked
from keras_arl.methods.method_trainer import MOST_PROGRAMS
from keras_arl.methods.method_trainer import MethodTrainer
from keras_arl.tasks.checking import check_task
from keras_arl.training import Trainer
from keras_arl.training import TrainingDivergedError
from keras_arl.training import fitting
from keras_arl.training.kept import Kept

_RESULTS = ("accuracy", "best")
_NOT_TASKS = ("method", "last_epochs", *_RESULTS)


def compare(
    methods,
    tasks,
    trainer=None,
    last_epochs=1,
    path=None,
    executor=None,
    verbose=1,
):
    """Trains with every method on every task.

    All methods meet the same examples, wrong labels, initial weights and
    batches.

    Args:
        methods: Dictionary from a name to anything `model.compile` takes as a
            loss, or to a learner: its class, such as `keras_arl.learners.ELR`,
            or with settings a `functools.partial` of it. Learners that need
            clean examples get the `meta_data` of a task, on which no other
            method trains but what `WithMetaData` wraps.
        tasks: Sequence of tasks. Each is a `keras_arl.tasks.TaskConfig`, or any
            other frozen dataclass with a method `build()` that returns a
            `keras_arl.tasks.Task`, such as `SeededTask`; its fields are columns
            of the rows. Configurations with equal attributes `group`, where
            they have it, share compiled programs and are trained on in a row.
            A `Task` itself will do, too; the column `task` then has its
            position or, of a dictionary of tasks, its name.
        trainer: What trains with losses, a `keras_arl.training.Trainer` or
            `PlainTrainer`; learners are fitted, beside a `PlainTrainer` each
            time with a new one. Defaults to `None`: a new `Trainer()`.
        last_epochs: Number of last epochs whose accuracies are averaged.
            Defaults to `1`.
        path: CSV file, compressed if it ends in ".gz", to which each row is
            added as soon as its training is done. What the file holds already
            is not trained again. Defaults to `None`: no file.
        executor: `None` for this process, an integer for so many processes on
            this machine, or an object with `submit` as
            `concurrent.futures.Executor` has it, of a Dask client
            `client.get_executor()`. Each process has a trainer of
            its own; methods and tasks must be such that `pickle` can send them.
            Defaults to `None`.
        verbose: `1` for a progress bar, `0` for silence. Defaults to `1`.

    Returns:
        A list of dictionaries, one per training, task by task: `method`, the
        task's columns, `last_epochs`, `accuracy`, the mean clean accuracy of
        the last epochs, and `best`, that of the best epoch, which only clean
        labels can tell. Both are NaN if the training diverged.

    Raises:
        ValueError: If an argument is not as described, the file holds rows
            with other columns, or labels, outputs, `num_classes` and
            `from_logits` of a task with its data in memory do not fit each
            other.

    Example:

    >>> space = keras_arl.tasks.TaskSpace()
    >>> tasks = keras_arl.evaluation.report_configs(space, runs=1)
    >>> methods = {"ARL": keras_arl.ARL(), "ELR": keras_arl.learners.ELR}
    >>> rows = keras_arl.evaluation.compare(methods, tasks[:1], verbose=0)
    >>> [(row["method"], row["accuracy"] > 0.5) for row in rows]
    [('ARL', True), ('ELR', True)]
    """
    methods = checked(methods)
    checks.check_at_least("last_epochs", last_epochs, 1)
    tasks, columns = configs.described(tasks, reserved=_NOT_TASKS)
    rows = {
        (number, name): {
            "method": name,
            **columns[number],
            "last_epochs": last_epochs,
        }
        for number in range(len(tasks))
        for name in methods
    }
    file = RowFile(path, [*next(iter(rows.values())), *_RESULTS])
    for row in rows.values():
        row.update(zip(_RESULTS, file.results(row)))
    missing = [key for key, row in rows.items() if "accuracy" not in row]
    bar = keras.utils.Progbar(
        len(missing), verbose=verbose, unit_name="training"
    )
    jobs, setup = _jobs(tasks, missing), _Setup(trainer, methods, last_epochs)
    with contextlib.closing(_run(jobs, setup, tasks, executor)) as trained:
        for key, found in trained:
            rows[key].update(zip(_RESULTS, found, strict=True))
            file.append(rows[key])
            bar.add(1)
    file.compact()
    return list(rows.values())


def _jobs(tasks, missing):
    """Pairs of a task's number and names, those with common programs in a row.

    A group of tasks meets as many methods as a trainer keeps programs, then
    the next ones.
    """
    groups = {}
    for number, name in missing:
        group = groups.setdefault(configs.group_of(tasks[number], number), {})
        group.setdefault(number, []).append(name)
    for group in groups.values():
        every = list(
            dict.fromkeys(n for names in group.values() for n in names)
        )
        for start in range(0, len(every), MOST_PROGRAMS):
            now = every[start : start + MOST_PROGRAMS]
            for number, names in group.items():
                chosen = [name for name in names if name in now]
                if chosen:
                    yield number, chosen


def _run(jobs, setup, tasks, executor):
    """Yields (number, name) and results of each training, as they come."""
    if executor is None:
        for number, names in jobs:
            trained = _train(setup, tasks[number], names)
            yield from (((number, name), found) for name, found in trained)
        return
    with _pool(executor) as pool:
        futures = {
            pool.submit(_train_elsewhere, setup, tasks[number], names): number
            for number, names in jobs
        }
        try:
            for future in concurrent.futures.as_completed(futures):
                for name, found in future.result():
                    yield (futures[future], name), found
        finally:
            for future in futures:
                future.cancel()


def _pool(executor):
    """A context of what jobs are submitted to."""
    if callable(getattr(executor, "submit", None)):
        return contextlib.nullcontext(executor)
    return concurrent.futures.ProcessPoolExecutor(
        checks.check_at_least("executor", executor, 1),
        multiprocessing.get_context("spawn"),
    )


class _Setup(Kept):
    """What all trainings of a comparison share."""

    def __init__(self, trainer, methods, last_epochs):
        super().__init__(trainer, methods, last_epochs)
        self._trains = MethodTrainer(Trainer() if trainer is None else trainer)
        self._methods = methods
        self.last_epochs = last_epochs

    def accuracies(self, task, name):
        """The clean accuracy after each epoch; NaN alone if it diverged."""
        try:
            return self._trains.accuracies(task, self._methods[name])
        except TrainingDivergedError:
            return [float("nan")]


def _train_elsewhere(setup, task, names):
    """A job in a process of its own, which keeps what it compiled."""
    return list(_train(setup, task, names))


def _train(setup, task, names):
    """Yields name and results of each of some methods on a task."""
    task = configs.build(task)
    # A look at a pipeline may change what it yields next.
    if task.in_memory:
        check_task(task)
    fitting.checked_last_epochs(setup.last_epochs, task.epochs)
    for name in names:
        accuracies = setup.accuracies(task, name)
        last = float(np.mean(accuracies[-setup.last_epochs :]))
        yield name, (last, float(max(accuracies)))
