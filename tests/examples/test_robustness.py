import pathlib
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from keras_arl import tasks

DIRECTORY = pathlib.Path(__file__).parents[2] / "examples" / "benchmarks"

# The trainings themselves are tested elsewhere, with every backend.
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "jax", reason="the fastest one is enough"
)


@pytest.fixture
def problems(monkeypatch):
    """The program's module of problems."""
    monkeypatch.syspath_prepend(str(DIRECTORY))
    import robustness_problems

    return robustness_problems


@pytest.fixture
def settings(monkeypatch):
    """The program's module of settings."""
    monkeypatch.syspath_prepend(str(DIRECTORY))
    import robustness_settings

    return robustness_settings


@pytest.fixture
def tables(monkeypatch):
    """The program's module of tables."""
    monkeypatch.syspath_prepend(str(DIRECTORY))
    import robustness_tables

    return robustness_tables


def run(directory, *flags):
    return subprocess.run(
        [sys.executable, str(DIRECTORY / "robustness.py"), *flags],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_it_goes_on_where_it_was_stopped(tmp_path):
    path = tmp_path / "robustness.csv"
    flags = ("--datasets=wine", "--seeds=1", "--losses=ce,gce")
    first = run(tmp_path, *flags)
    assert first.returncode == 0, first.stderr
    table = pd.read_csv(path, keep_default_na=False)
    assert len(table) == 14
    assert table["last"].between(0, 1).all()
    assert (table["best"] >= table["last"]).all()
    assert table["num_train"].eq(100).all()
    clean = table[table["noise"] == "none"]
    assert (clean["last"] > 0.85).all()
    assert "| dataset | noise | network | ce | gce |" in first.stdout

    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-3]))
    second = run(tmp_path, *flags, "--processes=2")
    assert second.returncode == 0, second.stderr
    again = pd.read_csv(path, keep_default_na=False)
    pd.testing.assert_frame_equal(
        again.sort_values(list(table.columns)).reset_index(drop=True),
        table.sort_values(list(table.columns)).reset_index(drop=True),
    )
    # Nothing is missing: only the tables are printed.
    third = run(tmp_path, *flags)
    assert third.returncode == 0
    assert path.read_text().count("\n") == 15
    assert third.stdout.count("average rank") == 1


def test_other_sizes_are_other_rows(tmp_path):
    flags = ("--datasets=wine", "--seeds=1", "--losses=ce")
    small = run(tmp_path, *flags)
    assert small.returncode == 0, small.stderr
    large = run(tmp_path, *flags, "--full_data", "--epochs=3", "--width=2")
    assert large.returncode == 0, large.stderr
    table = pd.read_csv(tmp_path / "robustness.csv", keep_default_na=False)
    assert len(table) == 14
    sizes = table[["full_data", "num_train", "epochs", "width"]]
    assert set(sizes.itertuples(index=False, name=None)) == {
        (False, 100, 100, 1),
        (True, 142, 3, 2),
    }
    # The tables are of the rows that were asked for.
    clean = table[table["full_data"] & (table["noise"] == "none")]
    assert f"| {100 * clean['last'].item():.1f} | 1.00 |" in large.stdout
    assert small.stdout != large.stdout


def test_losses_at_their_best_settings(tmp_path):
    result = run(
        tmp_path,
        "--datasets=wine",
        "--seeds=1",
        "--losses=ael",
        "--other_settings",
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / "robustness.csv", keep_default_na=False)
    accuracies = table.pivot(
        index=["noise", "noise_rate"], columns="setting", values="last"
    )
    assert accuracies.shape == (7, 2)
    means = accuracies[accuracies.index != ("none", 0.0)].mean()
    best = means[accuracies.mean().idxmax()]
    lines = [
        line for line in result.stdout.splitlines() if line.startswith("| ael ")
    ]
    assert lines[0].startswith(f"| ael | {100 * means['published']:.1f} |")
    assert lines[-1].startswith(f"| ael | {100 * best:.1f} |")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--datasets=mnist", "--datasets must be of fashion_mnist, "),
        ("--losses=taylor", "--losses must be of ael, "),
        ("--networks=vgg", "--networks must be of mlp, cnn, resnet, mixer, "),
        (
            "--networks=mlp,mixer --datasets=wine",
            "--networks=mixer needs images, not wine",
        ),
        ("--seeds=0", "--seeds must be at least 1, not 0"),
        ("--processes=0", "--processes must be at least 1, not 0"),
        ("--epochs=0", "--epochs must be at least 1, not 0"),
        ("--learning_rate=0", "--learning_rate must be positive, not 0"),
        ("more", "unexpected argument 'more'"),
    ],
)
def test_errors_are_one_line(tmp_path, flag, message):
    result = run(tmp_path, *flag.split())
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("robustness: ")
    assert message in last
    assert "Traceback" not in result.stderr


