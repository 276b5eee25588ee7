"""From one section of a cfg to one layer, with every number checked before anything could be allocated.

Source: the parse_* functions of darknet src/parser.c and the make_* functions of its layers. Where darknet only
prints a message, or says nothing and fails later, this raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from yolo.darknet.cfg import Options
from yolo.darknet.layers import (
    Activation,
    Avgpool,
    Batchnorm,
    Connected,
    Convolutional,
    Cost,
    Crop,
    Detection,
    Dropout,
    Layer,
    Local,
    Maxpool,
    Shape,
    Softmax,
)

_VALUES_PER_BOX = 4


class _Place(TypedDict):
    """Where a layer stands, as arguments of its class."""

    index: int
    line: int
    in_shape: Shape
    out_shape: Shape
    dont_save: bool
    dont_load: bool
    dont_load_scales: bool


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What a section is built on.

    Attributes:
        index: of the layer to build.
        shape: of the values that reach it.
        is_image: whether they have rows and columns; after a softmax, for one, darknet does not know them.
        previous: name of the section before, for messages.
    """

    index: int
    shape: Shape
    is_image: bool
    previous: str


def build_layer(options: Options, feed: Feed) -> Layer:
    """The layer that a section describes.

    Raises:
        ConfigError: `SOURCE:LINE: [section] ...`
    """
    # These three act at training time only and on no layer of YOLOv1; they are read so that they are not reported.
    for key in ("truth", "onlyforward", "stopbackward"):
        options.flag(key)
    return _BUILDERS[options.section.name](options, feed)


def _place(options: Options, feed: Feed, out_shape: Shape) -> _Place:
    return _Place(
        index=feed.index,
        line=options.section.line,
        in_shape=feed.shape,
        out_shape=out_shape,
        dont_save=options.flag("dontsave"),
        dont_load=options.flag("dontload"),
        dont_load_scales=options.flag("dontloadscales"),
    )


def _image(options: Options, feed: Feed) -> Shape:
    """The input shape of a layer that needs rows and columns."""
    if not feed.is_image:
        raise options.error(f"the layer before must output an image, [{feed.previous}] does not")
    return feed.shape


def _windows(options: Options, length: int, *, size: int, stride: int, padding: int) -> int:
    """How many windows fit side by side; `padding` of both sides together."""
    if length + padding < size:
        raise options.error(f"size={size} does not fit into an input side of {length} with padding {padding}")
    return (length + padding - size) // stride + 1


def _convolutional(options: Options, feed: Feed) -> Convolutional:
    channels, height, width = _image(options, feed)
    filters = options.integer("filters", 1, least=1)
    size = options.integer("size", 1, least=1)
    stride = options.integer("stride", 1, least=1)
    groups = options.integer("groups", 1, least=1)
    padding = options.integer("padding", 0, least=0)
    if options.flag("pad"):
        padding = size // 2
    if channels % groups or filters % groups:
        raise options.error(f"groups={groups} must divide channels {channels} and filters {filters}", key="groups")
    flipped = options.flag("flipped")
    if flipped and groups > 1:
        raise options.error("flipped=1 with groups: darknet itself reads past the weights here", key="flipped")
    num_load = options.integer("numload", 0, least=0)
    if num_load > filters:
        raise options.error(f"numload={num_load} is more than the {filters} filters", key="numload")
    options.refuse("binary", "binary weights")
    options.refuse("xnor", "binary weights")
    out_shape = Shape(
        filters,
        _windows(options, height, size=size, stride=stride, padding=2 * padding),
        _windows(options, width, size=size, stride=stride, padding=2 * padding),
    )
    return Convolutional(
        **_place(options, feed, out_shape),
        filters=filters,
        size=size,
        stride=stride,
        padding=padding,
        groups=groups,
        batch_normalize=options.flag("batch_normalize"),
        activation=options.activation("logistic"),
        flipped=flipped,
        num_load=num_load,
    )


def _local(options: Options, feed: Feed) -> Local:
    _, *sides = _image(options, feed)
    filters = options.integer("filters", 1, least=1)
    size = options.integer("size", 1, least=1)
    stride = options.integer("stride", 1, least=1)
    padding = options.integer("pad", 0, least=0)
    out_sides = []
    for side in sides:
        fitting = _windows(options, side, size=size, stride=stride, padding=2 * padding)
        # darknet sizes the output by this rule, but fills it with as many windows as really fit
        assumed = (side - 1 if padding else side - size) // stride + 1
        if fitting != assumed:
            raise options.error(
                f"size={size} with pad={padding} makes darknet expect {assumed} places and compute {fitting}; "
                f"pad must be 0 or (size - 1) / 2",
                key="pad",
            )
        out_sides.append(fitting)
    height, width = out_sides
    return Local(
        **_place(options, feed, Shape(filters, height, width)),
        filters=filters,
        size=size,
        stride=stride,
        padding=padding,
        activation=options.activation("logistic"),
    )


def _connected(options: Options, feed: Feed) -> Connected:
    outputs = options.integer("output", 1, least=1)
    return Connected(
        **_place(options, feed, Shape(outputs, 1, 1)),
        outputs=outputs,
        batch_normalize=options.flag("batch_normalize"),
        activation=options.activation("logistic"),
    )


