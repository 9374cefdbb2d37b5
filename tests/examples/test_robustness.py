import gzip

import keras
import numpy as np
import pandas as pd
import pytest

from keras_arl import tasks
from tests.examples.running import BENCHMARKS
from tests.examples.running import run

# The trainings themselves are tested elsewhere, with every backend.
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)


@pytest.fixture
def problems(monkeypatch):
    """The program's module of problems."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import robustness_problems

    return robustness_problems


@pytest.fixture
def settings(monkeypatch):
    """The program's module of settings."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import robustness_settings

    return robustness_settings


@pytest.fixture(scope="module")
def networks():
    """The program's networks."""
    with pytest.MonkeyPatch.context() as context:
        context.syspath_prepend(str(BENCHMARKS))
        import robustness_networks

    return robustness_networks.NETWORKS


@pytest.fixture(scope="module")
def narrow(networks):
    """One of each, by name, of seed 0."""
    return {name: build((16, 16, 3), 5, 0) for name, build in networks.items()}


def rows_of(table, line):
    """The cells of the line that begins with a name, in each table."""
    lines = (each for each in table.splitlines() if each.startswith(line))
    return [[cell.strip() for cell in each.split("|")[2:]] for each in lines]


def test_it_goes_on_where_it_was_stopped(tmp_path):
    path = tmp_path / "robustness.csv.gz"
    program = "benchmarks/robustness.py"
    flags = ("--datasets=wine", "--seeds=1", "--losses=ce,ael")
    flags = (*flags, "--learners=ce_with_clean", "--epochs=5")
    flags = (*flags, "--reference=ce", "--other_settings")
    first = run(tmp_path, program, *flags)
    assert first.returncode == 0, first.stderr
    table = pd.read_csv(path, keep_default_na=False)
    assert len(table) == 7 * 4
    assert table["accuracy"].between(0, 1).all()
    assert (table["best"] >= table["accuracy"]).all()
    assert table["num_train"].eq(100).all()

    # The tables are those of the rows.
    is_clean = table["noise"] == "none"
    noisy = table[~is_clean].groupby("method")["accuracy"].mean()
    clean = table[is_clean].groupby("method")["accuracy"].mean()
    of_ael = rows_of(first.stdout, "| ael ")
    assert of_ael[0][0] == f"{100 * noisy['ael']:.1f}"
    assert of_ael[0][2] == f"{100 * clean['ael']:.1f}"
    assert of_ael[1][0] == of_ael[0][2]
    assert of_ael[2][0] == of_ael[3][0] == of_ael[0][0]
    other = next(name for name in noisy.index if name.startswith("ael "))
    means = table.groupby("method")["accuracy"].mean()
    best = max("ael", other, key=means.get)
    assert of_ael[4][0] == f"{100 * noisy[best]:.1f}"
    of_problem = table[(table["noise_rate"] == 0.8) & (table["method"] == "ce")]
    (cells,) = rows_of(first.stdout, "| wine symmetric 0.8 mlp ")
    assert cells[0] == f"{100 * of_problem['accuracy'].item():.1f}"

    # Cross-entropy with clean examples is a method of its own.
    assert means["ce"] < means["ce_with_clean"]

    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:-1])))
    second = run(tmp_path, program, *flags)
    assert second.returncode == 0, second.stderr
    assert gzip.decompress(path.read_bytes()).splitlines(keepends=True) == lines
    assert second.stdout.endswith(
        first.stdout[first.stdout.index("| method") :]
    )


@pytest.mark.parametrize(
    "name",
    [
        "robustness",
        "robustness_later_data",
        "robustness_all_methods",
        "robustness_epochs",
    ],
)
def test_the_rows_of_the_study_are_whole(name):
    table = pd.read_csv(BENCHMARKS / f"{name}.csv.gz", keep_default_na=False)
    columns = [name for name in table if name not in ("accuracy", "best")]
    assert not table.duplicated(columns).any()
    assert table["best"].between(table["accuracy"], 1).all()
    of_recipes = table[table["network"] != "mixer"]
    # All methods met the same problems of a dataset, a seed and a training.
    of_each = ["dataset", "seed", "training", "learning_rate", "epochs"]
    runs = of_recipes.groupby([*of_each, "method"]).size()
    assert (runs.groupby(of_each).nunique() == 1).all()