def test_a_foreign_file_is_left_alone(tmp_path):
    path = tmp_path / "robustness.csv"
    path.write_text("name,value\na,1\n")
    result = run(tmp_path, "--datasets=wine")
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("robustness: --output=robustness.csv is no file of")
    assert "'dataset'" in last
    assert path.read_text() == "name,value\na,1\n"


def test_no_dataset_and_no_network_is_the_searchs(problems):
    searched = {
        name for space in tasks.broad_spaces() for name in space.datasets
    }
    assert not searched & set(problems.RECIPES)
    shape = (28, 28, 1)
    ours = {
        problems.NETWORKS[name](shape, 10, 0).count_params()
        for name in problems.NETWORKS
    }
    architectures = {
        architecture
        for space in tasks.broad_spaces()
        for architecture in space.architectures
    }
    theirs = {
        tasks.build_model(architecture, shape, 10, 0).count_params()
        for architecture in architectures
    }
    assert not ours & theirs


@pytest.mark.parametrize("dataset", ["python_library", "unicode_names", "wine"])
def test_data_that_every_machine_has(problems, dataset):
    data = problems.load(dataset)
    recipe = problems.RECIPES[dataset]
    assert len(data.pool_labels) >= recipe.num_train
    assert len(data.test_labels) >= recipe.num_test
    # Every class is in both parts.
    for labels in (data.pool_labels, data.test_labels):
        assert set(labels) == set(range(data.num_classes))


def test_problems_are_noisy_as_they_say(problems):
    for noise, rate in problems.NOISES["vectors"]:
        clean, noisy = (
            problems.build(
                problems.Problem("python_library", name, value, "mlp", seed=3),
                problems.Protocol(),
            )
            for name, value in (("none", 0.0), (noise, rate))
        )
        np.testing.assert_array_equal(clean.train[0], noisy.train[0])
        np.testing.assert_array_equal(clean.validation[1], noisy.validation[1])
        wrong = np.mean(clean.train[1] != noisy.train[1])
        assert wrong == pytest.approx(rate, abs=0.05)


def test_networks_of_choice(problems):
    found = problems.all_problems(["fashion_mnist"], range(2), ["mixer", "mlp"])
    assert len(found) == 2 * 2 * len(problems.NOISES["images"])
    assert {problem.network for problem in found} == {"mixer", "mlp"}
    recipe = problems.RECIPES["fashion_mnist"]
    found = problems.all_problems(["fashion_mnist"], range(1))
    assert {problem.network for problem in found} == set(recipe.networks)


def test_a_mixer_sees_where_a_patch_is(problems, rng):
    model = problems.NETWORKS["mixer"]((20, 20, 1), 5, 0)
    x = rng.normal(size=(3, 20, 20, 1)).astype("float32")
    turned = np.roll(x, 10, axis=1)
    # The mean over patches alone would not tell them apart.
    difference = np.abs(model.predict(x) - model.predict(turned))
    assert difference.max() > 1e-3


def test_width_is_that_of_hidden_layers(problems):
    for name, build in problems.NETWORKS.items():
        narrow, wide = (
            [w.shape for w in build((16, 16, 3), 5, 0, width).get_weights()]
            for width in (1, 3)
        )
        assert narrow[-1] == wide[-1] == (5,), name
        for small, large in zip(narrow[:-1], wide[:-1], strict=True):
            assert large[0] in (small[0], 3 * small[0]), name
        assert wide[-2][0] == 3 * narrow[-2][0], name


def test_networks_start_from_their_seed(problems):
    for name, build in problems.NETWORKS.items():
        first, second, other = (
            build((16, 16, 3), 5, seed).get_weights() for seed in (0, 0, 1)
        )
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)
        assert any(
            not np.array_equal(a, b) for a, b in zip(first, other, strict=True)
        ), name


@pytest.mark.parametrize("many_classes", [False, True])
def test_other_settings_differ(settings, many_classes):
    for name in ("ael", "focal", "gce", "nce+rce", "sce", "taylor_ce"):
        found = [settings.loss(name, settings.PUBLISHED, many_classes)]
        for setting in settings.others(name, many_classes):
            found.append(settings.loss(name, setting, many_classes))
        configs = [str(loss.get_config()) for loss in found]
        assert len(set(configs)) == len(configs) > 1, name
    assert not settings.others("mae", many_classes)
    assert not settings.others("arl", many_classes)


