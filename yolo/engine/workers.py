"""`Workers`: threads that do the steps of a long job at the same time, with results in order and flat memory.

Each thread computes alone: torch and OpenCV use one thread in it. Threads that share one image wait for each other at
every layer, and while another program has a core, each wait lasts until the system's next turn: a network on two
threads beside one busy process took ten times its time. Whole images side by side keep the cores as busy and wait for
nothing.

Left out: what the steps are (`detect_items`, `predict`); processes, which would need a copy of the network each and
would send every image through a pipe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

import cv2
import torch

from yolo.process import StopRequest

_T = TypeVar("_T")
_R = TypeVar("_R")
# seconds: how soon a wait notices that the user wants to stop, and how long a source may take to end
_POLL_SECONDS, _JOIN_SECONDS = 0.1, 2.0


class _OpenCVThreads:
    """OpenCV's number of threads, which is one for the process, while any `Workers` are open."""

    def __init__(self) -> None:
        self._lock, self._users, self._before = threading.Lock(), 0, 0

    def use_one_thread(self) -> None:
        """Set it to one."""
        with self._lock:
            if not self._users:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._users += 1

    def give_back(self) -> None:
        """Undo `use_one_thread`; the last user gets the number that the first one found."""
        with self._lock:
            self._users -= 1
            if not self._users:
                cv2.setNumThreads(self._before)


_OPENCV = _OpenCVThreads()


class Workers:
    """Context manager: threads for `map`.

    While it is open, OpenCV uses one thread in the whole process, because it has no other setting.

    Args:
        count: how many threads.
        stop: ends every `map` soon after somebody asks, as if its items had ended.
    """

    def __init__(self, count: int, stop: StopRequest | None = None) -> None:
        self.count = count
        self._stop = stop
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="worker", initializer=_use_one_thread)

    def __enter__(self) -> Self:
        self._torch_threads = torch.get_num_threads()
        _OPENCV.use_one_thread()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=not self._stop, cancel_futures=True)
        torch.set_num_threads(self._torch_threads)  # the workers' setting became that of all new threads
        _OPENCV.give_back()

    def map(self, function: Callable[[_T], _R], items: Iterable[_T], *, ahead: int) -> Generator[_R, None, None]:
        """Call a function with each item in the threads; a generator of what it returns, in the order of the items.

        Items are taken in a thread of their own, one at a time: reading them overlaps with the work, and the result of
        an item does not wait for the next item. Maps can be chained; what stands between two of them runs in order, in
        the thread that takes the items of the second.

        Args:
            function: called by several threads at once.
            items: closed at the end if it is a generator.
            ahead: how many items are taken at most beyond the results that were taken.

        Raises:
            Exception: what `function` or `items` raised, after the results of all items before.
        """
        slots = threading.Semaphore(ahead)
        handed: SimpleQueue[Future[_R] | None] = SimpleQueue()
        ended = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(function, items, slots, handed, ended), daemon=True)
        feeder.start()
        try:
            while (future := self._next(handed)) is not None:
                slots.release()
                yield future.result()
        finally:
            ended.set()
            slots.release()  # wakes the feeder
            feeder.join(_JOIN_SECONDS)  # a camera that answers no more is left to itself

    def _feed(
        self,
        function: Callable[[_T], _R],
        items: Iterable[_T],
        slots: threading.Semaphore,
        handed: SimpleQueue[Future[_R] | None],
        ended: threading.Event,
    ) -> None:
        iterator = iter(items)
        try:
            while slots.acquire() and not ended.is_set():
                handed.put(self._pool.submit(function, next(iterator)))
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the results are taken
            failed: Future[_R] = Future()
            failed.set_exception(error)
            handed.put(failed)
        finally:
            try:
                if isinstance(items, Generator):
                    items.close()
            finally:
                handed.put(None)

    def _next(self, handed: SimpleQueue[Future[_R] | None]) -> Future[_R] | None:
        """The next call when it is done; None at the end, or when the user wants to stop."""
        while not self._stop:
            try:
                future = handed.get(timeout=_POLL_SECONDS)
            except Empty:
                continue
            while future is not None and not future.done():
                wait([future], timeout=_POLL_SECONDS)
                if self._stop:
                    return None
            return future
        return None


def _use_one_thread() -> None:
    """OpenMP and MKL keep the number of threads for each thread that calls them."""
    torch.set_num_threads(1)
