"""`gridyolo data preview`: batches drawn as the network will see them in training.

The batches come from the very objects that a training uses, for the same seed and epoch, so that what is wrong with
boxes, augmentation or class names shows before anything is trained. Mosaic is on, as before the end of a training
(augment.close_mosaic). The run folder holds batch-000.jpg, batch-001.jpg, ... and preview.json: what is on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from yolo.config import DataPreviewConfig
from yolo.console import say, warn
from yolo.data.dataset import DetectionDataset
from yolo.data.loader import TrainBatches, make_loader
from yolo.data.read import find_dataset, read_split
from yolo.errors import printable
from yolo.files import new_folder, write_json
from yolo.formats.objects import AnnotatedImages
from yolo.images import write_image
from yolo.media.drawing import batch_sheet
from yolo.structures import Batch
from yolo.transforms.augment import make_transform


def preview(config: DataPreviewConfig, console: Console | None = None) -> Path:
    """Draw batches and return the run folder; see `DataPreviewConfig`.

    Raises:
        DataError: a dataset that cannot be used.
    """
    console = console or Console(quiet=True)
    descriptor = find_dataset(Path(config.data))
    split = read_split(descriptor, config.split, box_policy=config.box_policy)
    say(console, *descriptor.notes, *split.report.summary_lines())
    batches = preview_batches(config, split.images)
    folder = new_folder(Path(config.runs), config.name)
    entries = []
    for number, batch in enumerate(batches):
        name = f"batch-{number:03}.jpg"
        warn(console, *(f"left out of {name}: {skipped.reason}" for skipped in batch.skipped))
        for note in batch.notes:
            say(console, f"{name}: {printable(note.path)}: {note.text}")
        captions = [Path(split.images.paths[index]).name for index in batch.indices]
        if len(batch):
            write_image(folder / name, batch_sheet(batch, captions, split.class_names))
        entries.append(_entry(name, batch, split.images, split.class_names))
    write_json(folder / "preview.json", entries)
    count = sum(len(entry["images"]) for entry in entries)
    say(console, f"{count} images in {len(entries)} batches; grey boxes (names in brackets) are ignored")
    return folder


def preview_batches(config: DataPreviewConfig, images: AnnotatedImages) -> Iterator[Batch]:
    """The batches that a training with these options has from the start of the epoch on."""
    input_hw = (config.input_size, config.input_size)
    transform, resize = make_transform(config.augment, input_hw, config.resize)
    dataset = DetectionDataset(
        images,
        input_hw=input_hw,
        resize=resize,
        bit_depth=config.bit_depth,
        augment=transform,
        seed=config.seed,
    )
    batches = TrainBatches(
        len(images),
        config.batch_size,
        seed=config.seed,
        start=(config.epoch, 0),
        with_mosaic=lambda epoch: True,
    )
    return islice(make_loader(dataset, batches, workers=0), config.batches)


def _entry(name: str, batch: Batch, images: AnnotatedImages, class_names: tuple[str, ...]) -> dict[str, Any]:
    """What is on a sheet, for programs: boxes are xyxy in pixels of the input."""
    entries = []
    for place, index in enumerate(batch.indices):
        targets = batch.targets.of_images(place, place + 1)
        objects = [
            {"class": class_names[label], "box": [round(value, 2) for value in box], "ignored": ignored}
            for label, box, ignored in zip(
                targets.labels.tolist(), targets.boxes.tolist(), targets.ignored.tolist(), strict=True
            )
        ]
        entries.append({"image_id": printable(images.image_ids[index]), "objects": objects})
    return {
        "file": name if entries else None,
        "images": entries,
        "skipped": [printable(one.path) for one in batch.skipped],
    }
