"""What the check of a dataset learns from image files alone, one process per core.

Each file is decoded to its end at a reduced size, which shows damage; less than a kilobyte of it is kept for comparison
with others. A file that kills its process is reported, and the rest goes on; the result does not depend on the number
of processes. Left out: comparing images (`duplicates`).
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import re
import signal
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from yolo.arrays import UInt8
from yolo.curate.findings import Finding, FindingImage
from yolo.errors import DataError, ImageReadError
from yolo.image_formats import open_with_pillow
from yolo.image_headers import QUARTER_TURNS
from yolo.images import MAX_PIXELS, decode, decode_image
from yolo.process import available_cores

THUMBNAIL_SIDE = 16
_FINGERPRINT_SIDE, _FINGERPRINT_BITS = 32, 64
_SMALLEST_DECODED_SIDE = 48
_TINY_SIDE, _HUGE_SIDE = 16, 10_000
_UPRIGHT = 1
_TURNS = {
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored upside down",
    5: "mirrored and turned by 90 degrees",
    6: "turned by 90 degrees",
    7: "mirrored and turned by 270 degrees",
    8: "turned by 270 degrees",
}
_PNG_DEPTH = slice(24, 25)  # the byte with the bits per channel
# MPO is the JPEG of cameras with two lenses, or with a preview behind the picture
_SAME_FORMAT = {
    "MPO": "JPEG",
    "JPG": "JPEG",
    "JPE": "JPEG",
    "JFIF": "JPEG",
    "TIF": "TIFF",
    "HEIC": "HEIF",
    "HIF": "HEIF",
}
_FORMATS = frozenset({"JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "HEIF", "AVIF", "PSD", "TGA"})
_DAMAGE = re.compile(r"corrupt|premature|error|invalid|bad ", re.IGNORECASE)
# Bytes too many right before the end of a JPEG change no pixel.
_HARMLESS = re.compile(r"extraneous bytes before marker 0xd9", re.IGNORECASE)
_CHUNK = 32
_STDERR = 2

Notes = tuple[tuple[str, str], ...]


class ImageFacts(NamedTuple):
    """What is known of one image file."""

    notes: Notes  # (kind, message) of everything that is wrong or odd with the file
    broken: bool = True  # the file cannot be used; the fields below are then empty
    stored_wh: tuple[int, int] = (0, 0)  # as stored, before EXIF orientation; (0, 0) if not known
    orientation: int = _UPRIGHT  # of EXIF, 1 to 8
    content: bytes = b""  # digest of the file
    pixels: bytes = b""  # digest of the reduced picture; pictures that differ in it are different
    fingerprint: int = 0  # 64 bits; those of similar pictures differ in few
    thumbnail: bytes = b""  # 16 x 16 grey values
    largest: int | None = None  # the largest sample of 16 bits


Inspect = Callable[[str], ImageFacts]


def image_findings(path: str, facts: ImageFacts, stated: Finding | None) -> list[Finding]:
    """The findings about one file; `stated` is the reader's, if the annotation states another size."""
    images = () if facts.broken else (FindingImage(path),)
    found = [Finding(kind, path, "", message, images) for kind, message in facts.notes]
    if facts.broken or facts.orientation == _UPRIGHT:
        return found
    turn = f"EXIF orientation {facts.orientation}: {_TURNS[facts.orientation]}"
    if stated is not None and facts.orientation in QUARTER_TURNS and _first_size(stated.message) == facts.stored_wh:
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


