import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from yolo.config.data_commands import DataSynthConfig
from yolo.data.descriptor import find_dataset, read_split
from yolo.engine.data_synth import synth
from yolo.errors import DataError


def run(output: Path, **options: Any) -> tuple[Path, str]:
    screen = io.StringIO()
    options = {"train": 3, "val": 1, "width": 64, "height": 48, **options}
    return synth(DataSynthConfig(output=str(output), **options), Console(file=screen, width=60)), screen.getvalue()


def test_what_was_drawn_is_said(tmp_path: Path) -> None:
    path, said = run(tmp_path / "new", test=2, classes="star, fish", difficulty="easy", format="coco")
    descriptor = find_dataset(path)
    assert list(descriptor.splits) == ["train", "val", "test"]
    split = read_split(descriptor, "train")
    assert split.class_names == ("star", "fish")
    assert {image.size_hw for image in split.images} == {(48, 64)}
    stars, fishes = (int((split.images.objects.labels == label).sum()) for label in (0, 1))
    assert f"train: 3 images, {stars + fishes} objects ({stars} star, {fishes} fish)\n" in said
    assert "test: 2 images" in said
    assert f"dataset: {path}\n" in said


def test_bad_wishes_leave_nothing(tmp_path: Path) -> None:
    for options, message in (
        ({"classes": "star,cat"}, "'cat' cannot be drawn; there are: ball, die"),
        ({"width": 47}, "48x47 pixels are too small"),
    ):
        with pytest.raises(DataError, match=message):
            run(tmp_path / "new", **options)
    assert list(tmp_path.iterdir()) == []
