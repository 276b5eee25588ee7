"""The configurations of `gridyolo data ...`: the commands that check, describe, convert and make datasets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from yolo.config import options
from yolo.config.options import (
    LARGEST_BATCH,
    LARGEST_SIDE,
    MOST_WORKERS,
    check_bit_depth,
    check_run_name,
    require,
    require_at_least,
    require_at_most,
)
from yolo.config.parts import AugmentConfig

# Images of a synthetic dataset.
_MOST_DRAWN = 10_000_000


@dataclass(frozen=True, kw_only=True)
class DataCheckConfig:
    """Find everything that is wrong in a dataset; the exit code is 3 if there are errors.

    Attributes:
        split: The part to check; by default all.
        fix_into: New folder for a repaired copy: images upright, unreadable images left out, boxes fixed. By
            default none is made.
        format: Format of the repaired copy; by default that of the dataset.
        bit_depth: Bits that the samples of 16-bit images use, 8 to 16, as in training; the repaired copy has 8.
        near_duplicates: How many of the 64 bits of two image fingerprints may differ in near duplicates; -1 turns the
            search off.
        max_pictures: Maximum number of images drawn on the page.
    """

    data: options.Data = ""
    split: str = ""
    fix_into: str = ""
    format: options.DatasetFormat | None = None
    bit_depth: int = 16
    near_duplicates: int = 6
    max_pictures: int = 200
    workers: options.Workers = None
    runs: options.Runs = "runs"
    name: options.RunName = "check"

    def __post_init__(self) -> None:
        _require_data(self.data)
        check_bit_depth(self.bit_depth)
        require(-1 <= self.near_duplicates <= 16, f"near_duplicates must be in -1..16, got {self.near_duplicates}")
        require_at_least(self, max_pictures=0, workers=0)
        require_at_most(self, workers=MOST_WORKERS)
        require(self.format is None or bool(self.fix_into), "--format is that of a repaired copy: add --fix-into DIR")
        check_run_name(self.name)


@dataclass(frozen=True, kw_only=True)
class DataStatsConfig:
    """Describe a dataset in numbers and plots, and recommend grid size, boxes per cell and input size.

    Attributes:
        split: The part to describe.
        input_size: Recommend a grid for this side of the network's input in pixels; by default the side is recommended
            too.
    """

    data: options.Data = ""
    split: str = "train"
    input_size: int | None = None
    resize: options.Resize = "letterbox"
    box_policy: options.BoxPolicy = "fix"
    runs: options.Runs = "runs"
    name: options.RunName = "stats"

    def __post_init__(self) -> None:
        _require_data(self.data)
        size = self.input_size
        require(
            size is None or (size >= 32 and size % 32 == 0),
            f"input_size must be a multiple of 32, so that grids of several strides fit, got {size}",
        )
        require_at_most(self, input_size=LARGEST_SIDE)
        check_run_name(self.name)


@dataclass(frozen=True, kw_only=True)
class DataConvertConfig:
    """Write a dataset in another format; the original is not changed.

    Attributes:
        output: New folder for the result. Required.
        format: Format to write: voc, coco, yolo or csv.
        split: The part to write; by default all.
        images: Copy the image files (copy), link them symbolically (link), or write annotations only (none).
        classes: Keep only these classes, separated by commas, in this order; by default all.
    """

    data: options.Data = ""
    output: str = ""
    format: options.DatasetFormat = "yolo"
    split: str = ""
    images: Literal["copy", "link", "none"] = "copy"
    classes: str = ""
    box_policy: options.BoxPolicy = "fix"

    def __post_init__(self) -> None:
        _require_data(self.data)
        _require_output(self.output)


@dataclass(frozen=True, kw_only=True)
class DataSplitConfig:
    """Divide a dataset into train, val and test by lists of images; no file is moved, and a test split stays as it is.

    Attributes:
        output: New folder for the lists and their dataset.yaml. Required.
        val: Share of the images for validation, of those that are divided.
        test: Share of the images for the test, where the dataset has no test split or --resplit is given.
        resplit: Divide the images of the dataset's own test split, too.
        by: Draw images at random (random), with equal shares of each class (stratified), or whole groups (group).
        group: What the images of a group have in common: their folder, the prefix of their name (all but the number at
            its end), or what a regex finds.
        pattern: For --group regex, where it is required: a regular expression that is searched in the path below the
            dataset. Its first capturing group, or all of the match, names the group of images.
        seed: Seed of the draw; the same seed gives the same lists.
    """

    data: options.Data = ""
    output: str = ""
    val: float = 0.2
    test: float = 0.0
    resplit: bool = False
    by: Literal["random", "stratified", "group"] = "random"
    group: Literal["folder", "prefix", "regex"] = "prefix"
    pattern: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        _require_data(self.data)
        _require_output(self.output)
        for name in ("val", "test"):
            require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), got {getattr(self, name)}")
        both = self.val + self.test
        require(0 < both < 1, f"val and test together must be more than 0 and leave something to train on, got {both}")
        require_at_least(self, seed=0)
        grouped = self.by == "group"
        require(grouped or self.group == "prefix", f"--group {self.group} says what a group is: add --by group")
        regex = grouped and self.group == "regex"
        require(regex or not self.pattern, "--pattern is for --by group --group regex: add these, or leave it out")
        require(
            not regex or bool(self.pattern), "--group regex needs --pattern REGEX, such as --pattern 'patient(\\d+)'"
        )


@dataclass(frozen=True, kw_only=True)
class DataSynthConfig:
    """Draw a synthetic dataset with exact boxes; the same seed gives the same files.

    Attributes:
        output: New folder for the dataset. Required.
        train: Number of training images.
        val: Number of validation images.
        test: Number of test images.
        width: Width of the images in pixels.
        height: Height of the images in pixels.
        classes: Classes of objects to draw, separated by commas; by default all.
        difficulty: easy, normal or hard: size, number, occlusion and noise of the objects.
        format: Format to write: voc, coco, yolo or csv.
        seed: Seed of all draws.
    """

    output: str = ""
    train: int = 400
    val: int = 50
    test: int = 0
    width: int = 320
    height: int = 320
    classes: str = ""
    difficulty: Literal["easy", "normal", "hard"] = "normal"
    format: options.DatasetFormat = "yolo"
    seed: int = 0

    def __post_init__(self) -> None:
        _require_output(self.output)
        require_at_least(self, train=1, val=1, test=0, seed=0)
        require_at_most(self, train=_MOST_DRAWN, val=_MOST_DRAWN, test=_MOST_DRAWN)
        require_at_most(self, width=LARGEST_SIDE, height=LARGEST_SIDE)


@dataclass(frozen=True, kw_only=True)
class DataDownloadConfig:
    """Fetch a public dataset, verify its checksums and unpack it. No other command downloads a dataset.

    Attributes:
        dataset: voc2007, voc2012, voc (both), coco2017, coco2017-val, or another name in the manifest.
            Required.
        output: Folder to unpack into; archives are kept in its subfolder `downloads` while they are needed.
        manifest: YAML file of addresses, sizes and SHA-256 checksums; by default the one that is shipped.
        keep_archives: Keep the downloaded archives after unpacking.
    """

    dataset: str = ""
    output: str = "data"
    manifest: str = ""
    keep_archives: bool = False

    def __post_init__(self) -> None:
        require(bool(self.dataset), "--dataset is required: voc2007, voc2012, voc, coco2017, coco2017-val")
        require(bool(self.output), "--output must be a folder")


@dataclass(frozen=True, kw_only=True)
class DataPreviewConfig:
    """Draw training batches as the network will see them, with augmentation and boxes.

    Attributes:
        split: The part to draw from.
        batches: Number of batches to draw.
        batch_size: Images per batch.
        input_size: Side of the network's input in pixels.
        epoch: The epoch to show; each has its own draws.
        seed: Seed of the draws, as in training.
        bit_depth: Bits that the samples of 16-bit images use, 8 to 16, as in training.
        augment: The augmentation.
    """

    data: options.Data = ""
    split: str = "train"
    batches: int = 3
    batch_size: int = 16
    input_size: int = 320
    resize: options.Resize = "letterbox"
    epoch: int = 0
    seed: int = 0
    bit_depth: int = 16
    box_policy: options.BoxPolicy = "fix"
    runs: options.Runs = "runs"
    name: options.RunName = "preview"
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        _require_data(self.data)
        require_at_least(self, batches=1, batch_size=1, input_size=32, epoch=0, seed=0)
        require_at_most(self, batch_size=LARGEST_BATCH, input_size=LARGEST_SIDE)
        require(
            self.augment.style == "modern" or self.resize != "letterbox",
            "augment.style=darknet stretches images: set resize=stretch_corners, too, as in training",
        )
        check_bit_depth(self.bit_depth)
        check_run_name(self.name)


def _require_data(data: str) -> None:
    require(bool(data), "--data is required: a dataset YAML or folder")


def _require_output(output: str) -> None:
    require(bool(output), "--output is required: a new folder")
