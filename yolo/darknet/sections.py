"""From one section of a cfg to one layer, with every number checked before anything could be allocated.

Source: the parse_* functions of darknet src/parser.c and the make_* functions of its layers. Where darknet only
prints a message, or says nothing and fails later, this raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from yolo.darknet.cfg import Section
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a section is built on."""

    index: int  # of the layer to build
    shape: Shape  # of the values that reach it
    is_image: bool  # they have rows and columns; after a softmax, for one, darknet does not know them
    previous: str  # name of the section before, for messages


def build_layer(section: Section, feed: Feed) -> Layer:
    """The layer that a section describes.

    Raises:
        ConfigError: `SOURCE:LINE: [section] ...`
    """
    # These act at training time only and on no layer of YOLOv1; they are read so that they are not reported.
    for key in ("truth", "onlyforward"):
        section.flag(key)
    return _BUILDERS[section.name](section, feed)


def _place(section: Section, feed: Feed, out_shape: Shape) -> dict[str, Any]:
    """What every layer has, as arguments of its class."""
    return {
        "index": feed.index,
        "line": section.line,
        "in_shape": feed.shape,
        "out_shape": out_shape,
        "dont_save": section.flag("dontsave"),
        "dont_load": section.flag("dontload"),
        "dont_load_scales": section.flag("dontloadscales"),
        "stop_backward": section.flag("stopbackward"),
    }


def _image(section: Section, feed: Feed) -> Shape:
    """The input shape of a layer that needs rows and columns."""
    if not feed.is_image:
        raise section.error(f"the layer before must output an image, [{feed.previous}] does not")
    return feed.shape


def _windows(section: Section, length: int, *, size: int, stride: int, padding: int) -> int:
    """How many windows fit side by side; `padding` of both sides together."""
    if length + padding < size:
        raise section.error(f"size={size} does not fit into an input side of {length} with padding {padding}")
    return (length + padding - size) // stride + 1


def _convolutional(section: Section, feed: Feed) -> Convolutional:
    channels, height, width = _image(section, feed)
    filters = section.integer("filters", 1, least=1)
    size = section.integer("size", 1, least=1)
    stride = section.integer("stride", 1, least=1)
    groups = section.integer("groups", 1, least=1)
    padding = section.integer("padding", 0, least=0)
    if section.flag("pad"):
        padding = size // 2
    if channels % groups or filters % groups:
        raise section.error(f"groups={groups} must divide channels {channels} and filters {filters}", key="groups")
    flipped = section.flag("flipped")
    if flipped and groups > 1:
        raise section.error("flipped=1 with groups: darknet itself reads past the weights here", key="flipped")
    num_load = section.integer("numload", 0, least=0)
    if num_load > filters:
        raise section.error(f"numload={num_load} is more than the {filters} filters", key="numload")
    section.refuse("binary", "binary weights")
    section.refuse("xnor", "binary weights")
    out_shape = Shape(
        filters,
        _windows(section, height, size=size, stride=stride, padding=2 * padding),
        _windows(section, width, size=size, stride=stride, padding=2 * padding),
    )
    return Convolutional(
        **_place(section, feed, out_shape),
        filters=filters,
        size=size,
        stride=stride,
        padding=padding,
        groups=groups,
        batch_normalize=section.flag("batch_normalize"),
        activation=section.activation("logistic"),
        flipped=flipped,
        num_load=num_load,
    )


def _local(section: Section, feed: Feed) -> Local:
    _, *sides = _image(section, feed)
    filters = section.integer("filters", 1, least=1)
    size = section.integer("size", 1, least=1)
    stride = section.integer("stride", 1, least=1)
    padding = section.integer("pad", 0, least=0)
    out_sides = []
    for side in sides:
        fitting = _windows(section, side, size=size, stride=stride, padding=2 * padding)
        # darknet sizes the output by this rule, but fills it with as many windows as really fit
        assumed = (side - 1 if padding else side - size) // stride + 1
        if fitting != assumed:
            raise section.error(
                f"size={size} with pad={padding} makes darknet expect {assumed} places and compute {fitting}; "
                f"pad must be 0 or (size - 1) / 2",
                key="pad",
            )
        out_sides.append(fitting)
    height, width = out_sides
    return Local(
        **_place(section, feed, Shape(filters, height, width)),
        filters=filters,
        size=size,
        stride=stride,
        padding=padding,
        activation=section.activation("logistic"),
    )


def _connected(section: Section, feed: Feed) -> Connected:
    outputs = section.integer("output", 1, least=1)
    return Connected(
        **_place(section, feed, Shape(outputs, 1, 1)),
        outputs=outputs,
        batch_normalize=section.flag("batch_normalize"),
        activation=section.activation("logistic"),
    )


