import keras
import numpy as np
import pandas as pd
import pytest

from keras_arl import losses
from keras_arl import search
from tests.examples.running import BENCHMARKS
from tests.examples.running import last_line
from tests.examples.running import run
from tests.examples.running import run_anew

# The program sets the backend itself.
once = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)


@pytest.fixture
def program(monkeypatch):
    """The directory of the program's modules, importable."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@once
def test_contenders_are_timed(tmp_path):
    result = run_anew(
        tmp_path,
        "benchmarks/search_speed.py",
        "--trials=2",
        "--plain_trials=2",
        "--rounds=1",
        "--overhead_trials=300",
        "--families=mlp",
        "--contenders=keras_tuner,tensorflow_jit",
        "--output=table.csv",
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "table.csv").set_index("contender")
    assert list(table.index) == ["keras_tuner", "tensorflow_jit"]
    assert (table["family"] == "mlp").all()
    assert (table["trials"] == 2).all()
    assert (table["trials_per_s"] > 0).all()
    assert (table["first_trial_s"] > 0).all()
    assert (table["fraction_of_peak"] > 0).all()
    # Four in ten labels are wrong: networks learn, and are no better than that
    # if they do not.
    assert (table["accuracy"] > 0.6).all()
    assert table["ratio_to_keras_tuner"]["keras_tuner"] == 1
    assert table["ratio_to_evosax"].isna().all()
    assert "The search itself: " in result.stdout
    assert (table["fraction_of_floor"] >= table["fraction_of_peak"]).all()
    bars = [line for line in result.stdout.splitlines() if "at least" in line]
    assert len(bars) == 1
    assert bars[0].startswith(
        "mlp 8x1: tensorflow_jit at least 9 times keras_tuner: "
    )


@once
def test_a_missing_evosax_is_one_line(tmp_path):
    # With a finder that has no evosax.
    without = tmp_path / "without.py"
    without.write_text(
        "import importlib.util as util, os, runpy, sys\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: (\n"
        "    None if name == 'evosax' else find(name, *rest)\n"
        ")\n"
        "sys.argv[0] = sys.argv.pop()\n"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    program = str(BENCHMARKS / "search_speed.py")
    result = run(tmp_path, without, "--contenders=evosax", program)
    assert last_line(result).startswith("search_speed: evosax needs ")
    assert "pip install" in last_line(result)


def test_all_begin_at_the_start_of_the_search(program):
    import search_speed_tasks

    assert search_speed_tasks.start() == search.TaylorSpace(
        class_aware=False
    ).starting_point("ce")


def test_tasks_have_wrong_labels_in_training_only(program):
    import search_speed_tasks

    x, noisy, x_val, y_val = search_speed_tasks.arrays(0)
    assert (x.shape, x_val.shape) == ((4000, 28, 28, 1), (1000, 28, 28, 1))
    assert x.dtype == "float32"
    assert 0 <= x.min() < x.max() <= 1

    # The classes' means tell the classes apart.
    means = np.stack([x_val[y_val == k].mean(0) for k in range(10)])
    nearest = ((x[:, None] - means) ** 2).sum((2, 3, 4)).argmin(1)
    assert np.mean(nearest != noisy) == pytest.approx(0.4, abs=0.05)


def test_the_program_by_hand_has_the_same_loss(program, rng):
    for module in ("jax", "optax"):
        pytest.importorskip(module)
    import search_speed_evosax

    candidate = rng.normal(size=12).astype("float32")
    logits = 3 * rng.normal(size=(32, 10)).astype("float32")
    labels = rng.integers(10, size=32).astype("int32")
    loss = losses.TaylorLoss(
        candidate[:-2], candidate[-2:], from_logits=True, shifted=False
    )
    np.testing.assert_allclose(
        search_speed_evosax.taylor_loss(candidate, logits, labels),
        keras.ops.convert_to_numpy(loss(labels, logits)),
        rtol=1e-5,
    )


@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_the_program_by_hand_has_the_same_network(family, program, rng):
    for module in ("jax", "optax"):
        pytest.importorskip(module)
    import jax
    import search_speed_evosax
    import search_speed_keras

    initialise, network = search_speed_evosax.NETWORKS[family]
    params = initialise(jax.random.key(0))
    model = search_speed_keras.build_model(family)
    values = [layer[name] for layer in params for name in ("kernel", "bias")]
    model.set_weights(
        [
            np.reshape(value, variable.shape)
            for value, variable in zip(values, model.weights, strict=True)
        ]
    )
    x = rng.random((5, 28, 28, 1), dtype="float32")
    np.testing.assert_allclose(
        jax.nn.softmax(network(params, x)),
        keras.ops.convert_to_numpy(model(x)),
        rtol=1e-4,
    )
