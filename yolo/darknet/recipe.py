"""darknet's training as options of ours: what a cfg says, under the names of `TrainConfig`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from yolo.darknet.layers import Crop, Detection
from yolo.darknet.lookup import find_cfg
from yolo.darknet.plan import NetworkPlan, detector_classes, plan_cfg

# `random=1` in darknet lasts for this many images.
_RANDOM_IMAGES = 64_000


def training_defaults(cfg: str) -> dict[str, Any]:
    """The values that a cfg (a file, or the name of a shipped network) gives to options, by dotted key.

    Raises:
        ConfigError: no such cfg, one that cannot be built, or of a network that is not a detector.
    """
    plan = plan_cfg(find_cfg(cfg))
    detector_classes(plan)
    net, detection = plan.net, plan.detection
    assert detection is not None
    return {
        "input_size": net.width,
        "batch_size": net.sub_batch * net.subdivisions,
        "subdivisions": net.subdivisions,
        "max_batches": net.max_batches or None,
        "sampling": "replacement",
        "model.boxes_per_cell": detection.boxes_per_cell,
        "model.grid_size": detection.side,
        "model.coding": "linear",
        "model.resize": "stretch_corners",
        **_loss(detection),
        **_augment(plan, detection),
        "optimizer.name": "sgd",
        "optimizer.lr": net.learning_rate,
        "optimizer.momentum": net.momentum,
        "optimizer.nesterov": False,
        "optimizer.weight_decay": net.decay,
        "optimizer.clip_norm": 0.0,
        "optimizer.ema": 0.0,
        **{f"optimizer.rate.{key}": value for key, value in asdict(net.rate).items()},
    }


def _loss(detection: Detection) -> dict[str, Any]:
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
        "loss.cells_per_object": 1,
        "loss.rescore": detection.rescore,
        "loss.forced": detection.forced,
        "loss.random_images": _RANDOM_IMAGES if detection.random else 0,
    }


def _augment(plan: NetworkPlan, detection: Detection) -> dict[str, Any]:
    # the cfgs of 2015 change colours in the crop layer, later ones while loading
    crop = next((layer for layer in plan.layers if isinstance(layer, Crop)), None)
    saturation, exposure = plan.net.saturation, plan.net.exposure
    if crop is not None and saturation == exposure == 1:
        saturation, exposure = crop.saturation, crop.exposure
    return {
        "augment.style": "darknet",
        "augment.jitter": detection.jitter,
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
