"""The data of a training: its splits as they were read, and its augmented samples."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rich.console import Console

from yolo.config import AugmentConfig, TrainConfig
from yolo.data.annotations import AnnotatedImages
from yolo.data.dataset import DetectionDataset
from yolo.data.descriptor import Split, find_dataset, read_split
from yolo.engine.console import say
from yolo.engine.image_caches import open_cache
from yolo.errors import DataError
from yolo.geometry import ResizeMode
from yolo.transforms.darknet_augment import DarknetAugment
from yolo.transforms.presets import TrainTransform


def read_splits(config: TrainConfig, console: Console) -> dict[str, Split]:
    """Read train and val, and say what was found and what was left out.

    Raises:
        DataError: a split cannot be read, or there is nothing to learn.
    """
    descriptor = find_dataset(Path(config.data))
    train = read_split(descriptor, "train", box_policy=config.box_policy)
    val = read_split(descriptor, "val", class_names=train.class_names, box_policy=config.box_policy)
    say(console, *descriptor.notes, *train.account.summary_lines(), *val.account.summary_lines())
    if not len(train.images.objects):
        raise DataError(f"{config.data}: no image of train has an object: there is nothing to learn")
    return {"train": train, "val": val}


def make_augment(augment: AugmentConfig, input_hw: tuple[int, int]) -> TrainTransform | DarknetAugment:
    """The augmentation of a configuration."""
    if augment.style == "modern":
        return TrainTransform(augment, input_hw)
    return DarknetAugment(
        input_hw,
        augment.jitter,
        hue=augment.hue,
        saturation=1 + augment.saturation,
        exposure=1 + augment.value,
        flip=augment.flip_horizontal,
    )


def make_train_dataset(
    images: AnnotatedImages,
    *,
    input_hw: tuple[int, int],
    resize: ResizeMode,
    augment: AugmentConfig,
    seed: int,
    caching: TrainConfig | None = None,
) -> DetectionDataset:
    """The augmented samples of a training; `gridyolo data preview` shows what this makes.

    Args:
        images: of the split.
        input_hw: height and width of the network's input.
        resize: how images are placed on it.
        augment: the augmentation.
        seed: of the run.
        caching: the configuration that says how placed images are kept; None to keep none.
    """
    transform = make_augment(augment, input_hw)
    # modern augmentation resamples bytes; the difference to darknet's stretch is lost in it
    resize = "stretch" if resize == "stretch_corners" else resize
    cache = None
    if caching is not None and not transform.wants_original:  # only placed images are kept
        cache = open_cache(caching, len(images), input_hw=input_hw, resize=resize, for_training=True)
    return DetectionDataset(images, input_hw=input_hw, resize=resize, augment=transform, seed=seed, cache=cache)


def fingerprint(split: Split) -> str:
    """SHA-256 over ids, sizes and annotations of a split: the same data has the same fingerprint."""
    digest = hashlib.sha256()
    for image in split.images:
        digest.update(f"{image.image_id} {image.size_hw}".encode())
        truth = image.ground_truth
        for values in (truth.boxes, truth.labels, truth.difficult, truth.iscrowd):
            digest.update(values.tobytes())
    return digest.hexdigest()
