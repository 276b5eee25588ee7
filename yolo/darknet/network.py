"""Networks from a darknet cfg: the same function, the same numbers, in torch.

A detection network answers with `raw` (N, S, S, D) like every network here; a classifier with the last layer's
values. Losses are not part of a network: [detection] and [cost] only pass values on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

import torch
from torch import Tensor, nn

from yolo.darknet.layers import Detection, Shape
from yolo.darknet.modules import BatchNormKind, make_layer
from yolo.darknet.plan import NetworkPlan, plan_network
from yolo.errors import ConfigError
from yolo.grid import GridSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DarknetSpec:
    """Everything that is needed to build a darknet network again; saved with its weights.

    Raises:
        ConfigError: an unknown arithmetic.
        TypeError: `cfg` is not text.
    """

    cfg: str  # the text
    batch_norm: BatchNormKind = "standard"  # arithmetic of batch norms in training, see `modules.py`

    def __post_init__(self) -> None:
        if not isinstance(self.cfg, str):
            raise TypeError(f"cfg must be text, not {self.cfg!r}")
        if self.batch_norm not in get_args(BatchNormKind):
            kinds = " or ".join(get_args(BatchNormKind))
            raise ConfigError(f"batch_norm must be {kinds}, not {self.batch_norm!r}")

    @property
    def plan(self) -> NetworkPlan:
        """The checked cfg."""
        return _plan(self.cfg)

    @property
    def name(self) -> str:
        """What to call the network in a line of text."""
        return f"darknet network of {len(self.plan.layers)} layers"

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the input; connected layers allow no other."""
        return self.plan.net.height, self.plan.net.width

    def grid(self, input_hw: tuple[int, int]) -> GridSpec:
        """The grid; ConfigError for an input of another size, or where the network is not a detector."""
        if input_hw != self.input_hw:
            height, width = self.input_hw
            raise ConfigError(f"the cfg's input is {width}x{height} (width x height), not {input_hw[1]}x{input_hw[0]}")
        detection = self.plan.detection
        if detection is None:
            raise ConfigError("the cfg has no [detection] layer: the network is not a detector")
        return grid_of(detection)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"cfg": self.cfg, "batch_norm": self.batch_norm}


class DarknetNetwork(nn.Module):
    """The layers of a cfg, one after the other.

    Layers up to the last one with `stopbackward` are not trained; their batch norms still follow the images.

    Args:
        spec: what to build. Initial weights are darknet's random ones.
    """

    def __init__(self, spec: DarknetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.layers = nn.ModuleList(make_layer(layer, spec.batch_norm) for layer in spec.plan.layers)
        self.in_shape = spec.plan.in_shape
        self.grid = None if spec.plan.detection is None else grid_of(spec.plan.detection)
        self.num_frozen = 0
        # where the weights are views of a mapped file: frees the memory of what was read
        self.release_pages: Callable[[], None] | None = None
        self.freeze(spec.plan.num_frozen)

    def freeze(self, count: int) -> None:
        """Do not train the first `count` layers: nothing flows back into them."""
        self.num_frozen = max(self.num_frozen, count)
        for layer in self.layers[: self.num_frozen]:
            layer.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, channels, H, W), uint8 or float 0..1, to raw (N, S, S, D), or a classifier's (N, K).

        Raises:
            ValueError: images of another shape than the cfg's.
        """
        check_images(images, self.in_shape)
        values = images.float() / 255 if images.dtype == torch.uint8 else images
        for index, layer in enumerate(self.layers):
            if 0 < index == self.num_frozen:  # `stopbackward`: nothing flows back beyond this place
                values = values.detach()
            values = layer(values)
        return as_answer(values, self.grid)


def check_images(images: Tensor, in_shape: Shape) -> None:
    """Refuse images of another shape: pools have the windows of the cfg's, and would leave out the rest."""
    if tuple(images.shape[1:]) != in_shape:
        raise ValueError(f"the cfg's input is (N, {', '.join(map(str, in_shape))}), not {tuple(images.shape)}")


def as_answer(values: Tensor, grid: GridSpec | None) -> Tensor:
    """The last layer's values (N, C, H, W) as raw (N, S, S, D), or flat (N, K) where there is no grid."""
    flat = values.flatten(1)
    return flat if grid is None else grid.from_blocks(flat)


def grid_of(detection: Detection) -> GridSpec:
    """The grid that a [detection] layer describes."""
    return GridSpec(
        grid_size=detection.side,
        boxes_per_cell=detection.boxes_per_cell,
        num_classes=detection.num_classes,
        coding="linear",
        root_sizes=detection.sqrt,
        class_softmax=detection.softmax,
    )


@lru_cache(maxsize=8)
def _plan(text: str) -> NetworkPlan:
    return plan_network(text)
