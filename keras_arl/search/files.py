"""State files: written whole or not at all, and checked when read."""

import json
import os
import pathlib


def write_json(path, content):
    """Writes a JSON file by way of a temporary one and a rename."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content))
    os.replace(temporary, path)


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
