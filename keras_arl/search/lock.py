"""One process at a time in a search directory."""

import contextlib
import os

import filelock


@contextlib.contextmanager
def search_lock(directory, project_name):
    """Keeps other processes from searching in `directory/project_name`.

    The lock lies beside the project's directory, which may be begun anew, and
    ends with the process that holds it, however that ends.

    Raises:
        RuntimeError: If another process holds it, or what is to be locked
            is a link.
    """
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f".{project_name}.lock")
    for there in (path, os.path.join(directory, project_name)):
        if os.path.islink(there):
            raise RuntimeError(
                f"{there} is a link, which may lead anywhere. Use a directory "
                "without links."
            )
    lock = filelock.FileLock(path, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RuntimeError(
            f"Another process is searching in "
            f"{os.path.join(directory, project_name)}. Wait for its end, stop "
            "it, or use another directory."
        ) from None
    try:
        yield
    finally:
        lock.release()
