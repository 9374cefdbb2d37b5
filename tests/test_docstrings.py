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

ROOMS = [
    getattr(keras_arl, name)
    for name in keras_arl.__all__
    if inspect.ismodule(getattr(keras_arl, name))
]
PUBLIC = {
    f"{room.__name__}.{name}": getattr(room, name)
    for room in ROOMS
    for name in room.__all__
}
EVERYTHING = {room.__name__: room for room in ROOMS} | {
    name: thing for name, thing in PUBLIC.items() if callable(thing)
}


def documented(thing):
    yield thing
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                yield member


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """One for all: of a search that stands in two docstrings, the second
    finds the finished one.
    """
    return tmp_path_factory.mktemp("examples")


@pytest.mark.parametrize("name", EVERYTHING)
def test_examples(name, directory, monkeypatch):
    monkeypatch.chdir(directory)
    assert inspect.getdoc(EVERYTHING[name])
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
    for thing in documented(EVERYTHING[name]):
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
