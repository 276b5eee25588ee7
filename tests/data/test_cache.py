import multiprocessing
import os
import pickle
import stat
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.config import AugmentConfig
from yolo.data.cache import DiskCache, ImageFile, MemoryCache, PlacedImage, default_cache_dir, fit_to_size, read_placed
from yolo.data.dataset import DetectionDataset, SampleKey
from yolo.errors import ImageReadError
from yolo.geometry import PADDING_GREY, place_boxes, plan_resize
from yolo.images import write_image
from yolo.structures import AnnotatedImage, GroundTruth, Sample
from yolo.transforms.augment import TrainTransform

SIZE = (100, 100)


@pytest.fixture
def file(tmp_path: Path) -> ImageFile:
    path = tmp_path / "a"
    path.write_bytes(b"content")
    return ImageFile(0, path, SIZE)


def placed(level: int) -> PlacedImage:
    return PlacedImage(np.full((*SIZE, 3), level, np.uint8), (300, 400), 2)


def test_it_keeps_what_fits(file: ImageFile) -> None:
    cache = MemoryCache(1000, SIZE, limit_mb=1)
    assert cache.num_slots == 33
    last = ImageFile(999, file.path, SIZE)
    assert cache.get(file) is None
    for one in (file, last):
        cache.put(one, placed(7))
    kept = cache.get(file)
    assert kept is not None
    assert (kept.pixels == 7).all()
    assert kept[1:] == ((300, 400), 2)
    assert cache.get(last) is None
    assert cache.get(ImageFile(1, file.path, SIZE)) is None


def test_no_room_at_all(file: ImageFile) -> None:
    for cache in (MemoryCache(5, SIZE, limit_mb=0), MemoryCache(0, SIZE, limit_mb=1)):
        cache.put(file, placed(7))
        assert cache.get(file) is None
        assert pickle.loads(pickle.dumps(cache)).get(file) is None


def test_a_changed_file_is_not_served_as_it_was(file: ImageFile) -> None:
    cache = MemoryCache(1, SIZE, limit_mb=1)
    cache.put(file, placed(7))
    again = ImageFile(0, file.path, SIZE)
    assert cache.get(again) is not None
    os.utime(file.path, ns=(1, 1))
    assert cache.get(ImageFile(0, file.path, SIZE)) is None
    file.path.unlink()
    with pytest.raises(ImageReadError, match="cannot be read"):
        cache.get(ImageFile(0, file.path, SIZE))


def _fill(cache: MemoryCache, file: ImageFile) -> None:
    cache.put(file, placed(9))


@pytest.mark.parametrize("start_method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_processes_fill_it_for_one_another(file: ImageFile, start_method: Literal["fork", "spawn"]) -> None:
    cache = MemoryCache(1, SIZE, limit_mb=1)
    process = multiprocessing.get_context(start_method).Process(  # type: ignore[attr-defined]
        target=_fill, args=(cache, file)
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    kept = cache.get(file)
    assert kept is not None
    assert (kept.pixels == 9).all()


def test_a_copy_that_is_no_worker_starts_empty_and_of_the_same_size(file: ImageFile) -> None:
    cache = MemoryCache(1000, SIZE, limit_mb=1)
    cache.put(file, placed(7))
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.get(file) is None
    assert copy.num_slots == cache.num_slots
    copy.put(file, placed(8))
    kept = cache.get(file)
    assert kept is not None
    assert (kept.pixels == 7).all()


SIZE_DISK_CACHE = (40, 60)


def cache_in(folder: Path, *, limit_mb: int = 10, resize: str = "letterbox", may_reduce: bool = True) -> DiskCache:
    return DiskCache(folder, SIZE_DISK_CACHE, resize, may_reduce=may_reduce, limit_mb=limit_mb)  # type: ignore[arg-type]


def file_of(path: Path, content: bytes, size_hw: tuple[int, int] = (80, 90)) -> ImageFile:
    path.write_bytes(content)
    return ImageFile(0, path, size_hw)


def placed_disk_cache(seed: int) -> PlacedImage:
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE_DISK_CACHE, 3), dtype=np.uint8)
    return PlacedImage(pixels, (80, 90), 2)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_was_put_comes_back_for_the_same_content_under_any_name(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "cache")
    assert cache.get(file_of(tmp_path / "a", b"one")) is None
    cache.put(file_of(tmp_path / "a", b"one"), placed_disk_cache(1))
    # another process, another name, another place in the dataset
    kept = cache_in(tmp_path / "cache").get(file_of(tmp_path / "b", b"one"))
    assert kept is not None
    assert (kept.pixels == placed_disk_cache(1).pixels).all()
    assert kept[1:] == ((80, 90), 2)


