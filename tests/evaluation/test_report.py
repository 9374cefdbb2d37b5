"""The report of a toy search, in a real browser where there is one."""

import html
import json
import re
import shutil
import subprocess

import pytest

from keras_arl import evaluation
from tests.search.toy import toy

# As root, and without looking for Chromium's own hosts.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
# Sorts the last table by its column `score`, once and once more, and notes in
# the page what a reader then sees.
LOOK = """
<script>
const table = [...document.querySelectorAll("table")].at(-1);
const heads = [...table.querySelectorAll("th")];
const column = heads.findIndex(head => head.textContent === "score");
const seen = [];
for (let k = 0; k < 2; k++) {
  heads[column].querySelector("button").click();
  seen.push([...table.tBodies[0].rows].map(
    row => row.cells[column].textContent));
}
const looked = document.createElement("pre");
looked.id = "looked";
looked.textContent = JSON.stringify({
  seen,
  formulas: [...document.querySelectorAll("math")].map(
    math => math.getBoundingClientRect().height),
  pictures: [...document.images].map(image => image.naturalWidth),
  sections: [...document.querySelectorAll("h2")].map(h => h.textContent),
  loaded: performance.getEntriesByType("resource").map(entry => entry.name)
    .filter(name => !name.startsWith("data:")),
});
window.onload = () => document.body.append(looked);
</script>
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    tuner = toy(
        directory,
        generations=2,
        popsize=4,
        selection_tasks=1,
        noise=0.3,
        fails=lambda count, *_: count == 1,
    )
    tuner.search(verbose=0)
    rows = [
        {"method": name, "seed": seed, "accuracy": accuracy, "best": 1.0}
        for seed in range(6)
        for name, accuracy in (("found", 0.75 + seed / 50), ("ARL", 0.5))
    ]
    path = directory / "report.html"
    evaluation.write_report(tuner, path, "python <search>.py", rows)
    return tuner, path


def test_the_report_holds_the_search(written):
    tuner, path = written
    text = path.read_text(encoding="utf-8")
    assert html.escape(tuner.best_loss().expression()) in text
    assert "The loss found beats ARL by 30.0 points, 95% interval" in text
    assert "ValueError: boom 1" in text
    assert "python &lt;search&gt;.py" in text
    # Nothing comes from elsewhere.
    sources = re.findall(r'(?:src|href)="([^"]{0,20})', text)
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    # One fraction for 1/q and those of the definitions.
    assert text.count("<mfrac>") == 1 + 2


def test_a_browser_shows_and_sorts_it(written, tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    tuner, path = written
    page = tmp_path / "looked.html"
    text = path.read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"{LOOK}</body>"), "utf-8")
    shown = subprocess.run(
        [
            browser,
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    ).stdout
    found = re.search(r'<pre id="looked">(.*?)</pre>', shown, re.DOTALL)
    looked = json.loads(html.unescape(found[1]))
    scores = [row["score"] for row in tuner.results()]
    ordered = sorted(score for score in scores if score is not None)
    for seen, expected in zip(
        looked["seen"], (ordered, ordered[::-1]), strict=True
    ):
        # The failed trial is last, either way.
        assert seen[-1] == ""
        assert list(map(float, seen[:-1])) == pytest.approx(expected, 1e-5)
    assert len(looked["formulas"]) == 2
    assert min(looked["formulas"]) > 20
    assert len(looked["pictures"]) == 3
    assert min(looked["pictures"]) > 300
    assert len(looked["sections"]) == 7
    assert looked["loaded"] == []


def test_a_search_that_is_not_finished_has_no_report(tmp_path):
    tuner = toy(tmp_path, generations=1, popsize=4, selection_tasks=2)
    with pytest.raises(RuntimeError, match="not finished: 0 of 8 trials"):
        evaluation.write_report(tuner, tmp_path / "report.html")
