from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo.data.cache import DiskCache, ImageFile, read_placed
from yolo.data.dataset import DetectionDataset
from yolo.data.depth import depth_notes
from yolo.images import Decoded, decode, read_image
from yolo.structures import AnnotatedImage, GroundTruth


def put(folder: Path, name: str, largest: int, *, deep: bool = True) -> str:
    image = np.zeros((16, 16), np.uint16 if deep else np.uint8)
    image[4:9, 4:9] = largest
    cv2.imwrite(str(folder / name), image)
    return str(folder / name)


def test_dark_datasets_are_found_by_a_few_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [put(tmp_path, f"{index}.png", 2000 + index) for index in range(300)]
    paths[7] = put(tmp_path, "grey.png", 200, deep=False)
    read: list[str] = []

    def counted(data: bytes, *, name: str) -> Decoded:
        read.append(name)
        return decode(data, name=name)

    monkeypatch.setattr("yolo.data.depth.decode", counted)
    (note,) = depth_notes(paths, 16)
    assert 8 <= len(read) <= 16
    assert "where 65535 is white" in note
    assert "--bit-depth 12" in note
    assert depth_notes(paths, 12) == []


def test_whatever_cannot_be_read_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8) + b"\x10")
    paths = [str(tmp_path / "gone.png"), str(tmp_path / "broken.png"), put(tmp_path, "a.tif", 100)]
    assert "1 image has samples up to 100" in depth_notes(paths, 16)[0]
    assert depth_notes([], 16) == []


def dataset(path: str, bit_depth: int, cache: DiskCache | None = None) -> DetectionDataset:
    image = AnnotatedImage("a", Path(path), (16, 16), GroundTruth.from_boxes(np.zeros((0, 4), np.float32), []))
    return DetectionDataset([image], input_hw=(16, 16), resize="stretch", bit_depth=bit_depth, cache=cache)


def test_training_and_prediction_see_the_same_pixels(tmp_path: Path) -> None:
    path = put(tmp_path, "a.png", 4000)
    for bit_depth in (16, 12):
        data = dataset(path, bit_depth)
        expected = read_image(path, bit_depth=bit_depth)
        assert np.array_equal(data.load(0).image, expected)
        assert np.array_equal(data.load_original(0).image, expected)
    assert expected.max() == 250


def test_a_cache_on_disk_tells_bit_depths_apart(tmp_path: Path) -> None:
    path = put(tmp_path, "a.png", 4000)
    cache = DiskCache(tmp_path / "cache", (16, 16), "stretch", may_reduce=False, limit_mb=10)
    assert [dataset(path, bits, cache).load(0).image.max() for bits in (16, 12, 16, 12)] == [15, 250, 15, 250]
    file = ImageFile(0, Path(path), (16, 16), 12)
    kept = cache.get(file)
    assert kept is not None
    assert np.array_equal(kept.pixels, read_placed(file, (16, 16), "stretch", may_reduce=False).pixels)
    assert cache.get(ImageFile(0, Path(path), (16, 16), 14)) is None
