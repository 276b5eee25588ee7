"""Pictures for pages: detections and objects drawn on small copies of their images, as data URIs.

Line style and colour say what is what; the page escapes the captions. An image that cannot be shown gives no picture
and ends nothing. Boxes are in pixels of the image with its EXIF orientation applied and of the size that the table
states; where the file has another size (a folder of smaller copies) they are scaled, and a note says so.

Shape letters: K detections, M objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from yolo.arrays import Int64, UInt8
from yolo.detection_sets import EvaluationData, ImageTable
from yolo.errors import ImageReadError
from yolo.evaluation.comparison import ImageChange
from yolo.evaluation.errors import FOREGROUND_IOU
from yolo.evaluation.examples import Example
from yolo.evaluation.matching import Matches
from yolo.images import read_size, read_to_show
from yolo.media.crops import Box, Decoded, cut, decode_reduced, fit, jpeg_uri, ordered, view_around
from yolo.media.drawing import BLUE, GREY, ORANGE, Outline, draw_outlines
from yolo.media.labels import RGB, WHITE
from yolo.report.page import CasePicture

_MIN_VIEW = 32.0  # pixels of the image: less would be a blot of colours
_MAX_ENLARGED = 16.0
_MAX_NEEDED = 6000.0  # pixels of the longer side: larger images are always decoded reduced
_CACHED_BYTES = 96_000_000
_OTHER_ASPECT = 0.03
_CASE_SHARE = 0.28  # of the view that the boxes of a case take
_CHANGE_SHARE = 0.75  # that all boxes of an image take
_MAX_BOXES = 200  # on one picture
_MAX_NAMED = 3
_QUALITY = 80  # of the JPEGs


class Crop(NamedTuple):
    """A part of an image at the size of the page, and how boxes get onto it."""

    picture: UInt8  # (H, W, 3) RGB
    origin: tuple[float, float]  # upper left corner of the part, x and y in pixels of the file
    factor: float  # pixels of the picture for one of the file
    box_scale: tuple[float, float]  # pixels of the file, x and y, for one that the annotation speaks of

    def outlines(
        self, boxes: Iterable[Any], colour: RGB, *, width: int = 2, dashed: bool = False, faint: bool = False
    ) -> list[Outline]:
        """The finite ones of boxes in pixels of the annotation, in one style."""
        return [
            Outline(self._place(box), colour, width, dashed, edged=not faint, opacity=0.6 if faint else 1.0)
            for box in _finite(boxes)
        ]

    def _place(self, box: Sequence[float]) -> Box:
        x1, y1, x2, y2 = ordered(box, self.box_scale)
        (x, y), by = self.origin, self.factor
        return (x1 - x) * by, (y1 - y) * by, (x2 - x) * by, (y2 - y) * by

    def picture_of(self, lines: Sequence[Outline], alt: str, caption: str) -> CasePicture:
        """The part with lines drawn on it."""
        source = jpeg_uri(draw_outlines(self.picture, lines), quality=_QUALITY, sharp_colours=True)
        height, width = self.picture.shape[:2]
        return CasePicture(source, width, height, alt, caption)


class ImageCropper:
    """Parts of the images of a table: images are read when asked for, reduced, and a few of them kept."""

    def __init__(self, images: ImageTable) -> None:
        self._images = images
        self._kept: dict[int, tuple[float, Decoded]] = {}  # with the pixels that were needed; the last used at the end
        self._unreadable: set[int] = set()
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

    def crop(self, image: int, boxes: Sequence[Sequence[float]], *, share: float, side: int) -> Crop | None:
        """The part of an image where some boxes are; None if the image cannot be read.

        Args:
            image: its place in the table.
            boxes: xyxy in the pixels that the annotation speaks of, finite.
            share: of the part's side that the boxes take, see `view_around`.
            side: longer side of the picture in pixels.
        """
        if image in self._unreadable or not self._images.paths[image]:
            return None
        path = Path(self._images.paths[image])
        try:
            size_hw = read_size(path)
            if min(size_hw) < 1:
                raise ImageReadError(f"{path}: the file states no size")
            scale = self._box_scale(image, size_hw)
            view = view_around([ordered(box, scale) for box in boxes], size_hw, share=share, least=_MIN_VIEW)
            shown = max(view[2] - view[0], view[3] - view[1])
            decoded = self._read(image, path, min(side * max(size_hw) / shown, _MAX_NEEDED))
        except (ImageReadError, MemoryError):
            self._unreadable.add(image)
            return None
        x1, y1, x2, y2 = (round(value * decoded.scale) for value in view)
        picture, factor = fit(cut(decoded.image, (x1, y1, x2, y2)), side, most=_MAX_ENLARGED)
        return Crop(picture, (x1 / decoded.scale, y1 / decoded.scale), factor * decoded.scale, scale)

    def _box_scale(self, image: int, size_hw: tuple[int, int]) -> tuple[float, float]:
        """By how much boxes are scaled, x and y, to lie on the file of an image."""
        stated_h, stated_w = (int(side) for side in self._images.sizes_hw[image])
        if stated_h <= 0 or stated_w <= 0 or (stated_h, stated_w) == size_hw:
            return 1.0, 1.0
        x, y = size_hw[1] / stated_w, size_hw[0] / stated_h
        (self._distorted if abs(x / y - 1) > _OTHER_ASPECT else self._resized).add(image)
        return x, y

    def _read(self, image: int, path: Path, needed: float) -> Decoded:
        """The image, its longer side not reduced below `needed` pixels."""
        kept_for, decoded = self._kept.pop(image, (0.0, None))
        if decoded is None or kept_for < needed:
            kept_for, decoded = needed, decode_reduced(path, needed=needed)
        self._kept[image] = kept_for, decoded
        while len(self._kept) > 1 and sum(one.image.nbytes for _, one in self._kept.values()) > _CACHED_BYTES:
            del self._kept[next(iter(self._kept))]
        return decoded


class CasePictures:
    """Pictures of cases: the detection in solid orange, the object in dashed blue, other objects faint and dashed.

    The longer side of a picture has `side` pixels.
    """

    def __init__(self, problem: EvaluationData, *, side: int = 320) -> None:
        self._problem, self._side, self._cropper = problem, side, ImageCropper(problem.images)

    @property
    def notes(self) -> tuple[str, ...]:
        """See `ImageCropper.notes`."""
        return self._cropper.notes

    def __call__(self, case: Example) -> CasePicture | None:
        """A picture; None if the image cannot be read."""
        detections, truths = self._problem.detections, self._problem.truths
        detection = _finite(detections.boxes[[case.detection]] if case.detection >= 0 else ())
        truth = _finite(truths.boxes[[case.truth]] if case.truth >= 0 else ())
        crop = self._cropper.crop(case.image, [*detection, *truth], share=_CASE_SHARE, side=self._side)
        if crop is None:
            return None
        others = np.flatnonzero(truths.image_index == case.image)[:_MAX_BOXES]
        lines = [
            *crop.outlines(truths.boxes[others[others != case.truth]], WHITE, width=1, dashed=True, faint=True),
            *crop.outlines(detection, ORANGE),
            *crop.outlines(truth, BLUE, dashed=True),
        ]
        caption = case_caption(self._problem, case)
        return crop.picture_of(lines, f"{caption}. Solid line: detection. Dashed line: annotation.", caption)


def case_caption(problem: EvaluationData, case: Example) -> str:
    """What a case is about: `detected: dog 0.93; annotated: cat; IoU 0.81; image 000123`."""
    parts = []
    if case.detection >= 0:
        parts.append(f"detected: {_named(problem, case.detection)}")
    if case.truth >= 0:
        parts.append(f"annotated: {problem.class_names[problem.truths.labels[case.truth]]}")
    if case.detection >= 0 and case.truth >= 0:
        parts.append(f"IoU {case.iou:.2f}")
    else:
        parts.append("not annotated" if case.detection >= 0 else "not detected")
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
        max_bytes: of all pictures as they stand in the page.
    """

    def __init__(
        self,
        matches_a: Matches,
        matches_b: Matches,
        score_thresholds: tuple[float, float],
        *,
        side: int = 420,
        max_bytes: int = 6_000_000,
    ) -> None:
        self._both = tuple(zip((matches_a, matches_b), score_thresholds, strict=True))
        images, other = matches_a.problem.images, matches_b.problem.images
        paths = [path or second for path, second in zip(images.paths, other.paths, strict=True)]
        self._cropper, self._side, self._bytes_left = ImageCropper(replace(images, paths=paths)), side, max_bytes

    @property
    def notes(self) -> tuple[str, ...]:
        """See `ImageCropper.notes`."""
        return self._cropper.notes

    def __call__(self, change: ImageChange) -> tuple[CasePicture | None, CasePicture | None]:
        """Of A and of B; None and None if the image cannot be read, or the bytes are spent."""
        scenes = [_look(matches, change.image, threshold) for matches, threshold in self._both]
        boxes = [box for scene in scenes for box in scene.boxes]
        crop = self._cropper.crop(change.image, boxes, share=_CHANGE_SHARE, side=self._side)
        if crop is None or self._bytes_left <= 0:
            return None, None
        a, b = (_draw_scene(scene, crop) for scene in scenes)
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
    right: Int64  # detections
    wrong: Int64
    neutral: Int64  # detections that count neither for nor against
    found: Int64  # objects
    missed: Int64
    reusable: Int64  # objects that need not be found

    @property
    def boxes(self) -> list[Any]:
        problem = self.matches.problem
        detections = np.concatenate((self.right, self.wrong, self.neutral))
        truths = np.concatenate((self.found, self.missed, self.reusable))
        return _finite(problem.detections.boxes[detections]) + _finite(problem.truths.boxes[truths])


