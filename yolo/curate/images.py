"""What the check of a dataset learns from one image file. Nothing here needs more than the file.

The file is decoded to its end at a reduced size: damage shows, and what is kept of it to be compared with others is
under a kilobyte. Left out: processes (pool.py), comparing (duplicates.py).

Looking at many image files in several processes; a file that kills its process is reported, and the rest goes on.

The result does not depend on the number of processes. Left out: what is learnt from a file (image_facts.py).
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import re
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from yolo.curate.findings import Finding, Pointed
from yolo.errors import DataError, ImageReadError
from yolo.images import decode_image

MOST_PIXELS = 200_000_000
THUMBNAIL_SIDE = 16
_FINGERPRINT_SIDE, _FINGERPRINT_BITS = 32, 64
_SMALLEST_DECODED_SIDE = 48
_TINY_SIDE, _HUGE_SIDE = 16, 10_000
_UPRIGHT = 1
_PNG_DEPTH = 24  # place of the bits per channel, which Pillow keeps to itself where there are 16 in colour
_QUARTER_TURNS = frozenset({5, 6, 7, 8})
_TURNS = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored upside down",
    5: "mirrored and turned by 90 degrees",
    6: "turned by 90 degrees",
    7: "mirrored and turned by 270 degrees",
    8: "turned by 270 degrees",
}
_FORMAT_OF_SUFFIX = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
# MPO is the JPEG of cameras with two lenses, or with a preview behind the picture
_SAME_FORMAT = {"MPO": "JPEG"}
_DAMAGE = re.compile(r"corrupt|premature|error|invalid|bad ", re.IGNORECASE)
# Bytes too many right before the end of a JPEG change no pixel.
_HARMLESS = re.compile(r"extraneous bytes before marker 0xd9", re.IGNORECASE)


class ImageFacts(NamedTuple):
    """What was learnt from one image file.

    Attributes:
        notes: (kind, message) of everything that is wrong or odd with the file.
        broken: the file cannot be used; the fields below are then empty.
        stored_wh: width and height as stored, before EXIF orientation; (0, 0) if not known.
        orientation: of EXIF, 1 to 8; 1 is upright.
        content: digest of the file.
        pixels: digest of the reduced picture; pictures that differ in it are different.
        fingerprint: 64 bits; those of similar pictures differ in few.
        thumbnail: 16 x 16 grey values.
    """

    notes: tuple[tuple[str, str], ...]
    broken: bool = True
    stored_wh: tuple[int, int] = (0, 0)
    orientation: int = _UPRIGHT
    content: bytes = b""
    pixels: bytes = b""
    fingerprint: int = 0
    thumbnail: bytes = b""


class _Header(NamedTuple):
    size_wh: tuple[int, int]
    orientation: int
    notes: tuple[tuple[str, str], ...]


def inspect_image(path: str, *, decoder_messages: io.FileIO | None = None) -> ImageFacts:
    """Learn what there is to learn from an image file.

    Args:
        path: of the file.
        decoder_messages: where the decoders' messages arrive that otherwise go to the terminal.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return ImageFacts((("image_unreadable", f"cannot be read ({error.strerror or error})"),))
    if not data:
        return ImageFacts((("image_unreadable", "the file is empty"),))
    try:
        header = _read_header(data, Path(path).suffix.lower())
    except Image.DecompressionBombError as error:  # where the process has Pillow's own limit, which is lower
        return ImageFacts((("image_too_large", str(error)),))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
        return ImageFacts((("image_unreadable", "is not an image that can be decoded"),))
    width, height = header.size_wh
    if width * height > MOST_PIXELS:
        return ImageFacts((("image_too_large", f"{width} x {height} pixels"),), stored_wh=header.size_wh)
    drain_messages(decoder_messages)
    try:
        small = _decode_small(data, header.size_wh, path)
    except ImageReadError as error:
        reason = str(error).removeprefix(f"{path}: ")
        kind = "image_truncated" if "cut off" in reason else "image_unreadable"
        return ImageFacts(((kind, reason),), stored_wh=header.size_wh)
    notes = header.notes
    if damage := _damage_in(drain_messages(decoder_messages)):
        return ImageFacts((*notes, ("image_corrupt", damage)), stored_wh=header.size_wh)
    return ImageFacts(
        notes=notes,
        broken=False,
        stored_wh=header.size_wh,
        orientation=header.orientation,
        content=_digest(data),
        pixels=_digest(repr((header.size_wh, small.shape)).encode() + small.tobytes()),
        fingerprint=fingerprint(small),
        thumbnail=cv2.resize(_grey(small), (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA).tobytes(),
    )


def drain_messages(messages: io.FileIO | None) -> str:
    """What has arrived since the last call; leaves the file empty."""
    if messages is None or not os.fstat(messages.fileno()).st_size:
        return ""
    messages.seek(0)
    text = messages.read().decode("utf-8", "replace")
    messages.seek(0)
    messages.truncate()
    return text


def fingerprint(image: NDArray[np.uint8]) -> int:
    """64 bits that say which of the lowest frequencies of a picture are stronger than the median.

    They survive other sizes, compression and brightness. Pictures without structure get the bits of their noise, so
    equal bits alone prove nothing.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    side = _FINGERPRINT_SIDE
    small = cv2.resize(_grey(image), (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
    lowest = cv2.dct(small)[_FREQUENCIES]
    bits = lowest > np.median(lowest)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def pixel_digest(path: str) -> bytes:
    """Digest of an image's pixels, upright and at full size; empty if they cannot be read."""
    try:
        image = decode_image(Path(path).read_bytes(), name=path)
    except (OSError, ImageReadError):
        return b""
    return _digest(repr(image.shape).encode() + image.tobytes())


def image_findings(path: str, facts: ImageFacts, stated: Finding | None) -> list[Finding]:
    """The findings about one file.

    Args:
        path: of the image.
        facts: about it.
        stated: the reader's finding that the annotation states another size, if there is one.
    """
    images = () if facts.broken else (Pointed(path),)
    found = [Finding(kind, path, "", message, images) for kind, message in facts.notes]
    if facts.broken or facts.orientation == _UPRIGHT:
        return found
    turn = f"EXIF orientation {facts.orientation}: {_TURNS[facts.orientation]}"
    if stated is not None and facts.orientation in _QUARTER_TURNS and _first_size(stated.message) == facts.stored_wh:
        width, height = facts.stored_wh
        message = f"{turn}; the annotation states {width} x {height}, the size without the turn"
        return [*found, Finding("exif_ignored", stated.path, stated.where, message, stated.images or images)]
    return [*found, Finding("exif_rotated", path, "", turn, images)]


def _first_size(message: str) -> tuple[int, int] | None:
    """The stated size, which the readers' messages name first.

    >>> _first_size("<size> says 640 x 480, the image is 480 x 640")
    (640, 480)
    """
    match = re.search(r"(\d+) x (\d+)", message)
    return (int(match[1]), int(match[2])) if match else None


def _read_header(data: bytes, suffix: str) -> _Header:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF blocks, and the size, which is looked at below
        with Image.open(io.BytesIO(data)) as image:
            # without this Pillow decodes all of a PNG to look behind its pixels for more
            has_exif = image.format != "PNG" or "exif" in image.info
            orientation = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT) if has_exif else _UPRIGHT
            notes = _oddities(image, suffix, deep=image.format == "PNG" and data[_PNG_DEPTH] > 8)
            size_wh = image.size
    return _Header(size_wh, orientation if orientation in _TURNS else _UPRIGHT, notes)


