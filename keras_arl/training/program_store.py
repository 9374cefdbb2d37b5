"""The compiled programs of a trainer, and the tasks that they trained."""

import collections
import weakref

from keras_arl.training import mappings
from keras_arl.training.prepared import PreparedTask


class ProgramStore:
    """Programs by their keys, and what all trainings of a task share.

    Args:
        max_programs: Number of programs that are kept.
    """

    def __init__(self, max_programs):
        self._max_programs = max_programs
        self._programs = collections.OrderedDict()
        # Of the models of these programs, by their keys without the loss.
        self._signatures = {}
        self._prepared = weakref.WeakKeyDictionary()

    def prepare(self, key, task):
        """The `PreparedTask` of a task.

        Args:
            key: Key of the program that is to train the task.
            task: A `Task`.

        Raises:
            ValueError: If its model is another than that of the tasks that the
                program trained.
        """
        prepared = self._prepared.get(task)
        if prepared is None:
            prepared = PreparedTask(task)
            if task.in_memory:
                self._prepared[task] = prepared
        self._check_same_model(key, task, prepared.start.signature)
        return prepared

    def get(self, key):
        """The program of a key, or `None`."""
        if key not in self._programs:
            return None
        self._programs.move_to_end(key)
        return self._programs[key]

    def keep(self, key, program):
        """Adds a program; it may be one of too many."""
        mappings.keep(self._programs, key, program, self._max_programs)
        kept = {key[:-1] for key in self._programs}
        self._signatures = {
            key: found for key, found in self._signatures.items() if key in kept
        }

    def drop(self, key):
        """Forgets a program."""
        self._programs.pop(key, None)

    def _check_same_model(self, key, task, found):
        if found is None:
            return
        first = self._signatures.setdefault(key[:-1], found)
        difference = first.difference(found)
        if difference:
            raise ValueError(
                "Two tasks of one `architecture` must have the same model but "
                "for the values of its variables. Give models that differ "
                "other names, or leave `architecture` out. Received for "
                f"architecture={task.architecture!r}: {difference}"
            )
