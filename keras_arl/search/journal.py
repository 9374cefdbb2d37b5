"""The directory of a search: its settings, and a file a stage.

All are text for people to read. `search.json` holds the settings;
`generation_0000.jsonl` and so on, and `selection.jsonl`, begin with a line of
the candidates of a stage and go on with a line for each trial that has ended.
"""

import json
import pathlib

from keras_arl.search import files
from keras_arl.search.schedule import SEARCH

SETTINGS_FILE = "search.json"
VERSION = 2


class Journal:
    """Reads and writes the state of a search.

    Args:
        directory: An existing directory.
    """

    def __init__(self, directory):
        self._directory = pathlib.Path(directory)

    def read_settings(self):
        """The settings of the search in the directory.

        Raises:
            ValueError: If another version of this package wrote them.
        """
        content = files.read_json(self._directory / SETTINGS_FILE)
        self._check_version(content.get("version"))
        return content["settings"]

    def write_settings(self, settings):
        """Writes the settings, once.

        Raises:
            ValueError: If the directory holds a search of the first version.
        """
        path = self._directory / SETTINGS_FILE
        if path.exists():
            return
        if (self._directory / "oracle.json").exists():
            self._check_version(1)
        files.write_json(path, {"version": VERSION, "settings": settings})

    def _check_version(self, version):
        if version != VERSION:
            raise ValueError(
                f"{self._directory} holds a search of version {version!r}; "
                f"this version of keras_arl continues version {VERSION}. Use "
                "another directory, or the version of keras_arl that began it."
            )

    def begin(self, stage):
        """Makes the file of a stage, in which no trial has ended."""
        files.write_text(self._path(stage), json.dumps(_header(stage)) + "\n")

    def append(self, stage, end):
        """Adds the end of a trial to the file of its stage.

        Args:
            stage: The `Stage`.
            end: A dictionary with the trial's `position` in the stage, its
                `status`, `score` and `message`.
        """
        with self._path(stage).open("a") as file:
            file.write(json.dumps(end) + "\n")

    def read_ends(self, stage):
        """How trials of a stage ended.

        A last line that was not written to its end is removed: that trial has
        not ended.

        Args:
            stage: A `Stage`.

        Returns:
            A list of what was appended, empty if the stage has no file.

        Raises:
            ValueError: If the file holds other candidates or tasks, or
                something else.
        """
        path = self._path(stage)
        if not path.exists():
            return []
        with path.open("rb+") as file:
            whole, newline, _ = file.read().rpartition(b"\n")
            file.truncate(len(whole) + len(newline))
        lines = [files.parse_json(line, path) for line in whole.splitlines()]
        if lines[:1] != [_header(stage)]:
            raise ValueError(
                f"{path} holds other candidates or tasks than those that its "
                "settings and the generations before lead to: it was changed, "
                "or written with other versions of cma or NumPy. Continue with "
                "those, or begin anew in another directory."
            )
        return lines[1:]

    def forget(self, stage):
        """Removes the file of a stage, which is to be run again."""
        self._path(stage).unlink()

    def _path(self, stage):
        if stage.phase == SEARCH:
            return self._directory / f"generation_{stage.generation:04d}.jsonl"
        return self._directory / "selection.jsonl"


def _header(stage):
    return {"candidates": stage.candidates, "task_seeds": stage.task_seeds}
