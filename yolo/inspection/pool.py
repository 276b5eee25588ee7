"""Looking at many image files in several processes; a file that kills its process is reported, and the rest goes on.

The result does not depend on the number of processes. Left out: what is learnt from a file (image_facts.py).
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2
from PIL import Image

from yolo.errors import DataError
from yolo.inspection.image_facts import ImageFacts, inspect_image, pixel_digest

_CHUNK = 32
_STDERR = 2
_CRASHED = ImageFacts((("image_crashes", "its process ended: out of memory, or a fault in the decoder"),))

Inspect = Callable[[str], ImageFacts]


def inspect_images(
    paths: Sequence[str],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    inspect: Inspect | None = None,
) -> list[ImageFacts]:
    """The facts about each file, in the order of `paths`.

    Args:
        paths: image files.
        workers: processes, at least one; None: one per core.
        progress: told how many files are done.
        inspect: in place of `inspect_image`; a function of a module, as it is sent to other processes.

    Raises:
        DataError: no process can be started.
    """
    facts: dict[int, ImageFacts] = {}
    chunks = [range(start, min(start + _CHUNK, len(paths))) for start in range(0, len(paths), _CHUNK)]
    count = max(1, min(_cores() if workers is None else workers, len(chunks)))

    def arrived(chunk: range, found: Sequence[ImageFacts]) -> None:
        facts.update(zip(chunk, found, strict=True))
        if progress is not None:
            progress(len(facts))

    def names(chunk: range) -> list[str]:
        return [paths[index] for index in chunk]

    while chunks:
        unfinished = _run(chunks, names, count, arrived, inspect)
        # a process died: those that were under way are looked at one by one, then all goes on as before
        for chunk in unfinished[: 2 * count]:
            arrived(chunk, _one_by_one(names(chunk), inspect))
        chunks = unfinished[2 * count :]
    return [facts[index] for index in range(len(paths))]


def pixel_digests(paths: Sequence[str], *, workers: int | None = None) -> list[bytes]:
    """`pixel_digest` of each file, in several processes; empty where there is none."""
    count = max(1, min(_cores() if workers is None else workers, len(paths) // _CHUNK))
    if count == 1:
        return [pixel_digest(path) for path in paths]
    with _pool(count) as pool:
        return list(pool.map(pixel_digest, paths, chunksize=_CHUNK))


def _run(
    chunks: list[range],
    names: Callable[[range], list[str]],
    count: int,
    arrived: Callable[[range, Sequence[ImageFacts]], None],
    inspect: Inspect | None,
) -> list[range]:
    """Work through chunks until all are done or a process dies; returns what is left, in order."""
    waiting = iter(chunks)
    under_way: dict[Future[list[ImageFacts]], range] = {}
    done: set[range] = set()
    with _pool(count) as pool:
        try:
            while True:
                # few at a time: memory stays flat, and little has to be done again after a death
                while len(under_way) < 2 * count and (chunk := next(waiting, None)) is not None:
                    under_way[pool.submit(_inspect_chunk, names(chunk), inspect)] = chunk
                if not under_way:
                    return []
                future = next(iter(under_way))
                found = future.result()
                chunk = under_way.pop(future)
                arrived(chunk, found)
                done.add(chunk)
        except BrokenProcessPool:
            return [chunk for chunk in chunks if chunk not in done]


def _one_by_one(paths: list[str], inspect: Inspect | None) -> list[ImageFacts]:
    """The facts about files that are sent to a process singly, so that it is known which one ends it."""
    facts: list[ImageFacts] = []
    while len(facts) < len(paths):
        with _pool(1) as pool:
            try:
                for path in paths[len(facts) :]:
                    facts += pool.submit(_inspect_chunk, [path], inspect).result()
            except BrokenProcessPool:
                facts.append(_CRASHED)
    return facts


@contextmanager
def _pool(count: int) -> Iterator[ProcessPoolExecutor]:
    # not forked: a copy of a process with threads can hang, and would carry its memory along
    pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise DataError(
                "no process could be started to read images; in a script, call this below `if __name__ == '__main__':`"
            ) from error
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_messages: io.FileIO | None = None  # of the decoders, in a worker


def _begin() -> None:
    """In a worker: one thread, decoders' messages into a file, Ctrl-C left to the parent."""
    global _messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    Image.MAX_IMAGE_PIXELS = None  # inspect_image has a limit of its own, and says the size
    handle, name = tempfile.mkstemp()
    os.dup2(handle, _STDERR)
    os.close(handle)
    os.unlink(name)  # noqa: PTH108 - the open file lives on without a name
    _messages = io.FileIO(_STDERR, "r+", closefd=False)


def _inspect_chunk(paths: list[str], inspect: Inspect | None) -> list[ImageFacts]:
    return [_inspect(path, inspect) for path in paths]


def _inspect(path: str, inspect: Inspect | None) -> ImageFacts:
    try:
        return inspect(path) if inspect is not None else inspect_image(path, decoder_messages=_messages)
    except MemoryError:
        return _CRASHED
    except Exception as error:  # noqa: BLE001 - whatever a damaged file does to a decoder, the check goes on
        return ImageFacts((("image_crashes", f"the decoder failed: {type(error).__name__}: {error}"),))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