def _maxpool(options: Options, feed: Feed) -> Maxpool:
    channels, *sides = _image(options, feed)
    stride = options.integer("stride", 1, least=1)
    size = options.integer("size", stride, least=1)
    padding = options.integer("padding", size - 1, least=0)
    out_sides = [_windows(options, side, size=size, stride=stride, padding=padding) for side in sides]
    before = padding // 2
    for side, count in zip(sides, out_sides, strict=True):
        if before >= size or (count - 1) * stride - before >= side:
            raise options.error(f"padding={padding} with size={size} makes windows that see no input", key="padding")
    height, width = out_sides
    out_shape = Shape(channels, height, width)
    return Maxpool(**_place(options, feed, out_shape), size=size, stride=stride, padding=padding)


def _avgpool(options: Options, feed: Feed) -> Avgpool:
    return Avgpool(**_place(options, feed, Shape(_image(options, feed).channels, 1, 1)))


def _dropout(options: Options, feed: Feed) -> Dropout:
    probability = options.number("probability", 0.5, least=0, below=1)
    return Dropout(**_place(options, feed, feed.shape), probability=probability)


def _crop(options: Options, feed: Feed) -> Crop:
    channels, height, width = _image(options, feed)
    crop_height = options.integer("crop_height", 1, least=1)
    crop_width = options.integer("crop_width", 1, least=1)
    if crop_height > height or crop_width > width:
        raise options.error(f"a crop of {crop_width} x {crop_height} is larger than the input {width} x {height}")
    return Crop(
        **_place(options, feed, Shape(channels, crop_height, crop_width)),
        flip=options.flag("flip"),
        noadjust=options.flag("noadjust"),
        angle=options.number("angle", 0.0),
        saturation=options.number("saturation", 1.0, least=0),
        exposure=options.number("exposure", 1.0, least=0),
        shift=options.number("shift", 0.0),
    )


def _softmax(options: Options, feed: Feed) -> Softmax:
    groups = options.integer("groups", 1, least=1)
    if feed.shape.size % groups:
        raise options.error(f"groups={groups} must divide the {feed.shape.size} inputs", key="groups")
    temperature = options.number("temperature", 1.0)
    if temperature <= 0:
        raise options.error(f"temperature must be above 0, not {temperature:g}", key="temperature")
    options.refuse("tree", "a softmax over a tree of classes")
    options.refuse("spatial", "a softmax at every place")
    options.flag("noloss")
    return Softmax(**_place(options, feed, feed.shape), groups=groups, temperature=temperature)


def _cost(options: Options, feed: Feed) -> Cost:
    options.text("type", "sse")
    for key in ("scale", "ratio", "noobj", "thresh"):
        options.number(key, 1.0)
    return Cost(**_place(options, feed, feed.shape))


def _batchnorm(options: Options, feed: Feed) -> Batchnorm:
    return Batchnorm(**_place(options, feed, _image(options, feed)))


def _activation(options: Options, feed: Feed) -> Activation:
    return Activation(**_place(options, feed, feed.shape), activation=options.activation("linear"))


def _detection(options: Options, feed: Feed) -> Detection:
    side = options.integer("side", 7, least=1)
    boxes_per_cell = options.integer("num", 1, least=1)
    num_classes = options.integer("classes", 1, least=1)
    coords = options.integer("coords", 1)
    if coords != _VALUES_PER_BOX:
        raise options.error(f"coords must be {_VALUES_PER_BOX}, not {coords}: a box has x, y, w, h", key="coords")
    outputs = side * side * ((1 + coords) * boxes_per_cell + num_classes)
    if feed.shape.size != outputs:
        raise options.error(
            f"side={side}, num={boxes_per_cell}, classes={num_classes} need {outputs} inputs "
            f"(side * side * (5 * num + classes)), the layer before outputs {feed.shape.size}"
        )
    forced = options.flag("forced")
    if forced and boxes_per_cell == 1:
        raise options.error("forced=1 chooses between the first two boxes of a cell, and num is 1", key="forced")
    options.flag("reorg")
    return Detection(
        **_place(options, feed, feed.shape),
        side=side,
        boxes_per_cell=boxes_per_cell,
        num_classes=num_classes,
        softmax=options.flag("softmax"),
        sqrt=options.flag("sqrt"),
        rescore=options.flag("rescore"),
        forced=forced,
        random=options.flag("random"),
        # from half on, a random crop could leave nothing of the image
        jitter=options.number("jitter", 0.2, least=0, below=0.5),
        object_scale=options.number("object_scale", 1.0),
        noobject_scale=options.number("noobject_scale", 1.0),
        class_scale=options.number("class_scale", 1.0),
        coord_scale=options.number("coord_scale", 1.0),
        max_boxes=options.integer("max", 90, least=0),
    )


_BUILDERS: dict[str, Callable[[Options, Feed], Layer]] = {
    "convolutional": _convolutional,
    "local": _local,
    "connected": _connected,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "dropout": _dropout,
    "crop": _crop,
    "softmax": _softmax,
    "cost": _cost,
    "batchnorm": _batchnorm,
    "activation": _activation,
    "detection": _detection,
}
