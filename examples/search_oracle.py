"""Searches a noise-robust loss with CMA-ES and shows what it is worth.

    python examples/search_oracle.py

Every trial trains a randomly sampled Keras model on noisy labels with one
candidate loss and reports its clean validation accuracy. With no flags it
searches on scikit-learn's handwritten digits, within some minutes on two cores
and without a network. Ctrl-C ends it; the same command continues it, after a
crash too.

--processes=3 shares the trials among three processes, and --scheduler among
the workers of a Dask cluster; the loss found is the same.

It writes, into --output:
  loss.json       the loss; keras_arl.losses.load("loss.json") reads it back,
                  of one with a memory keras_arl.learners.load
  losses.png      the loss beside cross-entropy, MAE and GCE
  memory.png      with a memory, how it pulls at an example
  fitness.png     fitness over generations, relative to cross-entropy
  report.html     all of this in one page, for a browser
  tensorboard/    the same for TensorBoard, with its HParams
  trials.csv      every trial of the search
  comparison.csv  last-epoch clean test accuracy on tasks not seen by the search
"""

import contextlib
import dataclasses
import json
import pathlib
import shlex
import sys

import program
import search_spaces
from absl import flags

_DATASETS = flags.DEFINE_list(
    "datasets",
    ["digits"],
    "Datasets to search on, comma-separated: digits (ships with scikit-learn), "
    "or datasets of TFDS of labelled images or texts, such as mnist and "
    "trec:label-coarse.",
)
_BROAD = flags.DEFINE_bool(
    "broad",
    False,
    "Search on many kinds of tasks instead of --datasets: images, text and "
    "tables, 2 to 100 classes, unbalanced classes, many kinds of noise. Needs "
    "mnist and trec of TFDS, and hours.",
)
_DIVERSE = flags.DEFINE_bool(
    "diverse",
    False,
    "As --broad, with other tasks: plain networks, noise that mistakes one "
    "class for another, small unbalanced text and tables.",
)
_LONG = flags.DEFINE_bool(
    "long",
    False,
    "With --diverse, also tasks of 100 epochs and with labels by annotators.",
)
_DEEP = flags.DEFINE_bool(
    "deep",
    False,
    "With --diverse, also tasks with wider, deeper and residual networks.",
)
_GENERATIONS = flags.DEFINE_integer(
    "generations", 4, "Generations of a run of CMA-ES.", lower_bound=1
)
_POPSIZE = flags.DEFINE_integer(
    "popsize", 8, "Candidates a generation.", lower_bound=4
)
_TASKS = flags.DEFINE_integer(
    "tasks_per_generation",
    2,
    "Tasks that each candidate is trained on. 8 are a good number for a search "
    "that is more than a demonstration.",
    lower_bound=1,
)
_SIGMA0 = flags.DEFINE_float("sigma0", 0.3, "Initial step size of CMA-ES.")
_FITNESS = flags.DEFINE_enum(
    "fitness",
    "mean",
    ["mean", "rank", "regret"],
    "What candidates are compared by: mean accuracy, mean rank, or the regret "
    "beside the best of the --panel, half of it that of the worst tasks.",
)
_PANEL = flags.DEFINE_list(
    "panel",
    ["sce", "gce", "nce+agce"],
    "With --fitness=regret, losses, and learners such as ELR, that each task "
    "is trained on with, too.",
)
_RACING = flags.DEFINE_bool(
    "racing",
    False,
    "Whether only the better half of the candidates meets all tasks of a "
    "generation, the others a third of them.",
)
_FINALISTS = flags.DEFINE_integer(
    "finalists",
    3,
    "Generations of a run whose best candidates are selected from.",
    lower_bound=1,
)
_RESTARTS = flags.DEFINE_integer(
    "restarts",
    0,
    "How often CMA-ES begins again at its start with other draws, after "
    "--generations generations or once it has converged.",
    lower_bound=0,
)
_SEED = flags.DEFINE_integer(
    "seed",
    0,
    "Seed of everything; the same seed finds the same loss.",
    lower_bound=0,
)
_ARCHITECTURES = flags.DEFINE_integer(
    "architectures",
    None,
    "Number of networks that the tasks are drawn from; without it every task "
    "samples a new one. Fewer networks compile less.",
    lower_bound=1,
)
_JIT_COMPILE = flags.DEFINE_bool(
    "jit_compile",
    False,
    "Have XLA compile whole epochs, on TensorFlow: faster in a long search "
    "over few --architectures, slower in a short one.",
)
_PLAIN = flags.DEFINE_bool(
    "plain",
    False,
    "Build, compile and fit a new model for every trial, the reference.",
)
_PROCESSES = flags.DEFINE_integer(
    "processes",
    0,
    "Processes on this machine that share the trials and the cores. 0 runs all "
    "trials in this process.",
    lower_bound=0,
)
_SCHEDULER = flags.DEFINE_string(
    "scheduler",
    None,
    "Address of a Dask scheduler, such as tcp://HOST:8786, whose workers share "
    "the trials. TLS is Dask's own configuration's (distributed.comm.tls).",
)
_TRIAL_TIMEOUT = flags.DEFINE_float(
    "trial_timeout",
    None,
    "Seconds after which a trial counts as failed; without it, never.",
)
_RUNS = flags.DEFINE_integer(
    "runs", 3, "Seeds per column of the final table.", lower_bound=1
)
_DIRECTORY = flags.DEFINE_string(
    "directory",
    "results/search",
    "Where the state of the search is kept; a directory that holds an "
    "unfinished search is continued.",
)
_OUTPUT = flags.DEFINE_string(
    "output", "results", "Where the loss, pictures and tables are written."
)


