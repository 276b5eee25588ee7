import io
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.engine.shapes import break_image, draw_shapes, quick_config
from yolo.config import AugmentConfig, DataPreviewConfig, ModelConfig
from yolo.curate import preview as preview_module
from yolo.curate.preview import preview, preview_batches
from yolo.data.read import find_dataset, read_split
from yolo.engine.train_state import prepare
from yolo.errors import ConfigError, DataError
from yolo.images import read_image, write_image
from yolo.structures import Batch, ImageNote

DARKNET = AugmentConfig(style="darknet", mosaic=0, scale=0, translate=0)


def config_for(data: Path, runs: Path, **changes: Any) -> DataPreviewConfig:
    values: dict[str, Any] = {"data": str(data), "runs": str(runs), "input_size": 64, "batch_size": 3, "batches": 2}
    return DataPreviewConfig(**(values | changes))


def batches_of(config: DataPreviewConfig) -> list[Batch]:
    return list(preview_batches(config, read_split(find_dataset(Path(config.data)), config.split).images))


@pytest.mark.parametrize(
    ("resize", "augment"),
    [("letterbox", AugmentConfig(mosaic=0.5)), ("stretch_corners", AugmentConfig()), ("stretch_corners", DARKNET)],
)
def test_the_batches_are_those_of_a_training(shapes: Path, tmp_path: Path, resize: Any, augment: AugmentConfig) -> None:
    training = prepare(
        quick_config(
            shapes,
            tmp_path,
            backbone="shufflenet_v2_x0_5",
            weights="none",
            freeze="none",
            batch_size=3,
            epochs=10,
            seed=7,
            augment=augment,
            model=ModelConfig(resize=resize),
        ),
        Console(quiet=True),
    )
    shown = batches_of(config_for(shapes, tmp_path, seed=7, batches=4, resize=resize, augment=augment))
    trained = list(
        islice(training.data.train_batches((64, 64), "cpu", start=(0, 0), with_mosaic=lambda epoch: True), 4)
    )
    assert len(shown) == 4
    for one, other in zip(shown, trained, strict=True):
        assert one.indices == other.indices
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets.boxes, other.targets.boxes)
        assert torch.equal(one.targets.labels, other.targets.labels)
        assert torch.equal(one.targets.ignored, other.targets.ignored)


def test_another_epoch_is_the_one_that_a_training_has_later(shapes: Path, tmp_path: Path) -> None:
    # 8 images in batches of 3: epoch 1 begins with the fourth batch
    from_start = batches_of(config_for(shapes, tmp_path, batches=5))
    later = batches_of(config_for(shapes, tmp_path, batches=2, epoch=1))
    for one, other in zip(from_start[3:], later, strict=True):
        assert one.indices == other.indices
        assert torch.equal(one.images, other.images)


def test_the_same_seed_gives_the_same_pictures_and_another_one_others(shapes: Path, tmp_path: Path) -> None:
    folders = [preview(config_for(shapes, tmp_path, seed=seed)) for seed in (3, 3, 4)]
    names = ["batch-000.jpg", "batch-001.jpg", "preview.json"]
    contents = [[(folder / name).read_bytes() for name in names] for folder in folders]
    assert [path.name for path in sorted(folders[0].iterdir())] == names
    assert contents[0] == contents[1]
    assert all(one != other for one, other in zip(contents[0], contents[2], strict=True))


def test_what_is_written_is_what_is_on_the_batches(shapes: Path, tmp_path: Path) -> None:
    config = config_for(shapes, tmp_path)
    entries = json.loads((preview(config) / "preview.json").read_text())
    split = read_split(find_dataset(shapes), "train")
    for entry, batch in zip(entries, batches_of(config), strict=True):
        assert [image["image_id"] for image in entry["images"]] == [split.images.image_ids[k] for k in batch.indices]
        objects = [one for image in entry["images"] for one in image["objects"]]
        assert [one["class"] for one in objects] == [split.class_names[k] for k in batch.targets.labels.tolist()]
        assert np.allclose([one["box"] for one in objects], batch.targets.boxes.numpy(), atol=0.006)
        assert [one["ignored"] for one in objects] == batch.targets.ignored.tolist()
        assert entry["skipped"] == []


def test_images_that_cannot_be_read_are_named_and_left_out(tmp_path: Path) -> None:
    descriptor = draw_shapes(tmp_path / "data", num_train=4)
    broken = tmp_path / "data" / "images" / "train"
    for name in ("0.jpg", "1.jpg", "2.jpg", "3.jpg"):
        image = read_image(broken / name.replace("jpg", "png"))
        write_image(broken / name, image)
        (broken / name.replace("jpg", "png")).unlink()
    for name in ("0.jpg", "2.jpg", "3.jpg"):
        break_image(broken / name)
    stream = io.StringIO()
    config = config_for(descriptor, tmp_path, batch_size=1, batches=4, augment=AugmentConfig(mosaic=0))
    folder = preview(config, Console(file=stream, width=200))
    entries = json.loads((folder / "preview.json").read_text())
    assert sum(entry["file"] is None for entry in entries) == 3
    assert len(list(folder.glob("*.jpg"))) == 1
    assert stream.getvalue().count("warning: left out of batch-") == 3
    assert "1 images in 4 batches" in stream.getvalue()


def test_what_is_odd_about_an_image_is_said(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_for(shapes, tmp_path)
    batch = replace(batches_of(config)[0], notes=(ImageNote("7.png", "is half as large as it was"),))
    monkeypatch.setattr(preview_module, "preview_batches", lambda config, images: [batch])
    stream = io.StringIO()
    preview(config, Console(file=stream, width=200))
    assert "batch-000.jpg: 7.png: is half as large as it was" in stream.getvalue().splitlines()


def test_strict_refuses_faulty_boxes_and_leaves_no_folder(tmp_path: Path) -> None:
    descriptor = draw_shapes(tmp_path / "data", num_train=2)
    (tmp_path / "data" / "labels" / "train" / "0.txt").write_text("0 0.9 0.5 0.5 0.5\n0 0.5 0.5 0.1 0.1\n")
    preview(config_for(descriptor, tmp_path / "runs"))
    with pytest.raises(DataError, match="strict"):
        preview(config_for(descriptor, tmp_path / "strict", box_policy="strict"))
    assert not (tmp_path / "strict").exists()


def test_darknet_s_augmentation_wants_stretched_images() -> None:
    with pytest.raises(ConfigError, match="stretch_corners"):
        DataPreviewConfig(data="x", augment=DARKNET)
