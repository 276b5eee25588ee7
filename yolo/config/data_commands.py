"""The configurations of `gridyolo data ...`: the commands that look at datasets, and make them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from yolo.config.parts import AugmentConfig, require

BoxPolicy = Literal["fix", "drop", "strict"]
DatasetFormat = Literal["voc", "coco", "yolo", "csv"]


@dataclass(frozen=True, kw_only=True)
class DataCheckConfig:
    """Look for everything that is wrong in a dataset; exit code 3 if there are errors.

    Attributes:
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO, YOLO or CSV layout.
        split: Which part of it; default: all.
        fix_into: New folder for a repaired copy: images upright, without the ones that cannot be read, boxes mended.
        format: Of the repaired copy; default: that of the dataset.
        near_duplicates: Bits of 64 in which the fingerprints of nearly equal images may differ; -1 not to look.
        max_pictures: Images drawn on the page, at most.
        workers: Processes that read images; default: one per core.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    data: str = ""
    split: str = ""
    fix_into: str = ""
    format: DatasetFormat | None = None
    near_duplicates: int = 6
    max_pictures: int = 200
    workers: int | None = None
    runs: str = "runs"
    name: str = "check"

    def __post_init__(self) -> None:
        _require_data(self.data)
        require(-1 <= self.near_duplicates <= 16, f"near_duplicates must be in -1..16, got {self.near_duplicates}")
        require(self.max_pictures >= 0, f"max_pictures must not be negative, got {self.max_pictures}")
        require(self.workers is None or self.workers >= 0, f"workers must not be negative, got {self.workers}")
        require(self.format is None or bool(self.fix_into), "--format is that of a repaired copy: add --fix-into DIR")


@dataclass(frozen=True, kw_only=True)
class DataStatsConfig:
    """Describe a dataset in numbers and plots, and recommend grid, boxes per cell and input size.

    Attributes:
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO, YOLO or CSV layout.
        split: Which part of it.
        input_size: Recommend a grid for this side of the network's input in pixels; default: recommend the side, too.
        resize: How images reach the input: letterbox, stretch or stretch_corners.
        box_policy: What happens to faulty boxes: fix what can be, drop them, or strict: stop.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
    """

    data: str = ""
    split: str = "train"
    input_size: int | None = None
    resize: Literal["letterbox", "stretch", "stretch_corners"] = "letterbox"
    box_policy: BoxPolicy = "fix"
    runs: str = "runs"
    name: str = "stats"

    def __post_init__(self) -> None:
        _require_data(self.data)
        size = self.input_size
        require(
            size is None or (size >= 32 and size % 32 == 0),
            f"input_size must be a multiple of 32, so that grids of several strides fit, got {size}",
        )


@dataclass(frozen=True, kw_only=True)
class DataConvertConfig:
    """Write a dataset in another format; the original stays as it is.

    Attributes:
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO, YOLO or CSV layout.
        output: New folder for the result.
        format: voc, coco, yolo or csv.
        split: Which part of it; default: all.
        images: copy the image files, link them (symbolic links), or none: annotations alone.
        classes: Keep these classes only, separated by commas, in this order.
        box_policy: What happens to faulty boxes: fix what can be, drop them, or strict: stop.
    """

    data: str = ""
    output: str = ""
    format: DatasetFormat = "yolo"
    split: str = ""
    images: Literal["copy", "link", "none"] = "copy"
    classes: str = ""
    box_policy: BoxPolicy = "fix"

    def __post_init__(self) -> None:
        _require_data(self.data)
        require(bool(self.output), "--output is required: a new folder")


