"""The file of a comparison, which outlives a process that is killed."""

import csv
import gzip
import io
import os
import pathlib
import zlib


class RowFile:
    """A CSV file to which rows are added, compressed if it ends in ".gz".

    Rows are whole or not there: what a killed process left of its last one is
    taken away before the next one is added.

    Args:
        path: The file, or `None` for none.
        columns: Names of the columns, the two results last.

    Raises:
        ValueError: If the file has other columns, or is damaged.
    """

    def __init__(self, path, columns):
        self._path = path and pathlib.Path(path)
        self._columns = columns
        self._is_gz = self._path is not None and self._path.suffix == ".gz"
        self._results = {}
        self._has_grown = False
        if self._path is None:
            return
        text, is_torn = self._read()
        header, *rows = csv.reader(io.StringIO(text)) if text else [columns]
        if header != columns:
            differing = sorted(set(header) ^ set(columns)) or header
            raise ValueError(
                f"{self._path} holds rows with other columns: "
                f"{', '.join(differing)}. Name another file."
            )
        self._results = {
            tuple(row[:-2]): [float(cell) for cell in row[-2:]] for row in rows
        }
        if is_torn or not text:
            self._replace(text or _line(columns))

    def results(self, row):
        """The two results of a row, or none if the file has no such row."""
        cells = (_text(row[name]) for name in self._columns[:-2])
        return self._results.get(tuple(cells), ())

    def append(self, row):
        """Adds a row, a dictionary."""
        if self._path is None:
            return
        line = _line(_text(row[name]) for name in self._columns)
        # In one call, so that two processes' rows are not mixed.
        with self._path.open("ab", buffering=0) as file:
            file.write(self._encoded(line))
        self._has_grown = True

    def compact(self):
        """Compresses all rows together, where they were added one by one."""
        if self._is_gz and self._has_grown:
            self._replace(self._read()[0])
            self._has_grown = False

    def _read(self):
        """The whole lines, and whether a part of one follows them."""
        data = self._path.read_bytes() if self._path.exists() else b""
        is_torn = False
        try:
            if self._is_gz:
                data, is_torn = _decompressed(data)
            text, end, rest = data.decode().rpartition("\n")
        except (UnicodeDecodeError, zlib.error) as error:
            raise ValueError(
                f"{self._path} is damaged, or no table: {error}"
            ) from error
        return text + end, is_torn or bool(rest)

    def _replace(self, text):
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        temporary.write_bytes(self._encoded(text))
        os.replace(temporary, self._path)

    def _encoded(self, text):
        data = text.encode()
        # Without the time, so that equal rows are equal files.
        return gzip.compress(data, mtime=0) if self._is_gz else data


def _decompressed(data):
    """All whole members and, of a torn last one, what there is."""
    parts, is_torn = [], False
    while data:
        member = zlib.decompressobj(wbits=31)
        parts.append(member.decompress(data))
        data, is_torn = member.unused_data, not member.eof
    return b"".join(parts), is_torn


def _line(cells):
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _text(value):
    return "" if value is None else str(value)
