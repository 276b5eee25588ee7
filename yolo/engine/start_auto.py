"""What `auto` means for a training on this machine: its backbone, its first weights, and its frozen layers.

They are decided together and before anything else, and config.yaml has the decision: a training is repeated elsewhere
with the options that are there.
"""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from yolo.config import TrainConfig
from yolo.config.training import AUTO
from yolo.console import say
from yolo.engine.start_options import RANDOM
from yolo.models.efficientnet_lite import EFFICIENTNET_LITE0
from yolo.models.freezing import NOTHING
from yolo.models.pretrained import DEFAULT, choose_backbone, how_to_get, is_here

# Small and fast; what trains from random weights, and what files of backbone weights are for unless --backbone says so.
SMALL_BACKBONE = "shufflenet_v2_x0_5"
# The stem and all stages up to stride 8. Their filters serve any photographs; without their gradients a step takes half
# the time, and in trainings of minutes on few images detectors become better (docs/results.md).
_FROZEN_STAGES = 4
# Three quarters of its parameters and a third of its time are beyond.
_DEEPEST_OF_EFFICIENTNET = 16


def resolve_auto(config: TrainConfig, console: Console) -> TrainConfig:
    """Replace `auto` in backbone, weights and freeze, and the default depth; print the decision.

    weights auto    ImageNet weights: of the backbone that was asked for, if they are on this machine; of the best
                    backbone that has some here, if none was asked for; random weights otherwise
    backbone auto   that one; efficientnet_lite0 for DEFAULT; shufflenet_v2_x0_5 for other weights
    freeze auto     the first stages of efficientnet_lite0 with ImageNet weights; else nothing

    Networks from a darknet cfg start from random weights and are trained whole.
    """
    if config.cfg:
        weights = RANDOM if config.weights == AUTO else config.weights
        return replace(config, weights=weights, freeze=NOTHING if config.freeze == AUTO else config.freeze)
    backbone, weights = config.backbone, config.weights
    if weights == AUTO:
        backbone, weights = _choose(backbone, console)
    elif backbone == AUTO:
        backbone = EFFICIENTNET_LITE0 if weights == DEFAULT else SMALL_BACKBONE
    freeze = config.freeze
    if freeze == AUTO:
        freeze = _FROZEN_STAGES if (backbone, weights) == (EFFICIENTNET_LITE0, DEFAULT) else NOTHING
    deepest = config.model.deepest_stride or (_DEEPEST_OF_EFFICIENTNET if backbone == EFFICIENTNET_LITE0 else 32)
    model = replace(config.model, deepest_stride=deepest)
    return replace(config, backbone=backbone, weights=weights, freeze=freeze, model=model)


def _choose(backbone: str, console: Console) -> tuple[str, str]:
    """Backbone and weights for `--weights auto`."""
    if backbone == AUTO:
        found = choose_backbone()
        if found is None:
            say(
                console,
                f"{SMALL_BACKBONE} starts from random weights, because no ImageNet weights are on this machine; a "
                f"detector becomes much better with them: {how_to_get(EFFICIENTNET_LITE0)}",
            )
            return SMALL_BACKBONE, RANDOM
        say(console, f"pretrained: {found} with ImageNet weights (--weights {DEFAULT} --backbone {found})")
        return found, DEFAULT
    if is_here(backbone):
        say(console, f"pretrained: {backbone} with ImageNet weights (--weights {DEFAULT})")
        return backbone, DEFAULT
    say(
        console,
        f"{backbone} starts from random weights: its ImageNet weights are not on this machine; {how_to_get(backbone)}",
    )
    return backbone, RANDOM
