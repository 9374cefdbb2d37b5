"""The directory of a search: its settings, and a line for each result.

Both files are text for people to read. `search.json` holds the settings.
`results.jsonl` holds, for each generation, a line of its candidates and task
seeds and then a line for each result, as they came; one without the number of a
trial is of the baseline, cross-entropy on the task, and one with a number below
0 of a loss of the panel. The file and each line end
with a checksum, and are on the disk before the search goes on.
"""

import itertools
import math
import pathlib

from keras_arl.search import durable
from keras_arl.search.job import Result

SETTINGS_FILE = "search.json"
RESULTS_FILE = "results.jsonl"
VERSION = 12
_FIELDS = {
    "trial": (int, type(None)),
    "task_seed": int,
    "score": (float, type(None)),
    "message": str,
    "raised": bool,
}


class Journal:
    """Reads and writes the state of a search.

    Args:
        directory: Directory of the search.
    """

    def __init__(self, directory):
        self._settings = pathlib.Path(directory, SETTINGS_FILE)
        self._results = pathlib.Path(directory, RESULTS_FILE)
        # Bytes of the results' file that count, of those the ones before the
        # last generation, and which generation that is.
        self._end = 0
        self._head = 0
        self._begun = None

    @property
    def exists(self):
        """Whether the directory holds a search."""
        return self._settings.exists() or self._settings.is_symlink()

    def read_settings(self):
        """The settings of the search in the directory.

        Raises:
            ValueError: If another version of this package wrote them, or the
                file is damaged.
        """
        path = self._settings
        # First: other versions may have other checksums.
        version = durable.parse_json(durable.read_bytes(path), path).get(
            "version"
        )
        if version != VERSION:
            raise ValueError(
                f"{path} is of a search of version {version!r}; this version "
                f"of keras_arl continues version {VERSION}. Use another "
                "directory, or the version of keras_arl that began it."
            )
        settings = durable.read_sealed(path).get("settings")
        seed = settings.get("seed") if isinstance(settings, dict) else None
        if not isinstance(seed, int) or seed < 0:
            raise durable.damaged(path, "it holds no settings")
        return settings

    def write_settings(self, settings):
        """Writes the settings of a search that begins.

        Raises:
            ValueError: If the directory holds the results of another one.
        """
        if self._results.exists():
            raise durable.damaged(
                self._settings, f"it is missing, {RESULTS_FILE} is not"
            )
        self._settings.parent.mkdir(parents=True, exist_ok=True)
        durable.write_sealed(
            self._settings, {"version": VERSION, "settings": settings}
        )

    def append(self, generation, results):
        """Adds results to a generation, and the generation if it is new.

        Args:
            generation: A `Generation`.
            results: A dictionary from the position of a trial in the
                generation to its `Result`.

        Raises:
            OSError: If they cannot be written. The file is then as before.
        """
        lines = [
            durable.seal({**_place(generation, position), **vars(result)})
            for position, result in results.items()
        ]
        is_new = self._begun != _key(generation)
        if is_new:
            lines.insert(0, durable.seal(_head_of(generation)))
        # A line that was not written to its end, or what was forgotten.
        durable.truncate(self._results, self._end)
        end = durable.append_lines(self._results, lines)
        if is_new:
            self._begun, self._head = _key(generation), self._end
        self._end = end

    def forget(self):
        """Leaves out the last generation, which is to be run again."""
        self._begun, self._end = None, self._head

    def replay(self, schedule, has_baseline):
        """Tells a new `Schedule` of the results in the directory.

        A last line that was not written to its end is left out: that trial has
        not ended.

        Args:
            schedule: A `Schedule`.
            has_baseline: Whether each task has a result of the baseline.

        Yields:
            A pair for each generation that was begun: the `Generation`, and a
            dictionary from position to `Result`. The schedule is told of it,
            if it is whole, when the next pair is asked for.

        Raises:
            ValueError: If the file holds other candidates or tasks, or
                something else.
        """
        self._end, self._head, self._begun = 0, 0, None
        if not self._results.exists() and not self._results.is_symlink():
            return
        content = durable.read_bytes(self._results)
        lines = iter(content.split(b"\n")[:-1])
        for head in lines:
            generation = schedule.ask()
            self._check_head(head, generation)
            size = generation.size + has_baseline * len(generation.rivals)
            of_results = list(itertools.islice(lines, size))
            self._begun, self._head = _key(generation), self._end
            self._end += sum(len(line) + 1 for line in (head, *of_results))
            yield generation, self._read(of_results, generation)

    def _check_head(self, line, generation):
        if durable.parse_sealed(line, self._results) != _head_of(generation):
            raise ValueError(
                f"{self._results} holds other candidates or tasks than those "
                "that its settings and the results before lead to: it was "
                "changed, or written with other versions of cma or NumPy. "
                "Continue with those, or begin anew in another directory."
            )

    def _read(self, lines, generation):
        results = {}
        # By the numbers of trial and task: no line fits another generation.
        positions = {
            tuple(_place(generation, position).values()): position
            for position in range(generation.rivals.start, generation.size)
        }
        for line in lines:
            fields = durable.parse_sealed(line, self._results)
            if not _fits(fields):
                raise durable.damaged(self._results, f"it holds {fields}")
            place = fields.pop("trial"), fields.pop("task_seed")
            position = positions.get(place)
            if position is None or position in results:
                raise durable.damaged(self._results, "a line is out of place")
            results[position] = Result(**fields)
        return results


def _key(generation):
    return generation.phase, generation.number


def _place(generation, position):
    trial = generation.first_trial + position
    if position < 0:
        number = position // len(generation.task_seeds)
        trial = None if position in generation.baselines else number
    return {
        "trial": trial,
        "task_seed": generation.task_seeds[
            position % len(generation.task_seeds)
        ],
    }


def _head_of(generation):
    return {
        "phase": generation.phase,
        "generation": generation.number,
        "task_seeds": generation.task_seeds,
        "candidates": generation.candidates,
    }


def _fits(fields):
    return (
        fields.keys() == _FIELDS.keys()
        and all(isinstance(fields[k], kind) for k, kind in _FIELDS.items())
        and (fields["score"] is None or math.isfinite(fields["score"]))
    )
