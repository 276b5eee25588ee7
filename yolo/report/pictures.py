"""Pictures for pages: detections and objects drawn on small copies of their images, as data URIs.

Line style and colour say what is what; the page escapes the captions. An image that cannot be shown gives no picture
and ends nothing. Boxes are in pixels of the image with its EXIF orientation applied and of the size that the table
states; where the file has another size (a folder of smaller copies) they are scaled, and a note says so.

Shape letters: K detections, M objects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Int64
from yolo.detection_sets import ImageTable, Problem
from yolo.errors import ImageReadError
from yolo.evaluation.comparison import ImageChange
from yolo.evaluation.examples import Example
from yolo.evaluation.matching import Matches
from yolo.images import read_size
from yolo.media.crops import Box, Decoded, cut, decode_reduced, fit, jpeg_uri, ordered, view_around
from yolo.media.drawing import BLUE, GREY, ORANGE, RGB, WHITE, Outline, draw_outlines
from yolo.report.context import CasePicture

_LEAST_VIEW = 32.0  # pixels of the image: less would be a blot of colours
_MOST_ENLARGED = 16.0
_MOST_NEEDED = 6000.0  # pixels of the longer side: larger images are always decoded reduced
_CACHED_BYTES = 96_000_000
_OTHER_ASPECT = 0.03
_CASE_SHARE = 0.28  # of the view that the boxes of a case take
_CHANGE_SHARE = 0.75  # that all boxes of an image take
_MOST_BOXES = 200  # on one picture
_MOST_NAMED = 3
_IOU = 0.5
_QUALITY = 80  # of the JPEGs


class ImageLoader:
    """Decoded images by their place in a table: read when asked for, reduced, a few of them kept.

    Args:
        images: the table.
    """

    def __init__(self, images: ImageTable) -> None:
        self._images = images
        self._sizes: dict[int, tuple[int, int] | None] = {}
        self._kept: OrderedDict[int, tuple[float, Decoded]] = OrderedDict()
        self._resized: set[int] = set()
        self._distorted: set[int] = set()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know about the pictures, one sentence each."""
        return tuple(
            f"{len(places)} of the images shown {text} (such as {self._images.image_ids[min(places)]})."
            for places, text in (
                (self._resized, "have another size than the annotations state; boxes were scaled to them"),
                (
                    self._distorted,
                    "have another aspect than the annotations state, perhaps because of EXIF orientation or because "
                    "they are other images; boxes may lie in the wrong place",
                ),
            )
            if places
        )

    def size_hw(self, place: int) -> tuple[int, int] | None:
        """Height and width of the file of an image, None if it cannot be read."""
        if place not in self._sizes:
            try:
                path = self._images.paths[place]
                size_hw = read_size(Path(path)) if path else (0, 0)
                self._sizes[place] = size_hw if min(size_hw) >= 1 else None
            except ImageReadError:
                self._sizes[place] = None
        return self._sizes[place]

    def box_scale(self, place: int, size_hw: tuple[int, int]) -> tuple[float, float]:
        """By how much boxes are scaled, x and y, to lie on the file of an image."""
        stated_h, stated_w = (int(side) for side in self._images.sizes_hw[place])
        if stated_h <= 0 or stated_w <= 0 or (stated_h, stated_w) == size_hw:
            return 1.0, 1.0
        x, y = size_hw[1] / stated_w, size_hw[0] / stated_h
        (self._distorted if abs(x / y - 1) > _OTHER_ASPECT else self._resized).add(place)
        return x, y

    def read(self, place: int, needed: float) -> Decoded | None:
        """The image, its longer side not reduced below `needed` pixels; None if it cannot be read."""
        kept = self._kept.get(place)
        if kept is not None and kept[0] >= needed:
            self._kept.move_to_end(place)
            return kept[1]
        try:
            decoded = decode_reduced(Path(self._images.paths[place]), needed=needed)
        except (ImageReadError, MemoryError):
            self._sizes[place] = None
            return None
        self._kept[place] = (needed, decoded)
        self._kept.move_to_end(place)
        while len(self._kept) > 1 and sum(one.image.nbytes for _, one in self._kept.values()) > _CACHED_BYTES:
            self._kept.popitem(last=False)
        return decoded


