"""Two things that make reading millions of small objects fast, and let go of their memory."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager


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
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return  # not glibc, or a system on which a program has no symbols of its own
    trim(0)