def file_picture(path: Path, caption: str, *, side: int = 960) -> CasePicture | None:
    """An image file of at most `side` pixels; None if it cannot be read. The caption says what it shows."""
    try:
        image = read_to_show(path)
    except ImageReadError:
        return None
    picture, _ = fit(image, side, most=1.0)
    return CasePicture(jpeg_uri(picture, quality=_QUALITY), picture.shape[1], picture.shape[0], caption, caption)


def _look(matches: Matches, image: int, score_threshold: float) -> _Scene:
    taken, true_positive, false_positive = matches.at(FOREGROUND_IOU)
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
        neutral=shown[~right & ~wrong],
        found=objects[found & counted],
        missed=objects[~found & counted],
        reusable=objects[~counted],
    )


def _draw_scene(scene: _Scene, crop: Crop) -> CasePicture:
    detected, annotated = scene.matches.problem.detections.boxes, scene.matches.problem.truths.boxes
    lines = [
        *crop.outlines(annotated[scene.reusable[:_MAX_BOXES]], GREY, width=1, dashed=True),
        *crop.outlines(annotated[scene.found[:_MAX_BOXES]], WHITE, width=1, dashed=True, faint=True),
        *crop.outlines(detected[scene.neutral[:_MAX_BOXES]], GREY, width=1),
        *crop.outlines(detected[scene.right[:_MAX_BOXES]], WHITE, width=1),
        *crop.outlines(detected[scene.wrong[:_MAX_BOXES]], ORANGE, width=3),
        *crop.outlines(annotated[scene.missed[:_MAX_BOXES]], BLUE, width=3, dashed=True),
    ]
    caption = _scene_caption(scene)
    alt = f"Image {scene.matches.problem.images.image_ids[scene.image]}: {caption}"
    return crop.picture_of(lines, alt, caption)


def _scene_caption(scene: _Scene) -> str:
    """`found 3 of 5; wrong: dog 0.93; missed: cat, cat`."""
    problem = scene.matches.problem
    wrong = [_named(problem, k) for k in scene.wrong[:_MAX_NAMED].tolist()]
    missed = [problem.class_names[problem.truths.labels[k]] for k in scene.missed[:_MAX_NAMED].tolist()]
    objects = len(scene.found) + len(scene.missed)
    parts = [f"found {len(scene.found)} of {objects}" if objects else "nothing to be found"]
    for title, names, places in (("wrong", wrong, scene.wrong), ("missed", missed, scene.missed)):
        more = f" and {len(places) - len(names)} more" if len(places) > len(names) else ""
        parts += [f"{title}: {', '.join(names)}{more}"] if names else []
    return "; ".join(parts)


def _named(problem: EvaluationData, detection: int) -> str:
    return f"{problem.class_names[problem.detections.labels[detection]]} {problem.detections.scores[detection]:.2f}"


def _finite(boxes: Iterable[Any]) -> list[Any]:
    """Those that are numbers: others cannot be drawn."""
    return [box for box in boxes if np.isfinite(box).all()]