@dataclass(frozen=True, kw_only=True)
class DataSplitConfig:
    """Divide a dataset into train, val and test by lists; nothing is moved.

    Attributes:
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO, YOLO or CSV layout.
        output: New folder for the lists and their dataset.yaml.
        val: Share of the images for validation.
        test: Share of the images for the test.
        by: random, stratified (classes in equal shares), or group (images of a group stay together).
        group: What makes a group: the folder of an image, the prefix of its name (all but the number at its end), or a
            regex.
        pattern: Of group=regex: a regular expression searched in the path below the dataset; its first bracket, or all
            of the match, is the group.
        seed: Of the draw; the same one gives the same lists.
    """

    data: str = ""
    output: str = ""
    val: float = 0.2
    test: float = 0.0
    by: Literal["random", "stratified", "group"] = "random"
    group: Literal["folder", "prefix", "regex"] = "prefix"
    pattern: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        _require_data(self.data)
        require(bool(self.output), "--output is required: a new folder")
        for name in ("val", "test"):
            require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), got {getattr(self, name)}")
        both = self.val + self.test
        require(0 < both < 1, f"val and test together must be more than 0 and leave something to train on, got {both}")
        require(self.seed >= 0, f"seed must not be negative, got {self.seed}")
        require(self.by == "group" or self.group == "prefix", "--group belongs to --by group")
        regex = self.by == "group" and self.group == "regex"
        require(regex == bool(self.pattern), "--pattern belongs to --by group --group regex, and is required there")


@dataclass(frozen=True, kw_only=True)
class DataSynthConfig:
    """Draw a synthetic dataset with exact boxes; the same seed gives the same bytes.

    Attributes:
        output: New folder.
        train: Images to train on.
        val: Images to validate on.
        test: Images for the test.
        width: Of the images in pixels.
        height: Of the images in pixels.
        classes: Which things are drawn, separated by commas; default: all.
        difficulty: easy, normal or hard: how small, how many, how much hidden, how noisy.
        format: voc, coco, yolo or csv.
        seed: Of everything.
    """

    output: str = ""
    train: int = 400
    val: int = 50
    test: int = 0
    width: int = 320
    height: int = 320
    classes: str = ""
    difficulty: Literal["easy", "normal", "hard"] = "normal"
    format: DatasetFormat = "yolo"
    seed: int = 0

    def __post_init__(self) -> None:
        require(bool(self.output), "--output is required: a new folder")
        for name in ("train", "val"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("test", "seed"):
            require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class DataDownloadConfig:
    """Fetch a public dataset, check it against known sums, unpack it. Nothing else uses the network.

    Attributes:
        dataset: voc2007, voc2012, voc (both), coco2017, coco2017-val, or another name in the manifest.
        output: Folder to unpack into; archives are kept in its folder downloads while they are needed.
        manifest: YAML file of addresses, sizes and SHA-256 sums; default: the one that is shipped.
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
    """Draw batches as the network will see them in training, augmentation and boxes included.

    Attributes:
        data: Dataset: a YAML file or a folder in Pascal VOC, COCO, YOLO or CSV layout.
        split: Which part of it.
        batches: How many batches to draw.
        batch_size: Images per batch.
        input_size: Side of the network's input in pixels.
        resize: How images reach the input: letterbox, stretch or stretch_corners.
        epoch: Which epoch to show; each has its own draws.
        seed: Of the draws, as in training.
        box_policy: What happens to faulty boxes: fix what can be, drop them, or strict: stop.
        runs: Folder for run folders.
        name: Name of the run folder; an existing one is never overwritten.
        augment: The augmentation.
    """

    data: str = ""
    split: str = "train"
    batches: int = 3
    batch_size: int = 16
    input_size: int = 320
    resize: Literal["letterbox", "stretch", "stretch_corners"] = "letterbox"
    epoch: int = 0
    seed: int = 0
    box_policy: BoxPolicy = "fix"
    runs: str = "runs"
    name: str = "preview"
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        _require_data(self.data)
        for name in ("batches", "batch_size"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        require(self.input_size >= 32, f"input_size must be at least 32, got {self.input_size}")
        for name in ("epoch", "seed"):
            require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")
        require(
            self.augment.style == "modern" or self.resize != "letterbox",
            "augment.style=darknet stretches images: set resize=stretch_corners, too, as in training",
        )


def _require_data(data: str) -> None:
    require(bool(data), "--data is required: a dataset YAML or folder")