@dataclass(frozen=True)
class Placed:
    """A part of an image at the size of the page, and how boxes get onto it.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        origin: upper left corner of the part, x and y in pixels of the file.
        factor: pixels of the picture for one of the file.
        box_scale: pixels of the file, x and y, for one that the annotation speaks of.
    """

    picture: NDArray[np.uint8]
    origin: tuple[float, float]
    factor: float
    box_scale: tuple[float, float]

    def box(self, box: Sequence[float]) -> Box:
        """Where a box of the annotation's pixels is on the picture."""
        x1, y1, x2, y2 = ordered(box, self.box_scale)
        (x, y), by = self.origin, self.factor
        return (x1 - x) * by, (y1 - y) * by, (x2 - x) * by, (y2 - y) * by

    def outlines(
        self, boxes: Iterable[Any], colour: RGB, *, width: int = 2, dashed: bool = False, faint: bool = False
    ) -> list[Outline]:
        """Finite boxes of the annotation's pixels in one style."""
        return [
            Outline(self.box(box), colour, width, dashed, edged=not faint, opacity=0.6 if faint else 1.0)
            for box in _finite(boxes)
        ]

    def picture_of(self, lines: Sequence[Outline], alt: str, caption: str) -> CasePicture:
        """The part with lines drawn on it."""
        source = jpeg_uri(draw_outlines(self.picture, lines), quality=_QUALITY, sharp_colours=True)
        height, width = self.picture.shape[:2]
        return CasePicture(source, width, height, alt, caption)


def place_boxes(
    loader: ImageLoader, image: int, boxes: Sequence[Sequence[float]], *, share: float, side: int
) -> Placed | None:
    """The part of an image where some boxes are; None if the image cannot be read.

    Args:
        loader: has the image.
        image: its place.
        boxes: xyxy in the pixels that the annotation speaks of, finite.
        share: of the part's side that the boxes take, see `view_around`.
        side: longer side of the picture in pixels.
    """
    size_hw = loader.size_hw(image)
    if size_hw is None:
        return None
    scale = loader.box_scale(image, size_hw)
    view = view_around([ordered(box, scale) for box in boxes], size_hw, share=share, least=_LEAST_VIEW)
    shown = max(view[2] - view[0], view[3] - view[1])
    decoded = loader.read(image, min(side * max(size_hw) / shown, _MOST_NEEDED))
    if decoded is None:
        return None
    x1, y1, x2, y2 = (round(value * decoded.scale) for value in view)
    picture, factor = fit(cut(decoded.image, (x1, y1, x2, y2)), side, most=_MOST_ENLARGED)
    return Placed(picture, (x1 / decoded.scale, y1 / decoded.scale), factor * decoded.scale, scale)


class CasePictures:
    """Pictures of cases: the detection in solid orange, the object in dashed blue, other objects faint and dashed.

    Args:
        problem: whose detections and objects the cases point into.
        side: longer side of a picture in pixels.
    """

    def __init__(self, problem: Problem, *, side: int = 320) -> None:
        self._problem, self._side, self._loader = problem, side, ImageLoader(problem.images)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know about the pictures, one sentence each."""
        return self._loader.notes

    def __call__(self, case: Example) -> CasePicture | None:
        """A picture; None if the image cannot be read."""
        detections, truths = self._problem.detections, self._problem.truths
        detection = _finite(detections.boxes[[case.detection]] if case.detection >= 0 else ())
        truth = _finite(truths.boxes[[case.truth]] if case.truth >= 0 else ())
        placed = place_boxes(self._loader, case.image, [*detection, *truth], share=_CASE_SHARE, side=self._side)
        if placed is None:
            return None
        others = np.flatnonzero(truths.image_index == case.image)[:_MOST_BOXES]
        lines = [
            *placed.outlines(truths.boxes[others[others != case.truth]], WHITE, width=1, dashed=True, faint=True),
            *placed.outlines(detection, ORANGE),
            *placed.outlines(truth, BLUE, dashed=True),
        ]
        caption = case_caption(self._problem, case)
        return placed.picture_of(lines, f"{caption}. Solid line: detection. Dashed line: annotation.", caption)


def case_caption(problem: Problem, case: Example) -> str:
    """What a case is about: `detected: dog 0.93; annotated: cat; IoU 0.81; image 000123`."""
    parts = []
    if case.detection >= 0:
        parts.append(f"detected: {_named(problem, case.detection)}")
    if case.truth >= 0:
        parts.append(f"annotated: {problem.class_names[problem.truths.labels[case.truth]]}")
    if case.detection >= 0 and case.truth >= 0:
        parts.append(f"IoU {case.iou:.2f}")
    elif case.detection >= 0:
        parts.append("not annotated")
    elif case.truth >= 0:
        parts.append("not detected")
    return "; ".join([*parts, f"image {problem.images.image_ids[case.image]}"])


class ChangePictures:
    """Pictures of what two detectors did on one image, the same part of it, at IoU 0.5.

    Thin solid white: right detection. Thick solid orange: wrong detection. Thick dashed blue: missed object. Faint
    dashed white: found object. Grey: what counts neither for nor against. Where all of these lie in a small part of
    the image only that part is shown.

    Args:
        matches_a: of the first, with the column of IoU 0.5.
        matches_b: of the second, on the same images and objects.
        score_thresholds: of A and of B; detections below are not shown, NaN shows none.
        side: longer side of a picture in pixels.
        most_bytes: of all pictures as they stand in the page.
    """

    def __init__(
        self,
        matches_a: Matches,
        matches_b: Matches,
        score_thresholds: tuple[float, float],
        *,
        side: int = 420,
        most_bytes: int = 6_000_000,
    ) -> None:
        self._both = tuple(zip((matches_a, matches_b), score_thresholds, strict=True))
        images, other = matches_a.problem.images, matches_b.problem.images
        paths = [path or second for path, second in zip(images.paths, other.paths, strict=True)]
        self._loader, self._side, self._bytes_left = ImageLoader(replace(images, paths=paths)), side, most_bytes

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know about the pictures, one sentence each."""
        return self._loader.notes

    def __call__(self, change: ImageChange) -> tuple[CasePicture | None, CasePicture | None]:
        """Of A and of B; None and None if the image cannot be read, or the bytes are spent."""
        scenes = [_look(matches, change.image, threshold) for matches, threshold in self._both]
        boxes = [box for scene in scenes for box in scene.boxes]
        placed = place_boxes(self._loader, change.image, boxes, share=_CHANGE_SHARE, side=self._side)
        if placed is None or self._bytes_left <= 0:
            return None, None
        a, b = (_draw_scene(scene, placed) for scene in scenes)
        size = len(a.source) + len(b.source)
        if size > self._bytes_left:
            return None, None
        self._bytes_left -= size
        return a, b