def main():
    check_flags()
    with program.repeated_interrupts():
        run(shlex.join(["python", *sys.argv]))


def check_flags():
    if _JIT_COMPILE.value and _PLAIN.value:
        program.fail("--plain compiles nothing; leave out --jit_compile")
    if _PROCESSES.value and _SCHEDULER.value:
        program.fail("take either --processes or --scheduler")
    if _BROAD.value and _DIVERSE.value:
        program.fail("take either --broad or --diverse")
    for flag in (_LONG, _DEEP):
        if flag.value and not _DIVERSE.value:
            program.fail(f"--{flag.name} needs --diverse")
    if has_many_spaces() and (_DATASETS.present or _ARCHITECTURES.present):
        program.fail("--broad and --diverse have datasets and networks of own")
    if not any(_DATASETS.value):
        program.fail("--datasets must name at least one dataset")
    for flag in (_DIRECTORY, _OUTPUT):
        try:
            pathlib.Path(flag.value).mkdir(parents=True, exist_ok=True)
            probe = pathlib.Path(flag.value, ".writable")
            probe.touch()
            probe.unlink()
        except OSError as error:
            program.fail(
                f"--{flag.name}={flag.value} cannot be written: {error}"
            )


def run(command):
    # After the flags are checked, so that a wrong one fails at once.
    program.import_quietly("keras_arl")
    import keras_arl

    silence()
    output = pathlib.Path(_OUTPUT.value)
    tasks = keras_arl.tasks.TaskFamily(task_space())
    trainer = (
        keras_arl.training.PlainTrainer()
        if _PLAIN.value
        else keras_arl.training.Trainer(
            jit_compile=_JIT_COMPILE.value, max_programs=_MAX_PROGRAMS
        )
    )
    report = report_configs(tasks)
    check_tasks(tasks, report)
    space = search_spaces.space_of_flags()
    oracle = keras_arl.search.CMAESOracle(
        space=space,
        x0=search_spaces.start_of_flags(space),
        sigma0=_SIGMA0.value,
        fitness=_FITNESS.value,
        panel=_PANEL.value if _FITNESS.value == "regret" else (),
        racing=_RACING.value,
        finalists=_FINALISTS.value,
        restarts=_RESTARTS.value,
        generations=_GENERATIONS.value,
        popsize=_POPSIZE.value,
        tasks_per_generation=_TASKS.value,
        seed=_SEED.value,
        trial_timeout=_TRIAL_TIMEOUT.value,
    )
    tuner = keras_arl.search.LossTuner(
        oracle,
        tasks=tasks,
        trainer=trainer,
        directory=_DIRECTORY.value,
    )
    tensorboard = keras_arl.search.TensorBoard(output / "tensorboard")
    with executor() as where:
        tuner.search(executor=where, callbacks=[tensorboard])
    # What has ended before this command began.
    tensorboard.on_search_end(tuner)
    tuner.write_results(output / "trials.csv")
    keras_arl.search.plot_fitness(oracle.history()).savefig(
        output / "fitness.png", dpi=120
    )
    found, path = tuner.best_method(), output / "loss.json"
    has_memory = isinstance(space, keras_arl.search.MemorySpace)
    (keras_arl.learners if has_memory else keras_arl.losses).save(
        found,
        path,
        provenance=keras_arl.evaluation.provenance(tuner, command),
    )
    if has_memory:
        keras_arl.learners.plot_memory(found).savefig(
            output / "memory.png", dpi=120
        )
    losses = {
        "found": found.keywords["loss"] if has_memory else found,
        "ARL": keras_arl.ARL(),
        "CE": keras_arl.losses.CrossEntropy(),
        "MAE": keras_arl.losses.MAE(),
        "GCE": keras_arl.losses.GCE(),
    }
    figure = keras_arl.analysis.plot_losses(losses)
    figure.savefig(output / "losses.png", dpi=120)
    expression = json.loads(path.read_text())["expression"]
    print(f"\nThe loss found:\n{expression}\n")
    print("Last-epoch clean accuracy on tasks that the search has not seen:")
    methods = {**losses, "found": found}
    rows = keras_arl.evaluation.compare(methods, report, trainer)
    keras_arl.evaluation.write_csv(rows, output / "comparison.csv")
    if has_many_spaces():
        summary = keras_arl.evaluation.summarise(rows, by=("dataset",))
        runs = f"{len(report)} fresh tasks in all"
    else:
        summary = keras_arl.evaluation.summarise(rows)
        runs = (
            f"{_RUNS.value} run{'s' if _RUNS.value > 1 else ''} (other "
            "networks, noise rates and seeds)"
        )
    print(f"\nPercent of the test part, mean ± standard deviation of {runs}:")
    print(keras_arl.evaluation.format_table(summary))
    print(keras_arl.evaluation.verdict(rows))
    keras_arl.evaluation.write_report(
        tuner, output / "report.html", command, rows
    )
    written = [*WRITTEN, *["memory.png"] * has_memory]
    print(f"\nWritten to {output}: " + ", ".join(written))


