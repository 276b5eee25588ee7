"""A made-up dataset that needs no download: toys, leaves and donuts that lie about, with exact boxes.

`make_synthetic_dataset` writes it in the YOLO layout; `draw_scene` draws one image. The same seed gives the same
bytes. Left out: how the things and the grounds look (synthetic_objects.py, synthetic_backgrounds.py).
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from yolo.data.synthetic_backgrounds import draw_background, smooth_noise
from yolo.data.synthetic_objects import CLASS_NAMES, draw_clutter, draw_object
from yolo.data.synthetic_pen import Patch
from yolo.errors import DataError
from yolo.files import atomic_write
from yolo.randomness import sample_generator
from yolo.structures import Bool, Float32, Int64, UInt8

Float64 = NDArray[np.float64]

_BACKGROUND_SHARE = 0.05  # of the images, without any object
_MIN_OBJECTS, _MAX_OBJECTS = 2, 7
_SIZES = (0.26, 0.56)  # of the patch of an object, in shorter sides of the image; the object is 0.67..0.95 of it
_MIN_VISIBLE = 0.5  # of an object's silhouette; with less of it to be seen it is laid elsewhere
# Between the centres of two boxes, in shorter sides: a grid cell has room for few objects, and a cell with two at the
# same place teaches nothing.
_MIN_APART = 0.1
_ATTEMPTS = 12
_JPEG_QUALITY = 90
_MIN_SIDE = 48  # of an image: below it the smallest objects are a few pixels large


class Scene(NamedTuple):
    """One image and the truth about it; n objects, the lowest of a pile first.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (n,) int64, places in `CLASS_NAMES`.
        boxes: (n, 4) float32 xyxy pixels, tight around `masks`.
        masks: (n, H, W) bool: the whole silhouette within the image, also where something covers it.
    """

    image: UInt8
    labels: Int64
    boxes: Float32
    masks: Bool


def make_synthetic_dataset(folder: Path, *, num_train: int, num_val: int, size_hw: tuple[int, int], seed: int) -> Path:
    """Write a dataset: `images/` and `labels/` with `train/` and `val/`, and `dataset.yaml`.

    Args:
        folder: does not exist yet, or is empty.
        num_train: images to train on, >= 1.
        num_val: held-out images, >= 1.
        size_hw: height and width of the images in pixels, >= 48 each.
        seed: >= 0; the same one gives the same files, byte for byte.

    Returns:
        The path of `dataset.yaml`.

    Raises:
        DataError: the folder holds something, or a number is out of range.
    """
    folder = Path(folder)
    if min(num_train, num_val) < 1:
        raise DataError(f"a dataset needs at least 1 image to train on and 1 held out, not {num_train} and {num_val}")
    if min(size_hw) < _MIN_SIDE:
        raise DataError(f"images of {size_hw[0]}x{size_hw[1]} pixels are too small; at least {_MIN_SIDE} a side")
    if seed < 0:
        raise DataError(f"a seed is 0 or more, not {seed}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: exists and is not an empty folder; name a new one, or empty it first")
    for number, (split, count) in enumerate((("train", num_train), ("val", num_val))):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for index in range(count):
            scene = draw_scene(size_hw, sample_generator(seed, number, index))
            (images / f"{index:06d}.jpg").write_bytes(_jpeg(scene.image))
            (labels / f"{index:06d}.txt").write_text(label_text(scene), encoding="utf-8", newline="\n")
    content = {"path": ".", "train": "images/train", "val": "images/val", "names": dict(enumerate(CLASS_NAMES))}
    # Last, so that a folder with a dataset.yaml is a whole dataset.
    with atomic_write(folder / "dataset.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8", newline="\n")
    return folder / "dataset.yaml"


def draw_scene(size_hw: tuple[int, int], generator: np.random.Generator) -> Scene:
    """Draw one image of (height, width) pixels; everything in it is decided by `generator`."""
    pile = _Pile(size_hw, generator)
    wanted = 0
    if generator.random() >= _BACKGROUND_SHARE:
        wanted = int(generator.integers(_MIN_OBJECTS, _MAX_OBJECTS + 1))
    things = [True] * wanted + [False] * int(generator.integers(0, 5))
    for is_object in generator.permutation(np.asarray(things, np.bool_)):
        pile.add(int(generator.integers(len(CLASS_NAMES))) if is_object else None)
    masks = np.asarray(pile.masks, np.bool_).reshape(-1, *size_hw)
    boxes = np.asarray([box_of(mask) for mask in masks], np.float32).reshape(-1, 4)
    return Scene(_photographed(pile.image, generator), np.asarray(pile.labels, np.int64), boxes, masks)


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
    """Things laid on a ground one after the other, the later over the earlier, all under one light."""

    def __init__(self, size_hw: tuple[int, int], generator: np.random.Generator) -> None:
        self.image = draw_background(size_hw, generator)
        self.labels: list[int] = []
        self.masks: list[Bool] = []
        self._generator = generator
        self._unit = min(size_hw)
        turn = float(generator.uniform(0, 2 * np.pi))
        self._towards_light = (float(np.cos(turn)), float(np.sin(turn)))
        self._shadow_length = float(generator.uniform(0.06, 0.14))
        self._shadow_depth = float(generator.uniform(0.3, 0.6))
        self._top = np.zeros(size_hw, np.uint8)  # which object is uppermost at a pixel, from 1; 0: none of them
        self._centres: list[Float64] = []  # x, y of the objects' boxes
        self._areas = np.zeros(0)  # of the objects' silhouettes, also outside of the image

    def add(self, label: int | None) -> None:
        """Lay down an object, or clutter where label is None; nothing if no place for it is found."""
        generator = self._generator
        for _ in range(_ATTEMPTS):
            low, high = _SIZES
            # Evenly on a logarithmic scale: as many small things as large ones.
            side = max(8, round(self._unit * low * (high / low) ** float(generator.random())))
            centre = generator.uniform(0, 1, 2) * self._top.shape
            top, left = (int(start) for start in np.rint(centre - side / 2))
            if label is None:
                patch = draw_clutter(side, self._towards_light, generator)
            else:
                patch = draw_object(label, side, self._towards_light, generator)
            if self._claim(patch, label, top, left):
                self._lay(patch, top, left)
                return

    def _claim(self, patch: Patch, label: int | None, top: int, left: int) -> bool:
        """Take the place of a silhouette, unless too little of an object is left to see, or two have one centre."""
        solid = patch.alpha >= 0.5
        inside, part = _overlap(self._top.shape, solid.shape[0], top, left)
        tried = self._top.copy()
        tried[inside][solid[part]] = 0 if label is None else len(self.labels) + 1
        areas = self._areas if label is None else np.append(self._areas, solid.sum())
        visible = np.bincount(tried.ravel(), minlength=len(areas) + 1)[1:]
        if (visible < _MIN_VISIBLE * areas).any():
            return False
        if label is not None:
            mask = np.zeros(tried.shape, np.bool_)
            mask[inside] = solid[part]
            x1, y1, x2, y2 = box_of(mask)
            centre = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
            if any(np.hypot(*(centre - other)) < _MIN_APART * self._unit for other in self._centres):
                return False
            self._centres.append(centre)
            self.masks.append(mask)
            self.labels.append(label)
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
    """Where a square at (top, left) meets an image: as slices of the image and as slices of the square."""
    spans = [(max(0, start), max(0, min(size, start + side))) for size, start in zip(size_hw, (top, left), strict=True)]
    (first_row, last_row), (first_column, last_column) = spans
    inside = slice(first_row, last_row), slice(first_column, last_column)
    part = slice(first_row - top, last_row - top), slice(first_column - left, last_column - left)
    return inside, part


def _photographed(image: Float32, generator: np.random.Generator) -> UInt8:
    """As a camera would have it: uneven light, exposure, a tint, blur and noise; (H, W, 3) float32 to uint8."""
    size_hw = (image.shape[0], image.shape[1])
    light = 1 + float(generator.uniform(0.03, 0.16)) * smooth_noise(size_hw, (2, 2), generator)
    exposure = generator.uniform(0.7, 1.12) * generator.uniform(0.95, 1.05, 3)
    shot = image * light[..., None] * exposure.astype(np.float32)
    if generator.random() < 0.3:
        shot = cv2.GaussianBlur(shot, (0, 0), float(generator.uniform(0.4, 1.1)) * min(size_hw) / 320)
    strength = float(generator.uniform(0, 7)) if generator.random() < 0.6 else 0.0
    if strength:
        # Grey noise: cheap, and what is left of colour noise after a camera's own cleaning.
        shot += generator.standard_normal((*size_hw, 1), np.float32) * np.float32(strength)
    return np.asarray(np.clip(np.rint(shot), 0, 255), np.uint8)


def _jpeg(image: UInt8) -> bytes:
    bgr = np.ascontiguousarray(image[..., ::-1])
    return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])
