"""Rows of a comparison as tables: summaries, text and files."""

import csv
import pathlib

import numpy as np

_FIGURES = ("method", "mean", "std", "runs", "diverged")


def summarise(rows, by=("dataset", "noise", "noise_rate")):
    """Mean and spread of accuracies, by method and by kind of task.

    Args:
        rows: What `compare` returns.
        by: Columns that tell kinds of tasks apart.

    Returns:
        A list of dictionaries: `method`, the columns `by`,
        `mean` and `std` (sample standard deviation) of the accuracies, `runs`
        and `diverged`, how many of the runs diverged; those count in neither
        mean nor spread. In the order of the rows.

    Example:

    >>> task = {"dataset": "digits", "noise": "symmetric", "noise_rate": 0.3}
    >>> rows = [
    ...     {"method": "ARL", **task, "accuracy": 0.875},
    ...     {"method": "ARL", **task, "accuracy": 0.625},
    ... ]
    >>> summary = keras_arl.evaluation.summarise(rows)
    >>> summary[0]["mean"], summary[0]["runs"]
    (0.75, 2)
    """
    keys = ("method", *by)
    groups = {}
    for row in rows:
        group = groups.setdefault(tuple(row[key] for key in keys), [])
        group.append(float(row["accuracy"]))
    summary = []
    for group, values in groups.items():
        finite = np.array([value for value in values if np.isfinite(value)])
        summary.append(
            {
                **dict(zip(keys, group, strict=True)),
                "mean": float(finite.mean()) if len(finite) else float("nan"),
                "std": (
                    float(finite.std(ddof=1))
                    if len(finite) > 1
                    else float("nan")
                ),
                "runs": len(values),
                "diverged": len(values) - len(finite),
            }
        )
    return summary


def format_table(summary, spread=True, transpose=False, markdown=False):
    """A summary as text: a row per method, a column per kind of task.

    Args:
        summary: What `summarise` returns.
        spread: Whether the standard deviation, where there is one, follows
            each mean. Defaults to `True`.
        transpose: Whether kinds of tasks have rows, and methods columns.
            Defaults to `False`.
        markdown: Whether the table is one of Markdown. Defaults to `False`.

    Returns:
        A string; accuracies in percent, mean ± sample standard deviation.

    Example:

    >>> task = {"dataset": "digits", "noise": "symmetric", "noise_rate": 0.3}
    >>> rows = [
    ...     {"method": "ARL", **task, "accuracy": 0.9},
    ...     {"method": "ARL", **task, "accuracy": 0.8},
    ... ]
    >>> summary = keras_arl.evaluation.summarise(rows)
    >>> print(keras_arl.evaluation.format_table(summary))
    method  digits symmetric 0.3
    ARL     85.0 ± 7.1
    """
    table = {}
    for row in summary:
        names = [row["method"], _kind(row)]
        side, top = reversed(names) if transpose else names
        title = "task" if transpose else "method"
        table.setdefault(side, {title: side})[top] = _cell(row, spread)
    return format_rows(list(table.values()), markdown)


def format_rows(rows, markdown=False):
    """Rows as a table of text.

    Args:
        rows: List of dictionaries, at least one. Keys are headings; what a row
            lacks stays empty.
        markdown: Whether the table is one of Markdown. Defaults to `False`.

    Returns:
        A string.

    Example:

    >>> rows = [{"method": "ARL", "rank": 1.5}, {"method": "CE", "rank": 2.0}]
    >>> print(keras_arl.evaluation.format_rows(rows, markdown=True))
    | method | rank |
    |---|---|
    | ARL | 1.5 |
    | CE | 2.0 |
    """
    headings = list(dict.fromkeys(key for row in rows for key in row))
    table = [headings]
    table += [[str(row.get(key, "")) for key in headings] for row in rows]
    if markdown:
        lines = [f"| {' | '.join(cells)} |" for cells in table]
        lines.insert(1, "|---" * len(headings) + "|")
        return "\n".join(lines)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) for cell, width in zip(cells, widths, strict=True)
        ).rstrip()
        for cells in table
    )


def write_csv(rows, path):
    """Writes a table as a CSV file with a header.

    Args:
        rows: List of dictionaries with the same keys, at least one.
        path: File to write.

    Raises:
        ValueError: If there are no rows.

    Example:

    >>> rows = [{"method": "ARL", "accuracy": 0.9}]
    >>> keras_arl.evaluation.write_csv(rows, "table.csv")
    """
    if not rows:
        raise ValueError(f"There are no rows to write to {path}.")
    with pathlib.Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _kind(row):
    # What comes between the method and the figures.
    fields = [row[key] for key in row if key not in _FIGURES]
    return " ".join(
        f"{field:g}" if isinstance(field, float) else str(field)
        for field in fields
    )


def _cell(row, spread):
    text = f"{100 * row['mean']:.1f}"
    if spread and np.isfinite(row["std"]):
        text += f" ± {100 * row['std']:.1f}"
    return f"{text} ({row['diverged']} diverged)" if row["diverged"] else text
