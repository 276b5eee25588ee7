"""Text files that are complete after every entry: an interruption, a full disk or a power cut leaves a valid file.

The tail, such as the brackets that close a JSON array, is written behind every entry and overwritten by the next, with
one call to the system for both. Other programs can read the file while it grows.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

from yolo.errors import PERCENT
from yolo.files import saving


class GrowingFile:
    r"""A file of entries between a head and a tail.

    Args:
        path: file to write; its folder is made if there is none, a file of that name is replaced.
        head: text before the first entry.
        separator: text between two entries.
        tail: text after the last entry.

    Raises:
        SaveError: the file could not be written. What it held before stays, and stays complete.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers.json"
    >>> with GrowingFile(path, head="[", separator=", ", tail="]\n") as file:
    ...     file.add("1")
    ...     file.add("2")
    >>> path.read_text()
    '[1, 2]\n'
    """

    def __init__(self, path: Path, *, head: str = "", separator: str = "", tail: str = "") -> None:
        self.path, self.num_entries = path, 0
        self._separator, self._tail = separator, tail.encode(errors=PERCENT)
        self._length = 0  # bytes before the tail
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: io.FileIO = path.open("wb", buffering=0)
        try:
            self._append(head.encode(errors=PERCENT))
        except BaseException:
            self.close()
            raise

    def add(self, entry: str) -> None:
        """Append an entry."""
        text = (self._separator if self.num_entries else "") + entry
        self._append(text.encode(errors=PERCENT))
        self.num_entries += 1

    def _append(self, data: bytes) -> None:
        try:
            with saving(self.path):
                self._write(data + self._tail)
        except BaseException:
            # also Ctrl-C in the middle of a call; nothing more can be done where even the tail cannot be written
            with suppress(OSError):
                self._file.truncate(self._length)
                self._write(self._tail)
            raise
        self._length += len(data)

    def _write(self, data: bytes) -> None:
        """Write behind the entries; a single call may take only a part, as the last one before a disk is full."""
        self._file.seek(self._length)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file.fileno(), rest) :]

    def close(self) -> None:
        """Close the file; it is complete already."""
        self._file.close()

    def __enter__(self) -> GrowingFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
