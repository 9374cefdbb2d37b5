import json
import os
import pathlib
import subprocess
import sys
import time

import pandas as pd
import pytest
import tensorflow_datasets as tfds

from tests import processes

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
PROGRAM = EXAMPLES / "clothing1m.py"
FAKE = ("--fake_data", "--epochs=3", "--directory=out", "--loss=gce")


def command(*arguments):
    return [sys.executable, str(PROGRAM), *arguments]


def run(directory, *arguments, program=PROGRAM):
    return subprocess.run(
        [sys.executable, str(program), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )


@pytest.fixture(scope="module")
def killed_and_continued(tmp_path_factory):
    """A training killed after its first epoch, then continued."""
    directory = tmp_path_factory.mktemp("example")
    backup = directory / "out" / "backup" / "training_metadata.json"
    with processes.program(
        command(*FAKE),
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    ) as first:
        deadline = time.monotonic() + 200
        while not backup.exists() and time.monotonic() < deadline:
            assert first.poll() is None
            time.sleep(0.05)
    return directory, run(directory, *FAKE)


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


def test_a_finished_training_is_evaluated_again(killed_and_continued):
    directory, _ = killed_and_continued
    before = (directory / "out" / "report.csv").read_text()
    result = run(directory, *FAKE)
    assert "holds a finished training" in result.stdout
    assert (directory / "out" / "report.csv").read_text() == before


def test_other_settings_are_refused(killed_and_continued):
    directory, _ = killed_and_continued
    result = run(directory, *FAKE, "--learning_rate=0.5", "--balanced")
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("clothing1m: out holds a training with other")
    assert "--learning_rate=0.05 there, 0.5 asked" in last
    assert "--balanced=False there, True asked" in last


def test_without_data_it_says_what_to_download(tmp_path):
    result = run(tmp_path, "--data_dir=nothing")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for part in (
        "clothing1m: clothing1m is not prepared",
        "noisy_train_key_list.txt",
        "--manual_dir=DIRECTORY",
        "--fake_data",
    ):
        assert part in result.stderr


@pytest.mark.parametrize("name", ["none", "empty", "images"])
def test_a_directory_without_the_files(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "images" / "images").mkdir(parents=True)
    result = run(tmp_path, "--data_dir=data", f"--manual_dir={name}")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"{tmp_path / name}" in result.stderr
    assert "noisy_train_key_list.txt" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labels=worse"], "--labels of clothing1m are ('noisy', 'clean')"),
        (["--dataset=cifar10_n", "--labels=noisy"], "not 'noisy'"),
        (["--dataset=cifar10_n", "--fake_data"], "layout only"),
        (["--epochs=0"], "--epochs must be at least 1, not 0"),
        (["--learning_rate=0"], "--learning_rate must be above 0"),
        (["--decay_epochs=a"], "--decay_epochs must be integers"),
        (["--crop=300"], "--crop=300 is larger than --resize=256"),
        (["--momentum=1"], "--momentum must be in [0, 1)"),
        (["--loss=alr", "--fake_data"], "Unknown loss 'alr'"),
        (["--loss=forward_correction"], "needs more than its name"),
        (["--model=vgg"], "should be one of"),
        (["stray"], "unexpected argument 'stray'"),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, message):
    result = run(tmp_path, *arguments)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("clothing1m: ")
    assert message in last
    assert not list(tmp_path.iterdir())


BUILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
import keras, numpy as np
import noisy_training
keras.mixed_precision.set_global_policy("mixed_bfloat16")
model = noisy_training.build_model(sys.argv[2], 64, 3, weights="none")
output = model(np.zeros((2, 64, 64, 3), "uint8"))
print(json.dumps([list(output.shape), str(output.dtype), model.count_params()]))
"""


@pytest.mark.parametrize(
    ("model", "parameters"),
    [("resnet50", 23_587_712), ("mobilenet", 2_257_984), ("tiny", 93_920)],
)
def test_networks_give_logits_of_float32(tmp_path, model, parameters):
    result = subprocess.run(
        [*(sys.executable, "-c", BUILD, str(EXAMPLES), model)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    shape, dtype, count = json.loads(result.stdout.splitlines()[-1])
    assert shape == [2, 3]
    assert "float32" in dtype
    features = {"resnet50": 2048, "mobilenet": 1280, "tiny": 128}[model]
    assert count == parameters + 3 * (features + 1)


def test_input_pipeline_benchmark(tmp_path):
    program = EXAMPLES / "benchmarks" / "input_pipeline.py"
    result = run(tmp_path, "--images=60", "--rounds=1", program=program)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("60 images of 400x400 pixels")
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "decoding alone",
        "pipeline",
        "ratio of times",
    ]
    wrong = run(tmp_path, "--side=100", program=program)
    assert wrong.stderr.endswith("--side must be at least 256, not 100\n")


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
train, validation, test, _ = program.batches(
    builder, program.chosen_recipe(), "worse"
)
def counts(labels):
    return np.bincount(list(labels), minlength=10).tolist()
def of_split(split, label):
    only = tfds.decode.PartialDecoding({label: True})
    examples = builder.as_dataset(split=split, decoders=only)
    return counts(e[label] for e in examples.as_numpy_iterator())
def of_batches(batches):
    return counts(y for _, ys in batches.as_numpy_iterator() for y in ys)
assert of_batches(train) == of_split("train[:90%]", "worse_label")
assert of_batches(validation) == of_split("train[90%:]", "label")
assert of_batches(test) == of_split("test", "label")
assert of_batches(train) != of_split("train[:90%]", "label")
"""


def test_cifar10_n_trains_on_human_labels_and_tests_on_clean_ones(tmp_path):
    try:
        prepared = tfds.builder("cifar10_n").is_prepared()
    except FileNotFoundError:
        prepared = False
    if not prepared:
        pytest.skip("CIFAR-10N is not prepared")
    subprocess.run(
        [sys.executable, "-c", LABELS, str(PROGRAM)],
        cwd=tmp_path,
        timeout=200,
        check=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
