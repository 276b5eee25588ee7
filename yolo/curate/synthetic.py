"""`gridyolo data synth`: a drawn dataset that needs no download, of toys, leaves and donuts with exact boxes.

`make_synthetic_dataset` writes it, `draw_scene` draws one image; the same seed gives the same bytes. A difficulty says
how many things there are, how small, how much is hidden, and how bad the photograph is. Left out: how things and
backgrounds look (synthetic_objects.py, synthetic_backgrounds.py).
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

import cv2
import numpy as np
import yaml
from rich.console import Console

from yolo.arrays import Bool, Float32, Float64, Int64, UInt8
from yolo.config import DatasetFormat, DataSynthConfig
from yolo.console import say
from yolo.curate.synthetic_backgrounds import draw_background, smooth_noise
from yolo.curate.synthetic_objects import CLASS_NAMES, Patch, draw_clutter, draw_object
from yolo.curate.write import write_dataset
from yolo.data.read import Split, find_dataset, read_split
from yolo.errors import PERCENT, DataError
from yolo.files import atomic_folder, require_free
from yolo.formats.issues import ReadReport
from yolo.formats.objects import AnnotatedImages
from yolo.randomness import sample_generator
from yolo.structures import AnnotatedImage, GroundTruth

Difficulty = Literal["easy", "normal", "hard"]


class Look(NamedTuple):
    """The numbers behind a difficulty; pairs are the least and the most.

    `min_apart` is between the centres of two boxes, in shorter sides of the image: a grid cell holds few objects, and a
    cell with two at the same place cannot learn both. Shares are of all images.
    """

    background_share: float  # without any object
    objects: tuple[int, int]  # on an image, if there is room for them
    clutter: tuple[int, int]  # things without a label
    sizes: tuple[
        float, float
    ]  # side of an object's patch, in shorter sides of the image; the object is 0.67..0.95 of it
    min_visible: float  # share of an object's silhouette; with less to be seen it is laid elsewhere
    min_apart: float
    exposure: tuple[float, float]  # brightness of the photograph; 1 is right
    blurred_share: float
    blur: tuple[float, float]  # standard deviation, in pixels of an image whose shorter side is 320
    noisy_share: float
    noise: float  # the largest standard deviation, in grey values


LOOKS: Mapping[Difficulty, Look] = MappingProxyType(
    {
        "easy": Look(
            background_share=0.02,
            objects=(1, 3),
            clutter=(0, 1),
            sizes=(0.38, 0.6),
            min_visible=0.9,
            min_apart=0.2,
            exposure=(0.9, 1.08),
            blurred_share=0.0,
            blur=(0.4, 0.4),
            noisy_share=0.3,
            noise=3.0,
        ),
        "normal": Look(
            background_share=0.05,
            objects=(2, 7),
            clutter=(0, 4),
            sizes=(0.26, 0.56),
            min_visible=0.5,
            min_apart=0.1,
            exposure=(0.7, 1.12),
            blurred_share=0.3,
            blur=(0.4, 1.1),
            noisy_share=0.6,
            noise=7.0,
        ),
        "hard": Look(
            background_share=0.08,
            objects=(4, 16),
            clutter=(3, 10),
            sizes=(0.09, 0.45),
            min_visible=0.35,
            min_apart=0.05,
            exposure=(0.35, 1.25),
            blurred_share=0.5,
            blur=(0.5, 1.7),
            noisy_share=0.8,
            noise=20.0,
        ),
    }
)


_ATTEMPTS = 12
_JPEG_QUALITY = 90
_MIN_SIDE = 48  # of an image: below it the smallest objects are a few pixels large


class Scene(NamedTuple):
    """One image and its n objects, the lowest of a pile first."""

    image: UInt8  # (H, W, 3) RGB
    labels: Int64  # (n,) places among the classes that were asked for
    boxes: Float32  # (n, 4) xyxy pixels, tight around `masks`
    masks: Bool  # (n, H, W) the whole silhouette within the image, also where something covers it


def make_synthetic_dataset(
    folder: Path,
    *,
    num_train: int,
    num_val: int,
    size_hw: tuple[int, int],
    seed: int,
    num_test: int = 0,
    classes: Sequence[str] = CLASS_NAMES,
    difficulty: Difficulty = "normal",
    format: DatasetFormat = "yolo",  # noqa: A002  (the word of the command line)
) -> Path:
    """Write a dataset into a new folder, with `dataset.yaml`; as YOLO also `images/` and `labels/` of each split.

    Args:
        folder: does not exist yet, or is empty; nothing is left there if anything fails.
        num_train: images to train on, >= 1.
        num_val: held-out images, >= 1.
        size_hw: height and width of the images in pixels, >= 48 each.
        seed: >= 0; the same one gives the same files, byte for byte.
        num_test: further held-out images, >= 0.
        classes: which of `CLASS_NAMES` are drawn, in the order of their labels.
        difficulty: `easy`, `normal` or `hard`; see `LOOKS`.
        format: `yolo`, `voc`, `coco` or `csv`. In the last three the names of images begin with their split.

    Returns:
        The path of `dataset.yaml`.

    Raises:
        DataError: the folder holds something, a number is out of range, or there is no such class.
    """
    counts = {"train": num_train, "val": num_val, "test": num_test}
    _check(counts, size_hw, seed, classes)
    require_free(folder)

    def draw(split: str) -> Iterator[Scene]:
        for index in range(counts[split]):
            generator = sample_generator(seed, list(counts).index(split), index)
            yield draw_scene(size_hw, generator, classes=classes, difficulty=difficulty)

    wanted = [name for name, count in counts.items() if count]
    if format == "yolo":
        with atomic_folder(folder) as building:
            for name in wanted:
                _write_yolo(building, name, draw(name))
            content = {"path": ".", **{name: f"images/{name}" for name in wanted}, "names": dict(enumerate(classes))}
            text = yaml.safe_dump(content, sort_keys=False)
            (building / "dataset.yaml").write_text(text, encoding="utf-8", errors=PERCENT, newline="\n")
        return folder / "dataset.yaml"
    with tempfile.TemporaryDirectory() as temporary:
        drawn = {name: _as_split(Path(temporary), name, draw(name), classes) for name in wanted}
        return write_dataset(drawn, folder, format=format).yaml


def _check(counts: Mapping[str, int], size_hw: tuple[int, int], seed: int, classes: Sequence[str]) -> None:
    if min(counts["train"], counts["val"]) < 1 or counts["test"] < 0:
        numbers = ", ".join(f"{count} for {name}" for name, count in counts.items())
        raise DataError(f"a dataset needs at least 1 image for train and 1 for val, not {numbers}")
    if min(size_hw) < _MIN_SIDE:
        raise DataError(f"images of {size_hw[0]}x{size_hw[1]} pixels are too small; at least {_MIN_SIDE} a side")
    if seed < 0:
        raise DataError(f"a seed is 0 or more, not {seed}")
    unknown = next((name for name in classes if name not in CLASS_NAMES), None)
    if unknown is not None:
        raise DataError(f"{unknown!r} cannot be drawn; there are: {', '.join(CLASS_NAMES)}")
    if not classes or len(set(classes)) != len(classes):
        raise DataError(f"name each class once, and at least one, not {', '.join(classes) or 'none'}")


def _write_yolo(folder: Path, split: str, scenes: Iterable[Scene]) -> None:
    images, labels = folder / "images" / split, folder / "labels" / split
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for index, scene in enumerate(scenes):
        (images / f"{index:06d}.jpg").write_bytes(_jpeg(scene.image))
        (labels / f"{index:06d}.txt").write_text(label_text(scene), encoding="utf-8", newline="\n")


def _as_split(folder: Path, split: str, scenes: Iterable[Scene], classes: Sequence[str]) -> Split:
    """Write the images to a folder; the split that they make."""
    images = []
    for index, scene in enumerate(scenes):
        image_id = f"{split}_{index:06d}"
        path = folder / f"{image_id}.jpg"
        path.write_bytes(_jpeg(scene.image))
        truth = GroundTruth.from_boxes(scene.boxes, scene.labels)
        images.append(AnnotatedImage(image_id, path, (scene.image.shape[0], scene.image.shape[1]), truth))
    return Split(split, AnnotatedImages.of(images), tuple(classes), None, ReadReport(split))


def draw_scene(
    size_hw: tuple[int, int],
    generator: np.random.Generator,
    *,
    classes: Sequence[str] = CLASS_NAMES,
    difficulty: Difficulty = "normal",
) -> Scene:
    """Draw one image of (height, width) pixels, decided by `generator` alone; labels are places in `classes`."""
    look = LOOKS[difficulty]
    pile = _Pile(size_hw, generator, look)
    wanted = 0
    if generator.random() >= look.background_share:
        wanted = int(generator.integers(look.objects[0], look.objects[1] + 1))
    things = [True] * wanted + [False] * int(generator.integers(look.clutter[0], look.clutter[1] + 1))
    labels: list[int] = []
    for is_object in generator.permutation(np.asarray(things, np.bool_)):
        label = int(generator.integers(len(classes))) if is_object else None
        drawn = pile.add(None if label is None else CLASS_NAMES.index(classes[label]))
        labels += [label] if drawn and label is not None else []
    masks = np.asarray(pile.masks, np.bool_).reshape(-1, *size_hw)
    boxes = np.asarray([box_of(mask) for mask in masks], np.float32).reshape(-1, 4)
    return Scene(_photographed(pile.image, generator, look), np.asarray(labels, np.int64), boxes, masks)


def box_of(mask: Bool) -> tuple[int, int, int, int]:
    """The tight xyxy box of a mask (H, W) with at least one pixel set: the pixels' outer edges."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def label_text(scene: Scene) -> str:
    """The scene's YOLO label file: class, then centre and size in multiples of the image's width and height."""
    height, width = scene.image.shape[:2]
    lines = []
    for label, (x1, y1, x2, y2) in zip(scene.labels.tolist(), scene.boxes.tolist(), strict=True):
        centre_x, centre_y = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height
        lines.append(f"{label} {centre_x:.7f} {centre_y:.7f} {(x2 - x1) / width:.7f} {(y2 - y1) / height:.7f}\n")
    return "".join(lines)


