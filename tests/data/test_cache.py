import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from yolo.data.cache import MemoryCache
from yolo.data.reading import ImageFile, PlacedImage
from yolo.errors import ImageReadError

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
