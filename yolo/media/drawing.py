"""Boxes, names and scores on images; sheets of images. Every function returns a new image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from yolo.structures import Detections, GroundTruth, Targets

RGB = tuple[int, int, int]

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
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_BACKGROUND = (32, 34, 38)
_IGNORED = (170, 170, 170)


def class_colour(label: int) -> RGB:
    """The colour of a class; repeats after twelve."""
    return _PALETTE[label % len(_PALETTE)]


def draw_detections(image: NDArray[np.uint8], detections: Detections, class_names: Sequence[str]) -> NDArray[np.uint8]:
    """Draw boxes with class and score, best on top.

    Args:
        image: (H, W, 3) uint8 RGB.
        detections: boxes in pixels of `image`.
        class_names: by label.
    """
    worst_first = range(len(detections) - 1, -1, -1)
    boxes, scores, labels = detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist()
    texts = [f"{class_names[labels[k]]} {scores[k]:.2f}" for k in worst_first]
    colours = [class_colour(labels[k]) for k in worst_first]
    return _draw(image, [boxes[k] for k in worst_first], texts, colours, fill=True)


def draw_ground_truth(
    image: NDArray[np.uint8], ground_truth: GroundTruth, class_names: Sequence[str]
) -> NDArray[np.uint8]:
    """Draw annotated boxes, named in outline; difficult and crowd objects say so.

    Args:
        image: (H, W, 3) uint8 RGB.
        ground_truth: boxes in pixels of `image`.
        class_names: by label.
    """
    texts = [
        class_names[label] + " (difficult)" * bool(difficult) + " (crowd)" * bool(crowd)
        for label, difficult, crowd in zip(
            ground_truth.labels, ground_truth.difficult, ground_truth.iscrowd, strict=True
        )
    ]
    colours = [class_colour(label) for label in ground_truth.labels.tolist()]
    return _draw(image, ground_truth.boxes.tolist(), texts, colours, fill=False)


def draw_targets(image: NDArray[np.uint8], targets: Targets, class_names: Sequence[str]) -> NDArray[np.uint8]:
    """Draw what a training is taught on an image; ignored objects are grey, in brackets, below the others.

    Args:
        image: (H, W, 3) uint8 RGB.
        targets: the objects of this image, boxes in its pixels.
        class_names: by label.
    """
    ignored, labels, boxes = targets.ignored.tolist(), targets.labels.tolist(), targets.boxes.tolist()
    order = sorted(range(len(targets)), key=lambda k: not ignored[k])
    texts = [f"({class_names[labels[k]]})" if ignored[k] else class_names[labels[k]] for k in order]
    colours = [_IGNORED if ignored[k] else class_colour(labels[k]) for k in order]
    return _draw(image, [boxes[k] for k in order], texts, colours, fill=False)


def with_caption(image: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """The image with a line of text below it; of a text that is too long the end is shown.

    Args:
        image: (H, W, 3) uint8 RGB.
        caption: the text.
    """
    font = _font(12)
    caption = "".join(letter if letter.isprintable() else "?" for letter in caption)  # a line break would not fit
    width = image.shape[1] - 6
    shown = caption
    while font.getlength(shown) > width and len(caption) > 1:
        caption = caption[1:]
        shown = "…" + caption
    strip = Image.new("RGB", (image.shape[1], 18), _BACKGROUND)
    ImageDraw.Draw(strip).text((3, 2), shown, font=font, fill=_WHITE)
    return np.concatenate([image, np.array(strip)])


def side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two images of one height next to each other, with a gap."""
    gap = np.full((left.shape[0], max(4, left.shape[1] // 100), 3), _BACKGROUND, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def contact_sheet(images: Sequence[NDArray[np.uint8]], *, columns: int, size: int) -> NDArray[np.uint8]:
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


def _draw(
    image: NDArray[np.uint8], boxes: list[list[float]], texts: list[str], colours: list[RGB], *, fill: bool
) -> NDArray[np.uint8]:
    # Pillow and not OpenCV, whose text in version 4 has no letters beyond ASCII.
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    shorter = min(image.shape[:2])
    line = max(1, round(shorter / 240)) + int(fill)
    font = _font(int(np.clip(round(shorter / 32), 10, 40)))
    for box, text, colour in zip(boxes, texts, colours, strict=True):
        x1, y1, x2, y2 = box
        # Pillow counts pixels, boxes their edges: the last pixel of a box lies before its edge
        corners = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        draw.rectangle(corners, outline=colour, width=line)
        _write_name(draw, corners, text, font, colour=colour, fill=fill)
    return np.array(canvas)


def _write_name(
    draw: ImageDraw.ImageDraw, corners: tuple[float, ...], text: str, font: Any, *, colour: RGB, fill: bool
) -> None:
    """Put a name on the box's upper edge, or inside where the image ends."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 6
    canvas_w, canvas_h = draw.im.size
    x = min(max(0.0, corners[0]), max(0.0, canvas_w - width))
    y = corners[1] - height if corners[1] >= height else corners[1]
    y = min(max(0.0, y), max(0.0, canvas_h - height))
    background = colour if fill else _BLACK
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=background)
    draw.text((x + 3 - left, y + 3 - top), text, font=font, fill=_readable_on(background) if fill else colour)


def _readable_on(colour: RGB) -> RGB:
    """Black or white, whichever stands out more."""
    red, green, blue = colour
    return _BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else _WHITE


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    """DejaVu Sans as matplotlib brings it: Latin, Greek, Cyrillic; Pillow's own font draws boxes even for é and ß."""
    import matplotlib as mpl

    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
