"""A search is continued with the task function it was begun with."""

import functools
import json

import pytest

from keras_arl.search.identity import check_same_settings
from keras_arl.search.identity import describe
from keras_arl.tasks import TaskFamily
from keras_arl.tasks import TaskSpace

RATE = 0.4


def made(rate):
    def task(seed):
        return seed, rate

    return task


def another(seed):
    return seed + 1


def reads_a_global(seed):
    return seed, RATE


class Tasks:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, seed):
        return seed, self.rate

    def method(self, seed):
        return seed, self.rate


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (made(0.4), made(0.4), made(0.2)),
        (made(0.4), made(0.4), another),
        (Tasks(0.4), Tasks(0.4), Tasks(0.2)),
        (Tasks(0.4).method, Tasks(0.4).method, Tasks(0.2).method),
        (
            functools.partial(another, seed=1),
            functools.partial(another, seed=1),
            functools.partial(another, seed=2),
        ),
        (
            TaskFamily(TaskSpace(num_train=100)),
            TaskFamily(TaskSpace(num_train=100)),
            TaskFamily(TaskSpace(num_train=200)),
        ),
    ],
)
def test_equal_functions_are_equal_and_others_are_not(one, same, other):
    saved = json.loads(json.dumps({"tasks": describe(one)}))
    check_same_settings(saved, {"tasks": describe(same)})
    with pytest.raises(ValueError, match="tasks: "):
        check_same_settings(saved, {"tasks": describe(other)})


def test_a_value_that_a_function_reads_is_part_of_it(monkeypatch):
    before = describe(reads_a_global)
    monkeypatch.setitem(globals(), "RATE", 0.2)
    with pytest.raises(ValueError, match=r"(?s)-.*0\.4.*\+.*0\.2"):
        check_same_settings({"f": before}, {"f": describe(reads_a_global)})


def test_a_function_without_a_source_is_told_by_its_code():
    names = {}
    exec("def f(seed):\n    return seed + 1", names)
    exec("def g(seed):\n    return seed + 2", names)
    exec("def h(seed):\n    return seed + 1", names)
    assert describe(names["f"]) == describe(names["h"])
    assert describe(names["f"]) != describe(names["g"])
