"""`WatchedLoader`: torch's DataLoader whose workers are replaced when one hangs or is killed.

Each worker notes in shared memory which image it reads. Where a batch does not come and a worker has been on one image
for too long, on a network drive that is gone or in a decoder that does not end, all workers are started anew and that
image is refused, as one that cannot be read. Keys say everything about a sample, so the batches that were on their way
are read again, the same as before.

Without workers (`LoneWatch`) an image is read in a thread that can be left behind.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.process import BaseProcess
from typing import Any, Generic, NamedTuple, TypeVar

from torch.utils.data import DataLoader, Sampler, get_worker_info

from yolo.console import warn_on_stderr
from yolo.errors import DataError, ImageReadError, printable
from yolo.process import in_time, prepare_loader_worker
from yolo.structures import Sample

T = TypeVar("T")

READ_SECONDS = 60.0  # how long one image may take
_POLL_SECONDS = 1.0
_NOTHING = -1
# An image on which so many workers were killed is refused; so many in a row, with no batch in between, end the run.
_KILLED_ON_IMAGE, _KILLED_IN_A_ROW = 2, 4
_TIMED_OUT, _DIED = "DataLoader timed out", "DataLoader worker"


class _Reading(NamedTuple):
    """What a worker reads."""

    image: int  # place in the dataset; -1 for none
    since: float


class ReadingWatch:
    """Which image each worker reads, in memory that all share.

    Attributes:
        refused: the reason for each image, by its place, that is not read; known to workers that start later.
    """

    def __init__(self, workers: int, start_method: str) -> None:
        context = multiprocessing.get_context(start_method)
        self._images: Any = context.RawArray("q", [_NOTHING] * workers)
        self._since: Any = context.RawArray("d", workers)
        self._pids: Any = context.RawArray("q", workers)
        self.refused: dict[int, str] = {}

    def read(self, image: int, read: Callable[[], Sample]) -> Sample:
        """Read an image, and note that this worker does.

        Raises:
            ImageReadError: it is refused, or cannot be read.
        """
        if image in self.refused:
            raise ImageReadError(self.refused[image])
        if (worker := get_worker_info()) is not None:
            self._since[worker.id] = time.monotonic()
            self._images[worker.id] = image
            self._pids[worker.id] = os.getpid()
        return read()

    def end(self) -> None:
        """Note that this worker reads nothing."""
        if (worker := get_worker_info()) is not None:
            self._images[worker.id] = _NOTHING

    def by_process(self) -> dict[int, _Reading]:
        """What each process reads, by its id."""
        return {
            pid: _Reading(image, since)
            for pid, image, since in zip(self._pids, self._images, self._since, strict=True)
            if pid
        }

    def clear(self) -> None:
        """Forget the workers, which are gone."""
        for place in range(len(self._pids)):
            self._images[place], self._pids[place] = _NOTHING, 0


class LoneWatch:
    """Watches where there are no workers: what takes too long is left to a thread of its own, which cannot be ended.

    Args:
        path_of: the file of an image, by its place in the dataset.
        patience: seconds that one image may take.
    """

    def __init__(self, path_of: Callable[[int], str], *, patience: float) -> None:
        self._path_of, self._patience = path_of, patience
        self._refused: dict[int, str] = {}

    def read(self, image: int, read: Callable[[], Sample]) -> Sample:
        """Read an image; ImageReadError if that does not end, now and from then on."""
        if image not in self._refused:
            try:
                return in_time(read, self._patience)
            except TimeoutError:
                self._refused[image] = too_slow(self._path_of(image), self._patience)
        raise ImageReadError(self._refused[image])

    def end(self) -> None:
        """Do nothing: nobody asks what is read."""


def too_slow(path: str, patience: float) -> str:
    """The message about a file whose reading does not end."""
    return (
        f"{printable(path)}: reading it has not ended after {patience:g} seconds; is the drive there, and the file "
        "whole?"
    )


class _Waits:
    """How long batches have been waited for while each worker was on one image.

    Time in which nobody waited does not count: the whole job may have been stopped.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, tuple[_Reading, float]] = {}
        self._mark = time.monotonic()

    def stuck(self, readings: Mapping[int, _Reading], *, longest: float, poll: float) -> list[int]:
        """The images that workers are stuck on, after one more wait of about `poll` seconds."""
        now = time.monotonic()
        passed, self._mark = min(now - self._mark, 2 * poll), now
        seconds = {}
        for pid, reading in readings.items():
            before, waited = self._seconds.get(pid, (reading, -passed))
            seconds[pid] = (reading, waited + passed if before == reading else 0.0)
        self._seconds = seconds
        return [reading.image for reading, waited in seconds.values() if waited >= longest and reading.image >= 0]


