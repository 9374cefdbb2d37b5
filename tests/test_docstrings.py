"""Every example in a public docstring runs and prints what it says."""

import doctest
import functools
import importlib.util
import inspect
import itertools
import os
import pathlib
import re
import tempfile

import keras
import numpy as np
import pytest
import sklearn.datasets
import tensorflow as tf
from matplotlib.mathtext import MathTextParser

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
# One test, in one directory: of a search that stands in two docstrings, the
# second finds the finished one.
SEARCHES = [n for n, x in EVERYTHING.items() if ".search(" in inspect.getdoc(x)]
TESTS = {"searches": SEARCHES} | {
    name: [name] for name in EVERYTHING if name not in SEARCHES
}


def documented(thing):
    yield thing
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                yield member


class OutputChecker(doctest.OutputChecker):
    """Passes over what Keras Tuner says where it finds a search."""

    def check_output(self, want, got, optionflags):
        got = re.sub("Reloading Tuner from .*\n", "", got)
        return super().check_output(want, got, optionflags)


@pytest.mark.usefixtures("quick_graphs")
@pytest.mark.parametrize("name", TESTS)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name.startswith(("keras_arl.learners.", "keras_arl.losses.")):
        # Graphs for a step or two of each would take a minute.
        compile_model = functools.partialmethod(
            keras.Model.compile, run_eagerly=True
        )
        monkeypatch.setattr(keras.Model, "compile", compile_model)
    things = [EVERYTHING[name] for name in TESTS[name]]
    assert all(inspect.getdoc(thing) for thing in things)
    runner = doctest.DocTestRunner(
        OutputChecker(),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
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
    for thing in itertools.chain(*map(documented, things)):
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


@pytest.fixture(scope="module")
def reference():
    """The program that builds the API reference, as a module."""
    path = pathlib.Path(__file__).parents[1] / ".ci" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("formula", "tex"),
    [
        ("L = (1 - p_y^q) / q", "L = (1 - p_{y}^q) / q"),
        ("L = sum over c of p_c^(a * (b + 1))",
         r"L = \sum_{c} p_{c}^{a \cdot (b + 1)}"),
        ("  q <- theta_ij\n    + weight * k",
         r"q \leftarrow \theta_{ij} + \mathrm{weight} \cdot k"),
        ("t >= 0 if abandoned", r"t \geq 0~\mathrm{if}~\mathrm{abandoned}"),
    ],
)  # fmt: skip
def test_a_formula_becomes_tex(reference, formula, tex):
    (line,) = reference.to_tex(formula)
    assert re.sub(" +", " ", line) == tex


def test_every_formula_is_valid_tex(reference):
    pages = map(inspect.getdoc, EVERYTHING.values())
    formulas = [
        found[2] for page in pages for found in reference.formulas(page)
    ]
    assert len(formulas) > 30
    for line in itertools.chain(*map(reference.to_tex, formulas)):
        MathTextParser("agg").parse(f"${line}$")
