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
        stop_backward: no gradient reaches it or the layers before it: they are not trained.
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
    stop_backward: bool

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


__all__ = [
    "Activation", "Avgpool", "Batchnorm", "Block", "Connected", "Convolutional", "Cost", "Crop", "Detection",
    "Dropout", "Layer", "Local", "Maxpool", "Shape", "Softmax",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolutional(Layer):
    """Convolution, then batch normalisation or a bias, then the activation.

    Attributes:
        filters: output channels.
        size: side of the square kernel.
        stride: of the kernel, in both directions.
        padding: zeros on every side.
        groups: channel groups that do not see each other.
        batch_normalize: then `biases` are the shift of the normalisation and there is no other bias.
        activation: name.
        flipped: the file holds the weights as a (channels * size * size, filters) matrix.
        num_load: files that are read hold this many of the filters only; 0 for all.
    """

    kind: ClassVar[str] = "convolutional"

    filters: int
    size: int
    stride: int
    padding: int
    groups: int
    batch_normalize: bool
    activation: str
    flipped: bool
    num_load: int

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Biases, then the normalisation, then the weights."""
        return self._blocks(self.filters)

    @property
    def loaded_blocks(self) -> tuple[Block, ...]:
        """As in every layer, but with `num_load` filters."""
        if self.dont_load:
            return ()
        blocks = self._blocks(self.num_load or self.filters)
        return tuple(b for b in blocks if not (self.dont_load_scales and b.name in NORMALIZATION))

    @property
    def flops(self) -> int:
        """Every weight is used once per output place."""
        return 2 * self.out_shape.height * self.out_shape.width * self.blocks[-1].size

    def _blocks(self, filters: int) -> tuple[Block, ...]:
        vectors = ("biases", *(NORMALIZATION if self.batch_normalize else ()))
        weights = (filters, self.in_shape.channels // self.groups, self.size, self.size)
        return (*(Block(name=name, shape=(filters,)) for name in vectors), Block(name="weights", shape=weights))


@dataclass(frozen=True, kw_only=True, slots=True)
class Local(Layer):
    """A convolution whose weights and biases are different at every output place.

    Attributes:
        filters: output channels.
        size: side of the square kernel.
        stride: of the kernel, in both directions.
        padding: zeros on every side (the key is `pad`, but unlike a convolution's it counts pixels).
        activation: name.
    """

    kind: ClassVar[str] = "local"

    filters: int
    size: int
    stride: int
    padding: int
    activation: str

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Biases by channel and place, weights by place."""
        _, height, width = self.out_shape
        weights = (height, width, self.filters, self.in_shape.channels, self.size, self.size)
        return (Block(name="biases", shape=(self.filters, height, width)), Block(name="weights", shape=weights))

    @property
    def flops(self) -> int:
        """Every weight is used once."""
        return 2 * self.blocks[-1].size


@dataclass(frozen=True, kw_only=True, slots=True)
class Connected(Layer):
    """Every output sees every input, in the order channels, rows, columns.

    Attributes:
        outputs: length of the answer.
        batch_normalize: then `biases` are the shift of the normalisation.
        activation: name.
    """

    kind: ClassVar[str] = "connected"

    outputs: int
    batch_normalize: bool
    activation: str

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Biases, weights, and only then the normalisation: another order than a convolution's."""
        vectors = NORMALIZATION if self.batch_normalize else ()
        return (
            Block(name="biases", shape=(self.outputs,)),
            Block(name="weights", shape=(self.outputs, self.in_shape.size)),
            *(Block(name=name, shape=(self.outputs,)) for name in vectors),
        )

    @property
    def flops(self) -> int:
        """Every weight is used once."""
        return 2 * self.outputs * self.in_shape.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Maxpool(Layer):
    """Largest value of each window.

    The windows start at `i * stride - padding // 2`, and what they cover outside the image does not count.

    Attributes:
        size: side of the square window.
        stride: of the window, in both directions.
        padding: of both sides together, so that the output side is (in + padding - size) // stride + 1.
    """

    kind: ClassVar[str] = "maxpool"

    size: int
    stride: int
    padding: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Avgpool(Layer):
    """Mean of each channel."""

    kind: ClassVar[str] = "avgpool"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropout(Layer):
    """In training each value is zeroed with `probability`, the others are divided by 1 - `probability`."""

    kind: ClassVar[str] = "dropout"

    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Crop(Layer):
    """A window of the image, of the size of `out_shape`: central, or in training at a random place.

    Attributes:
        flip: in training, mirror half of the images.
        noadjust: leave values as they are; otherwise x becomes 2x - 1.
        saturation: largest change of saturation in training, as a factor; 1 for none.
        exposure: largest change of brightness in training, as a factor; 1 for none.
    """

    kind: ClassVar[str] = "crop"

    flip: bool
    noadjust: bool
    saturation: float
    exposure: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax(Layer):
    """Softmax over each of `groups` equal parts of the vector, of values divided by `temperature`."""

    kind: ClassVar[str] = "softmax"
    outputs_image: ClassVar[bool] = False

    groups: int
    temperature: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost(Layer):
    """Where darknet measures a classifier's error; the values pass through."""

    kind: ClassVar[str] = "cost"
    outputs_image: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Batchnorm(Layer):
    """Batch normalisation on its own. darknet neither trains it nor saves its biases."""

    kind: ClassVar[str] = "batchnorm"

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Scales and running statistics."""
        return tuple(Block(name=name, shape=(self.in_shape.channels,)) for name in NORMALIZATION)

    @property
    def loaded_blocks(self) -> tuple[Block, ...]:
        """All of them: darknet does not obey `dontloadscales` here."""
        return () if self.dont_load else self.blocks

    @property
    def num_parameters(self) -> int:
        """None: darknet has no update for this layer."""
        return 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Activation(Layer):
    """An activation on its own."""

    kind: ClassVar[str] = "activation"

    activation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection(Layer):
    """YOLOv1's output: decodes nothing, in training it is the loss.

    The flat vector holds three blocks, each by row, column of the grid: class probabilities, confidences, boxes.

    Attributes:
        side: S, cells along each side.
        boxes_per_cell: B (`num` in the cfg).
        num_classes: C.
        softmax: over the class values of each cell.
        sqrt: width and height are answered as square roots.
        rescore: the confidence of the responsible box shall be its IoU, otherwise 1.
        forced: the responsible box is chosen by the object's area, not by IoU.
        random: the responsible box of the first images is drawn.
        jitter: largest crop and extension of each border in training, relative to the image.
        object_scale: weight of the confidence of responsible boxes.
        noobject_scale: weight of the confidence of the others.
        class_scale: weight of the class values.
        coord_scale: weight of the box values.
    """

    kind: ClassVar[str] = "detection"
    outputs_image: ClassVar[bool] = False

    side: int
    boxes_per_cell: int
    num_classes: int
    softmax: bool
    sqrt: bool
    rescore: bool
    forced: bool
    random: bool
    jitter: float
    object_scale: float
    noobject_scale: float
    class_scale: float
    coord_scale: float