def inspect_image(path: str) -> ImageFacts:
    """Read and decode an image file."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return ImageFacts((("image_unreadable", f"cannot be read ({error.strerror or error})"),))
    if not data:
        return ImageFacts((("image_unreadable", "the file is empty"),))
    try:
        size_wh, orientation, notes = _read_header(data, Path(path).suffix)
    except Image.DecompressionBombError as error:  # where the process has Pillow's own limit, which is lower
        return ImageFacts((("image_too_large", str(error)),))
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
        size_wh, orientation, notes = (0, 0), _UPRIGHT, ()  # OpenCV may know it, as TIFF files of 12 bits
    width, height = size_wh
    if width * height > MAX_PIXELS:
        return ImageFacts((("image_too_large", f"{width} x {height} pixels"),), stored_wh=size_wh)
    _decoder_messages()
    reduction = next((by for by in (8, 4, 2) if min(size_wh) // by >= _SMALLEST_DECODED_SIDE), 1)
    try:
        small, largest = decode(data, name=path, reduction=reduction)
    except ImageReadError as error:
        reason = str(error).removeprefix(f"{path}: ")
        kind = "image_truncated" if "cut off" in reason else "image_unreadable"
        return ImageFacts(((kind, reason),), stored_wh=size_wh)
    if damage := _damage_in(_decoder_messages()):
        return ImageFacts((*notes, ("image_corrupt", damage)), stored_wh=size_wh)
    return ImageFacts(
        notes=notes,
        broken=False,
        stored_wh=size_wh if all(size_wh) else (small.shape[1], small.shape[0]),
        orientation=orientation,
        content=_digest(data),
        pixels=_digest(repr((size_wh, small.shape)).encode() + small.tobytes()),
        fingerprint=fingerprint(small),
        thumbnail=_shrunk_grey(small, THUMBNAIL_SIDE).tobytes(),
        largest=largest,
    )


def _read_header(data: bytes, suffix: str) -> tuple[tuple[int, int], int, Notes]:
    """Width and height as stored, EXIF orientation, and what is odd about the kind of image."""
    with open_with_pillow(data) as image:
        # without this Pillow decodes all of a PNG to look behind its pixels for more
        has_exif = image.format != "PNG" or "exif" in image.info
        orientation = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT) if has_exif else _UPRIGHT
        notes = _oddities(image, suffix, deep=is_deep_png(data))
        return image.size, orientation if orientation in _TURNS else _UPRIGHT, notes


def is_deep_png(data: bytes) -> bool:
    """Whether a PNG has 16 bits per channel, by its first bytes; Pillow does not tell where there is colour."""
    return data.startswith(b"\x89PNG") and data[_PNG_DEPTH] > b"\x08"


def _oddities(image: Image.Image, suffix: str, *, deep: bool) -> Notes:
    width, height = image.size
    frames = getattr(image, "n_frames", 1)
    kind = _SAME_FORMAT.get(image.format or "", image.format)
    named = suffix.removeprefix(".").upper()
    named = _SAME_FORMAT.get(named, named)
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
        "image_suffix": (named in _FORMATS and kind != named, f"is a {kind} file"),
    }
    return tuple((name, message) for name, (found, message) in tests.items() if found)


def _damage_in(messages: str) -> str:
    """The first message of a decoder that speaks of damage, shortened."""
    lines = (line.strip() for line in messages.splitlines())
    return next((line[:120] for line in lines if _DAMAGE.search(line) and not _HARMLESS.search(line)), "")


def fingerprint(image: UInt8) -> int:
    """64 bits that say which of the lowest frequencies of an (H, W, 3) RGB picture are stronger than the median.

    They survive other sizes, compression and brightness. Pictures without structure get the bits of their noise, so
    equal bits alone prove nothing.
    """
    lowest = cv2.dct(_shrunk_grey(image, _FINGERPRINT_SIDE).astype(np.float32))[_LOWEST_FREQUENCIES]
    bits = lowest > np.median(lowest)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


# Rows and columns of the 64 lowest frequencies but the mean, in order of their sum.
_ROW, _COLUMN = np.indices((12, 12)).reshape(2, -1)
_ORDER = np.lexsort((_COLUMN, _ROW, _ROW + _COLUMN))[1 : _FINGERPRINT_BITS + 1]
_LOWEST_FREQUENCIES = _ROW[_ORDER], _COLUMN[_ORDER]


def _shrunk_grey(image: UInt8, side: int) -> UInt8:
    """An RGB image as (side, side) grey values."""
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def pixel_digest(path: str) -> bytes:
    """Digest of an image's pixels, upright and at full size; empty if they cannot be read."""
    try:
        image = decode_image(Path(path).read_bytes(), name=path)
    except (OSError, ImageReadError):
        return b""
    return _digest(repr(image.shape).encode() + image.tobytes())


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def pixel_digests(paths: Sequence[str], *, workers: int | None = None) -> list[bytes]:
    """`pixel_digest` of each file, in several processes; empty where there is none."""
    count = _num_processes(workers, len(paths) // _CHUNK)
    if count == 1:
        return [pixel_digest(path) for path in paths]
    with _pool(count) as pool:
        return list(pool.map(pixel_digest, paths, chunksize=_CHUNK))


def inspect_images(
    paths: Sequence[str],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
    inspect: Inspect = inspect_image,
) -> list[ImageFacts]:
    """The facts about each file, in the order of `paths`.

    Args:
        paths: image files.
        workers: processes, at least one; None: one per core.
        progress: called with the number of files that are done.
        inspect: what is done with each file; a function of a module, as it is sent to other processes.

    Raises:
        DataError: no process can be started.
    """
    count = _num_processes(workers, -(-len(paths) // _CHUNK))
    facts: list[ImageFacts] = []
    singly_until = 0
    while len(facts) < len(paths):
        singly = len(facts) < singly_until
        size, stop = (1, singly_until) if singly else (_CHUNK, len(paths))
        tasks = [list(paths[start : min(start + size, stop)]) for start in range(len(facts), stop, size)]
        processes, ahead = (1, 1) if singly else (count, 2 * count)
        try:
            for found in _in_order(tasks, inspect, processes=processes, ahead=ahead):
                facts += found
                progress(len(facts))
        except BrokenProcessPool:
            if singly:  # so it is known which file ended the process
                facts.append(_crashed())
            else:  # those that were under way are inspected one by one, then all goes on as before
                singly_until = min(len(facts) + ahead * _CHUNK, len(paths))
    return facts


def _in_order(
    tasks: Sequence[list[str]], inspect: Inspect, *, processes: int, ahead: int
) -> Iterator[list[ImageFacts]]:
    """The facts of each task; only so many are under way that memory stays flat and little is lost with a process."""
    waiting = iter(tasks)
    with _pool(processes) as pool:
        under_way = deque(pool.submit(_inspect_chunk, task, inspect) for task in islice(waiting, ahead))
        while under_way:
            yield under_way.popleft().result()
            under_way.extend(pool.submit(_inspect_chunk, task, inspect) for task in islice(waiting, 1))


def _crashed() -> ImageFacts:
    return ImageFacts((("image_crashes", "its process ended: out of memory, or a fault in the decoder"),))


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


def _num_processes(workers: int | None, tasks: int) -> int:
    return max(1, min(available_cores() if workers is None else workers, tasks))


# Where the messages of decoders arrive that otherwise go to the terminal: in a worker, an open file without a name.
_messages: io.FileIO | None = None


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


def _decoder_messages() -> str:
    """What has arrived since the last call; leaves the file empty."""
    if _messages is None or not os.fstat(_messages.fileno()).st_size:
        return ""
    _messages.seek(0)
    text = _messages.read().decode("utf-8", "replace")
    _messages.seek(0)
    _messages.truncate()
    return text


def _inspect_chunk(paths: list[str], inspect: Inspect) -> list[ImageFacts]:
    facts = []
    for path in paths:
        try:
            facts.append(inspect(path))
        except MemoryError:
            facts.append(_crashed())
        except Exception as error:  # noqa: BLE001 - whatever a damaged file does to a decoder, the check goes on
            facts.append(ImageFacts((("image_crashes", f"the decoder failed: {type(error).__name__}: {error}"),)))
    return facts
