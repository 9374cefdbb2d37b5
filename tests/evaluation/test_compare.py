import concurrent.futures
import dataclasses
import gzip
import math

import keras
import numpy as np
import pandas as pd
import pytest

from keras_arl import evaluation
from keras_arl import losses
from keras_arl import tasks
from keras_arl import training
from tests import processes
from tests.evaluation import points
from tests.evaluation.points import CONFIGS
from tests.evaluation.points import METHODS
from tests.evaluation.points import CountingTrainer

COLUMNS = [
    "method",
    "noise_rate",
    "seed",
    "group",
    "last_epochs",
    "accuracy",
    "best",
]


@pytest.fixture(scope="module")
def rows():
    """What no file and no second process had a hand in."""
    return evaluation.compare(METHODS, CONFIGS[:2], verbose=0)


def assert_same(first, second):
    pd.testing.assert_frame_equal(pd.DataFrame(first), pd.DataFrame(second))


def test_a_row_is_a_training(rows):
    assert [(row["seed"], row["method"]) for row in rows] == [
        (config.seed, name) for config in CONFIGS[:2] for name in METHODS
    ]
    assert all(list(row) == COLUMNS for row in rows)
    plain = training.PlainTrainer()
    for row in rows[:2]:
        task = CONFIGS[0].build()
        expected = plain.accuracies(task, METHODS[row["method"]])
        assert row["accuracy"] == pytest.approx(expected[-1])
        assert row["best"] == pytest.approx(max(expected))
    for row in rows:
        diverged = row["method"] == "infinite"
        assert math.isnan(row["accuracy"]) == diverged
        assert math.isnan(row["best"]) == diverged


def test_all_methods_meet_the_same_task():
    methods = {
        "by object": keras.losses.SparseCategoricalCrossentropy(),
        "by name": "sparse_categorical_crossentropy",
    }
    found = evaluation.compare(methods, CONFIGS[:1], last_epochs=2, verbose=0)
    accuracies = [row["accuracy"] for row in found]
    assert accuracies[::2] == accuracies[1::2]
    expected = training.PlainTrainer().accuracies(
        CONFIGS[0].build(), methods["by object"]
    )
    assert accuracies[0] == pytest.approx(np.mean(expected[-2:]))


def test_a_killed_comparison_goes_on(tmp_path):
    path = tmp_path / "rows.csv"

    def count():
        return path.read_bytes().count(b"\n") if path.exists() else 0

    process = processes.start(
        tmp_path / "log", points.compare_until_stuck, path
    )
    with processes.killed_at_the_end(process):
        processes.wait_for(lambda: count() == 3)
    # What it wrote is told apart from what is trained now.
    path.write_text(path.read_text().replace(",0.5,", ",0.625,"))
    trainer = CountingTrainer()
    found = evaluation.compare(METHODS, CONFIGS, trainer, path=path, verbose=0)
    accuracies = [row["accuracy"] for row in found]
    assert accuracies == [0.625] * 2 + [0.5] * len(trainer.asked)
    assert len(found) == len(METHODS) * len(CONFIGS)


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_a_torn_row_is_trained_again(tmp_path, name):
    path = tmp_path / name

    def compare():
        trainer = CountingTrainer()
        arguments = METHODS, CONFIGS, trainer
        found = evaluation.compare(*arguments, path=path, verbose=0)
        return found, len(trainer.asked)

    whole, _ = compare()
    content = path.read_bytes()
    if name == "rows.csv":
        path.write_bytes(content[:-3])
    else:
        lines = gzip.decompress(content).splitlines(keepends=True)
        members = [gzip.compress(line) for line in lines]
        path.write_bytes(b"".join(members)[:-14])
    found, num_trained = compare()
    assert_same(found, whole)
    assert num_trained == 1
    assert path.read_bytes() == content


def test_a_compressed_file_is_that_of_its_rows_alone(tmp_path):
    contents = set()
    for name in ("a.csv.gz", "b.csv.gz"):
        path = tmp_path / name
        for last in (2, 4):
            evaluation.compare(
                METHODS, CONFIGS[:last], CountingTrainer(), path=path, verbose=0
            )
        contents.add(path.read_bytes())
    assert len(contents) == 1
    assert contents.pop().count(b"\x1f\x8b") == 1
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "a.csv.gz",
        "b.csv.gz",
    ]


