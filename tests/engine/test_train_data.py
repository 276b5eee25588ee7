import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.engine.shapes import draw_shapes, quick_config
from yolo.config import TrainConfig
from yolo.data.cache import DiskCache, MemoryCache
from yolo.engine.train_data import TrainingData, open_cache

NOTE = "no val split: a fifth of the images, chosen by a hash of their ids, is held out of train"
INPUT_HW = (32, 32)  # 3,072 bytes an image


def test_what_both_splits_were_made_of_is_said_once(tmp_path: Path) -> None:
    """It was printed three times: for the dataset, for train and for val."""
    data = draw_shapes(tmp_path / "data")
    data.write_text("path: .\ntrain: images/train\nnames: [red, blue]\n")
    console = Console(record=True, width=500, file=io.StringIO())
    TrainingData.read(quick_config(data, tmp_path), console)
    lines = console.export_text().splitlines()
    assert lines == [
        "train: 6 of 6 images kept (0 without objects), 12 of 12 objects kept (0 clipped)",
        f"  note: {NOTE}",
        "val: 2 of 2 images kept (0 without objects), 4 of 4 objects kept (0 clipped)",
    ]


def test_no_cache_where_none_is_wanted_and_none_for_floats() -> None:
    none = TrainConfig(data="d", cache="none")
    assert open_cache(none, 5, input_hw=INPUT_HW, resize="letterbox", for_training=True) is None
    ram = TrainConfig(data="d")
    assert open_cache(ram, 5, input_hw=INPUT_HW, resize="stretch_corners", for_training=True) is None


def test_training_has_three_quarters_of_the_memory() -> None:
    config = TrainConfig(data="d", cache_mb=4)
    training = open_cache(config, 10_000, input_hw=INPUT_HW, resize="letterbox", for_training=True)
    validation = open_cache(config, 10_000, input_hw=INPUT_HW, resize="letterbox", for_training=False)
    assert isinstance(training, MemoryCache)
    assert isinstance(validation, MemoryCache)
    assert 0.7 * 4_000_000 < training.num_slots * 3072 <= 3_000_000
    assert 0.9 * 1_000_000 < validation.num_slots * 3072 <= 1_000_000


@pytest.mark.parametrize("given", [True, False])
def test_the_disk_cache_lies_where_it_is_told_or_in_the_users_cache(
    given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    config = TrainConfig(data="d", cache="disk", cache_dir=str(tmp_path / "own") if given else "")
    cache = open_cache(config, 5, input_hw=INPUT_HW, resize="letterbox", for_training=True)
    assert isinstance(cache, DiskCache)
    assert cache.folder.is_relative_to(tmp_path / "own" if given else tmp_path / "xdg" / "gridyolo")
