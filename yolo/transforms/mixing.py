"""Several images in one sample: mosaic, mixup and copy-paste.

Mosaic: four images share one input, met at a random point. Objects keep their natural size (only `scale` changes it),
because the tiles are cut out, not shrunk. Idea: Bochkovskiy et al. 2020 (YOLOv4), section 3.3.

Mixup: two images shine through each other, with the objects of both. Idea: Zhang et al. 2018; for detection without
weights on the objects, as in Zhang et al. 2019 (Bag of Freebies for training object detection networks).

Copy-paste: objects cut out by their boxes appear on another image, where they cover little of the objects there. As
there are no masks, the background behind an object comes along, and the edge fades over a few pixels so that it does
not give the object away. Idea: Ghiasi et al. 2021 (simple copy-paste), here with boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from yolo.arrays import Float32, Float64, Int64
from yolo.structures import GroundTruth, Sample
from yolo.transforms.crop import WarpParams, apply_crop, clip_objects, draw_crop, draw_warp, move_boxes

# Mosaic: the meeting point stays this share of the side away from the border, so that each tile shows something.
_MARGIN = 0.25
NUM_TILES = 4
# Mixup: of the Beta distribution, shares mostly between 0.25 and 0.75, so that no image all but vanishes.
_SHAPE = 8.0
# Copy-paste: objects pasted at most, places tried for each, the share that it may cover of an object that is there
# already, the smallest side of what is copied and the width of the fading edge in pixels.
_MAX_PASTED, _TRIES, _MAX_COVERED = 3, 10, 0.1
_MIN_SIDE, _FADE = 8.0, 3


def mosaic(samples: Sequence[Sample], generator: np.random.Generator, *, scale: float, limits: WarpParams) -> Sample:
    """Put four samples of equal size together; the first gives the result its index.

    Each tile is scaled as `draw_crop` and warped as `draw_warp` says, by itself.
    """
    first = samples[0]
    height, width = first.image.shape[:2]
    middle_x = int(generator.uniform(_MARGIN, 1 - _MARGIN) * width)
    middle_y = int(generator.uniform(_MARGIN, 1 - _MARGIN) * height)
    image = np.empty_like(first.image)
    moved, frames = [], []
    rows, cols = ((0, middle_y), (middle_y, height)), ((0, middle_x), (middle_x, width))
    tiles = [(row, col) for row in rows for col in cols]
    for sample, ((top, bottom), (left, right)) in zip(samples, tiles, strict=True):
        size_hw = (bottom - top, right - left)
        crop = draw_crop(generator, (height, width), size_hw, scale=scale, translate=None)
        warp = draw_warp(generator, limits)
        image[top:bottom, left:right] = apply_crop(sample.image, crop, warp)
        boxes = move_boxes(sample.ground_truth.boxes, crop, warp)
        moved.append(boxes + np.array((left, top, left, top), np.float32))
        frames.append(np.broadcast_to(np.array((left, top, right, bottom), np.float32), boxes.shape))
    objects = GroundTruth.concatenate([sample.ground_truth for sample in samples])
    ground_truth = clip_objects(objects, np.concatenate(moved), np.concatenate(frames))
    return replace(first, image=image, ground_truth=ground_truth, geometry=None)


def draw_share(generator: np.random.Generator) -> float:
    """The share of the first image."""
    return float(generator.beta(_SHAPE, _SHAPE))


def mixup(first: Sample, second: Sample, share: float) -> Sample:
    """`share` of the first image and 1 - `share` of the second, of one size, with the objects of both."""
    image = cv2.addWeighted(first.image, share, second.image, 1 - share, 0.0)
    ground_truth = GroundTruth.concatenate([first.ground_truth, second.ground_truth])
    return replace(first, image=np.asarray(image, np.uint8), ground_truth=ground_truth, geometry=None)


def copy_paste(sample: Sample, donors: Sequence[Sample], generator: np.random.Generator, *, scale: float) -> Sample:
    """Paste one to three objects of the donors onto a sample, scaled by a factor in [1 / (1 + scale), 1 + scale].

    Crowds, difficult objects and small ones (8 pixels) stay with the donors.
    """
    choices = [(donor, place) for donor in donors for place in _copyable(donor.ground_truth)]
    if not choices:
        return sample
    for _ in range(int(generator.integers(1, _MAX_PASTED + 1))):
        donor, place = choices[int(generator.integers(len(choices)))]
        sample = _paste(sample, donor, donor.ground_truth[[place]], generator, scale)
    return sample


def covered_shares(box: Float32, boxes: Float32) -> Float32:
    """(M,) how much of each of (M, 4) boxes a (4,) box covers, in [0, 1]; of a box without area: 1 if it is inside."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], np.float32(1e-3))
    return np.asarray((np.clip(high - low, 0, None) / sides).clip(0, 1).prod(axis=1), np.float32)


def _copyable(ground_truth: GroundTruth) -> Int64:
    sides = ground_truth.boxes[:, 2:] - ground_truth.boxes[:, :2]
    usable = (sides >= _MIN_SIDE).all(axis=1) & ~ground_truth.difficult & ~ground_truth.iscrowd
    return np.flatnonzero(usable)


def _paste(sample: Sample, donor: Sample, one: GroundTruth, generator: np.random.Generator, scale: float) -> Sample:
    """Paste a single object, or nothing if no place for it is found."""
    limit = np.log1p(scale)
    factor, mirrored = float(np.exp(generator.uniform(-limit, limit))), bool(generator.uniform() < 0.5)
    spots = generator.random((_TRIES, 2))
    left, top, right, bottom = _whole_pixels(one.boxes[0], donor.image.shape)
    patch = donor.image[top:bottom, left:right, :]
    height, width = sample.image.shape[:2]
    new_w, new_h = max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor))
    if new_w > width or new_h > height:
        return sample
    patch = cv2.resize(patch[:, ::-1] if mirrored else patch, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    for x, y in (spots * (width - new_w + 1, height - new_h + 1)).astype(int).tolist():
        box = np.array((x, y, x + new_w, y + new_h), np.float32)
        if not (covered_shares(box, sample.ground_truth.boxes) > _MAX_COVERED).any():
            image = sample.image.copy()
            target = image[y : y + new_h, x : x + new_w]
            alpha = _fading(new_h, new_w)
            target[:] = np.rint(patch * alpha + target * (1 - alpha)).astype(np.uint8)
            ground_truth = GroundTruth.concatenate([sample.ground_truth, one.with_boxes(box[None])])
            return replace(sample, image=image, ground_truth=ground_truth, geometry=None)
    return sample


def _whole_pixels(box: Float32, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The pixels of a box, within an image of `shape` and at least one."""
    x1, y1, x2, y2 = box.tolist()
    left, top = min(max(0, round(x1)), shape[1] - 1), min(max(0, round(y1)), shape[0] - 1)
    return left, top, max(left + 1, min(round(x2), shape[1])), max(top + 1, min(round(y2), shape[0]))


def _fading(height: int, width: int) -> Float32:
    """(h, w, 1) in (0, 1]: 1 inside, less towards the edge."""

    def along(side: int) -> Float64:
        place = np.arange(side)
        from_edge = np.minimum(place, place[::-1]) + 1
        return np.minimum(from_edge / (_FADE + 1), 1.0)

    return np.asarray(np.minimum.outer(along(height), along(width))[..., None], np.float32)
