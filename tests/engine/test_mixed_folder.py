"""A folder of everything: what can be read is read, and the rest is counted by kind."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yolo.config import PredictConfig
from yolo.engine.predict import predict
from yolo.engine.train import TrainingRun


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_what_cannot_be_read_is_counted_by_kind(
    trained: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yolo.image_formats.find_spec", lambda name: None)
    folder = tmp_path / "mixed"
    (folder / "folder.jpg").mkdir(parents=True)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    for suffix in ("png", "jfif", "gif", "ppm", "tga", "webp"):
        picture.save(folder / f"good.{suffix}")
    whole = (folder / "good.jfif").read_bytes()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    contents = {
        "cut1.jpg": whole[:-50],
        "cut2.jpg": whole[:-90],
        "empty.png": b"",
        "text.jpg": b"hello",
        "page.png": b"<html>",
    }
    contents |= {"huge.png": b"\x89PNG\r\n\x1a\n" + header, "v.mp4": b"no video", "a.CR2": b"x", "b.svg": b"x"}
    contents |= {"c.heic": b"\0\0\0\x18ftypheic", "d.avi.txt": b"no picture"}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    Image.fromarray(np.full((8, 8), 300.0, np.float32)).save(folder / "float.tif")
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "folder.jpg" / "up").symlink_to("..")
    weights = str(trained.folder / "weights" / "best.safetensors")
    summary = predict(PredictConfig(weights=weights, source=str(folder), runs=str(tmp_path / "runs")))
    assert summary.num_images == 6
    assert summary.skipped_kinds == {
        "damaged": 2,
        "that are not images": 2,
        "empty": 1,
        "too large": 1,
        "of kinds that are not read": 1,
        "damaged videos": 1,
    }
    assert len(summary.skipped) == 8
    assert summary.notes[0].startswith("3 files were not read: 1 .cr2, 1 .heic, 1 .svg; HEIC and AVIF need pip install")
    assert summary.notes[1] == "2 paths that are named like images are not files: pipes, broken links or the like"
