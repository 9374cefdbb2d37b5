"""The directory of a search: its settings, and a file a stage.

All are text for people to read. `search.json` holds the settings;
`generation_0000.jsonl` and so on, and `selection.jsonl`, begin with a line of
the candidates of a stage and go on with a line for each trial that has ended.
Each file, and each line, ends with a checksum; all are on the disk before the
search goes on.
"""

import pathlib

from keras_arl.search import files
from keras_arl.search.schedule import SEARCH

SETTINGS_FILE = "search.json"
VERSION = 5


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
            ValueError: If another version of this package wrote them, or the
                file is damaged.
        """
        path = self._directory / SETTINGS_FILE
        # Before the checksum, which the second version did not have.
        self._check_version(files.parse_json(files.read_bytes(path), path))
        settings = files.read_sealed(path).get("settings")
        seed = settings.get("seed") if isinstance(settings, dict) else None
        if not isinstance(seed, int) or seed < 0:
            raise files.damaged(path, "it holds no settings")
        return settings

    def write_settings(self, settings):
        """Writes the settings, once.

        Raises:
            ValueError: If the directory holds a search of the first version,
                or the rest of one.
        """
        path = self._directory / SETTINGS_FILE
        if path.exists():
            return
        if (self._directory / "oracle.json").exists():
            self._check_version({"version": 1})
        rest = sorted(self._directory.glob("*.jsonl"))
        if rest:
            raise files.damaged(path, f"it is missing, {rest[0].name} is not")
        files.write_sealed(path, {"version": VERSION, "settings": settings})

    def _check_version(self, content):
        version = content.get("version")
        if version != VERSION:
            raise ValueError(
                f"{self._directory} holds a search of version {version!r}; "
                f"this version of keras_arl continues version {VERSION}. Use "
                "another directory, or the version of keras_arl that began it."
            )

    def begin(self, stage):
        """Makes the file of a stage, in which no trial has ended."""
        files.write_text(self._path(stage), files.seal(_header(stage)) + "\n")

    def append(self, stage, end):
        """Adds the end of a trial to the file of its stage.

        Args:
            stage: The `Stage`.
            end: A dictionary with the trial's `position` in the stage, its
                `status`, `score`, `message`, and whether it `raised` an
                exception.
        """
        files.append_line(self._path(stage), files.seal(end))

    def read_ends(self, stage):
        """How trials of a stage ended.

        A last line that was not written to its end is left out: that trial
        has not ended.

        Args:
            stage: A `Stage`.

        Returns:
            A list of what was appended, empty if the stage has no file.

        Raises:
            ValueError: If the file holds other candidates or tasks, or
                something else.
        """
        path = self._path(stage)
        if not path.exists() and not path.is_symlink():
            return []
        lines = files.read_bytes(path).split(b"\n")[:-1]
        if not lines:
            raise files.damaged(path, "its first line is missing")
        contents = [files.parse_sealed(line, path) for line in lines]
        if contents[:1] != [_header(stage)]:
            raise ValueError(
                f"{path} holds other candidates or tasks than those that its "
                "settings and the generations before lead to: it was changed, "
                "or written with other versions of cma or NumPy. Continue with "
                "those, or begin anew in another directory."
            )
        return contents[1:]

    def repair(self, stage):
        """Removes a last line that was not written to its end."""
        path = self._path(stage)
        if path.exists():
            content = files.read_bytes(path)
            whole, newline, rest = content.rpartition(b"\n")
            if rest:
                files.write_text(path, (whole + newline).decode())

    def damaged(self, stage, reason):
        """The error of a stage's file with something that cannot be."""
        return files.damaged(self._path(stage), reason)

    def forget(self, stage):
        """Removes the file of a stage, which is to be run again."""
        self._path(stage).unlink()

    def _path(self, stage):
        if stage.phase == SEARCH:
            return self._directory / f"generation_{stage.generation:04d}.jsonl"
        return self._directory / "selection.jsonl"


def _header(stage):
    return {"candidates": stage.candidates, "task_seeds": stage.task_seeds}
