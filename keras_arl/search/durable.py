"""Files that survive a crash: written whole, or line by line."""

import errno
import json
import os
import pathlib
import stat
import zlib


def write_text(path, text):
    """Writes a file so that a crash leaves the old one or the new one."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        # New: what lies there could be a link to elsewhere.
        with temporary.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _not_written(path, error) from error
    _sync_directory(path.parent)


def append_lines(path, lines):
    """Adds lines to a file; a crash leaves some out, or the last one's end.

    Returns:
        The size of the file in bytes.

    Raises:
        OSError: If it cannot be written. The file is then as before.
    """
    data = "".join(f"{line}\n" for line in lines).encode()
    with open(path, "ab", buffering=0, opener=open_no_link) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            if file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(before)
            raise _not_written(path, error) from error
    return before + len(data)


def truncate(path, size):
    """Cuts a file, if there is one, to its first bytes if it has more."""
    path = pathlib.Path(path)
    if path.exists() and path.stat().st_size > size:
        with open(path, "r+b", buffering=0, opener=open_no_link) as file:
            file.truncate(size)
            os.fsync(file.fileno())


def open_no_link(path, flags):
    """An opener that refuses a link, which may lead anywhere."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _not_written(path, error):
    return OSError(
        error.errno,
        f"{error.strerror}. All that was written before is safe: make room "
        "and continue",
        str(path),
    )


def _sync_directory(path):
    # Elsewhere a directory cannot be opened.
    if os.name == "posix":
        directory = os.open(path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def seal(content):
    """JSON text of a dictionary on one line, with a checksum."""
    return json.dumps({**content, "crc32": _checksum(content)})


def write_sealed(path, content):
    """Writes a dictionary for people to read, with a checksum."""
    content = {**content, "crc32": _checksum(content)}
    write_text(path, json.dumps(content, indent=2) + "\n")


def read_sealed(path):
    """Reads what `write_sealed` wrote.

    Raises:
        ValueError: If the file is missing, no file of its own, or not as it
            was written.
    """
    return parse_sealed(read_bytes(path), path)


def parse_sealed(text, path):
    """Parses what `seal` returned and was read from `path`.

    Raises:
        ValueError: If it is not as it was written, with the path.
    """
    content = parse_json(text, path)
    if content.pop("crc32", None) != _checksum(content):
        raise damaged(path, "its checksum does not fit")
    return content


def parse_json(text, path):
    """Parses a JSON object that was read from `path`.

    Raises:
        ValueError: If it is none, with the path.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict):
        raise damaged(path, "it is no JSON object")
    return content


def read_bytes(path):
    """Reads a state file.

    Raises:
        ValueError: If it is missing, or no file of its own but a link, which
            may lead anywhere, a directory or a pipe.
    """
    path = pathlib.Path(path)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError as error:
        raise damaged(path, "it is missing") from error
    if not stat.S_ISREG(mode):
        raise damaged(path, "it is a link, or no file")
    return path.read_bytes()


def damaged(path, reason):
    """The error of a state file that is not as this package wrote it."""
    return ValueError(
        f"{path} is damaged, or not of this search: {reason}. Restore the "
        "file, or begin anew in another directory."
    )


def _checksum(content):
    text = json.dumps(content, sort_keys=True)
    return f"{zlib.crc32(text.encode()):08x}"