class _Pile:
    """Things laid on a background one after the other, the later over the earlier, all under one light."""

    def __init__(self, size_hw: tuple[int, int], generator: np.random.Generator, look: Look) -> None:
        self.image = draw_background(size_hw, generator)
        self.masks: list[Bool] = []
        self._generator = generator
        self._look = look
        self._unit = min(size_hw)
        turn = generator.uniform(0, 2 * np.pi)
        self._towards_light = (float(np.cos(turn)), float(np.sin(turn)))
        self._shadow_length = generator.uniform(0.06, 0.14)
        self._shadow_depth = generator.uniform(0.3, 0.6)
        self._top = np.zeros(size_hw, np.uint8)  # which object is uppermost at a pixel, from 1; 0: none of them
        self._centres: list[Float64] = []  # x, y of the objects' boxes
        self._areas = np.zeros(0)  # of the objects' silhouettes, also outside of the image

    def add(self, label: int | None) -> bool:
        """Lay down an object, or clutter where label is None; False if no place for it is found."""
        generator = self._generator
        for _ in range(_ATTEMPTS):
            low, high = self._look.sizes
            # Evenly on a logarithmic scale: as many small things as large ones.
            side = max(8, round(self._unit * low * (high / low) ** generator.random()))
            centre = generator.uniform(0, 1, 2) * self._top.shape
            top, left = (int(start) for start in np.rint(centre - side / 2))
            if label is None:
                patch = draw_clutter(side, self._towards_light, generator)
            else:
                patch = draw_object(label, side, self._towards_light, generator)
            if self._claim(patch, top, left, is_object=label is not None):
                self._lay(patch, top, left)
                return True
        return False

    def _claim(self, patch: Patch, top: int, left: int, *, is_object: bool) -> bool:
        """Take the place of a silhouette, unless too little of an object is left to see, or two have one centre."""
        solid = patch.alpha >= 0.5
        inside, part = _overlap(self._top.shape, solid.shape[0], top, left)
        tried = self._top.copy()
        tried[inside][solid[part]] = len(self.masks) + 1 if is_object else 0
        areas = np.append(self._areas, solid.sum()) if is_object else self._areas
        visible = np.bincount(tried.ravel(), minlength=len(areas) + 1)[1:]
        if (visible < self._look.min_visible * areas).any():
            return False
        if is_object:
            mask = np.zeros(tried.shape, np.bool_)
            mask[inside] = solid[part]
            x1, y1, x2, y2 = box_of(mask)
            centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
            if any(np.hypot(*(centre - other)) < self._look.min_apart * self._unit for other in self._centres):
                return False
            self._centres.append(centre)
            self.masks.append(mask)
        self._top, self._areas = tried, areas
        return True

    def _lay(self, patch: Patch, top: int, left: int) -> None:
        side = patch.alpha.shape[0]
        margin = side // 4 + 2
        wide = cv2.copyMakeBorder(patch.alpha, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
        soft = np.asarray(cv2.GaussianBlur(wide, (0, 0), 0.6 + 0.045 * side), np.float32)
        offset = -np.asarray(self._towards_light) * self._shadow_length * side
        right, down = round(float(offset[0])), round(float(offset[1]))
        inside, part = _overlap(self._top.shape, side + 2 * margin, top - margin + down, left - margin + right)
        self.image[inside] *= (1 - np.float32(self._shadow_depth) * soft[part])[..., None]
        inside, part = _overlap(self._top.shape, side, top, left)
        ground = self.image[inside]
        ground += patch.alpha[part][..., None] * (patch.rgb[part] - ground)


def _overlap(
    size_hw: tuple[int, ...], side: int, top: int, left: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of an image under a square at (top, left): as slices of the image and as slices of the square."""
    spans = [(max(0, start), max(0, min(size, start + side))) for size, start in zip(size_hw, (top, left), strict=True)]
    (first_row, last_row), (first_column, last_column) = spans
    inside = slice(first_row, last_row), slice(first_column, last_column)
    part = slice(first_row - top, last_row - top), slice(first_column - left, last_column - left)
    return inside, part


def _photographed(image: Float32, generator: np.random.Generator, look: Look) -> UInt8:
    """As a camera would have it: uneven light, exposure, a tint, blur and noise; (H, W, 3) float32 to uint8."""
    size_hw = (image.shape[0], image.shape[1])
    light = 1 + generator.uniform(0.03, 0.16) * smooth_noise(size_hw, (2, 2), generator)
    exposure = generator.uniform(*look.exposure) * generator.uniform(0.95, 1.05, 3)
    shot = image * light[..., None] * exposure.astype(np.float32)
    if generator.random() < look.blurred_share:
        shot = cv2.GaussianBlur(shot, (0, 0), generator.uniform(*look.blur) * min(size_hw) / 320)
    strength = generator.uniform(0, look.noise) if generator.random() < look.noisy_share else 0.0
    if strength:
        # Grey noise: cheap, and what is left of colour noise after a camera's own cleaning.
        shot += generator.standard_normal((*size_hw, 1), np.float32) * np.float32(strength)
    return np.asarray(np.clip(np.rint(shot), 0, 255), np.uint8)


def _jpeg(image: UInt8) -> bytes:
    bgr = np.ascontiguousarray(image[..., ::-1])
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])


def synth(config: DataSynthConfig, console: Console) -> Path:
    """Draw a synthetic dataset, see `DataSynthConfig`; the path of its `dataset.yaml`.

    Raises:
        DataError: the folder is in use, a number is out of range, or a class cannot be drawn.
    """
    classes = tuple(name.strip() for name in config.classes.split(",")) if config.classes else CLASS_NAMES
    path = make_synthetic_dataset(
        Path(config.output).expanduser(),
        num_train=config.train,
        num_val=config.val,
        num_test=config.test,
        size_hw=(config.height, config.width),
        seed=config.seed,
        classes=classes,
        difficulty=config.difficulty,
        format=config.format,
    )
    descriptor = find_dataset(path)
    for name in descriptor.splits:
        split = read_split(descriptor, name)
        counts = Counter(split.images.objects.labels.tolist())
        objects = ", ".join(f"{counts[label]} {class_name}" for label, class_name in enumerate(split.class_names))
        say(console, f"{name}: {len(split.images)} images, {len(split.images.objects)} objects ({objects})")
    return path
