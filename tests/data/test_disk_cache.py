import os
import stat
from pathlib import Path

import numpy as np
import pytest

from yolo.config import AugmentConfig
from yolo.data.dataset import DetectionDataset, SampleKey
from yolo.data.disk_cache import DiskCache, default_cache_dir
from yolo.data.reading import ImageFile, PlacedImage
from yolo.images import write_image
from yolo.structures import AnnotatedImage, GroundTruth, Sample
from yolo.transforms.presets import TrainTransform

SIZE = (40, 60)


def cache_in(folder: Path, *, limit_mb: int = 10, resize: str = "letterbox", may_reduce: bool = True) -> DiskCache:
    return DiskCache(folder, SIZE, resize, may_reduce=may_reduce, limit_mb=limit_mb)  # type: ignore[arg-type]


def file_of(path: Path, content: bytes, size_hw: tuple[int, int] = (80, 90)) -> ImageFile:
    path.write_bytes(content)
    return ImageFile(0, path, size_hw)


def placed(seed: int) -> PlacedImage:
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return PlacedImage(pixels, (80, 90), 2)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_was_put_comes_back_for_the_same_content_under_any_name(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "cache")
    assert cache.get(file_of(tmp_path / "a", b"one")) is None
    cache.put(file_of(tmp_path / "a", b"one"), placed(1))
    # another process, another name, another place in the dataset
    kept = cache_in(tmp_path / "cache").get(file_of(tmp_path / "b", b"one"))
    assert kept is not None
    assert (kept.pixels == placed(1).pixels).all()
    assert kept[1:] == ((80, 90), 2)


def test_whatever_the_pixels_depend_on_is_in_the_key(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "cache")
    cache.put(file_of(tmp_path / "a", b"one"), placed(1))
    assert cache.get(file_of(tmp_path / "a", b"two")) is None
    assert cache.get(file_of(tmp_path / "a", b"one", (80, 91))) is None
    same = file_of(tmp_path / "a", b"one")
    assert cache_in(tmp_path / "cache", resize="stretch").get(same) is None
    assert cache_in(tmp_path / "cache", may_reduce=False).get(same) is None
    wider = DiskCache(tmp_path / "cache", (60, 40), "letterbox", may_reduce=True, limit_mb=10)
    assert wider.get(same) is None


@pytest.mark.parametrize("damage", ["short", "long", "empty", "pixel", "header"])
def test_a_damaged_file_is_absent_and_made_again(tmp_path: Path, damage: str) -> None:
    cache, file = cache_in(tmp_path / "cache"), file_of(tmp_path / "a", b"one")
    cache.put(file, placed(1))
    (kept,) = files_in(tmp_path / "cache")
    data = bytearray(kept.read_bytes())
    if damage == "pixel":
        data[len(data) // 2] ^= 1
    elif damage == "header":
        data[5] ^= 1
    damaged = {"short": data[:-1], "long": data + b"x", "empty": bytearray()}.get(damage, data)
    kept.write_bytes(damaged)
    assert cache.get(file) is None
    cache.put(file, placed(1))
    assert cache.get(file) is not None


def test_the_oldest_files_go_when_the_folder_is_full(tmp_path: Path) -> None:
    # 7216 bytes each, limit 1 MB: 138 fit; two writers
    caches = [cache_in(tmp_path / "cache", limit_mb=1) for _ in range(2)]
    (tmp_path / "cache" / "images" / "00").mkdir(parents=True)
    other = tmp_path / "cache" / "images" / "00" / "not-mine.txt"
    other.write_text("kept")
    files = []
    for number in range(400):
        file = file_of(tmp_path / "a", str(number).encode())
        caches[number % 2].put(file, placed(0))
        path = caches[0]._path(file)
        os.utime(path, ns=(number, number))
        files.append(path)
        if number % 10 == 0:
            total = sum(path.stat().st_size for path in files_in(tmp_path / "cache"))
            assert total <= 1_000_000 * (1 + 1 / 32) + 8000
    left = [path.exists() for path in files]
    assert left.index(True) > 200
    assert all(left[left.index(True) :])  # none newer is gone while an older one is there
    assert sum(left) > 100
    assert other.read_text() == "kept"


def test_an_image_too_large_for_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "cache", limit_mb=0)
    cache.put(file_of(tmp_path / "a", b"one"), placed(1))
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(stat.S_IREAD | stat.S_IEXEC)
    cache = cache_in(folder)
    cache.put(file_of(tmp_path / "a", b"one"), placed(1))
    assert cache.get(file_of(tmp_path / "a", b"one")) is None


def test_a_file_in_the_way_of_the_folder_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    cache = cache_in(tmp_path / "cache")
    for _ in range(2):
        cache.put(file_of(tmp_path / "a", b"one"), placed(1))
        assert cache.get(file_of(tmp_path / "a", b"one")) is None


def test_a_changed_image_is_never_served_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    annotated = AnnotatedImage("a", path, (40, 60), GroundTruth.empty())
    cache = cache_in(tmp_path / "cache")
    data = DetectionDataset([annotated], input_hw=SIZE, resize="letterbox", cache=cache)
    for level in (10, 200):
        write_image(path, np.full((40, 60, 3), level, np.uint8))
        os.utime(path, ns=(1, 1))  # not even its time tells
        for _ in range(2):
            sample = data[SampleKey(0, 0)]
            assert isinstance(sample, Sample)
            assert (sample.image == level).all()
    assert len(files_in(tmp_path / "cache")) == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.png", "cache"]  # nothing else beside the image


def test_samples_are_the_same_from_the_cache(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    images = []
    for number in range(5):
        path = tmp_path / f"{number}.jpg"
        write_image(path, generator.integers(0, 256, (161, 243, 3), dtype=np.uint8))
        truth = GroundTruth.from_boxes([[20.0, 30, 100, 120]], [0])
        images.append(AnnotatedImage(str(number), path, (161, 243), truth))

    def samples(cache: DiskCache | None) -> list[bytes]:
        augment = TrainTransform(AugmentConfig(mosaic=1))
        data = DetectionDataset(images, input_hw=SIZE, resize="letterbox", augment=augment, cache=cache)
        made = data.__getitems__([SampleKey(0, number, True, 0, (1, 2, 3, 4)) for number in range(5)])
        return [one.image.tobytes() + one.ground_truth.boxes.tobytes() for one in made if isinstance(one, Sample)]

    cache = cache_in(tmp_path / "cache")
    assert samples(None) == samples(cache) == samples(cache)
    assert len(files_in(tmp_path / "cache")) == 5


def test_caches_are_where_caches_belong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "gridyolo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "gridyolo"
