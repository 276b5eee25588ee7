"""A folder such as people have: hundreds of files of every kind, of which some are images."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Maker = Callable[[Path], object]


def fill_mixed_folder(folder: Path, count: int) -> Counter[str]:
    """Make about as many files, in turn of each kind; returns how many there are of each kind."""
    folder.mkdir()
    made: Counter[str] = Counter()
    kinds = list(_KINDS)
    for number in range(count):
        kind, suffix, make = kinds[number % len(kinds)]
        place = folder / ("" if number % 3 else f"sub {number % 4}")
        place.mkdir(exist_ok=True)
        make(place / f"{number:03}{suffix}")
        made[kind] += 1
    return made


def _picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)


def _encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, _picture())[1].tobytes()


def _bytes(data: bytes) -> Maker:
    return lambda path: path.write_bytes(data)


def _pillow(kind: str, mode: str = "RGB") -> Maker:
    return lambda path: Image.fromarray(_picture()).convert(mode).save(path, kind)


def _png_of_size(width: int, height: int) -> bytes:
    """A valid header and almost nothing behind it: what decodes it would need width x height pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def _video(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (32, 24))
    for _ in range(2):
        writer.write(_picture())
    writer.release()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # the names of sockets are short
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


_TEXT = b"There is no image in this file.\n" * 4
# kind, suffix, what makes it
_KINDS: tuple[tuple[str, str, Maker], ...] = (
    ("good", ".png", _bytes(_encoded(".png"))),
    ("good", ".jpg", _bytes(_encoded(".jpg"))),
    ("good", ".JPEG", _bytes(_encoded(".jpg"))),
    ("good", ".webp", _bytes(_encoded(".webp"))),
    ("good", " grey.png", _pillow("PNG", "L")),
    ("good", " alpha.png", _pillow("PNG", "RGBA")),
    ("good", " is a png.jpg", _bytes(_encoded(".png"))),
    ("good", ".gif", _pillow("GIF")),
    ("good", " caf\udce9.jpg", _bytes(_encoded(".jpg"))),
    ("video", ".avi", _video),
    ("damaged", " cut.jpg", _bytes(_encoded(".jpg")[:-300])),
    ("damaged", " cut.png", _bytes(_encoded(".png")[:-300])),
    ("too large", ".png", _bytes(_png_of_size(60_000, 60_000))),
    ("no image", " text.jpg", _bytes(_TEXT)),
    ("empty", ".png", _bytes(b"")),
    ("damaged video", " cut.mp4", _bytes(b"\0\0\0\x18ftypmp42" + bytes(200))),
    ("folder", " folder.jpg", lambda path: path.mkdir()),
    ("loop", " loop.jpg", _loop),
    ("pipe", " pipe.jpg", os.mkfifo),
    ("socket", " socket.png", _socket),
    ("nowhere", " nowhere.jpg", lambda path: path.symlink_to("nothing")),
    ("of no interest", ".txt", _bytes(_TEXT)),
    ("of no interest", ".json", _bytes(b"{}")),
)
