"""Every example in a public docstring runs and prints what it says."""

import doctest
import inspect
import os
import tempfile

import keras
import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf

import keras_arl
import keras_arl.datasets

ROOMS = (
    keras_arl.datasets,
    keras_arl.distribute,
    keras_arl.losses,
    keras_arl.noise,
    keras_arl.search,
    keras_arl.tasks,
    keras_arl.training,
)
PUBLIC = {
    f"{room.__name__}.{name}": getattr(room, name)
    for room in ROOMS
    for name in room.__all__
}


def documented(thing):
    yield thing
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                yield member


@pytest.mark.parametrize(
    "name", [n for n, thing in PUBLIC.items() if callable(thing)]
)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inspect.getdoc(PUBLIC[name])
    runner = doctest.DocTestRunner(
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    names = {
        "keras": keras,
        "keras_arl": keras_arl,
        "np": np,
        "os": os,
        "sklearn": sklearn,
        "tempfile": tempfile,
        "tf": tf,
    }
    for thing in documented(PUBLIC[name]):
        for test in doctest.DocTestFinder(recurse=False).find(
            thing, globs=dict(names)
        ):
            runner.run(test)
    assert runner.failures == 0


def test_every_public_function_has_an_example():
    without = [
        name
        for name, thing in PUBLIC.items()
        if inspect.isfunction(thing) and ">>>" not in inspect.getdoc(thing)
    ]
    assert without == []
