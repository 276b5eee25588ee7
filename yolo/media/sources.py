"""`open_source`: images of everything that can be named, one at a time with flat memory.

A file, a folder, a glob, a list file, an archive, standard input, a video, a camera, a stream, a screen or an address;
or several of them. What a word means is decided here; how each kind is read, in the modules beside this one.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import IO, Self

from yolo.errors import DataError, ImageReadError, printable
from yolo.files import expand_home, read_bytes
from yolo.formats.paths import find_files, is_file, is_folder, named_file, read_utf8
from yolo.http import is_web_address, shown_address
from yolo.image_formats import (
    FIRST_BYTES,
    IMAGE_SUFFIXES,
    READ_KINDS,
    UNREAD_SUFFIXES,
    image_kind,
    lacks_extra,
    not_read,
    unreadable_reason,
)
from yolo.images import MAX_IMAGE_BYTES, UNREAD
from yolo.media.archives import ARCHIVE_SUFFIXES, is_archive, read_archive
from yolo.media.fetch import fetch_image, open_remote
from yolo.media.items import ImageFile, Item, Reading, SourceOptions, Unreadable, video_items
from yolo.media.screen import require_screen, screen
from yolo.media.streams import STREAM_SCHEMES, Stream, camera, network_stream, read_live
from yolo.media.video_read import VIDEO_SUFFIXES

_LIST = ".txt"
STANDARD_INPUT = "-"
_COMMENT = b"#"
_LEAST_BYTES, _CHUNK = 16, 1 << 16

_ACCEPTED = (
    "accepted are images (JPEG, PNG, BMP, WebP, TIFF, GIF, HEIC, AVIF and others), videos "
    f"({', '.join(sorted(VIDEO_SUFFIXES))}), folders of images, globs in quotes, lists of paths ({_LIST}), archives "
    f"({', '.join(ARCHIVE_SUFFIXES)}), - for standard input, http and rtsp addresses, camera:0 and screen:1"
)

# A part of a source: called when it is its turn. Streams come last, all at once, as they have no end.
Part = Callable[[], Iterator[Item] | Stream]
_CAMERA, _SCREEN = re.compile(r"(?:camera:)?(\d+)"), re.compile(r"screen(?::(\d+))?")


class Source:
    """Iterator over a source; closing it, also from another thread, stops whatever reads.

    Attributes:
        total: how many images there are; None where nobody knows before the end.
    """

    def __init__(self, items: Generator[Item], reading: Reading, total: int | None) -> None:
        limit = reading.options.limit
        self.total = total if limit is None or total is None else min(limit, total)
        self._items, self._reading, self._left = items, reading, limit

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Item:
        if self._reading.stopped.is_set() or self._left == 0:
            self.close()
            raise StopIteration
        item = next(self._items)
        if self._left is not None and not isinstance(item, Unreadable):
            self._left -= 1
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give nothing more, end threads, remove temporary files; may be called twice."""
        self._reading.stopped.set()
        with suppress(ValueError):  # another thread is inside of it, and will find that it is stopped
            self._items.close()

    def notes(self) -> list[str]:
        """Messages printed at the end: what was left out, lost or cut short. Complete when closed."""
        return list(self._reading.notes)


def open_source(source: str | Path | Sequence[str | Path], options: SourceOptions | None = None) -> Source:
    """Images of a source, in order, found when asked for; image files are left for the caller to read.

    Args:
        source: path of an image, a video, an archive or a list file (`.txt`, one path or address of an image in each
            line, paths relative to the list), a folder (searched with its subfolders), a glob pattern, an http(s)
            address of an image, a video or a stream, an RTSP address, `camera:0` or `0`, `screen:1`, or `-` for an
            image or a list of paths on standard input; or a sequence of these. Streams, cameras and screens come
            last, all of them at once.
        options: how it is read.

    Raises:
        DataError: at once, if there is nothing of that name or nothing in it that can be read.
        DataError: when iterated, for a single video that cannot be read.
    """
    words = [source] if isinstance(source, str | Path) else list(source)
    if not words:
        raise DataError(f"no source is given; {_ACCEPTED}")
    reading = Reading(options or SourceOptions(), Event(), [])
    several = len(words) > 1
    parts, totals = {}, []
    for word in dict.fromkeys(map(str, words)):
        parts[word], total = _part(word, reading, several=several)
        totals.append(total)
    known = [total for total in totals if total is not None]
    return Source(_read(parts, reading), reading, sum(known) if len(known) == len(totals) else None)