def _maxpool(section: Section, feed: Feed) -> Maxpool:
    channels, *sides = _image(section, feed)
    stride = section.integer("stride", 1, least=1)
    size = section.integer("size", stride, least=1)
    padding = section.integer("padding", size - 1, least=0)
    out_sides = [_windows(section, side, size=size, stride=stride, padding=padding) for side in sides]
    before = padding // 2
    for side, count in zip(sides, out_sides, strict=True):
        if before >= size or (count - 1) * stride - before >= side:
            raise section.error(f"padding={padding} with size={size} makes windows that see no input", key="padding")
    height, width = out_sides
    out_shape = Shape(channels, height, width)
    return Maxpool(**_place(section, feed, out_shape), size=size, stride=stride, padding=padding)


def _avgpool(section: Section, feed: Feed) -> Avgpool:
    return Avgpool(**_place(section, feed, Shape(_image(section, feed).channels, 1, 1)))


def _dropout(section: Section, feed: Feed) -> Dropout:
    probability = section.number("probability", 0.5, least=0, below=1)
    return Dropout(**_place(section, feed, feed.shape), probability=probability)


def _crop(section: Section, feed: Feed) -> Crop:
    channels, height, width = _image(section, feed)
    crop_height = section.integer("crop_height", 1, least=1)
    crop_width = section.integer("crop_width", 1, least=1)
    if crop_height > height or crop_width > width:
        raise section.error(f"a crop of {crop_width} x {crop_height} is larger than the input {width} x {height}")
    for key in ("angle", "shift"):  # of darknet's GPU code
        section.number(key, 0.0)
    return Crop(
        **_place(section, feed, Shape(channels, crop_height, crop_width)),
        flip=section.flag("flip"),
        noadjust=section.flag("noadjust"),
        saturation=section.number("saturation", 1.0, least=0),
        exposure=section.number("exposure", 1.0, least=0),
    )


def _softmax(section: Section, feed: Feed) -> Softmax:
    groups = section.integer("groups", 1, least=1)
    if feed.shape.size % groups:
        raise section.error(f"groups={groups} must divide the {feed.shape.size} inputs", key="groups")
    temperature = section.number("temperature", 1.0)
    if temperature <= 0:
        raise section.error(f"temperature must be above 0, not {temperature:g}", key="temperature")
    section.refuse("tree", "a softmax over a tree of classes")
    section.refuse("spatial", "a softmax at every place")
    section.flag("noloss")
    return Softmax(**_place(section, feed, feed.shape), groups=groups, temperature=temperature)


def _cost(section: Section, feed: Feed) -> Cost:
    section.text("type", "sse")
    for key in ("scale", "ratio", "noobj", "thresh"):
        section.number(key, 1.0)
    return Cost(**_place(section, feed, feed.shape))


def _batchnorm(section: Section, feed: Feed) -> Batchnorm:
    place = _place(section, feed, _image(section, feed))
    return Batchnorm(**place | {"dont_load_scales": False})  # darknet does not obey it here


def _activation(section: Section, feed: Feed) -> Activation:
    return Activation(**_place(section, feed, feed.shape), activation=section.activation("linear"))


def _detection(section: Section, feed: Feed) -> Detection:
    side = section.integer("side", 7, least=1)
    boxes_per_cell = section.integer("num", 1, least=1)
    num_classes = section.integer("classes", 1, least=1)
    coords = section.integer("coords", 1)
    if coords != _VALUES_PER_BOX:
        raise section.error(f"coords must be {_VALUES_PER_BOX}, not {coords}: a box has x, y, w, h", key="coords")
    outputs = side * side * ((1 + coords) * boxes_per_cell + num_classes)
    if feed.shape.size != outputs:
        raise section.error(
            f"side={side}, num={boxes_per_cell}, classes={num_classes} need {outputs} inputs "
            f"(side * side * (5 * num + classes)), the layer before outputs {feed.shape.size}"
        )
    forced = section.flag("forced")
    if forced and boxes_per_cell == 1:
        raise section.error("forced=1 chooses between the first two boxes of a cell, and num is 1", key="forced")
    section.flag("reorg")
    section.integer("max", 90, least=0)  # darknet's limit for the objects of an image
    return Detection(
        **_place(section, feed, feed.shape),
        side=side,
        boxes_per_cell=boxes_per_cell,
        num_classes=num_classes,
        softmax=section.flag("softmax"),
        sqrt=section.flag("sqrt"),
        rescore=section.flag("rescore"),
        forced=forced,
        random=section.flag("random"),
        # from half on, a random crop could leave nothing of the image
        jitter=section.number("jitter", 0.2, least=0, below=0.5),
        object_scale=section.number("object_scale", 1.0),
        noobject_scale=section.number("noobject_scale", 1.0),
        class_scale=section.number("class_scale", 1.0),
        coord_scale=section.number("coord_scale", 1.0),
    )


_BUILDERS: dict[str, Callable[[Section, Feed], Layer]] = {
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
