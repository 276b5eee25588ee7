"""Detection on the tiles of a large image, and on the whole of it.

Each tile is placed on the network's input like an image of its own, so that small objects keep their pixels. The pass
over the whole image finds the objects that are larger than a tile. `postprocess.seams` merges what the passes found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import astuple

from yolo.arrays import UInt8
from yolo.config.options import DEFAULT_OVERLAP
from yolo.engine.result import StageSeconds
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.postprocess.seams import merge_tiles
from yolo.postprocess.tiles import Tiling
from yolo.structures import Detections

# Bounds the memory, and fills a batch well enough on any device.
_TILES_AT_ONCE = 8

# what detects on a batch of images, each in its own pixels, and says what each took
DetectBatch = Callable[[Sequence[UInt8], PostprocessSettings], tuple[list[Detections], StageSeconds]]


def tiling_of(tile: int | None, overlap: float | None) -> Tiling | None:
    """What the options --tile and --overlap ask for.

    Raises:
        ConfigError: tiles or an overlap of an impossible size.
    """
    return None if tile is None else Tiling(tile, DEFAULT_OVERLAP if overlap is None else overlap)


def detect_tiled(
    detect: DetectBatch, image: UInt8, settings: PostprocessSettings, tiling: Tiling
) -> tuple[Detections, StageSeconds]:
    """Detect on the tiles of an image and on the whole of it, and merge.

    An image that fits into one tile is detected as without tiles.

    Args:
        detect: is called with a few tiles at a time.
        image: (H, W, 3) uint8 RGB.
        settings: what is kept.
        tiling: how the image is cut.

    Returns:
        Detections in pixels of the image, by falling score, and what all of it took.
    """
    size_hw = (image.shape[0], image.shape[1])
    tiles = tiling.plan(size_hw)
    if len(tiles) == 1:
        found, seconds = detect([image], settings)
        return found[0], seconds
    tiles.append((0, 0, size_hw[1], size_hw[0]))
    found, spent = [], [0.0, 0.0, 0.0]
    for start in range(0, len(tiles), _TILES_AT_ONCE):
        views = [image[y1:y2, x1:x2] for x1, y1, x2, y2 in tiles[start : start + _TILES_AT_ONCE]]
        of_batch, each = detect(views, settings)
        found += of_batch
        spent = [sum_of + len(views) * one for sum_of, one in zip(spent, astuple(each), strict=True)]
    began = time.perf_counter()
    merged = merge_tiles(found, tiles, size_hw, settings)
    preprocess, inference, postprocess = spent
    return merged, StageSeconds(preprocess, inference, postprocess + time.perf_counter() - began)
