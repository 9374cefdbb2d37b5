import json

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow_datasets as tfds

from tests import processes
from tests.examples.running import EXAMPLES
from tests.examples.running import last_line
from tests.examples.running import run
from tests.examples.running import started

PROGRAM = EXAMPLES / "clothing1m.py"
FAKE = (
    "--fake_data",
    "--epochs=3",
    "--batch_size=16",
    "--resize=32",
    "--crop=28",
    "--learner=Marvel",
    "--loss=gce",
    "--directory=out",
)
# Runs a program that makes fewer training images than it does by itself.
SMALLER = """
import functools, runpy, sys
from keras_arl import datasets
sizes = {
    "noisy_train": 560,
    "clean_train": 14,
    "clean_validation": 420,
    "clean_test": 700,
}
datasets.write_fake_clothing1m = functools.partial(
    datasets.write_fake_clothing1m, sizes=sizes
)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# The programs are for TensorFlow.
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="one run is enough"
)


@pytest.fixture
def noisy_training(monkeypatch):
    """The program's module of trainings."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import noisy_training

    return noisy_training


@pytest.fixture
def noisy_learners(monkeypatch):
    """The program's learners."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import noisy_learners

    return noisy_learners


@pytest.fixture(scope="module")
def killed_and_continued(tmp_path_factory):
    """A training killed after its first epoch, then continued."""
    directory = tmp_path_factory.mktemp("example")
    smaller = tmp_path_factory.mktemp("program") / "smaller.py"
    smaller.write_text(SMALLER)
    command = (smaller, str(PROGRAM), *FAKE)
    backup = directory / "out" / "backup" / "training_metadata.json"
    with started(directory, *command) as (first, _):
        processes.wait_for(backup.exists, seconds=200)
        assert first.is_alive()
    return directory, run(directory, *command)


def test_a_killed_training_continues(killed_and_continued):
    directory, result = killed_and_continued
    assert result.returncode == 0, result.stderr
    assert "Epoch 3/3" in result.stdout
    assert "Epoch 1/3" not in result.stdout
    history = pd.read_csv(directory / "out" / "history.csv")
    assert history.drop_duplicates("epoch", keep="last")["epoch"].tolist() == [
        0,
        1,
        2,
    ]


def test_it_reports_what_it_found(killed_and_continued):
    directory, result = killed_and_continued
    out = directory / "out"
    report = pd.read_csv(out / "report.csv").set_index("epoch")
    history = pd.read_csv(out / "history.csv").drop_duplicates(
        "epoch", keep="last"
    )
    watched = history["val_accuracy"].to_numpy()
    assert report["number"].to_dict() == {
        "last": 3,
        "best": 1 + watched.argmax(),
    }
    assert report["validation"]["best"] == pytest.approx(watched.max())
    # The test classes are balanced.
    by_class = report.loc[:, "T-Shirt":"Underwear"]
    assert by_class.shape == (2, 14)
    for which in ("last", "best"):
        assert by_class.loc[which].mean() == pytest.approx(
            report["test"][which]
        )
        assert f"{100 * report['test'][which]:8.1f}" in result.stdout
    # Chance is 7%, and 38% of the labels are wrong.
    assert report["test"]["best"] > 0.3
    assert report["test"]["last"] == pytest.approx(
        report["validation"]["last"], abs=0.1
    )
    assert (out / "confusion.png").stat().st_size > 10_000
    assert list((out / "tensorboard").rglob("events.out.tfevents*"))


def test_every_learner_gets_what_it_needs(
    killed_and_continued, noisy_learners, noisy_training
):
    import noisy_data

    from keras_arl import datasets

    prepared = killed_and_continued[0] / "out" / "fake_data" / "prepared"

    class Recipe:
        resize, crop, batch_size = 12, 8, 16

    data = noisy_data.batches(
        datasets.Clothing1m(data_dir=prepared),
        {
            "train": "noisy_train",
            "validation": "clean_validation",
            "test": "clean_test",
        },
        ("clean_label", "noisy_label"),
        Recipe,
        pad=0,
        balanced=False,
        seed=0,
        with_index=True,
    )
    clean = np.bincount([y for _, y in data.meta.unbatch().as_numpy_iterator()])
    watched = [y for _, y in data.validation.unbatch().as_numpy_iterator()]
    np.testing.assert_array_equal(clean, np.bincount(watched))
    for name in noisy_learners.NAMES:
        model = noisy_training.build_model("tiny", 8, 14)
        learner = noisy_learners.wrapped(name, model, data.count, epochs=5)
        # Graphs of all of them would take a minute.
        learner.compile("sgd", run_eagerly=True)
        meta = {"meta_data": data.meta} if learner.needs_meta_data else {}
        history = learner.fit(data.train, steps_per_epoch=2, verbose=0, **meta)
        assert np.isfinite(history.history["loss"]).all(), name
        if learner.needs_index:
            assert np.sum(learner.memory.labels >= 0) == 2 * 16, name


def test_other_settings_are_refused(killed_and_continued, noisy_training):
    directory, _ = killed_and_continued
    path = directory / "out" / "settings.json"
    begun = json.loads(path.read_text())
    noisy_training.check_same_settings(path, begun)
    with pytest.raises(ValueError, match="out holds a training") as caught:
        noisy_training.check_same_settings(path, {**begun, "epochs": 9})
    assert "--epochs=3 there, 9 asked" in str(caught.value)


def test_a_finished_training_is_not_trained_again(tmp_path, noisy_training):
    (tmp_path / "last.weights.h5").touch()
    # It has no model, which would be trained.
    noisy_training.fit(None, None, None, 3, tmp_path)


def test_without_data_it_says_what_to_download(tmp_path):
    flags = ("--data_dir=data", "--manual_dir=empty")
    (tmp_path / "empty").mkdir()
    result = run(tmp_path, PROGRAM, *flags)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"clothing1m: {tmp_path / 'empty'} holds nothing" in result.stderr
    assert "noisy_train_key_list.txt" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labels=worse"], "--labels of clothing1m are ('noisy', 'clean')"),
        (["--dataset=cifar10_n", "--labels=noisy"], "not 'noisy'"),
        (["--dataset=cifar10_n", "--fake_data"], "layout only"),
        (["--decay_epochs=a"], "--decay_epochs must be integers"),
        (["--crop=300"], "--crop=300 is larger than --resize=256"),
        (["--momentum=1"], "--momentum must be in [0, 1)"),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, message):
    last = last_line(run(tmp_path, PROGRAM, *arguments))
    assert last.startswith("clothing1m: ")
    assert message in last
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("model", "parameters"),
    [("resnet50", 23_587_712), ("mobilenet", 2_257_984), ("tiny", 93_920)],
)
def test_networks_give_logits_of_float32(model, parameters, noisy_training):
    features = {"resnet50": 2048, "mobilenet": 1280, "tiny": 128}[model]
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = noisy_training.build_model(model, 32, 3, weights="none")
    finally:
        keras.config.set_dtype_policy(policy)
    output = network(np.zeros((2, 32, 32, 3), "uint8"))
    assert output.shape == (2, 3)
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    assert network.count_params() == parameters + 3 * (features + 1)


def test_input_pipeline_benchmark(tmp_path):
    program = "benchmarks/input_pipeline.py"
    flags = ("--images=60", "--side=256", "--rounds=1")
    result = run(tmp_path, program, *flags)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("60 images of 256x256 pixels")
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "decoding alone",
        "pipeline",
        "ratio of times",
    ]


LABELS = """
import importlib.util, json, sys
import numpy as np
import tensorflow_datasets as tfds
from absl import flags
spec = importlib.util.spec_from_file_location("clothing1m", sys.argv[1])
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)
flags.FLAGS(["program", "--dataset=cifar10_n"])
builder = tfds.builder("cifar10_n")
splits = program._SPLITS["cifar10_n"]
assert [*splits.values()] == ["train[:90%]", "train[90%:]", "test"]
splits |= {
    "train": "train[:2%]", "validation": "train[98%:]", "test": "test[:5%]"
}
data = program.batches(builder, program.chosen_recipe(), "worse")
train, validation, test = data.train, data.validation, data.test
def counts(labels):
    return np.bincount(list(labels), minlength=10).tolist()
def of_split(split, label):
    only = tfds.decode.PartialDecoding({label: True})
    examples = builder.as_dataset(split=split, decoders=only)
    return counts(e[label] for e in examples.as_numpy_iterator())
def of_batches(batches):
    return counts(y for _, ys in batches.as_numpy_iterator() for y in ys)
assert of_batches(train) == of_split("train[:2%]", "worse_label")
assert of_batches(validation) == of_split("train[98%:]", "label")
assert of_batches(test) == of_split("test[:5%]", "label")
assert of_batches(train) != of_split("train[:2%]", "label")
"""


def test_cifar10_n_trains_on_human_labels_and_tests_on_clean_ones(tmp_path):
    try:
        prepared = tfds.builder("cifar10_n").is_prepared()
    except FileNotFoundError:
        prepared = False
    if not prepared:
        pytest.skip("CIFAR-10N is not prepared")
    (tmp_path / "labels.py").write_text(LABELS)
    result = run(tmp_path, tmp_path / "labels.py", str(PROGRAM))
    assert result.returncode == 0, result.stderr