def shown_source(source: str | Sequence[str]) -> tuple[str, ...]:
    """The name of a source as outputs may show it: printable, and addresses without their passwords."""
    return tuple(printable(shown_address(word)) for word in ([source] if isinstance(source, str) else source))


def _read(parts: Mapping[str, Part], reading: Reading) -> Generator[Item]:
    streams = []
    for word, part in parts.items():
        try:
            if isinstance(found := part(), Stream):
                streams.append(found)
            else:
                yield from found
        except DataError as error:
            if len(parts) == 1:
                raise
            yield Unreadable(printable(shown_address(word)), str(error))
    if streams:
        yield from read_live(streams, reading)


def _part(word: str, reading: Reading, *, several: bool) -> tuple[Part, int | None]:
    """What one word names, and how many images that is, where known."""
    if word == STANDARD_INPUT:
        return partial(_read_standard_input, reading), None
    path = expand_home(word)
    if is_folder(path):
        # ._x.jpg is what macOS leaves beside x.jpg
        found = find_files(path, lambda name: not name.startswith("._"))
        return _files_part(found, f"source {printable(path)}: the folder holds no image or video", reading)
    if is_file(path):
        if path.suffix.lower() == _LIST:
            entries = _list_entries(read_utf8(path))
            if not entries:
                raise DataError(f"source {printable(path)}: the list names no file; write one path in each line")
            return partial(_read_list, path, entries, reading), _total([Path(entry) for entry in entries])
        if (reason := _unfit(path)) is not None:
            message = f"{printable(path)}: {reason}"
            if not several:
                raise DataError(f"source {message}; {_ACCEPTED}")
            return lambda: iter([Unreadable(printable(path), message, UNREAD)]), 0
        return partial(_read_file, path, reading), _total([path])
    if (live := _live_part(word, reading)) is not None:
        return live, None
    if glob.has_magic(word):
        return _files_part(_glob(path), f"source {word!r}: no image or video matches", reading)
    raise DataError(f"source {printable(word)!r}: there is no such file or folder; {_ACCEPTED}")


def _live_part(word: str, reading: Reading) -> Part | None:
    """A source that is not a file: an address, a stream, a camera or a screen."""
    if is_web_address(word):
        return partial(open_remote, word, reading)
    if word.lower().startswith(STREAM_SCHEMES):
        return lambda: network_stream(word, reading.options.timeout)
    if match := _CAMERA.fullmatch(word):
        number = int(match[1])
        return lambda: camera(number)
    if match := _SCREEN.fullmatch(word):
        require_screen()
        return partial(screen, int(match[1] or 1))
    return None


def _files_part(found: Sequence[Path], message: str, reading: Reading) -> tuple[Part, int | None]:
    """The files of a folder or a glob that can be read; pictures of other kinds and names without a file are noted."""
    files, no_files, left = [], 0, Counter[str]()
    for path in found:
        suffix = path.suffix.lower()
        if suffix in UNREAD_SUFFIXES or lacks_extra(path):
            left[suffix] += 1
        elif _is_accepted(path):
            if is_file(path):
                files.append(path)
            else:  # opening a pipe would wait for ever
                no_files += not is_folder(path)
    notes = not_read(left)
    if no_files:
        what = (
            "path that is named like an image is not a file"
            if no_files == 1
            else "paths that are named like images are not files"
        )
        notes.append(f"{no_files} {what}: pipes, broken links or the like")
    if not files:
        raise DataError("; ".join([message, *notes, _ACCEPTED]))
    reading.notes += notes
    return partial(_read_files, files, reading), _total(files)


def _glob(path: Path) -> list[Path]:
    """Files that match a pattern, sorted; folders that exist as they are written may have brackets.

    Path.glob takes no absolute patterns.
    """
    literal = path.parent
    while not is_folder(literal):
        literal = literal.parent
    rest = str(path.relative_to(literal))
    found: list[str] = []
    for pattern in dict.fromkeys([rest, rest.replace("[", "[[]")]):  # "photo [1]*.jpg" mostly means what it says
        found = found or glob.glob(str(Path(glob.escape(str(literal)), pattern)), recursive=True)
    return sorted(map(Path, found))