def test_what_is_there_stays(tmp_path):
    path = tmp_path / "rows.csv"
    trainer = CountingTrainer()
    evaluation.compare(METHODS, CONFIGS, trainer, path=path, verbose=0)
    few = {"CE": METHODS["CE"]}
    other = evaluation.compare(
        few, CONFIGS[:1], trainer, path=path, last_epochs=2, verbose=0
    )
    assert [row["accuracy"] for row in other] == [0.625]
    same = evaluation.compare(few, CONFIGS[:1], trainer, path=path, verbose=0)
    assert [row["accuracy"] for row in same] == [0.5]
    assert len(trainer.asked) == len(METHODS) * len(CONFIGS) + 1
    assert len(pd.read_csv(path)) == len(trainer.asked)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"name,value\na,1\n", "a.csv holds rows with other columns"),
        ("a.csv", b"\xff\xfe\n", "a.csv is damaged"),
        ("a.csv.gz", b"method,seed\n", "a.csv.gz is damaged"),
    ],
)
def test_a_foreign_file_is_left_alone(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        evaluation.compare(METHODS, CONFIGS, path=path, verbose=0)
    assert path.read_bytes() == content


def test_a_process_finds_the_same(tmp_path, rows):
    path = tmp_path / "rows.csv"
    few = {name: METHODS[name] for name in ("CE", "infinite")}
    found = evaluation.compare(
        few, CONFIGS[:2], path=path, executor=1, verbose=0
    )
    assert_same(found, [row for row in rows if row["method"] in few])
    assert len(pd.read_csv(path)) == len(found) == 4


def test_rows_keep_their_order_where_the_second_task_ends_first(tmp_path):
    path = tmp_path / "rows.csv"

    def is_second_there():
        return path.read_bytes().count(b"\n") == 1 + len(METHODS)

    class Turned(CountingTrainer):
        def accuracies(self, task, loss):
            if task.seed == 0:
                processes.wait_for(is_second_there, 200)
            return [task.seed]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = evaluation.compare(
            METHODS, CONFIGS[:2], Turned(), path=path, executor=pool, verbose=0
        )
    assert [(row["seed"], row["method"]) for row in found] == [
        (config.seed, name) for config in CONFIGS[:2] for name in METHODS
    ]
    assert [row["accuracy"] for row in found] == [0.0] * 3 + [1.0] * 3
    assert list(pd.read_csv(path)["seed"]) == [1] * 3 + [0] * 3


def test_an_error_in_an_executor_of_ones_own_is_raised(tmp_path):
    path = tmp_path / "rows.csv"
    configs = [CONFIGS[0], points.Points(2.0, 0)]
    trainer = CountingTrainer()
    with (
        concurrent.futures.ThreadPoolExecutor(1) as pool,
        pytest.raises(ValueError, match="rate"),
    ):
        evaluation.compare(
            METHODS, configs, trainer, path=path, executor=pool, verbose=0
        )
    # What had been trained is there.
    assert len(pd.read_csv(path)) == len(METHODS)


def test_those_that_share_programs_come_in_a_row():
    trainer = CountingTrainer()
    configs = [points.Points(0.2, seed, "ab"[seed % 2]) for seed in range(4)]
    methods = {f"{k}": k for k in range(40)}
    found = evaluation.compare(methods, configs, trainer, verbose=0)
    assert [row["seed"] for row in found[::40]] == [0, 1, 2, 3]
    # As many as a trainer keeps, then the others.
    assert trainer.asked == [
        (seed, method)
        for group in ((0, 2), (1, 3))
        for part in (range(32), range(32, 40))
        for seed in group
        for method in part
    ]


def test_tasks_by_position_name_and_seed():
    made = [points.points_task(seed) for seed in (3, 4)]
    few = {"CE": METHODS["CE"]}
    numbered = evaluation.compare(few, made, CountingTrainer(), verbose=0)
    assert [row["task"] for row in numbered] == [0, 1]
    named = evaluation.compare(
        few,
        {"mine": made[0], "yours": made[1]},
        CountingTrainer(),
        verbose=0,
    )
    assert [row["task"] for row in named] == ["mine", "yours"]
    configs = evaluation.fresh_configs(points.points_task, 2)
    trainer = CountingTrainer()
    seeded = evaluation.compare(few, configs, trainer, verbose=0)
    assert [(row["function"], row["seed"]) for row in seeded] == [
        ("points_task", seed) for seed, _ in trainer.asked
    ]


def test_a_configuration_is_plain_cells():
    configs = evaluation.report_configs(tasks.TaskSpace(num_train=60), runs=2)
    found = evaluation.compare(
        {"CE": METHODS["CE"]}, configs[:2], CountingTrainer(), verbose=0
    )
    assert [row["architecture_family"] for row in found] == ["mlp", "cnn"]
    assert [row["architecture_widths"] for row in found] == ["96 96", "24 48"]
    plain = (str, int, float, bool, type(None))
    assert all(isinstance(cell, plain) for cell in found[0].values())


@dataclasses.dataclass(frozen=True)
class Best:
    best: int = 0

    def build(self):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": {}}, "at least one method"),
        ({"methods": [losses.GCE()]}, "must be a dictionary"),
        ({"tasks": []}, "at least one, all with the same fields"),
        ({"tasks": [3]}, "must be of .*Received: 3"),
        ({"tasks": [Best()]}, "cannot be named 'best'"),
        ({"tasks": [points.points_task(0), CONFIGS[0]]}, "the same fields"),
        ({"last_epochs": 0}, "`last_epochs` must be an integer of at least 1"),
        ({"executor": 0}, "`executor` must be an integer of at least 1"),
        ({"last_epochs": 4}, "`last_epochs` must be in 1..3"),
    ],
)
def test_wrong_arguments(arguments, message):
    arguments = {"methods": METHODS, "tasks": CONFIGS, **arguments}
    with pytest.raises(ValueError, match=message):
        evaluation.compare(**arguments, verbose=0)