def test_whatever_the_pixels_depend_on_is_in_the_key(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "cache")
    cache.put(file_of(tmp_path / "a", b"one"), placed_disk_cache(1))
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
    cache.put(file, placed_disk_cache(1))
    (kept,) = files_in(tmp_path / "cache")
    data = bytearray(kept.read_bytes())
    if damage == "pixel":
        data[len(data) // 2] ^= 1
    elif damage == "header":
        data[5] ^= 1
    damaged = {"short": data[:-1], "long": data + b"x", "empty": bytearray()}.get(damage, data)
    kept.write_bytes(damaged)
    assert cache.get(file) is None
    cache.put(file, placed_disk_cache(1))
    assert cache.get(file) is not None


def test_the_oldest_files_go_when_the_folder_is_full(tmp_path: Path) -> None:
    # 30,016 bytes each, limit 1 MB: 33 fit; two writers
    caches = [DiskCache(tmp_path / "cache", SIZE, "letterbox", may_reduce=True, limit_mb=1) for _ in range(2)]
    (tmp_path / "cache" / "images" / "00").mkdir(parents=True)
    other = tmp_path / "cache" / "images" / "00" / "not-mine.txt"
    other.write_text("kept")
    files = []
    for number in range(60):
        file = file_of(tmp_path / "a", str(number).encode())
        caches[number % 2].put(file, placed(0))
        path = caches[0]._path(file)
        os.utime(path, ns=(number, number))
        files.append(path)
        total = sum(path.stat().st_size for path in files if path.exists())
        assert total <= 1_000_000 * (1 + 2 / 32)
    left = [path.exists() for path in files]
    assert left.index(True) > 20
    assert all(left[left.index(True) :])  # none newer is gone while an older one is there
    assert sum(left) > 25
    assert other.read_text() == "kept"


def test_a_full_folder_is_emptied_down_to_nine_tenths(tmp_path: Path) -> None:
    old = [tmp_path / "cache" / "images" / "ab" / f"{number}.placed" for number in range(20)]
    old[0].parent.mkdir(parents=True)
    for number, path in enumerate(old):
        path.write_bytes(bytes(60_000))
        os.utime(path, ns=(number, number))
    cache_in(tmp_path / "cache", limit_mb=1).put(file_of(tmp_path / "a", b"one"), placed_disk_cache(1))
    assert [path.exists() for path in old] == [False] * 5 + [True] * 15


def test_an_image_of_more_than_a_32nd_of_the_limit_is_not_kept(tmp_path: Path) -> None:
    for width, kept in ((104, True), (105, False)):  # of 31,250 bytes
        cache = DiskCache(tmp_path / str(width), (100, width), "letterbox", may_reduce=True, limit_mb=1)
        pixels = np.zeros((100, width, 3), np.uint8)
        cache.put(file_of(tmp_path / "a", b"one"), PlacedImage(pixels, (80, 90), 2))
        assert bool(files_in(tmp_path / str(width))) is kept


def test_an_image_too_large_for_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "cache", limit_mb=0)
    cache.put(file_of(tmp_path / "a", b"one"), placed_disk_cache(1))
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(stat.S_IREAD | stat.S_IEXEC)
    cache = cache_in(folder)
    cache.put(file_of(tmp_path / "a", b"one"), placed_disk_cache(1))
    assert cache.get(file_of(tmp_path / "a", b"one")) is None


def test_a_file_in_the_way_of_the_folder_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    cache = cache_in(tmp_path / "cache")
    for _ in range(2):
        cache.put(file_of(tmp_path / "a", b"one"), placed_disk_cache(1))
        assert cache.get(file_of(tmp_path / "a", b"one")) is None


def test_a_changed_image_is_never_served_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    annotated = AnnotatedImage("a", path, (40, 60), GroundTruth.empty())
    cache = cache_in(tmp_path / "cache")
    data = DetectionDataset([annotated], input_hw=SIZE_DISK_CACHE, resize="letterbox", cache=cache)
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
        data = DetectionDataset(images, input_hw=SIZE_DISK_CACHE, resize="letterbox", augment=augment, cache=cache)
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


