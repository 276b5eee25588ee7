"""Files and folders, written so that no work is lost: under a temporary name first, renamed when whole.

A full disk and a folder without permission become a SaveError that says what to do, whatever library wrote. CSV files
are safe to open: lines end in LF, and no cell is a formula to a spreadsheet. Reading waits for no pipe or device.
"""

from __future__ import annotations

import csv
import errno
import gc
import glob
import json
import math
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from yolo.errors import PERCENT, DataError, GridYoloError, SaveError, printable

_UNICODE_PATHS = sys.getfilesystemencoding() == "utf-8"
# What to do about a write that failed, by the system's number of the error.
_FREE_SPACE, _CHOOSE_PLACE = "free some space", "choose a folder that can be written to"
_UMASK_LOCK = threading.Lock()
_REMEDIES: Final = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EFBIG: _FREE_SPACE,
    errno.ENAMETOOLONG: "choose a shorter name or folder",
    errno.EACCES: _CHOOSE_PLACE,
    errno.EPERM: _CHOOSE_PLACE,
    errno.EROFS: _CHOOSE_PLACE,
}
# where other files may still be written
_OWN_ERRORS = frozenset({errno.EFBIG, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EISDIR, errno.ENOTDIR})
_PROBE_BYTES = 1 << 20
# A temporary file that nobody has written to for this long belongs to a process that has ended.
_STALE_SECONDS = 3600.0
_TEMPORARY: Final = re.compile(r"\.(?P<stem>.+)-[a-z0-9_]{8}(?P<suffix>\.[^.]+)?")