def test_published_settings_are_those_of_many_classes(settings):
    few, many = (
        settings.loss("sce", settings.PUBLISHED, many) for many in (False, True)
    )
    assert (few.alpha, few.beta) == (0.1, 1.0)
    assert (many.alpha, many.beta) == (6.0, 0.1)


def row(loss, noise, seed, last, best=None, setting="published"):
    return {
        "dataset": "wine",
        "noise": noise,
        "noise_rate": "0.2" if noise != "none" else "0.0",
        "network": "mlp",
        "seed": str(seed),
        "loss": loss,
        "setting": setting,
        "last": str(last),
        "best": str(best or last),
    }


def test_tables(tables):
    rows = [
        row("ce", "none", 0, 0.9),
        row("arl", "none", 0, 0.8),
        row("ce", "symmetric", 0, 0.5, 0.7),
        row("arl", "symmetric", 0, 0.6, 0.7),
        row("ce", "symmetric", 1, 0.3, 0.7),
        row("arl", "symmetric", 1, 0.6, 0.9),
    ]
    lines = tables.by_loss(rows, "arl").splitlines()
    assert lines[2] == "| ce | 40.0 ± 14.1 | 70.0 | 90.0 | 1.50 | 1 |"
    assert lines[3] == "| arl | 60.0 ± 0.0 | 80.0 | 80.0 | 1.50 |  |"
    lines = tables.by_noise(rows).splitlines()
    assert lines[0] == "| loss | none | symmetric 0.2 |"
    assert lines[2:] == ["| ce | 90.0 | 40.0 |", "| arl | 80.0 | 60.0 |"]
    lines = tables.by_dataset(rows).splitlines()
    assert lines[0] == "| loss | wine |"
    assert lines[2:] == ["| ce | 40.0 |", "| arl | 60.0 |"]
    lines = tables.by_network(rows).splitlines()
    assert lines[0] == "| loss | mlp |"
    assert lines[2:] == ["| ce | 40.0 |", "| arl | 60.0 |"]
    lines = tables.by_problem(rows).splitlines()
    assert lines[0] == "| dataset | noise | network | ce | arl |"
    assert lines[2] == "| wine | none | mlp | 90.0 | 80.0 |"
    assert lines[3] == (
        "| wine | symmetric 0.2 | mlp | 40.0 ± 14.1 | 60.0 ± 0.0 |"
    )


def test_the_best_setting_is_of_a_dataset(tables):
    rows = [
        row("gce", "none", 0, 0.9),
        row("gce", "symmetric", 0, 0.5),
        row("gce", "none", 0, 0.8, setting="q=0.9"),
        row("gce", "symmetric", 0, 0.7, setting="q=0.9"),
        row("gce", "none", 0, 1.0, setting="q=0.1"),
        row("gce", "symmetric", 0, "nan", setting="q=0.1"),
        row("arl", "none", 0, 0.8),
        row("arl", "symmetric", 0, 0.6),
    ]
    other = [{**each, "dataset": "cifar10"} for each in rows[:4]]
    other[3]["last"] = "0.1"
    found = tables.best_settings(rows + other)
    assert found == [*rows[2:4], *rows[6:], *other[:2]]
    assert tables.published(rows) == [*rows[:2], *rows[6:]]


def test_a_diverged_training_ranks_last(tables):
    rows = [
        row("ce", "symmetric", 0, 0.5),
        row("arl", "symmetric", 0, "nan"),
        row("gce", "symmetric", 0, 0.1),
    ]
    order = [
        line.split()[1] for line in tables.by_loss(rows, "arl").splitlines()[2:]
    ]
    assert order == ["ce", "gce", "arl"]


def test_wilcoxon_is_over_problems(tables):
    rows = [
        row(loss, f"noise {k}", 0, 0.5 + gain)
        for k in range(8)
        for loss, gain in (("ce", 0.0), ("arl", 0.01 * (k + 1)))
    ]
    line = next(
        line
        for line in tables.by_loss(rows, "arl").splitlines()
        if line.startswith("| ce ")
    )
    # The smallest of 2^8 equally likely signs, on both sides.
    assert float(line.split("|")[-2]) == pytest.approx(2 / 2**8, rel=0.05)