@dataclass(frozen=True)
class _Scene:
    """What a detector did on one image: places of detections and objects, the best detections first."""

    matches: Matches
    image: int
    right: Int64
    wrong: Int64
    ignored: Int64
    found: Int64
    missed: Int64
    excused: Int64

    @property
    def boxes(self) -> list[Any]:
        problem = self.matches.problem
        detections = np.concatenate((self.right, self.wrong, self.ignored))
        truths = np.concatenate((self.found, self.missed, self.excused))
        return _finite(problem.detections.boxes[detections]) + _finite(problem.truths.boxes[truths])


def _look(matches: Matches, image: int, score_threshold: float) -> _Scene:
    taken, true_positive, false_positive = matches.at(_IOU)
    detections, truths = matches.problem.detections, matches.problem.truths
    shown = np.flatnonzero((detections.image_index == image) & (detections.scores >= score_threshold))
    shown = shown[np.argsort(-detections.scores[shown], kind="stable")]
    right, wrong = true_positive[shown], false_positive[shown]
    objects = np.flatnonzero(truths.image_index == image)
    found = np.isin(objects, taken[shown[right]])
    counted = matches.counted[0, objects]
    return _Scene(
        matches=matches,
        image=image,
        right=shown[right],
        wrong=shown[wrong],
        ignored=shown[~right & ~wrong],
        found=objects[found & counted],
        missed=objects[~found & counted],
        excused=objects[~counted],
    )


def _draw_scene(scene: _Scene, placed: Placed) -> CasePicture:
    detected, annotated = scene.matches.problem.detections.boxes, scene.matches.problem.truths.boxes
    lines = [
        *placed.outlines(annotated[scene.excused[:_MOST_BOXES]], GREY, width=1, dashed=True),
        *placed.outlines(annotated[scene.found[:_MOST_BOXES]], WHITE, width=1, dashed=True, faint=True),
        *placed.outlines(detected[scene.ignored[:_MOST_BOXES]], GREY, width=1),
        *placed.outlines(detected[scene.right[:_MOST_BOXES]], WHITE, width=1),
        *placed.outlines(detected[scene.wrong[:_MOST_BOXES]], ORANGE, width=3),
        *placed.outlines(annotated[scene.missed[:_MOST_BOXES]], BLUE, width=3, dashed=True),
    ]
    caption = _scene_caption(scene)
    alt = f"Image {scene.matches.problem.images.image_ids[scene.image]}: {caption}"
    return placed.picture_of(lines, alt, caption)


def _scene_caption(scene: _Scene) -> str:
    """`found 3 of 5; wrong: dog 0.93; missed: cat, cat`."""
    problem = scene.matches.problem
    wrong = [_named(problem, k) for k in scene.wrong[:_MOST_NAMED].tolist()]
    missed = [problem.class_names[problem.truths.labels[k]] for k in scene.missed[:_MOST_NAMED].tolist()]
    objects = len(scene.found) + len(scene.missed)
    parts = [f"found {len(scene.found)} of {objects}" if objects else "nothing to be found"]
    parts += [
        f"{word}: {', '.join(names)}" + (f" and {more} more" if (more := len(places) - len(names)) else "")
        for word, names, places in (("wrong", wrong, scene.wrong), ("missed", missed, scene.missed))
        if names
    ]
    return "; ".join(parts)


def _named(problem: Problem, detection: int) -> str:
    return f"{problem.class_names[problem.detections.labels[detection]]} {problem.detections.scores[detection]:.2f}"


def _finite(boxes: Iterable[Any]) -> list[Any]:
    """Those that are numbers: others cannot be drawn."""
    return [box for box in boxes if np.isfinite(box).all()]
