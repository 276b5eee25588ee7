"""What this package asks of a process: threads, signals, memory and cores; loader workers share it.

Left out: which device and precision a run uses (`yolo.engine.devices`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# of mallopt in glibc's malloc.h; 32 MB is the largest threshold it takes
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT, _MOST_KEPT = 32 << 20, 256 << 20


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def prepare_loader_worker(worker: int) -> None:
    """Set up a process that loads images; called by torch's DataLoader in the worker with its number."""
    import cv2
    import torch

    # Ctrl-C and a scheduler's SIGTERM reach every process of a job, and the training wants to save before it ends:
    # a worker goes on, or leaves quietly (torch raises in the training if a worker is killed)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    # the workers are the parallelism; more threads would only compete with them
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    keep_freed_memory()


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(0)


class StopRequest:
    """False until the user or the system asks to stop.

    Attributes:
        signal_name: of the signal that asked, or "".
    """

    def __init__(self) -> None:
        self.signal_name = ""

    def __bool__(self) -> bool:
        return bool(self.signal_name)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Record the first SIGINT or SIGTERM inside the block, so that it can save; a second SIGINT interrupts as usual."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # signals reach the main thread only
        return

    def record(number: int, frame: FrameType | None) -> None:
        request.signal_name = signal.Signals(number).name
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, record) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