def test_no_dataset_and_no_network_is_the_searchs(problems, networks):
    spaces = (*tasks.broad_spaces(), *tasks.diverse_spaces())
    searched = {name for space in spaces for name in space.datasets}
    assert not searched & set(problems.RECIPES)
    architectures = {
        architecture for space in spaces for architecture in space.architectures
    }
    # A fifth dense layer, and patches, are in none of the search's.
    assert max(len(each.widths) for each in architectures) < 5
    mlp = networks["mlp"]((28, 28, 1), 10, 0)
    assert sum(isinstance(x, keras.layers.Dense) for x in mlp.layers) == 6
    (conv, *_) = (a for a in architectures if a.family == "cnn")
    theirs = tasks.build_model(conv, (28, 28, 1), 10, 0)
    assert _kernel_sizes(theirs) == {(3, 3)}
    for name in ("cnn", "resnet", "mixer"):
        ours = _kernel_sizes(networks[name]((28, 28, 1), 10, 0))
        assert ours & {(4, 4), (10, 10)}


def _kernel_sizes(model):
    return {
        layer.kernel_size
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    }


@pytest.mark.parametrize(
    "dataset",
    ["alphabets", "letters", "python_library", "unicode_names", "wine"],
)
def test_data_that_every_machine_has(problems, dataset):
    data = problems.load(dataset)
    recipe = problems.RECIPES[dataset]
    assert len(data.pool_labels) >= recipe.num_train
    assert len(data.test_labels) >= recipe.num_test
    # Every class is in both parts.
    for labels in (data.pool_labels, data.test_labels):
        assert set(labels) == set(range(data.num_classes))


@pytest.mark.parametrize(
    ("dataset", "package"),
    [("country_names", "babel"), ("image_segments", "river")],
)
def test_data_of_packages(problems, dataset, package):
    pytest.importorskip(package)
    test_data_that_every_machine_has(problems, dataset)


def test_trainings_are_what_they_are_named(problems):
    found = problems.all_problems(
        ["wine"], [0], trainings=["adam", "adam_l1", "sgd", "sgd_l1"]
    )
    tasks = [p.build() for p in found if p.noise == "none"]
    optimizers = [task.optimizer for task in tasks]
    assert [o.global_clipnorm for o in optimizers] == [None, 5.0, None, 5.0]
    penalties = [len(task.build_model().losses) for task in tasks]
    assert penalties == [0, 12, 0, 12]
    sgd = optimizers[2]
    assert (sgd.momentum, sgd.weight_decay) == (0.9, pytest.approx(1e-3))
    assert optimizers[3].weight_decay is None
    # From the rate to 0 in 100 epochs of 2 batches.
    schedule = keras.optimizers.schedules.deserialize(
        sgd.get_config()["learning_rate"]
    )
    rates = [float(schedule(k)) for k in (0, 100, 200)]
    np.testing.assert_allclose(rates, [0.01, 0.005, 0], atol=1e-8)


def test_problems_are_noisy_as_they_say(problems):
    def built(noise, rate):
        return problems.Problem(
            "python_library", noise, rate, "mlp", 3, 2000, 20
        ).build()

    clean = built("none", 0.0)
    for noise, rate in problems.NOISES["vectors"]:
        noisy = built(noise, rate)
        np.testing.assert_array_equal(clean.train[0], noisy.train[0])
        np.testing.assert_array_equal(clean.validation[1], noisy.validation[1])
        wrong = np.mean(clean.train[1] != noisy.train[1])
        assert wrong == pytest.approx(rate, abs=0.05)


