"""A folder that is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yolo.data.account import printable
from yolo.errors import DataError


@contextmanager
def atomic_folder(folder: Path, *, last: str = "dataset.yaml") -> Iterator[Path]:
    """Yield a temporary folder; it becomes `folder` if the block succeeds and goes without a trace if not.

    A folder that exists and is empty stays the folder it is, as it may be a mounted one: its new content is moved in.

    Args:
        folder: what is wanted; its parents are made.
        last: the entry that is moved in last, so that where it is all the rest is.

    Raises:
        DataError: there is something in the folder, or it cannot be made.
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
            for entry in sorted(building.iterdir(), key=lambda entry: entry.name == last):
                entry.rename(folder / entry.name)
        else:
            # mkdtemp makes folders private; give the result the permissions of an ordinary one
            umask = os.umask(0)
            os.umask(umask)
            building.chmod(0o777 & ~umask)
            building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def require_free(folder: Path) -> None:
    """Raise a DataError unless a folder is new or empty."""
    try:
        used = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise DataError(f"{printable(folder)}: cannot be looked into ({error.strerror or error})") from error
    if used:
        raise DataError(f"{printable(folder)}: exists and is not an empty folder; name a new one, or empty it first")