class _Replayed(Sampler[Any]):
    """The keys of a sampler, of which new workers get those again whose batch has not come yet."""

    def __init__(self, source: Iterable[Any]) -> None:
        self._source = source
        self.begin()

    def begin(self) -> None:
        """Begin a pass over the dataset."""
        self._rest = iter(self._source)
        self.pending: deque[Any] = deque()

    def __iter__(self) -> Iterator[Any]:
        yield from tuple(self.pending)
        for keys in self._rest:
            self.pending.append(keys)
            yield keys


class WatchedLoader(Generic[T]):
    """Batches of a DataLoader with workers, in the order of its sampler.

    Args:
        watch: that the dataset reports to.
        path_of: the file of an image, by its place in the dataset.
        keys: of all batches, or of all samples where `options` have no batches.
        patience: seconds that one image may take while a batch is waited for.
        options: of the DataLoader; `workers` among them.
    """

    def __init__(
        self,
        watch: ReadingWatch,
        path_of: Callable[[int], str],
        keys: Iterable[Any],
        *,
        patience: float,
        options: dict[str, Any],
    ) -> None:
        self._watch, self._path_of, self._patience = watch, path_of, patience
        self._keys = _Replayed(keys)
        self._poll = min(_POLL_SECONDS, patience / 4)
        key = "sampler" if options.get("batch_size", "") is None else "batch_sampler"
        self._options = {**options, key: self._keys, "timeout": self._poll, "worker_init_fn": prepare_loader_worker}
        self._loader: DataLoader[T] | None = None
        self._processes: dict[int, BaseProcess] = {}
        self._killed = Counter[int]()  # by image

    def __iter__(self) -> Iterator[T]:
        self._keys.begin()
        iterator: Iterator[T] | None = None
        waits, in_a_row = _Waits(), 0
        while True:
            try:
                if iterator is None:
                    iterator = self._start()
                value = next(iterator)
            except StopIteration:
                return
            except (RuntimeError, OSError, EOFError) as error:
                dead = self._dead(error)
                stuck = waits.stuck(self._watch.by_process(), longest=self._patience, poll=self._poll)
                if not dead and not stuck:
                    if not str(error).startswith(_TIMED_OUT):
                        raise
                    if iterator is not None:
                        continue
                in_a_row += bool(dead)
                self._refuse(stuck, dead, in_a_row)
                iterator = None
                self._stop()
                waits = _Waits()
                continue
            self._keys.pending.popleft()
            waits, in_a_row = _Waits(), 0
            yield value

    def _start(self) -> Iterator[T]:
        """Workers, or those of the last pass again; an error where one of these was killed since then."""
        if self._loader is None:
            self._loader = DataLoader(**self._options)
        on_child = signal.getsignal(signal.SIGCHLD) if hasattr(signal, "SIGCHLD") else None
        try:
            iterator = iter(self._loader)
        finally:
            if on_child is not None and threading.current_thread() is threading.main_thread():
                # torch's handler would raise in the middle of a training step when a worker is killed
                signal.signal(signal.SIGCHLD, on_child)
        self._processes = {child.pid: child for child in multiprocessing.active_children() if child.pid}
        return iterator

    def _stop(self) -> None:
        """End all workers at once, whatever they do."""
        own = [self._processes[pid] for pid in self._watch.by_process() if pid in self._processes]
        for process in own:
            process.kill()
        for process in own:
            process.join(_POLL_SECONDS)
        self._loader = None
        self._watch.clear()

    def _dead(self, error: Exception) -> list[int] | None:
        """The images that workers were on that have ended, -1 for none; None if all workers live."""
        readings = self._watch.by_process()
        ended = [pid for pid in readings if pid in self._processes and not self._processes[pid].is_alive()]
        if not ended and str(error).startswith(_DIED):
            return [_NOTHING]
        return [readings[pid].image for pid in ended] or None

    def _refuse(self, stuck: list[int], dead: list[int] | None, in_a_row: int) -> None:
        """Refuse images that take too long or on which workers are killed, and say what happens.

        Raises:
            DataError: workers are killed again and again.
        """
        for image in stuck:
            self._watch.refused[image] = too_slow(self._path_of(image), self._patience)
        if dead is None:
            return
        images = [image for image in dead if image >= 0]
        names = ", ".join(printable(self._path_of(image)) for image in images) or "no image"
        advice = "mostly for lack of memory: use fewer --workers, a smaller --batch-size or --cache none"
        if in_a_row >= _KILLED_IN_A_ROW:
            raise DataError(f"processes that load images were killed {in_a_row} times in a row, on {names}; {advice}")
        self._killed.update(images)
        for image in images:
            if self._killed[image] >= _KILLED_ON_IMAGE:
                path = printable(self._path_of(image))
                self._watch.refused[image] = f"{path}: the process that read it was killed, {self._killed[image]} times"
        warn_on_stderr(
            f"a process that loads images was killed while it read {names}, {advice}; it is started again, and nothing "
            "is lost"
        )
