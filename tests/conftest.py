import gc
import os
import tempfile

# Before TensorFlow is imported, which the tests do and this module does not:
# the process that only hands them out starts at once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Most of a test on JAX is compilation, and most of the programs run for less
# time than their optimisation takes. TensorFlow's tests gain nothing by it.
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# What one test compiled serves the others. The workers inherit the directory;
# programs that an earlier version compiled are none of this one's.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _CACHE = tempfile.TemporaryDirectory(prefix="keras_arl-jax-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

import numpy as np
import pytest

# Each process imports TensorFlow, and compiles on more than one core.
MOST_WORKERS = 4
# Begun last, each would keep one worker while the others have nothing to do.
LONGEST = (
    "test_documents.py",
    "test_trainer.py",
    "test_clothing1m.py",
    "test_search_oracle.py",
    "test_programs.py",
    "test_trainers.py",
    "test_search_speed.py",
    "test_docstrings.py",
    "test_robustness.py",
    "test_dask.py",
    "test_processes.py",
    "test_tuner.py",
    "test_state.py",
    "test_training.py",
    "test_xla.py",
    "test_shared_programs.py",
)


def pytest_xdist_auto_num_workers(config):
    """One worker a core, and none for tests that are named one by one."""
    if all("::" in argument for argument in config.args):
        return 0
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def pytest_collection_modifyitems(items):
    """The longest files first, and the others as they are."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONGEST)))


def pytest_collection_finish():
    """What is imported stays, and is not looked at for garbage again.

    A fifth of what TensorFlow takes to trace a function is that.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    """Models of the tests draw their weights from Keras's global seed."""
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture
def quick_graphs():
    """TensorFlow's graphs as they are traced, for what only has to run.

    Making them faster takes longer than a few steps do.
    """
    import tensorflow as tf

    options = tf.config.optimizer.get_experimental_options()
    before = options.get("disable_meta_optimizer", False)

    def disable(whether):
        tf.config.optimizer.set_experimental_options(
            {"disable_meta_optimizer": whether}
        )

    disable(True)
    yield
    disable(before)


@pytest.fixture
def rng():
    return np.random.default_rng(20261120)