def _oddities(image: Image.Image, suffix: str, *, deep: bool) -> tuple[tuple[str, str], ...]:
    width, height = image.size
    frames = getattr(image, "n_frames", 1)
    kind = _SAME_FORMAT.get(image.format or "", image.format)
    mode = image.mode
    tests = {
        "image_animated": (frames > 1 and image.format != "MPO", f"{frames} frames"),
        "image_tiny": (min(width, height) < _TINY_SIDE, f"{width} x {height} pixels"),
        "image_huge": (max(width, height) > _HUGE_SIDE, f"{width} x {height} pixels"),
        "image_cmyk": (mode in ("CMYK", "YCCK"), f"mode {mode}"),
        "image_palette": (mode in ("P", "PA"), f"mode {mode}"),
        "image_16bit": (mode.startswith(("I", "F")) or deep, f"mode {mode}"),
        "image_alpha": (mode in ("RGBA", "LA", "PA", "La", "RGBa"), f"mode {mode}"),
        "image_grey": (mode in ("1", "L", "LA", "La"), f"mode {mode}"),
        "image_suffix": (kind != _FORMAT_OF_SUFFIX.get(suffix, kind), f"is a {kind} file"),
    }
    return tuple((name, message) for name, (found, message) in tests.items() if found)


def _decode_small(data: bytes, size_wh: tuple[int, int], name: str) -> NDArray[np.uint8]:
    reduction = next((by for by in (8, 4, 2) if min(size_wh) // by >= _SMALLEST_DECODED_SIDE), 1)
    return decode_image(data, name=name, reduction=reduction)


def _damage_in(messages: str) -> str:
    """The first message of a decoder that speaks of damage, shortened."""
    lines = (line.strip() for line in messages.splitlines())
    return next((line[:120] for line in lines if _DAMAGE.search(line) and not _HARMLESS.search(line)), "")


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _lowest_frequencies() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the 64 lowest frequencies but the mean, in order of their sum."""
    places = [(row, column) for row in range(12) for column in range(12) if row + column]
    chosen = sorted(places, key=lambda place: (sum(place), place))[:_FINGERPRINT_BITS]
    return np.array([row for row, _ in chosen]), np.array([column for _, column in chosen])


_FREQUENCIES = _lowest_frequencies()


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
