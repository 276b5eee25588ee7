"""What all layers of a network have in common: their shapes, and the arrays they own in a weights file.

Shapes are per image: channels, height, width, with height and width 1 for a flat vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

# These three run along while a network trains, or follow from batch normalisation being there at all.
NORMALIZATION = ("scales", "rolling_mean", "rolling_variance")
_TRAINED = frozenset(("biases", "scales", "weights"))


class Shape(NamedTuple):
    """What one image looks like between two layers."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Number of values."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.width} x {self.height} x {self.channels}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One float32 array of a weights file."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of floats."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What every layer has.

    Attributes:
        index: 0-based, [net] not counted: the number darknet prints and file layouts speak of.
        line: 1-based line of the section in the cfg.
        in_shape: what it receives.
        out_shape: what it answers.
        dont_save: it is left out of written files.
        dont_load: it is not expected in files that are read.
        dont_load_scales: files that are read lack its scales, means and variances.
    """

    kind: ClassVar[str]
    # whether a convolution, a pool or another layer that needs rows and columns may follow
    outputs_image: ClassVar[bool] = True

    index: int
    line: int
    in_shape: Shape
    out_shape: Shape
    dont_save: bool
    dont_load: bool
    dont_load_scales: bool

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All its arrays, in file order."""
        return ()

    @property
    def saved_blocks(self) -> tuple[Block, ...]:
        """The arrays that stand in a file written with this cfg."""
        return () if self.dont_save else self.blocks

    @property
    def loaded_blocks(self) -> tuple[Block, ...]:
        """The arrays that are read from a file, with the shapes they have there."""
        if self.dont_load:
            return ()
        return tuple(b for b in self.blocks if not (self.dont_load_scales and b.name in NORMALIZATION))

    @property
    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(block.size for block in self.blocks if block.name in _TRAINED)

    @property
    def num_floats(self) -> int:
        """Numbers of all its blocks: parameters and running statistics."""
        return sum(block.size for block in self.blocks)

    @property
    def flops(self) -> int:
        """Two for every multiply-add of one image, as darknet counts: products with weights only."""
        return 0
