"""Boxes, names and scores on images, and sheets of images. Every function but `draw_paths` returns a new image.

Images are (H, W, 3) uint8 RGB, boxes in their pixels, class names by label. Two ways to draw: boxes with names for
people who look at images (`draw_detections`, `draw_ground_truth`, `draw_targets`), and plain outlines for pictures on
pages (`draw_outlines`). An outline has a dark line outside and a light one inside, so that it stands out from dark and
from light pixels. People with colour blindness can distinguish its colours too (after Okabe and Ito, Color Universal
Design, 2008), and no meaning is in the colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from yolo.errors import printable
from yolo.media.crops import Box
from yolo.media.labels import BLACK, RGB, WHITE, DrawStyle, Labelled, draw_labelled, font_of
from yolo.structures import Batch, Detections, GroundTruth, Targets

# Bright, distinct in hue and lightness, in an order in which neighbours differ most.
_PALETTE: tuple[RGB, ...] = (
    (230, 57, 70),
    (42, 157, 244),
    (255, 183, 3),
    (46, 196, 122),
    (171, 99, 250),
    (251, 133, 0),
    (0, 180, 190),
    (247, 99, 178),
    (150, 190, 40),
    (120, 110, 235),
    (190, 120, 70),
    (110, 140, 160),
)
_BACKGROUND = (32, 34, 38)
_IGNORED = (170, 170, 170)
# of outlines
ORANGE: RGB = (255, 145, 0)
BLUE: RGB = (70, 175, 255)
GREY: RGB = (178, 178, 178)
_DARK, _LIGHT = (16, 18, 22), (250, 250, 250)

_FARTHEST = 30_000  # pixels; OpenCV draws nothing beyond
_DASH, _PERIOD = 7, 12
_MIN_SIDE = 7  # of a box on the picture, pixels: smaller ones would be a blot
_AT_THE_EDGE = 3.0
# Pixels of an image's longer side on the sheet of a batch: small inputs are enlarged, so that names can be read.
_SMALLEST_TILE, _LARGEST_TILE, _MAX_COLUMNS = 288, 480, 4


def class_colour(label: int) -> RGB:
    """The colour of a class; repeats after twelve."""
    return _PALETTE[label % len(_PALETTE)]


def draw_detections(
    image: NDArray[np.uint8],
    detections: Detections,
    class_names: Sequence[str],
    *,
    track_ids: Sequence[int] | None = None,
    style: DrawStyle | None = None,
) -> NDArray[np.uint8]:
    """Draw boxes with class and score, best on top.

    Args:
        image: (H, W, 3) RGB.
        detections: in its pixels.
        class_names: by label.
        track_ids: of each detection, negative for none; drawn behind the name.
        style: lines and labels.
    """
    worst_first = range(len(detections) - 1, -1, -1)
    boxes, scores, labels = detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist()
    marks = [f" #{one}" if one >= 0 else "" for one in track_ids] if track_ids is not None else [""] * len(labels)
    rows = [
        Labelled(boxes[k], f"{class_names[labels[k]]}{marks[k]} {scores[k]:.2f}", class_colour(labels[k]))
        for k in worst_first
    ]
    return draw_labelled(image, rows, style=style)


def draw_ground_truth(
    image: NDArray[np.uint8], ground_truth: GroundTruth, class_names: Sequence[str]
) -> NDArray[np.uint8]:
    """Draw annotated boxes, named in outline; the names of difficult and crowd objects say so."""
    flags = zip(ground_truth.labels, ground_truth.difficult, ground_truth.iscrowd, strict=True)
    texts = [
        class_names[label] + " (difficult)" * bool(difficult) + " (crowd)" * bool(crowd)
        for label, difficult, crowd in flags
    ]
    colours = [class_colour(label) for label in ground_truth.labels.tolist()]
    rows = [Labelled(*row) for row in zip(ground_truth.boxes.tolist(), texts, colours, strict=True)]
    return draw_labelled(image, rows, fill=False)


def draw_targets(image: NDArray[np.uint8], targets: Targets, class_names: Sequence[str]) -> NDArray[np.uint8]:
    """Draw the objects that an image is trained on; ignored objects are grey, in brackets, below the others."""
    ignored, labels, boxes = targets.ignored.tolist(), targets.labels.tolist(), targets.boxes.tolist()
    order = sorted(range(len(targets)), key=lambda k: not ignored[k])
    texts = [f"({class_names[labels[k]]})" if ignored[k] else class_names[labels[k]] for k in order]
    colours = [_IGNORED if ignored[k] else class_colour(labels[k]) for k in order]
    rows = [Labelled(boxes[k], text, colour) for k, text, colour in zip(order, texts, colours, strict=True)]
    return draw_labelled(image, rows, fill=False)


def draw_paths(image: NDArray[np.uint8], paths: Iterable[Sequence[tuple[float, float]]]) -> None:
    """Draw closed paths into an image, white on black.

    Args:
        image: (H, W, 3) RGB, which is changed.
        paths: points x, y in its pixels; two points are a line.
    """
    width = max(1, round(min(image.shape[:2]) / 240))
    for path in paths:
        points = np.array(path).round().clip(-_FARTHEST, _FARTHEST).astype(np.int32)[:, None]
        for thickness, colour in ((width + 2, BLACK), (width, WHITE)):
            cv2.polylines(image, [points], isClosed=True, color=colour, thickness=thickness, lineType=cv2.LINE_AA)


def with_caption(image: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """The image with a line of text below it; of a text that is too long the end is shown."""
    font = font_of(12)
    caption = printable(caption)  # a line break would not fit
    width = image.shape[1] - 6
    shown = caption
    while font.getlength(shown) > width and len(caption) > 1:
        caption = caption[1:]
        shown = "…" + caption
    strip = Image.new("RGB", (image.shape[1], 18), _BACKGROUND)
    ImageDraw.Draw(strip).text((3, 2), shown, font=font, fill=WHITE)
    return np.concatenate([image, np.array(strip)])


def side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two images of one height next to each other, with a gap."""
    gap = np.full((left.shape[0], max(4, left.shape[1] // 100), 3), _BACKGROUND, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def image_grid(images: Sequence[NDArray[np.uint8]], *, columns: int, size: int) -> NDArray[np.uint8]:
    """Images in rows, each fitted into a field `size` wide, in the aspect of the first.

    Args:
        images: at least one, of any sizes.
        columns: fields in a row.
        size: width of a field in pixels.
    """
    height, width = images[0].shape[:2]
    field_hw = (max(1, round(size * height / width)), size)
    margin = max(4, size // 80)
    rows = -(-len(images) // columns)
    sheet = np.empty((rows * (field_hw[0] + margin) + margin, columns * (size + margin) + margin, 3), np.uint8)
    sheet[:] = _BACKGROUND
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        scale = min(field_hw[0] / image.shape[0], field_hw[1] / image.shape[1])
        new_h, new_w = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
        top = margin + row * (field_hw[0] + margin) + (field_hw[0] - new_h) // 2
        left = margin + column * (size + margin) + (size - new_w) // 2
        sheet[top : top + new_h, left : left + new_w] = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_AREA)
    return sheet


def batch_sheet(batch: Batch, captions: Sequence[str], class_names: Sequence[str]) -> NDArray[np.uint8]:
    """The first images of a batch in rows, one for each caption, with their boxes and class names: (H, W, 3) RGB."""
    tiles = []
    for place, caption in enumerate(captions):
        image = batch.images[place].permute(1, 2, 0).numpy()
        if image.dtype != np.uint8:
            image = (image * 255).round().clip(0, 255).astype(np.uint8)
        tile, scale = _fit(image)
        objects = batch.targets.of_images(place, place + 1)
        scaled = replace(objects, boxes=objects.boxes * scale)
        tiles.append(with_caption(draw_targets(tile, scaled, class_names), caption))
    columns = min(_MAX_COLUMNS, int(np.ceil(np.sqrt(len(tiles)))))
    return image_grid(tiles, columns=columns, size=tiles[0].shape[1])


def _fit(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """An image at the size of a tile, and how much larger it became."""
    height, width = image.shape[:2]
    longer = max(height, width)
    scale = float(np.clip(longer, _SMALLEST_TILE, _LARGEST_TILE)) / longer
    if scale == 1:
        return np.ascontiguousarray(image), scale
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST  # enlarged pixels shall be seen as what they are
    return np.asarray(cv2.resize(image, size_wh, interpolation=how), np.uint8), scale


class Outline(NamedTuple):
    """How a box is drawn."""

    box: Box  # xyxy in pixels of the picture, corners in order
    colour: RGB
    width: int = 2  # of the line in pixels, without its edges
    dashed: bool = False  # or solid
    edged: bool = True  # with a dark and a light line beside it
    opacity: float = 1.0  # 0..1


def draw_outlines(image: NDArray[np.uint8], outlines: Iterable[Outline]) -> NDArray[np.uint8]:
    """A new image with boxes, the last on top; they may reach out of it."""
    canvas = image.copy()
    for outline in outlines:
        x1, x2 = _ends(outline.box[0], outline.box[2], canvas.shape[1], outline.width)
        y1, y2 = _ends(outline.box[1], outline.box[3], canvas.shape[0], outline.width)
        if outline.edged:
            _ring(canvas, (x1, y1, x2, y2), outline._replace(colour=_DARK, width=1), grown=1)
            _ring(canvas, (x1, y1, x2, y2), outline._replace(colour=_LIGHT, width=1), grown=-outline.width)
        _ring(canvas, (x1, y1, x2, y2), outline, grown=0)
    return canvas


def _ends(low: float, high: float, size: int, width: int) -> tuple[int, int]:
    """The first pixel and the one after the last of a frame whose line is centred on the edges of a box."""
    if (lacking := _MIN_SIDE - (high - low)) > 0:
        low, high = low - lacking / 2, high + lacking / 2
    first, last = round(low) - width // 2, round(high) + width - width // 2
    # half of a line along the edge of the picture would not be seen
    if low >= -_AT_THE_EDGE:
        first = max(first, 0)
    if high <= size + _AT_THE_EDGE:
        last = min(last, size)
    return first, last


def _ring(canvas: NDArray[np.uint8], frame: tuple[int, int, int, int], line: Outline, *, grown: int) -> None:
    """Draw the four sides of a frame, larger by some pixels at each, into the canvas."""
    x1, y1, x2, y2 = (end + by for end, by in zip(frame, (-grown, -grown, grown, grown), strict=True))
    for y in (y1, y2 - line.width):
        _side(canvas, y, (x1, x2), line, grown)
    for x in (x1, x2 - line.width):
        _side(canvas.transpose(1, 0, 2), x, (y1, y2), line, grown)


def _side(canvas: NDArray[np.uint8], row: int, columns: tuple[int, int], line: Outline, grown: int) -> None:
    """Draw a side as if it were the upper or lower one; a view of the canvas is written to."""
    top, bottom = max(row, 0), min(row + line.width, canvas.shape[0])
    place = np.arange(max(columns[0], 0), min(columns[1], canvas.shape[1]))
    if line.dashed:  # from both corners to the middle, so that corners are always seen; edges end where the line does
        from_corner = np.minimum(place - columns[0], columns[1] - 1 - place) - grown
        place = place[np.maximum(from_corner, 0) % _PERIOD < _DASH]
    if top >= bottom or not place.size:
        return
    strip = canvas[top:bottom, place].astype(np.float32)
    mixed = strip * (1 - line.opacity) + np.array(line.colour, np.float32) * line.opacity
    canvas[top:bottom, place] = np.rint(mixed).astype(np.uint8)
