"""Files of a search: state, whole or not at all, and tables."""

import csv
import json
import os
import pathlib


def write_text(path, text):
    """Writes a file by way of a temporary one and a rename."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, path)


def write_json(path, content):
    """Writes a JSON file, for people to read too."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_json(path):
    """Reads a JSON file.

    Raises:
        ValueError: If it is none, with its path.
    """
    return parse_json(pathlib.Path(path).read_bytes(), path)


def parse_json(text, path):
    """Parses JSON that was read from `path`.

    Raises:
        ValueError: If it is none, with its path.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged: {error}. Begin anew in another directory, or "
            "restore the file."
        ) from error


def write_csv(rows, path):
    """Writes a table as a CSV file with a header.

    Args:
        rows: List of dictionaries with the same keys, at least one.
        path: File to write.

    Raises:
        ValueError: If there are no rows.

    Example:

    >>> rows = [{"loss": "ARL", "accuracy": 0.9}]
    >>> keras_arl.search.write_csv(rows, "table.csv")
    """
    if not rows:
        raise ValueError(f"There are no rows to write to {path}.")
    with pathlib.Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def check_same_settings(saved, asked):
    """Raises a `ValueError` with the differences, if there are any."""
    # As JSON returns them: lists for tuples.
    asked = json.loads(json.dumps(asked))
    different = [
        f"{name}={saved.get(name)!r} there, {asked.get(name)!r} asked"
        for name in sorted(saved.keys() | asked.keys())
        if saved.get(name) != asked.get(name)
    ]
    if different:
        raise ValueError(
            "The directory holds a search with other settings: "
            + "; ".join(different)
            + ". Use another directory, or the same settings."
        )
