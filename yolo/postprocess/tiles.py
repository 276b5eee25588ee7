"""Cutting a large image into overlapping tiles, and detecting on them one batch after the other.

Each tile is placed on the network's input like an image of its own, so that small objects keep their pixels. A pass
over the whole image follows: it finds the objects that are larger than a tile. `seams` merges what the passes found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from yolo.arrays import UInt8
from yolo.errors import ConfigError
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.postprocess.seams import Tile, merge_tiles
from yolo.structures import Detections

SMALLEST_TILE = 32
# Without a common strip nothing says which halves belong together; with more, the work grows and nothing is gained.
LEAST_OVERLAP, MOST_OVERLAP = 0.05, 0.75
# Bounds the memory, and fills a batch well enough on any device.
_TILES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Tiling:
    """How images are cut: square tiles, and the least share of its side that a tile has in common with its neighbour.

    Raises:
        ConfigError: tiles or an overlap of an impossible size.
    """

    size: int  # side of a tile in pixels of the image
    overlap: float = 0.2

    def __post_init__(self) -> None:
        if self.size < SMALLEST_TILE:
            raise ConfigError(f"tile must be at least {SMALLEST_TILE} pixels, got {self.size}")
        if not LEAST_OVERLAP <= self.overlap <= MOST_OVERLAP:
            raise ConfigError(
                f"overlap must be in [{LEAST_OVERLAP}, {MOST_OVERLAP}], got {self.overlap:g}: it is the share of a "
                "tile that its neighbour shows too, and should be as wide as the small objects"
            )

    def plan(self, size_hw: tuple[int, int]) -> list[Tile]:
        """The tiles of an image, row by row.

        The least number of tiles with this overlap, spread evenly, so that the first and the last lie on the edges of
        the image. A side that is no longer than a tile is not cut.

        >>> Tiling(640, 0.25).plan((480, 1000))
        [(0, 0, 640, 480), (360, 0, 1000, 480)]
        """
        rows, columns = (self._spans(side) for side in size_hw)
        return [(x1, y1, x2, y2) for y1, y2 in rows for x1, x2 in columns]

    def _spans(self, length: int) -> list[tuple[int, int]]:
        if length <= self.size:
            return [(0, length)]
        # exact, or a step of 512.0000001 would cost a pixel of the overlap that was asked for
        step = max(1, int(self.size * (1 - Fraction(str(self.overlap)))))
        room = length - self.size
        steps = -(-room // step)
        return [(start, start + self.size) for start in (room * place // steps for place in range(steps + 1))]


def detect_tiled(
    detect: Callable[[Sequence[UInt8]], list[Detections]], image: UInt8, tiling: Tiling, settings: PostprocessSettings
) -> Detections:
    """Detect on the tiles of an image and on the whole of it, and merge.

    An image that fits into one tile is detected as without tiles.

    Args:
        detect: what finds the detections of a batch of images, each in its own pixels, by `settings`.
        image: (H, W, 3) uint8 RGB.
        tiling: how it is cut.
        settings: what is kept.

    Returns:
        Detections in pixels of the image, by falling score.
    """
    size_hw = (image.shape[0], image.shape[1])
    tiles = tiling.plan(size_hw)
    if len(tiles) == 1:
        return detect([image])[0]
    tiles.append((0, 0, size_hw[1], size_hw[0]))
    found: list[Detections] = []
    for start in range(0, len(tiles), _TILES_AT_ONCE):
        views = [image[y1:y2, x1:x2] for x1, y1, x2, y2 in tiles[start : start + _TILES_AT_ONCE]]
        found += detect(views)
    return merge_tiles(found, tiles, size_hw, settings)