def square_on_black(size_hw: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((*size_hw, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = 255
    return image


def seen_box(pixels: np.ndarray) -> list[float]:
    """Where the white square is, to parts of a pixel: from how bright its rows and columns are."""
    weight = np.where((pixels == PADDING_GREY).all(axis=2), 0, pixels[..., 1] / 255)
    height, width = weight.max(axis=1).sum(), weight.max(axis=0).sum()
    rows, cols = weight.sum(axis=1), weight.sum(axis=0)
    y, x = (
        (rows * (np.arange(len(rows)) + 0.5)).sum() / rows.sum(),
        (cols * (np.arange(len(cols)) + 0.5)).sum() / cols.sum(),
    )
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


@pytest.mark.parametrize("size_hw", [(600, 800), (601, 803), (797, 450), (1203, 1999)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_boxes_lie_on_the_pixels_of_a_reduced_image(tmp_path: Path, size_hw: tuple[int, int], resize: str) -> None:
    height, width = size_hw
    # near the far corner, where an error of scale would be largest
    box = (width - 120, height - 104, width - 24, height - 16)
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), square_on_black(size_hw, box), [cv2.IMWRITE_JPEG_QUALITY, 100])
    truth = GroundTruth.from_boxes([box], [0])
    placed = read_placed(ImageFile(0, path, size_hw), (160, 160), resize, may_reduce=True)  # type: ignore[arg-type]
    assert placed.reduction > 1
    assert placed.size_hw == size_hw
    boxes = placed.place(truth, resize).boxes[0].tolist()  # type: ignore[arg-type]
    assert boxes == pytest.approx(seen_box(placed.pixels), abs=0.3)
    # and that is where the whole image would have had it, to less than a pixel
    whole = place_boxes(truth, plan_resize(size_hw, (160, 160), resize)).boxes[0].tolist()  # type: ignore[arg-type]
    assert boxes == pytest.approx(whole, abs=1)


def test_reduced_and_whole_look_alike(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    image = np.asarray(cv2.resize(coarse, (1000, 750), interpolation=cv2.INTER_CUBIC), np.uint8)
    path = tmp_path / "a.jpg"
    write_image(path, image)
    file = ImageFile(0, path, (750, 1000))
    reduced = read_placed(file, (320, 320), "letterbox", may_reduce=True)
    whole = read_placed(file, (320, 320), "letterbox", may_reduce=False)
    assert (reduced.reduction, whole.reduction) == (2, 1)
    assert np.abs(reduced.pixels.astype(int) - whole.pixels).mean() < 1.5


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([(320, 320), (96, 160)]))
def test_a_reduced_image_is_never_enlarged_more_than_the_whole_one(
    height: int, width: int, input_hw: tuple[int, int]
) -> None:
    # what `possible_reduction` promises is enough for the geometry of the reduced image
    for reduction in (2, 4, 8):
        placed = PlacedImage(np.zeros((*input_hw, 3), np.uint8), (height, width), reduction)
        scale_x, scale_y = placed.geometry("letterbox").scale_xy
        plain = plan_resize((height, width), input_hw, "letterbox")
        needed = (round(height * plain.scale_xy[1]), round(width * plain.scale_xy[0]))
        if -(-height // reduction) >= needed[0] and -(-width // reduction) >= needed[1]:
            assert max(scale_x, scale_y) <= 1.0001


def test_exif_that_turns_otherwise_than_annotated(tmp_path: Path) -> None:
    # stored 400 x 800, annotated 800 x 400 as if EXIF turned it, which it does not
    path = tmp_path / "a.jpg"
    write_image(path, np.zeros((400, 800, 3), np.uint8))
    placed = read_placed(ImageFile(0, path, (800, 400)), (100, 100), "letterbox", may_reduce=True)
    assert (placed.reduction, placed.size_hw) == (1, (400, 800))


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((8, 8, 3), np.uint8))
    file = ImageFile(0, path, (8, 8))
    data, stamp = file.data, file.stamp
    path.unlink()
    assert (file.data, file.stamp) == (data, stamp)
    for attribute in ("data", "stamp"):
        with pytest.raises(ImageReadError, match="cannot be read"):
            getattr(ImageFile(0, path, (8, 8)), attribute)


def test_the_size_that_was_annotated_needs_no_note() -> None:
    truth = GroundTruth.from_boxes([[1.0, 1, 30, 30]], [0])
    assert fit_to_size(AnnotatedImage("a", Path("a"), (20, 20), truth), (20, 20)) == (truth, None)
