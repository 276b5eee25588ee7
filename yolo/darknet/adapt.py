"""A cfg for another number of classes: two numbers of its text change, everything else stays as it was written."""

from __future__ import annotations

from yolo.darknet.cfg import Cfg, parse_cfg
from yolo.darknet.layers import Connected, Detection
from yolo.darknet.plan import plan_cfg
from yolo.errors import ConfigError

_COORDS = 4


def with_classes(cfg: Cfg, num_classes: int) -> Cfg:
    """The cfg with `classes` of [detection] and `output` of the [connected] before it changed, if need be.

    Raises:
        ConfigError: the cfg does not end in [connected] (perhaps [dropout]) and [detection].
    """
    layers = plan_cfg(cfg).layers
    detection = layers[-1]
    if not isinstance(detection, Detection) or detection.num_classes == num_classes:
        return cfg
    before = next((layer for layer in reversed(layers[:-1]) if layer.kind != "dropout"), None)
    if not isinstance(before, Connected):
        raise ConfigError(
            f"{cfg.source}:{detection.line}: the network has {detection.num_classes} classes, the data {num_classes}; "
            "change `classes` and the layers before it in the cfg (only a [connected] layer can be changed for you)"
        )
    outputs = detection.side**2 * ((1 + _COORDS) * detection.boxes_per_cell + num_classes)
    text = _set_option(cfg, detection.line, "classes", num_classes)
    return parse_cfg(_set_option(parse_cfg(text, source=cfg.source), before.line, "output", outputs), source=cfg.source)


def _set_option(cfg: Cfg, section_line: int, key: str, value: int) -> str:
    """Text of the cfg with another value of a key in the section that begins at a line."""
    lines = cfg.text.split("\n")  # as the parser counts them
    section = next(section for section in cfg.sections if section.line == section_line)
    # Windows line ends stay Windows line ends
    written = f"{key} = {value}" + ("\r" if lines[section_line - 1].endswith("\r") else "")
    option = section.find(key)
    if option is None:  # it was left to its default
        lines.insert(section_line, written)
    else:
        lines[option.line - 1] = written
    return "\n".join(lines)
