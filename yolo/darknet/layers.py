"""One frozen record per kind of layer: its options, its shapes, and the float32 arrays it has in a weights file.

`sections.py` makes these from a cfg and checks them; nothing here computes. Shapes are per image: channels, height,
width, with height and width 1 for a flat vector. The arrays have darknet's own orders:
    convolutional weights  (filters, channels / groups, size, size)
    connected weights      (outputs, inputs)
    local weights          (out height, out width, filters, channels, size, size), biases (filters, out height, width)

Source: darknet src/parser.c (save_weights_upto, load_weights_upto) and the layers' own files.
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


@dataclass(frozen=True, slots=True)
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
    """What every layer has."""

    # whether a convolution, a pool or another layer that needs rows and columns may follow
    outputs_image: ClassVar[bool] = True

    index: int  # 0-based, [net] not counted: the number darknet prints and file layouts speak of
    line: int  # 1-based line of the section in the cfg
    in_shape: Shape
    out_shape: Shape
    dont_save: bool  # it is left out of written files
    dont_load: bool  # it is not expected in files that are read
    dont_load_scales: bool  # files that are read lack its scales, means and variances
    stop_backward: bool  # no gradient reaches it or the layers before it: they are not trained

    @property
    def kind(self) -> str:
        """Name of its section in a cfg: `convolutional`."""
        return type(self).__name__.lower()

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
        return self._loaded(self.blocks)

    def _loaded(self, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        if self.dont_load:
            return ()
        return tuple(b for b in blocks if not (self.dont_load_scales and b.name in NORMALIZATION))

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolutional(Layer):
    """Convolution, then batch normalisation or a bias, then the activation."""

    filters: int  # output channels
    size: int  # side of the square kernel
    stride: int  # in both directions
    padding: int  # zeros on every side
    groups: int  # channel groups that do not see each other
    batch_normalize: bool  # then `biases` are the shift of the normalisation and there is no other bias
    activation: str
    flipped: bool  # the file holds the weights as a (channels * size * size, filters) matrix
    num_load: int  # files that are read hold this many of the filters only; 0 for all

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Biases, then the normalisation, then the weights."""
        return self._blocks(self.filters)

    @property
    def loaded_blocks(self) -> tuple[Block, ...]:
        """As in every layer, but with `num_load` filters."""
        return self._loaded(self._blocks(self.num_load or self.filters))

    @property
    def flops(self) -> int:
        """Every weight is used once per output place."""
        return 2 * self.out_shape.height * self.out_shape.width * self.blocks[-1].size

    def _blocks(self, filters: int) -> tuple[Block, ...]:
        vectors = ("biases", *(NORMALIZATION if self.batch_normalize else ()))
        weights = (filters, self.in_shape.channels // self.groups, self.size, self.size)
        return (*(Block(name, (filters,)) for name in vectors), Block("weights", weights))


@dataclass(frozen=True, kw_only=True, slots=True)
class Local(Layer):
    """A convolution whose weights and biases differ from place to place."""

    filters: int  # output channels
    size: int  # side of the square kernel
    stride: int  # in both directions
    padding: int  # zeros on every side (`pad` in the cfg, where for once it counts pixels)
    activation: str

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Biases by channel and place, weights by place."""
        _, height, width = self.out_shape
        weights = (height, width, self.filters, self.in_shape.channels, self.size, self.size)
        return (Block("biases", (self.filters, height, width)), Block("weights", weights))

    @property
    def flops(self) -> int:
        """Every weight is used once."""
        return 2 * self.blocks[-1].size


@dataclass(frozen=True, kw_only=True, slots=True)
class Connected(Layer):
    """Every output sees every input, in the order channels, rows, columns."""

    outputs: int
    batch_normalize: bool  # then `biases` are the shift of the normalisation
    activation: str

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Biases, weights, and only then the normalisation: another order than a convolution's."""
        vectors = NORMALIZATION if self.batch_normalize else ()
        return (
            Block("biases", (self.outputs,)),
            Block("weights", (self.outputs, self.in_shape.size)),
            *(Block(name, (self.outputs,)) for name in vectors),
        )

    @property
    def flops(self) -> int:
        """Every weight is used once."""
        return 2 * self.outputs * self.in_shape.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Maxpool(Layer):
    """Largest value of each window.

    The windows start at `i * stride - padding // 2`, and what they cover outside the image does not count.
    """

    size: int  # side of the square window
    stride: int  # in both directions
    padding: int  # of both sides together: the output side is (in + padding - size) // stride + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Avgpool(Layer):
    """Mean of each channel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropout(Layer):
    """In training each value is zeroed with `probability`, the others are divided by 1 - `probability`."""

    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop(Layer):
    """A window of the image, of the size of `out_shape`: central, or in training at a random place."""

    flip: bool  # in training, mirror half of the images
    noadjust: bool  # leave values as they are; otherwise x becomes 2x - 1
    saturation: float  # largest change in training, as a factor; 1 for none
    exposure: float  # largest change of brightness in training, as a factor; 1 for none


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax(Layer):
    """Softmax over each of `groups` equal parts of the vector, of values divided by `temperature`."""

    outputs_image: ClassVar[bool] = False

    groups: int
    temperature: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost(Layer):
    """Where darknet measures a classifier's error; the values pass through."""

    outputs_image: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Batchnorm(Layer):
    """Batch normalisation on its own. darknet neither trains it nor saves its biases."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Scales and running statistics."""
        return tuple(Block(name, (self.in_shape.channels,)) for name in NORMALIZATION)

    @property
    def num_parameters(self) -> int:
        """None: darknet has no update for this layer."""
        return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Activation(Layer):
    """An activation on its own."""

    activation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection(Layer):
    """YOLOv1's output: decodes nothing, in training it is the loss.

    The flat vector holds three blocks, each by row, column of the grid: class probabilities, confidences, boxes.
    """

    outputs_image: ClassVar[bool] = False

    side: int  # S, cells along each side
    boxes_per_cell: int  # B (`num` in the cfg)
    num_classes: int  # C
    softmax: bool  # over the class values of each cell
    sqrt: bool  # width and height are answered as square roots
    rescore: bool  # the confidence of the responsible box shall be its IoU, otherwise 1
    forced: bool  # the responsible box is chosen by the object's area, not by IoU
    random: bool  # the responsible box of the first images is drawn
    jitter: float  # largest crop and extension of each border in training, relative to the image
    object_scale: float  # weight of the confidence of responsible boxes
    noobject_scale: float  # weight of the confidence of the others
    class_scale: float  # weight of the class values
    coord_scale: float  # weight of the box values