def _is_accepted(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES


def _unfit(path: Path) -> str | None:
    """Why a file that was named itself cannot be read, by its suffix or, where that says nothing, its first bytes."""
    suffix = path.suffix.lower()
    if is_archive(path) or (_is_accepted(path) and not lacks_extra(path)):
        return None
    with path.open("rb") as file:
        first = file.read(FIRST_BYTES)
    if suffix in UNREAD_SUFFIXES or not is_image(first):
        return f"files of type {path.suffix or '(none)'} cannot be read"
    return unreadable_reason(image_kind(first)) if lacks_extra(path) else None


def is_image(data: bytes) -> bool:
    r"""Whether the first bytes of a file are those of an image that can be read.

    >>> is_image(b"\xff\xd8\xff\xe0"), is_image(b"photos/a.jpg"), is_image(b"BMW.jpg")
    (True, False, False)
    """
    return image_kind(data) in READ_KINDS


def _total(files: Sequence[Path]) -> int | None:
    """How many images there are; None where there are videos or archives."""
    return None if any(path.suffix.lower() in VIDEO_SUFFIXES or is_archive(path) for path in files) else len(files)


def _read_files(files: Sequence[Path], reading: Reading) -> Iterator[Item]:
    for path in files:
        try:
            yield from _read_file(path, reading)
        except DataError as error:
            yield Unreadable(printable(path), str(error), _kind_of(path))


def _kind_of(path: Path) -> str:
    """The category of an error, as summaries count it."""
    return "damaged videos" if path.suffix.lower() in VIDEO_SUFFIXES else "damaged archives"


def _read_file(path: Path, reading: Reading) -> Iterator[Item]:
    """What is in a file that exists."""
    name = printable(path)
    if is_archive(path):
        yield from read_archive(path, reading)
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        yield from video_items(path, name, reading)
    else:
        yield ImageFile(name, None if name == str(path) else partial(read_bytes, path, error=ImageReadError))


def _list_entries(data: bytes) -> list[str]:
    """The paths in the lines of a list; names need not be UTF-8."""
    lines = (line.strip() for line in data.replace(b"\r", b"\n").split(b"\n"))
    return [os.fsdecode(line) for line in lines if line and not line.startswith(_COMMENT)]


def _read_list(path: Path, entries: Sequence[str], reading: Reading) -> Iterator[Item]:
    """What a list file names, beside itself or, as darknet has it, from the working folder."""
    for entry in entries:
        yield from _read_listed(path.parent, entry, printable(path), reading)


def _read_listed(folder: Path, entry: str, listed_in: str, reading: Reading) -> Iterator[Item]:
    """A file or an address of an image that a list names; an error in it ends neither the list nor the source."""
    if is_web_address(entry):
        yield ImageFile(shown_address(entry), partial(fetch_image, entry, timeout=reading.options.timeout))
        return
    path = Path(named_file(folder, entry))
    if not is_file(path) and is_file(entry):
        path = Path(entry)
    name = printable(path)
    try:
        if not is_file(path):
            yield Unreadable(name, f"{name}: there is no such file; it is listed in {listed_in}")
        elif (reason := _unfit(path)) is not None:
            yield Unreadable(name, f"{name}: {reason}; it is listed in {listed_in}", UNREAD)
        else:
            yield from _read_file(path, reading)
    except (DataError, OSError) as error:
        yield Unreadable(name, str(error), _kind_of(path))


def _read_standard_input(reading: Reading) -> Iterator[Item]:
    """An image, or a list of paths that is read line by line: the program that writes it may still be at work."""
    stream: IO[bytes] = sys.stdin.buffer
    first = b""
    while len(first) < _LEAST_BYTES and (b"\n" not in first or not first[:1].isascii()):
        if not (more := _read_some(stream)):
            break
        first += more
    if not first:
        raise DataError("source -: nothing came on standard input; pipe an image or a list of paths to it")
    if is_image(first):
        data = first + stream.read(MAX_IMAGE_BYTES + 1 - len(first))
        if len(data) > MAX_IMAGE_BYTES:
            raise DataError(f"source -: the image on standard input has more than {MAX_IMAGE_BYTES:,} bytes")
        yield ImageFile("stdin", lambda: data)
        return
    if b"\0" in first:
        raise DataError("source -: standard input is neither an image nor a list of paths; give videos as files")
    for lines in _piped_lines(first, stream):
        for entry in _list_entries(lines):
            yield from _read_listed(Path(), entry, "standard input", reading)


def _piped_lines(first: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    """Whole lines as they come, several at a time."""
    more = rest = first
    while more:
        whole, end, rest = rest.rpartition(b"\n")
        yield whole + end
        if len(rest) > _CHUNK:
            raise DataError("source -: a line of standard input is longer than a path can be")
        more = _read_some(stream)
        rest += more
    yield rest


def _read_some(stream: IO[bytes]) -> bytes:
    """What has come, at least one byte; none at the end."""
    return bytes(stream.read1(_CHUNK))  # type: ignore[attr-defined]  # every buffered stream has it
