"""The data of a training: its two splits as they were read, its augmented batches, and its validation batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from yolo.config import TrainConfig, ValConfig
from yolo.console import say, warn
from yolo.data.cache import DiskCache, ImageCache, MemoryCache, default_cache_dir
from yolo.data.dataset import DetectionDataset
from yolo.data.depth import depth_notes
from yolo.data.loader import TrainBatches, make_loader
from yolo.data.read import Split, find_dataset, read_split
from yolo.engine.evaluation_display import warn_where_nothing_to_find
from yolo.engine.validate import evaluation_loader, workers_of
from yolo.errors import DataError
from yolo.files import expand_home
from yolo.geometry import ResizeMode
from yolo.images import write_image
from yolo.media.drawing import batch_sheet
from yolo.structures import Batch
from yolo.transforms.augment import make_transform

_DRAWN_IMAGES = 16  # of a batch, at most


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The data of a training."""

    config: TrainConfig
    train: Split  # what is trained on
    val: Split  # what is validated on
    # images of `train` that were skipped, by path with the reason, and what was odd about others; both grow
    unreadable: dict[str, str] = field(default_factory=dict)
    noted: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, config: TrainConfig, console: Console) -> TrainingData:
        """Read both splits, and print what was found and what was left out.

        Raises:
            DataError: a split cannot be read, or there is nothing to learn.
        """
        dataset = find_dataset(Path(config.data))
        train = read_split(dataset, "train", box_policy=config.box_policy)
        val = read_split(dataset, "val", class_names=train.class_names, box_policy=config.box_policy)
        said = {f"  note: {note}" for note in train.report.notes}  # those of the dataset are in both reports
        say(console, *train.report.short_lines())
        say(console, *(line for line in val.report.short_lines() if line not in said))
        warn_where_nothing_to_find(val, config.data, console)
        paths = [*train.images.paths, *val.images.paths]
        warn(console, *depth_notes(paths, config.bit_depth))
        if not len(train.images.objects):
            raise DataError(f"{config.data}: no image of train has an object: there is nothing to learn")
        return cls(config=config, train=train, val=val)

    @cached_property
    def sha256(self) -> str:
        """Over ids, sizes and annotations of `train`: the same data has the same fingerprint."""
        digest = hashlib.sha256()
        for image in self.train.images:
            digest.update(f"{image.image_id} {image.size_hw}".encode())
            truth = image.ground_truth
            for values in (truth.boxes, truth.labels, truth.difficult, truth.iscrowd):
                digest.update(values.tobytes())
        return digest.hexdigest()

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.train.images) // self.config.batch_size)

    def train_batches(
        self,
        input_hw: tuple[int, int],
        device_type: str,
        *,
        start: tuple[int, int],
        with_mosaic: Callable[[int], bool],
    ) -> Iterable[Batch]:
        """Augmented batches without end, from the epoch and the step in it that `start` names.

        `with_mosaic` says whether an epoch mixes images; it is asked for every batch, when it is prepared.
        """
        config = self.config
        transform, resize = make_transform(config.augment, input_hw, config.model.resize)
        cache = None
        if not transform.wants_original:  # only placed images are kept
            cache = open_cache(config, len(self.train.images), input_hw=input_hw, resize=resize, for_training=True)
        dataset = DetectionDataset(
            self.train.images,
            input_hw=input_hw,
            resize=resize,
            bit_depth=config.bit_depth,
            augment=transform,
            seed=config.seed,
            cache=cache,
        )
        batches = TrainBatches(
            len(self.train.images),
            config.batch_size,
            seed=config.seed,
            start=start,
            with_mosaic=with_mosaic,
            replacement=config.sampling == "replacement",
        )
        return make_loader(dataset, batches, workers=workers_of(config, device_type), pin_memory=device_type == "cuda")

    def val_batches(self, input_hw: tuple[int, int], device_type: str) -> Iterable[Batch]:
        """Every image of `val`, in order; arguments as of `train_batches`."""
        config, resize = self.config, self.config.model.resize
        return evaluation_loader(
            self.val,
            input_hw=input_hw,
            resize=resize,
            bit_depth=config.bit_depth,
            # that of `gridyolo val`: another one may round sums in another order, and move the mAP in its last digits
            batch_size=ValConfig.batch_size,
            workers=workers_of(config, device_type),
            cache=open_cache(config, len(self.val.images), input_hw=input_hw, resize=resize, for_training=False),
        )

    def draw_batch(self, path: Path, batch: Batch) -> None:
        """Write the first images of a batch of `train`, which is on the CPU, with what they are trained on."""
        captions = [Path(self.train.images.paths[index]).name for index in batch.indices[:_DRAWN_IMAGES]]
        if captions:
            write_image(path, batch_sheet(batch, captions, self.train.class_names))

    def to_dict(self) -> dict[str, Any]:
        """The content of data.json."""
        return {
            "train": self.train.report.to_dict(),
            "val": self.val.report.to_dict(),
            "unreadable": [{"path": path, "reason": reason} for path, reason in self.unreadable.items()],
            "noted": [{"path": path, "text": text} for path, text in self.noted.items()],
        }


def open_cache(
    config: TrainConfig, num_images: int, *, input_hw: tuple[int, int], resize: ResizeMode, for_training: bool
) -> ImageCache | None:
    """A cache of the placed images of a split; None where there is to be none.

    Images to train on may fill three quarters of the memory, those to validate on one. On disk they share a folder,
    in which those to train on are apart, because they are not decoded in full.
    """
    # a cache holds bytes, and this resize makes floats
    if config.cache == "none" or resize == "stretch_corners":
        return None
    if config.cache == "disk":
        folder = expand_home(config.cache_dir) if config.cache_dir else default_cache_dir()
        return DiskCache(folder, input_hw, resize, may_reduce=for_training, limit_mb=config.cache_mb)
    return MemoryCache(num_images, input_hw, limit_mb=config.cache_mb * (3 if for_training else 1) // 4)
