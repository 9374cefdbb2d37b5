"""What is sent with each job, and kept by the process that it is sent to."""

import os
import socket
import uuid

_kept = {}


class Kept:
    """Base of objects that workers keep, with what they compiled.

    pickle makes a process return the object that it has already, of each class
    the last one that came, instead of a new one for each job.

    Args:
        *fields: The arguments of the subclass, which `pickle` can send.
    """

    def __init__(self, *fields):
        self._fields = fields
        self._identity = uuid.uuid4().hex
        self._home = _this_process()

    @property
    def is_at_home(self):
        """Whether this is the process in which the object was made."""
        return self._home == _this_process()

    def __reduce__(self):
        return _keep, (type(self), self._fields, self._identity, self._home)


def _this_process():
    return socket.gethostname(), os.getpid()


def _keep(kind, fields, identity, home):
    kept = _kept.get(kind)
    if kept is None or kept._identity != identity:
        # Before the next one is made: compiled programs take memory.
        _kept.pop(kind, None)
        kept = kind(*fields)
        kept._identity, kept._home = identity, home
        _kept[kind] = kept
    return kept
