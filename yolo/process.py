"""What this package asks of a process: threads, signals, memory, cores, and the files that it holds.

Left out: which device and precision a run uses (`yolo.engine.environment`); locks on file systems that have none, such
as some network shares, on which nobody is kept out.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

T = TypeVar("T")

_STDERR = 2
# of mallopt in glibc's malloc.h; 32 MB is the largest threshold it takes
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST_KEPT, _MOST_KEPT = 32 << 20, 256 << 20
# what glibc starts with
_DEFAULT_THRESHOLD, _DEFAULT_MMAP_MAX = 128 << 10, 65536


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def seconds_waited_for_core() -> float | None:
    """Seconds in which this thread was ready to run while others had the cores; None where the system does not say."""
    try:
        # Linux: nanoseconds on a core, nanoseconds in the queue for one, number of turns
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def silence_libraries() -> None:
    """Let libraries print nothing of their own accord: warnings of Python's, and what C code writes on standard error.

    Decoders print a line for each odd image ("libpng warning: iCCP: known incorrect sRGB profile"), which no user can
    put right. sys.stderr goes on, and tells of a crash. `python -X dev -m yolo` shows everything, OPENCV_LOG_LEVEL what
    OpenCV writes. It is for a process that is a command; see `quiet_decoders` for others.
    """
    if sys.flags.dev_mode or sys.warnoptions or "OPENCV_LOG_LEVEL" in os.environ:
        return  # somebody wants to hear them
    warnings.simplefilter("ignore")
    # for processes that load images, where these are not forked, and libraries that are not imported yet
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    try:
        own = os.dup(_STDERR)
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # the program was started without standard error
        return
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    sys.stderr = os.fdopen(own, "w", encoding=encoding, errors=errors, buffering=1)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    faulthandler.enable(file=sys.stderr)


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


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep all memory that is freed inside the block for later use, and give it back at the end.

    A network frees and allocates the same gigabytes in every step. glibc asks the system for arrays of more than 32 MB
    anew each time, whatever its thresholds are, and clearing their pages took a third to half of a step on a CPU. The
    process's peak grows by 5 to 20 %. Does nothing where the C library is another.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        mallopt(_MMAP_MAX, _DEFAULT_MMAP_MAX)
        mallopt(_TRIM_THRESHOLD, _DEFAULT_THRESHOLD)
        mallopt(_MMAP_THRESHOLD, _DEFAULT_THRESHOLD)
        return_freed_memory()


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


def in_time(call: Callable[[], T], seconds: float) -> T:
    """What a call returns, if it ends in time.

    It runs in a thread of its own. One that does not end cannot be killed: it is left to itself, holds what it holds,
    and ends with the process.

    Raises:
        TimeoutError: it has not ended.
        Exception: what it raised.
    """
    from concurrent.futures import Future  # takes time to import, and few commands need it

    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised where the result is wanted
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(seconds)


def is_out_of_memory(error: BaseException) -> bool:
    """True where memory could not be had, as NumPy, torch (also of a GPU) and OpenCV say it.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory")), is_out_of_memory(ValueError("x"))
    (True, False)
    """
    text = str(error).lower()
    said = ("out of memory", "can't allocate memory", "not enough memory", "insufficient memory", "failed to allocate")
    return isinstance(error, MemoryError) or any(words in text for words in said)


def quiet_decoders() -> None:
    """Keep OpenCV and FFmpeg from writing about damaged files on standard error: commands name and count these.

    OpenCV reads the variables when it is imported, also in worker processes. What the user has set stays.
    """
    if "OPENCV_LOG_LEVEL" not in os.environ:
        os.environ["OPENCV_LOG_LEVEL"] = "OFF"
        if (opencv := sys.modules.get("cv2")) is not None:
            opencv.utils.logging.setLogLevel(opencv.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Hide what the process writes on standard error inside the block, also what a C library writes.

    Lines of other threads are lost, too: for one short call of a library that has no switch.
    """
    try:
        kept = os.dup(2)
    except OSError:  # a process without standard error
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


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


# On Windows a locked byte cannot be read by others: far behind the end of any file.
_FAR_BEHIND = 1 << 40
_held: set[int] = set()


class FileLock:
    """Holds a file from its making until `release`, or until the process ends, however it ends.

    Args:
        path: of a file, made if there is none; it may be read and written to as usual.

    Raises:
        BlockingIOError: another process, or another lock of this one, holds it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(self._descriptor)
        except BlockingIOError:
            os.close(self._descriptor)
            raise
        _held.add(self._descriptor)

    def release(self) -> None:
        """Let others have the file; a second call does nothing."""
        if self._descriptor in _held:
            _held.remove(self._descriptor)
            os.close(self._descriptor)


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from error

else:

    def _lock(descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return  # a file system without locks

    def _close_in_child() -> None:
        """A forked loader worker shares the lock: it must not keep it when this process is killed."""
        for descriptor in _held:
            os.close(descriptor)
        _held.clear()

    os.register_at_fork(after_in_child=_close_in_child)
