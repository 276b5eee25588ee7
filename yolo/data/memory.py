"""What is asked of the allocator: to read millions of small objects fast, and to let go of memory, or to keep it."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# of mallopt in glibc's malloc.h; 32 MB is the largest threshold it takes
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT, _MOST_KEPT = 32 << 20, 256 << 20


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


def return_freed_memory() -> None:
    """Give the system back what was freed; glibc keeps it, other C libraries have no such call."""
    if (trim := _glibc("malloc_trim")) is not None:
        trim(0)


def keep_freed_memory() -> None:
    """Let this process use the memory of freed images for the next ones.

    By default glibc asks the system for every large array anew, and the system clears each page at its first touch: a
    quarter of the time of a loader at 640 px. Does nothing where the C library is another.
    """
    if (mallopt := _glibc("mallopt")) is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, _MOST_KEPT)


def _glibc(name: str) -> Callable[..., int] | None:
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None  # not glibc, or a system on which a program has no symbols of its own
    return function