@contextmanager
def atomic_write(path: Path, *, errors: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds, remove it if not.

    The temporary name keeps the suffix, for writers that choose the format by it. Temporary files of `path` that a
    process left when it was killed are removed.

    Args:
        path: what is wanted; its folder is made if there is none.
        errors: what the library that writes in the block raises, beside OSError, where it cannot write.

    Raises:
        SaveError: the file could not be written.
    """
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    temporary = Path(name)
    try:
        with saving(path, temporary, errors=errors):
            yield temporary
            _share(temporary, 0o666)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _share(path: Path, mode: int) -> None:
    """Give what tempfile made, which is private, the permissions of an ordinary file or folder."""
    with _UMASK_LOCK:  # reading it is changing it, for all threads
        umask = os.umask(0)
        os.umask(umask)
    path.chmod(mode & ~umask)


@contextmanager
def saving(path: Path, temporary: Path | None = None, *, errors: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise a SaveError that names `path`, the reason and a remedy where the block cannot write; see `atomic_write`."""
    writer_errors: tuple[type[Exception], ...] = (OSError, *errors)
    try:
        yield
    except (SaveError, BrokenPipeError):
        raise
    except writer_errors as error:
        if isinstance(error, OSError) and error.filename is not None:
            own = {str(place) for place in (path, *path.parents, temporary)}
            if str(error.filename) not in own:  # another file could not be read
                raise
        cause = _system_error(error) or _probe(temporary)
        if cause is not None:
            reason, remedy = cause.strerror or str(cause), _REMEDIES.get(cause.errno or 0, "try again")
        else:
            reason, remedy = str(error).partition("\n")[0].replace(str(temporary), str(path)), "try again"
        is_own = cause is None or cause.errno in _OWN_ERRORS
        raise SaveError(
            f"{printable(path)}: could not be saved ({reason}); {remedy}", others_may_follow=is_own
        ) from error


def _system_error(error: BaseException | None) -> OSError | None:
    """The system's error in what a library made of it."""
    while error is not None and not (isinstance(error, OSError) and error.errno):
        error = error.__cause__ or error.__context__
    return error


def _probe(temporary: Path | None) -> OSError | None:
    """Why nothing can be added to a file: libraries hide the number of the system's error, or report none."""
    if temporary is None:
        return None
    try:
        with temporary.open("ab") as file:
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return error
    return None


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files of `atomic_write` from a folder in which nobody else writes."""
    for entry in folder.iterdir():
        if _TEMPORARY.fullmatch(entry.name) and entry.is_file():
            entry.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove temporary files of `path` that nobody writes any more."""
    for entry in path.parent.glob(f".{glob.escape(path.stem)}-*{glob.escape(path.suffix)}"):
        match = _TEMPORARY.fullmatch(entry.name)
        if match is None or (match["stem"], match["suffix"] or "") != (path.stem, path.suffix):
            continue
        with suppress(FileNotFoundError):  # another process has just removed it
            if time.time() - entry.stat().st_mtime > _STALE_SECONDS:
                entry.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN is refused: JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically; what is no Unicode in it as `printable` has it."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=PERCENT)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def expand_home(path: str | Path) -> Path:
    """A path with `~` as the home folder; a name that only begins like one, such as `~$a.jpg`, stays as it is."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no user of that name
        return Path(path)


def path_of_text(text: str) -> Path:
    r"""The path that a file of this package names, see `printable`: as it stands, or with the bytes of `%E9` in it.

    >>> str(path_of_text("no%20such.jpg"))
    'no%20such.jpg'
    """
    path = Path(text)
    if ("%" not in text and (text.isascii() or _UNICODE_PATHS)) or os.path.lexists(path):
        return path
    meant = os.fsdecode(unquote_to_bytes(text.encode("utf-8", "surrogateescape")))
    return Path(meant) if os.path.lexists(meant) else path


def new_folder(parent: Path, name: str) -> Path:
    """Create and return `parent/name`, or `name-2`, `name-3`, ... : the first that does not exist yet."""
    parent, count = expand_home(parent), 1
    while True:
        folder = parent / (name if count == 1 else f"{name}-{count}")
        with saving(folder):
            parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.mkdir()
            except FileExistsError:
                count += 1
            else:
                return folder


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; it becomes `folder` if the block succeeds and is removed if not.

    A folder that exists and is empty stays the folder it is, as it may be a mounted one: its new content is moved in,
    `dataset.yaml` last, so that where that is all the rest is. Parents are made.

    Raises:
        DataError: there is something in the folder, or it cannot be made.
        SaveError: the disk is full, whatever was writing.
    """
    require_free(folder)
    exists = folder.exists()
    try:
        (folder if exists else folder.parent).mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder if exists else folder.parent))
    except OSError as error:
        raise DataError(f"{printable(folder)}: cannot be made ({error.strerror or error})") from error
    try:
        yield building
        if exists:
            for entry in sorted(building.iterdir(), key=lambda entry: entry.name == "dataset.yaml"):
                entry.rename(folder / entry.name)
        else:
            _share(building, 0o777)
            building.rename(folder)
    except SaveError as error:
        raise SaveError(
            str(error).replace(str(building), str(folder)), others_may_follow=error.others_may_follow
        ) from error
    except OSError as error:
        # others may be about a file that is read
        if _REMEDIES.get(error.errno or 0) != _FREE_SPACE:
            raise
        raise SaveError(f"{printable(folder)}: could not be saved ({error.strerror}); {_FREE_SPACE}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def require_free(folder: Path) -> None:
    """Raise a DataError unless a folder is new or empty."""
    try:
        used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise DataError(f"{printable(folder)}: cannot be read ({error.strerror or error})") from error
    if used:
        raise DataError(f"{printable(folder)}: exists and is not an empty folder; name a new one, or empty it first")


_FORMULA_STARTS: Final = ("=", "+", "-", "@")


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table, as a whole or not at all.

    Args:
        path: file to write; its folder is made if there is none.
        columns: of the first line.
        rows: text, numbers and truth values; what is not a finite number becomes an empty cell.
    """
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(table_cell, columns))
        writer.writerows([table_cell(value) for value in row] for row in rows)


def table_cell(value: Any) -> Any:
    """A value as it stands in a CSV file: printable, and no formula to a spreadsheet.

    >>> table_cell("=1+1"), table_cell("dog"), table_cell(-0.5), table_cell(float("nan"))
    ("'=1+1", 'dog', -0.5, '')
    """
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
    return "" if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Look for no reference cycles in the block.

    While a large JSON file is parsed nothing becomes garbage, but Python searches all that was made so far again and
    again: two thirds of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def opencv_name(name: str | Path) -> Any:
    r"""The name of a file or an address as OpenCV opens it: in bytes, because text that is not UTF-8 ends the process.

    >>> opencv_name("caf\udce9.avi")
    b'caf\xe9.avi'
    """
    return os.fsencode(name)


def read_bytes(
    path: Path, *, what: str = "", limit: int | None = None, error: type[GridYoloError] = DataError
) -> bytes:
    """The bytes of an ordinary file.

    Args:
        path: of the file.
        what: it should be, for the message where it is too large.
        limit: the most bytes it may have.
        error: what is raised, naming the path, where it cannot be opened, is a pipe or a device (reading those may
            never end), or is too large.
    """
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise error(f"{printable(path)}: cannot be read (it is a pipe or a device, not a file)")
        with path.open("rb") as file:
            data = file.read() if limit is None else file.read(limit + 1)
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise error(f"{printable(path)}: cannot be read ({reason})") from cause
    if limit is not None and len(data) > limit:
        raise error(f"{printable(path)}: is too large for {what}: it has more than {limit:,} bytes")
    return data
