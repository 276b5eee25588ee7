"""darknet's training as options of ours: what a cfg says, under the names of `TrainConfig`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from yolo.config import TrainConfig
from yolo.darknet.layers import Crop
from yolo.darknet.lookup import find_cfg
from yolo.darknet.plan import NetworkPlan, detector_classes, plan_cfg

# `random=1` in darknet lasts for this many images.
_RANDOM_IMAGES = 64_000


def training_defaults(cfg: str) -> dict[str, Any]:
    """The values that a cfg (a file, or the name of a shipped network) gives to options, by dotted key.

    Raises:
        ConfigError: no such cfg, one that cannot be built, or of a network that is no detector.
    """
    plan = plan_cfg(find_cfg(cfg))
    detector_classes(plan)
    net = plan.net
    return {
        "input_size": net.width,
        # 10 images in 4 parts are 4 times 2: darknet divides without a remainder
        "batch_size": max(1, net.sub_batch) * net.subdivisions,
        "subdivisions": net.subdivisions,
        "max_batches": net.max_batches or None,
        "sampling": "replacement",
        **_model(plan),
        **_loss(plan),
        **_augment(plan),
        "optimizer.name": "sgd",
        "optimizer.lr": net.learning_rate,
        "optimizer.momentum": net.momentum,
        "optimizer.nesterov": False,
        "optimizer.weight_decay": net.decay,
        "optimizer.clip_norm": 0.0,
        "optimizer.ema": 0.0,
        **{f"optimizer.rate.{key}": getattr(net, key) for key in _RATE_KEYS},
    }


def darknet_train_config(*, cfg: str, **changes: Any) -> TrainConfig:
    """The configuration with which darknet would train a cfg, with some options changed.

    Args:
        cfg: a cfg file or the name of a shipped network.
        changes: options of `TrainConfig`, those of its sections with two underscores: `optimizer__lr=0.001`.
    """
    values = training_defaults(cfg)
    if changes.get("epochs") is not None:  # the caller's measure of length replaces darknet's
        del values["max_batches"]
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    made: TrainConfig = _build(TrainConfig, {"cfg": cfg, **values})
    return made


_RATE_KEYS = ("policy", "steps", "scales", "step", "scale", "gamma", "power", "burn_in")


def _model(plan: NetworkPlan) -> dict[str, Any]:
    assert plan.detection is not None
    return {
        "model.boxes_per_cell": plan.detection.boxes_per_cell,
        "model.grid_size": plan.detection.side,
        "model.coding": "linear",
        "model.resize": "stretch_corners",
    }


def _loss(plan: NetworkPlan) -> dict[str, Any]:
    detection = plan.detection
    assert detection is not None
    return {
        "loss.lambda_coord": detection.coord_scale,
        "loss.lambda_obj": detection.object_scale,
        "loss.lambda_noobj": detection.noobject_scale,
        "loss.lambda_class": detection.class_scale,
        "loss.coord": "squared",
        "loss.confidence": "squared",
        "loss.class_prob": "squared",
        "loss.ignore_iou": None,
        "loss.objects_per_cell": 1,
        "loss.rescore": detection.rescore,
        "loss.forced": detection.forced,
        "loss.random_images": _RANDOM_IMAGES if detection.random else 0,
    }


def _augment(plan: NetworkPlan) -> dict[str, Any]:
    assert plan.detection is not None
    # the cfgs of 2015 change colours in the crop layer, later ones while loading
    crop = next((layer for layer in plan.layers if isinstance(layer, Crop)), None)
    saturation, exposure = plan.net.saturation, plan.net.exposure
    if crop is not None and saturation == exposure == 1:
        saturation, exposure = crop.saturation, crop.exposure
    return {
        "augment.style": "darknet",
        "augment.jitter": plan.detection.jitter,
        "augment.hue": plan.net.hue,
        "augment.saturation": _largest_change(saturation),
        "augment.value": _largest_change(exposure),
        "augment.flip_horizontal": 0.5,
        "augment.flip_vertical": 0.0,
        "augment.mosaic": 0.0,
        "augment.close_mosaic": 0.0,
        "augment.scale": 0.0,
        "augment.translate": 0.0,
    }


def _largest_change(factor: float) -> float:
    """A factor s, which spans 1 / s to s, as a change: .75 and 1.333 are the same."""
    return max(factor, 1 / factor) - 1 if factor > 0 else 0.0


def _build(config_class: type[Any], values: dict[str, Any]) -> Any:
    """A configuration from dotted keys; sections that get none keep their defaults."""
    hints = get_type_hints(config_class)
    arguments = {key: value for key, value in values.items() if "." not in key}
    for field in fields(config_class):
        own = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{field.name}.")}
        if own and is_dataclass(hints[field.name]):
            arguments[field.name] = _build(hints[field.name], own)
    return config_class(**arguments)