def test_report_tasks_are_not_among_those_of_a_search():
    space = tasks.TaskSpace()
    configs = evaluation.report_configs(space, runs=4, seed=0)
    assert len(configs) == 8
    assert {c.evaluation for c in configs} == {"test"}
    searched = [tasks.sample_task(seed, space) for seed in range(300)]
    assert not {c.architecture for c in configs} & {
        c.architecture for c in searched
    }
    assert not {(c.noise, c.noise_rate) for c in configs} & set(space.noises)
    assert {c.architecture.family for c in configs} == {"mlp", "cnn"}
    assert evaluation.report_configs(space, runs=4, seed=0) == configs
    assert evaluation.report_configs(space, runs=4, seed=1) != configs


def test_report_tasks_are_of_the_space():
    space = tasks.TaskSpace(
        architectures=tasks.sample_architectures(2, seed=0, families=("mlp",)),
        num_classes=(3,),
        imbalances=(10.0,),
        input_noises=(0.5,),
        pooling=2,
    )
    for config in evaluation.report_configs(space, runs=2):
        assert config.architecture.family == "mlp"
        assert (config.num_classes, config.imbalance) == (3, 10.0)
        assert (config.input_noise, config.pooling) == (0.5, 2)
    residual = tasks.TaskSpace(families=("resnet",))
    with pytest.raises(ValueError, match=r"families=\('resnet',\)"):
        evaluation.report_configs(residual)


def test_fresh_tasks_are_drawn_as_in_a_search():
    family = tasks.TaskFamily(
        (tasks.TaskSpace(), tasks.TaskSpace(noises=(("pair_flip", 0.4),)))
    )
    configs = evaluation.fresh_configs(family, 40, seed=0)
    assert configs == evaluation.fresh_configs(family, 40, seed=0)
    assert configs != evaluation.fresh_configs(family, 40, seed=1)
    assert {config.evaluation for config in configs} == {"test"}
    assert {config.num_evaluation for config in configs} == {None}
    kinds = {(config.noise, config.noise_rate) for config in configs}
    assert ("pair_flip", 0.4) in kinds
    assert len(kinds) > 3