@contextlib.contextmanager
def executor():
    """What runs the trials, for `LossTuner.search`."""
    if _SCHEDULER.value is None:
        if _PROCESSES.value:
            print(
                f"{_PROCESSES.value} processes write to "
                f"{_DIRECTORY.value}/loss_search/worker-*.log"
            )
        yield _PROCESSES.value or None
        return
    try:
        import distributed
    except ImportError:
        program.fail("--scheduler needs: pip install 'keras-arl[cluster]'")
    with distributed.Client(_SCHEDULER.value, timeout=20) as client:
        yield client


def task_space():
    from keras_arl import datasets
    from keras_arl import tasks

    if _BROAD.value:
        return tasks.broad_spaces()
    if _DIVERSE.value:
        return tasks.diverse_spaces(_LONG.value, _DEEP.value)
    names = tuple(_DATASETS.value)
    all_images = all(
        datasets.load_dataset(name).pool_inputs.ndim == 4 for name in names
    )
    families = ("mlp", "cnn") if all_images else ("mlp",)
    pool = None
    if _ARCHITECTURES.value is not None:
        pool = tasks.sample_architectures(
            _ARCHITECTURES.value, _SEED.value, families
        )
    return tasks.TaskSpace(
        datasets=names, families=families, architectures=pool
    )


def has_many_spaces():
    return _BROAD.value or _DIVERSE.value


def report_configs(family):
    from keras_arl import evaluation

    if has_many_spaces():
        count = _TASKS_PER_RUN * _RUNS.value
        return evaluation.fresh_configs(family, count, _SEED.value)
    return evaluation.report_configs(family.space, _RUNS.value, _SEED.value)


def check_tasks(family, report):
    """Builds tasks of each dataset, so that a wrong one fails at once."""
    from keras_arl import tasks

    spaces = family.space if has_many_spaces() else (family.space,)
    for space in spaces:
        for name in space.datasets:
            only = dataclasses.replace(space, datasets=(name,))
            tasks.build_task(tasks.sample_task(0, only))
            for config in report:
                if config.dataset == name:
                    tasks.build_task(config)
                    break


# In the final table of --broad.
_TASKS_PER_RUN = 16
# More than --broad has kinds of trainings: compiling takes longest.
_MAX_PROGRAMS = 512
WRITTEN = (
    "loss.json",
    "losses.png",
    "fitness.png",
    "report.html",
    "tensorboard",
    "trials.csv",
    "comparison.csv",
)


def silence():
    """Hides TensorFlow's warnings, so that the search's lines stay visible."""
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")


flags.adopt_module_key_flags(search_spaces)
program.positive(_SIGMA0, _TRIAL_TIMEOUT)

if __name__ == "__main__":
    program.start(main, "Stopped. The same command continues the search.")
