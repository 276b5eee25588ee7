"""`detect_items`: detection on everything a source gives, several images at the same time, results in order.

A worker takes a few images through all of it: reading, placing, network, decoding. On a CPU the images of a group go
through the network together because small networks spend a third of their time on the way from layer to layer; on a GPU
because it computes many images at once.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from yolo.data.watched import READ_SECONDS, too_slow
from yolo.engine.detector import Detector, images_per_pass
from yolo.engine.result import Result
from yolo.engine.workers import Workers
from yolo.errors import DataError
from yolo.images import DepthTally
from yolo.media.items import Frame, ImageFile, Item, Unreadable
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.process import available_cores, in_time

# A group of images has at most about this many bytes when decoded.
_GROUP_BYTES = 24_000_000
# seconds that an item takes to come: a camera's next frame takes longer, the next frame of a file mostly less
_SLOW = 0.015
# Decoded images have about ten times the bytes of their files.
_EXPANSION = 10
# of one that is not a file, as if it had a million pixels
_UNKNOWN_BYTES = 3_000_000
_MOST_GPU_WORKERS = 8


def default_workers(device: torch.device) -> int:
    """How many threads detect at the same time on a device."""
    if device.type == "mps":
        return 1  # torch promises nothing of several threads there
    return min(available_cores(), _MOST_GPU_WORKERS) if device.type == "cuda" else available_cores()


def detect_items(
    detector: Detector,
    items: Iterable[Item],
    settings: PostprocessSettings,
    *,
    workers: Workers,
    keep_images: bool = True,
    depths: DepthTally | None = None,
) -> Generator[Result | Unreadable, None, None]:
    """Read and detect, in the order of the items, a few images ahead of what was taken.

    Args:
        detector: in use by all workers.
        items: of a source.
        settings: what is kept.
        workers: open; they may do other work at the same time.
        keep_images: whether results hold their images.
        depths: counts the 16-bit images among them.
    """

    def detect(group: Sequence[Item]) -> list[Result | Unreadable]:
        return _detect(detector, group, settings, keep_images=keep_images, depths=depths)

    groups = group_items(items, most=images_per_pass(detector.device, detector.input_hw))
    with closing(workers.map(detect, groups, ahead=workers.count + 1)) as found:
        for outcomes in found:
            yield from outcomes


def group_items(items: Iterable[Item], *, most: int) -> Iterator[list[Item]]:
    """Items in groups of at most `most`, fewer where images are large or slow to come.

    What comes slowly, as from a camera, goes on at once: nothing is gained by waiting for more. `items` is closed at
    the end if it is a generator.
    """
    group: list[Item] = []
    size = 0
    try:
        iterator, asked = iter(items), time.monotonic()
        while (item := next(iterator, None)) is not None:
            group.append(item)
            size += _decoded_bytes(item)
            if len(group) >= most or size >= _GROUP_BYTES or time.monotonic() - asked > _SLOW:
                yield group
                group, size = [], 0
            asked = time.monotonic()
    except Exception:
        if group:  # what came before the failure is good
            yield group
        raise
    finally:
        if isinstance(items, Generator):
            items.close()
    if group:
        yield group


def _decoded_bytes(item: Item) -> int:
    """About how much memory an image will take."""
    if isinstance(item, Frame):
        return item.image.nbytes
    if isinstance(item, Unreadable):
        return 0
    try:
        return _EXPANSION * Path(item.source).stat().st_size if item.load is None else _UNKNOWN_BYTES
    except OSError:
        return 0  # reading it will tell


def _detect(
    detector: Detector,
    group: Sequence[Item],
    settings: PostprocessSettings,
    *,
    keep_images: bool,
    depths: DepthTally | None,
) -> list[Result | Unreadable]:
    read = [_read(item, detector.bit_depth) if isinstance(item, ImageFile) else item for item in group]
    frames = [item for item in read if isinstance(item, Frame)]
    if depths is not None:
        for frame in frames:
            depths.add(frame.largest)
    if not frames:
        return [item for item in read if isinstance(item, Unreadable)]
    try:
        results = detector.detect_frames(frames, settings)
    except Exception as error:
        error.add_note(f"while detecting on {', '.join(frame.source for frame in frames)}")
        raise
    of_frames = iter(results if keep_images else [replace(result, image=None) for result in results])
    return [next(of_frames) if isinstance(item, Frame) else item for item in read]


def _read(file: ImageFile, bit_depth: int) -> Frame | Unreadable:
    try:
        # what is fetched has a timeout of its own
        read = partial(file.read, bit_depth=bit_depth)
        return in_time(read, READ_SECONDS) if file.load is None else read()
    except TimeoutError:
        return Unreadable(file.source, too_slow(file.source, READ_SECONDS), "that took too long")
    except DataError as error:
        return Unreadable.of(file.source, error)
