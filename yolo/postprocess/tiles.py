"""Where a large image is cut into overlapping tiles; `seams` merges what is found on them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from yolo.config.options import DEFAULT_OVERLAP, check_tiling

Tile = tuple[int, int, int, int]  # x1, y1, x2, y2 in whole pixels of the image


@dataclass(frozen=True, slots=True)
class Tiling:
    """How images are cut: square tiles, and the least share of its side that a tile has in common with its neighbour.

    Raises:
        ConfigError: tiles or an overlap of an impossible size.
    """

    size: int  # side of a tile in pixels of the image
    overlap: float = DEFAULT_OVERLAP

    def __post_init__(self) -> None:
        check_tiling(self.size, self.overlap)

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