def test_clean_examples_are_no_others(problems):
    problem = problems.Problem(
        "python_library", "symmetric", 0.4, "mlp", 3, 2000, 20
    )
    task = problem.build()
    x, y = task.meta_data
    assert np.bincount(y).tolist() == [10] * task.num_classes
    data = problems.load("python_library")
    label_of = {
        row.tobytes(): label
        for row, label in zip(data.pool_inputs, data.pool_labels, strict=True)
    }
    rows = [row.tobytes() for row in x]
    # A few lines have the same words.
    same = [label_of[row] == label for row, label in zip(rows, y, strict=True)]
    assert np.mean(same) > 0.95
    trained = {row.tobytes() for row in task.train[0]}
    assert np.mean([row in trained for row in rows]) < 0.05


def test_networks_of_choice(problems):
    found = problems.all_problems(["fashion_mnist"], range(2), ["mixer", "mlp"])
    assert len(found) == 2 * 2 * len(problems.NOISES["images"])
    assert {problem.network for problem in found} == {"mixer", "mlp"}
    recipe = problems.RECIPES["fashion_mnist"]
    found = problems.all_problems(["fashion_mnist"], range(1))
    assert {problem.network for problem in found} == set(recipe.networks)


def test_sizes_of_choice(problems):
    (whole,) = (
        problem
        for problem in problems.all_problems(
            ["wine"], [0], full_data=True, epochs=3, width=2
        )
        if problem.noise == "none"
    )
    assert (whole.num_train, whole.epochs, whole.width) == (None, 3, 2)
    task = whole.build()
    assert len(task.train[1]) == 142
    assert task.epochs == 3
    assert task.build_model().layers[2].units == 200


def test_a_mixer_sees_where_a_patch_is(networks, rng):
    model = networks["mixer"]((20, 20, 1), 5, 0)
    x = rng.normal(size=(3, 20, 20, 1)).astype("float32")
    turned = np.roll(x, 10, axis=1)
    # The mean over patches alone would not tell them apart.
    difference = keras.ops.convert_to_numpy(model(x) - model(turned))
    assert np.abs(difference).max() > 1e-3


def test_width_is_that_of_hidden_layers(networks, narrow):
    for name, build in networks.items():
        ones, threes = (
            [weight.shape for weight in model.trainable_weights]
            for model in (narrow[name], build((16, 16, 3), 5, 0, 3))
        )
        assert ones[-1] == threes[-1] == (5,), name
        for small, large in zip(ones[:-1], threes[:-1], strict=True):
            assert large[0] in (small[0], 3 * small[0]), name
        assert threes[-2][0] == 3 * ones[-2][0], name


def test_networks_start_from_their_seed(networks, narrow):
    for name, build in networks.items():
        first = narrow[name].get_weights()
        second, other = (
            build((16, 16, 3), 5, seed).get_weights() for seed in (0, 1)
        )
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)
        assert any(
            not np.array_equal(a, b) for a, b in zip(first, other, strict=True)
        ), name


@pytest.mark.parametrize("many_classes", [False, True])
def test_other_settings_differ(settings, many_classes):
    for name in ("ael", "focal", "gce", "nce+rce", "sce", "taylor_ce"):
        found = settings.methods([name], many_classes, with_others=True)
        assert next(iter(found)) == name
        configs = [str(loss.get_config()) for loss in found.values()]
        assert len(set(configs)) == len(configs) > 1, name
    assert not settings.others("mae", many_classes)
    assert not settings.others("arl", many_classes)
    found = settings.learning(["ELR", "L2B"], many_classes, with_others=True)
    betas = [
        learner.keywords.get("beta", 0.7)
        for name, learner in found.items()
        if name.startswith("ELR")
    ]
    assert len(set(betas)) == len(betas) > 1
    assert list(found)[-1] == "L2B"


def test_published_settings_are_those_of_many_classes(settings):
    few, many = (settings.published("sce", many) for many in (False, True))
    assert (few.alpha, few.beta) == (0.1, 1.0)
    assert (many.alpha, many.beta) == (6.0, 0.1)
