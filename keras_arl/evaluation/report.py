"""A finished search as one page of HTML, which needs nothing else."""

import base64
import html
import io
import json
import pathlib

from keras_arl.analysis import plot_losses
from keras_arl.evaluation.formula import to_mathml
from keras_arl.evaluation.provenance import provenance
from keras_arl.evaluation.tables import format_table
from keras_arl.evaluation.tables import summarise
from keras_arl.evaluation.verdict import verdict
from keras_arl.learners import plot_memory
from keras_arl.losses import ARL
from keras_arl.losses import GCE
from keras_arl.losses import MAE
from keras_arl.losses import BatchTaylorLoss
from keras_arl.losses import CrossEntropy
from keras_arl.losses import ScheduledTaylorLoss
from keras_arl.losses import TaylorLoss
from keras_arl.methods.kinds import base_loss
from keras_arl.methods.kinds import expression
from keras_arl.search import MemorySpace
from keras_arl.search import plot_coefficients
from keras_arl.search import plot_fitness

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A loss search</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #222;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h2 {{ margin-top: 2.5rem; border-bottom: 1px solid #ddd; }}
mtd {{ text-align: left; padding: 0.3rem 0; }}
math {{ margin: 0.8rem 0; overflow-x: auto; }}
img {{ max-width: 100%; height: auto; }}
.wide {{ overflow: auto; max-height: 36rem; }}
table {{ border-collapse: collapse; font-size: 0.85rem; }}
th, td {{ padding: 0.2rem 0.6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #eee; }}
td.text {{ text-align: left; max-width: 24rem; overflow: hidden;
  text-overflow: ellipsis; }}
th {{ position: sticky; top: 0; background: #fff; }}
th button {{ all: unset; cursor: pointer; font-weight: bold; }}
th button::after {{ content: " \\2195"; color: #aaa; }}
th[aria-sort=ascending] button::after {{ content: " \\2191"; color: #222; }}
th[aria-sort=descending] button::after {{ content: " \\2193"; color: #222; }}
pre {{ overflow-x: auto; background: #f6f6f6; padding: 0.8rem; }}
</style>
</head>
<body>
<h1>A loss search</h1>
{body}
<script>
document.querySelectorAll("th button").forEach(button => {{
  button.onclick = () => {{
    const head = button.parentElement, table = head.closest("table");
    const down = head.ariaSort === "ascending";
    const value = row => row.cells[head.cellIndex].textContent;
    const compare = (a, b) => {{
      const x = value(a), y = value(b);
      // What is empty stays last.
      if (!x || !y) return !x - !y;
      const by = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -by : by;
    }};
    table.querySelectorAll("th").forEach(th => th.removeAttribute("aria-sort"));
    head.ariaSort = down ? "descending" : "ascending";
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }};
}});
</script>
</body>
</html>
"""


def write_report(tuner, path, command="", rows=None):
    """Writes a finished search as one HTML file, for any browser.

    It holds the loss found as a formula and as a picture, fitness relative to
    cross-entropy and the coefficients over the generations, the selection, all
    trials in a table that sorts, and the search's provenance. It loads nothing
    from a network.

    Args:
        tuner: A `keras_arl.search.LossTuner` whose search is finished.
        path: File to write.
        command: The command line, for the provenance. Defaults to `""`.
        rows: What `compare` returned for the loss found, as the method
            `"found"`, and others, for a table and a verdict. Defaults to
            `None`: neither.

    Raises:
        RuntimeError: If the search is not finished.

    Example:

    >>> oracle = keras_arl.search.CMAESOracle(
    ...     generations=1,
    ...     popsize=4,
    ...     tasks_per_generation=1,
    ...     selection_tasks=1,
    ...     seed=0,
    ... )
    >>> tuner = keras_arl.search.LossTuner(
    ...     oracle, tasks=keras_arl.tasks.TaskFamily(), directory="results"
    ... )
    >>> tuner.search(verbose=0)
    >>> keras_arl.evaluation.write_report(tuner, "report.html")
    """
    method = tuner.best_method()
    loss = base_loss(method)
    drawn = {
        "found": loss,
        "ARL": ARL(),
        "CE": CrossEntropy(),
        "MAE": MAE(),
        "GCE": GCE(),
    }
    sections = {
        "The loss found": _formula(method)
        + _image(plot_losses(drawn), "The loss found beside others")
    }
    if isinstance(tuner.oracle.space, MemorySpace):
        sections["What its memory does"] = _image(
            plot_memory(method), "Pull towards the label, by memory"
        )
    if rows is not None:
        sections["What it is worth"] = _worth(rows)
    sections["Fitness by generation"] = _image(
        plot_fitness(tuner.oracle.history()), "Fitness over generations"
    )
    sections["Coefficients by generation"] = _image(
        plot_coefficients(tuner.candidates()), "Coefficients over generations"
    )
    sections["Selection on fresh tasks"] = _table(
        [
            {key: row[key] for key in ("name", "score", "gain")}
            for row in tuner.oracle.selection()
        ]
    )
    sections["Trials"] = _table(tuner.results())
    how = json.dumps(provenance(tuner, command), indent=2, default=str)
    sections["Provenance"] = f"<pre>{html.escape(how)}</pre>"
    body = "\n".join(
        f"<section><h2>{title}</h2>\n{content}</section>"
        for title, content in sections.items()
    )
    pathlib.Path(path).write_text(_PAGE.format(body=body), encoding="utf-8")


def _formula(method):
    text = f"<pre>{html.escape(expression(method))}</pre>"
    if isinstance(method, ScheduledTaylorLoss):
        return (
            f"<p>At the start of a training</p>{to_mathml(method.at(0.0))}"
            f"<p>At its end</p>{to_mathml(method.at(1.0))}{text}"
        )
    if isinstance(method, BatchTaylorLoss):
        return (
            f"<p>Where no label is predicted</p>{to_mathml(method.at(0.0))}"
            f"<p>Where all are</p>{to_mathml(method.at(1.0))}{text}"
        )
    if isinstance(method, TaylorLoss):
        return to_mathml(method) + text
    return text


def _worth(rows):
    by = [key for key in ("dataset", "noise", "noise_rate") if key in rows[0]]
    table = html.escape(format_table(summarise(rows, by=by)))
    words = html.escape(verdict(rows)).replace("\n", "<br>\n")
    return (
        f"<p>{words}</p>\n<p>Clean test accuracy after the last epoch, in "
        f"percent, mean ± standard deviation:</p>\n<pre>{table}</pre>"
    )


def _image(figure, text):
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    content = base64.b64encode(file.getvalue()).decode()
    return f'<img alt="{text}" src="data:image/svg+xml;base64,{content}">\n'


def _table(rows):
    head = "".join(f"<th><button>{name}</button></th>" for name in rows[0])
    lines = (
        f"<tr>{''.join(_cell(value) for value in row.values())}</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>'
        + "\n".join(lines)
        + "</tbody></table></div>"
    )


def _cell(value):
    if value is None:
        return "<td></td>"
    if isinstance(value, str):
        text = html.escape(value)
        return f'<td class="text" title="{text}">{text}</td>'
    return (
        f"<td>{value:.6g}</td>"
        if isinstance(value, float)
        else f"<td>{value}</td>"
    )
