"""README, guides and notebooks: their code runs, and their links are right."""

import contextlib
import functools
import importlib.util
import io
import json
import pathlib
import re

import keras
import matplotlib
import matplotlib.pyplot
import pytest

matplotlib.use("agg")

HOME = pathlib.Path(__file__).parents[1]
README = HOME / "README.md"
GUIDES = sorted(HOME.glob("examples/guides/*.md"))
NOTEBOOKS = sorted(HOME.glob("examples/notebooks/*.ipynb"))
DOCUMENTS = [
    README,
    *GUIDES,
    HOME / "examples" / "search_log.md",
    HOME / ".github" / "CONTRIBUTING.md",
]
# A comment before a block says why a machine without more cannot run it.
BLOCK = re.compile(
    r"(<!-- not run: .+? -->\n)?^```python\n(.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#]+)")
# What a search finds, and how sure a comparison is, is not what these tests
# are for. The quickstart has 100 epochs, and prints what it promises.
SHORT = {
    r"\bepochs=\d\d?\b": "epochs=2",
    r"\bgenerations=\d+\b": "generations=1",
    r"\b(tasks_per_generation|selection_tasks)=\d+\b": r"\1=1",
    # The fewest tasks on which there is a verdict.
    r"\bcount=\d+\b": "count=5",
}


def shortened(code):
    """The code with short trainings and searches, but for the quickstart's."""
    for numbers, fewer in SHORT.items():
        code = re.sub(numbers, fewer, code)
    return code


def blocks(path):
    found = BLOCK.findall(path.read_text())
    return [shortened(code) for reason, code in found if not reason]


def run_blocks(path):
    """Runs the blocks of a page in order, as one who pastes them does.

    Returns:
        What they printed.
    """
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        for number, code in enumerate(blocks(path)):
            source = compile(code, f"{path.name}, block {number}", "exec")
            exec(source, names)
    return printed.getvalue()


def test_the_blocks_of_the_readme_print_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # 300 epochs have 11 steps each, which Python need not begin alone.
    compile_model = functools.partialmethod(
        keras.Model.compile, steps_per_execution=11
    )
    monkeypatch.setattr(keras.Model, "compile", compile_model)
    printed = run_blocks(README)
    table = re.findall(
        r"(cross-entropy|ARL|ARLMemory)\s([\d.]+) ± ([\d.]+)[,*]",
        README.read_text(),
    )
    assert len(table) == 3
    accuracies = {}
    for name, mean, spread in table:
        (found,) = re.findall(rf"^{name} ([\d.]+)$", printed, re.MULTILINE)
        accuracies[name] = float(found)
        distance = abs(accuracies[name] - float(mean))
        # 3 standard deviations, and one more example for the rounding.
        assert distance <= 3 * float(spread) + 0.3, name
    # The effect that the text promises.
    assert accuracies["ARL"] > accuracies["cross-entropy"] + 10
    # The search on one's own data ends in a verdict.
    last = printed.strip().splitlines()[-1]
    assert re.match(r"The loss found (beats|does not beat) ARL", last)


@pytest.mark.usefixtures("quick_graphs")
@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_the_blocks_of_a_guide_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    run_blocks(path)


@pytest.mark.usefixtures("quick_graphs")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for cell in json.loads(path.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(shortened("".join(cell["source"])), names)
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_links_into_the_repository_lead_to_a_file(path):
    links = LINK.findall(path.read_text())
    missing = [link for link in links if not (path.parent / link).exists()]
    assert missing == []


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 200


def test_on_a_package_index_links_are_absolute():
    spec = importlib.util.spec_from_file_location("setup", HOME / "setup.py")
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    text = setup.absolute_links(README.read_text(), "https://there")
    assert LINK.findall(text) == []
    assert "](https://there/raw/main/.github/accuracy.png)" in text
    assert "](https://there/blob/main/examples/guides/arl.md)" in text
    assert "](https://github.com/cleanlab/cleanlab)" in text
