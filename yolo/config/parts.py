"""The sections of a training's configuration: network, loss, augmentation, optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from yolo.config import options
from yolo.config.options import require, require_at_least, require_at_most, require_within


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network.

    Attributes:
        boxes_per_cell: Predictors per cell (B).
        grid_size: Cells along each side (S); input_size / grid_size must be 4, 8, 16, 32 or 64. Default: stride 16.
        width: Channels of the neck that merges the backbone's maps.
        deepest_stride: Layers of the backbone beyond this stride are left out: 8, 16 or 32. By default 16 for
            efficientnet_lite0, which is half as large then, and 32 for others.
        coding: What the network's numbers mean: wide (centres up to half a cell outside their cell), logistic (centres
            inside their cell) or linear (the original). By default logistic for efficientnet_lite0 with ImageNet
            weights, and wide for others.
        resize: How images are resized to the input: letterbox keeps the aspect ratio, stretch fills the input,
            stretch_corners fills it as darknet does (corner pixels on corner pixels, in floats).
        batch_norm: For networks from a cfg: standard (as cuDNN) or darknet (the arithmetic of its CPU code).
    """

    boxes_per_cell: int = 2
    grid_size: int | None = None
    width: int = 96
    deepest_stride: int | None = None
    coding: Literal["wide", "logistic", "linear"] | None = None
    resize: options.Resize = "letterbox"
    batch_norm: Literal["standard", "darknet"] = "standard"

    def __post_init__(self) -> None:
        require_at_least(self, section="model.", boxes_per_cell=1, width=8)
        require_at_most(self, section="model.", boxes_per_cell=100, width=16_384)
        require(
            self.deepest_stride in (None, 8, 16, 32),
            f"model.deepest_stride must be 8, 16 or 32, got {self.deepest_stride}",
        )


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights and variants of the loss's five terms.

    Attributes:
        lambda_coord: Weight of the two coordinate terms.
        lambda_obj: Weight of the confidence of responsible predictors.
        lambda_noobj: Weight of the confidence of all others.
        lambda_class: Weight of the class term.
        coord: Coordinates by CIoU (iou) or by squared differences (squared, the original).
        confidence: Confidence by cross_entropy or squared (the original).
        class_prob: Classes by cross_entropy or squared (the original).
        ignore_iou: No confidence loss for predictors that overlap an object by more than this IoU; null for the
            original rule.
        objects_per_cell: Maximum number of objects of one cell that get a responsible predictor; 1 in the original.
        cells_per_object: Cells that are trained to find an object: 1, which holds its centre (the original), or 3, also
            the nearer one beside it and the nearer one above or below it. Default: 3 where model.coding is wide, 1
            otherwise.
        rescore: The target of a responsible predictor's confidence is its IoU; false makes it 1.
        forced: Predictor 1 is responsible for small objects and predictor 0 for others, whatever their boxes (darknet).
        random_images: A random predictor is responsible until this many images were seen (darknet: 0 or 64000).
    """

    lambda_coord: float = 5.0
    lambda_obj: float = 1.0
    lambda_noobj: float = 0.5
    lambda_class: float = 1.0
    coord: Literal["iou", "squared"] = "iou"
    confidence: Literal["cross_entropy", "squared"] = "cross_entropy"
    class_prob: Literal["cross_entropy", "squared"] = "cross_entropy"
    ignore_iou: float | None = 0.5
    objects_per_cell: int = 2
    cells_per_object: Literal[1, 3] | None = None
    rescore: bool = True
    forced: bool = False
    random_images: int = 0

    def __post_init__(self) -> None:
        require_at_least(self, section="loss.", lambda_coord=0, lambda_obj=0, lambda_noobj=0, lambda_class=0)
        require_at_least(self, section="loss.", objects_per_cell=1, random_images=0)
        require_at_most(self, section="loss.", objects_per_cell=10_000)
        require_within(self, section="loss.", ignore_iou=1)


_AUGMENT_LIMITS = {
    "jitter": 1.0,
    "mosaic": 1.0,
    "mixup": 1.0,
    "copy_paste": 1.0,
    "close_mosaic": 1.0,
    "flip_horizontal": 1.0,
    "flip_vertical": 1.0,
    "translate": 1.0,
    "degrees": 180.0,
    "shear": 45.0,
    "perspective": 0.1,
    "hue": 0.5,
    "blur": 1.0,
    "jpeg_noise": 1.0,
}
# What the style darknet does not have: none of it may be asked for.
_MODERN_ONLY = (
    "mosaic", "mixup", "copy_paste", "scale", "translate", "degrees", "shear", "perspective",
    "flip_vertical", "blur", "jpeg_noise", "pipeline",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How training images are varied; 0 turns a step off.

    Attributes:
        style: modern, or darknet: random crops by jitter, a flip, its change of colours, and nothing else.
        jitter: In the style darknet: largest shift of each edge of the crop, as a share of the side.
        mosaic: Probability that four images share one input.
        mixup: Probability that the image is blended with another one.
        copy_paste: Probability that one to three objects, cut out by their boxes, are pasted from other images.
        close_mosaic: Share of the training at its end without mosaic, mixup or copy-paste.
        scale: Images are scaled by a factor between 1 / (1 + scale) and 1 + scale.
        translate: Largest shift, as a share of the input's side.
        degrees: Largest rotation in degrees.
        shear: Largest shear of vertical and of horizontal lines, in degrees.
        perspective: Largest perspective distortion: by how much farther an edge is than the centre, as a fraction.
        flip_horizontal: Probability of a left-right flip.
        flip_vertical: Probability of an upside-down flip.
        hue: Largest change of hue, as a share of the hue circle.
        saturation: Largest relative change of saturation; 0.5 is 0.5 to 1.5, and 1 / 1.5 to 1.5 in the style darknet.
        value: Largest relative change of brightness, likewise.
        blur: Probability of a slight blur.
        jpeg_noise: Probability of strong JPEG compression artefacts.
        pipeline: A file of your own steps, applied last: an albumentations pipeline that albumentations.save wrote,
            YAML or JSON. By default there are none.
    """

    style: Literal["modern", "darknet"] = "modern"
    jitter: float = 0.2
    mosaic: float = 0.5
    mixup: float = 0.0
    copy_paste: float = 0.0
    close_mosaic: float = 0.15
    scale: float = 0.4
    translate: float = 0.1
    degrees: float = 0.0
    shear: float = 0.0
    perspective: float = 0.0
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.0
    hue: float = 0.015
    saturation: float = 0.5
    value: float = 0.3
    blur: float = 0.0
    jpeg_noise: float = 0.0
    pipeline: str = ""

    def __post_init__(self) -> None:
        require_within(self, section="augment.", **_AUGMENT_LIMITS)
        require(
            self.style == "modern" or self.jitter < 0.5,
            f"augment.jitter must be below 0.5, or nothing may be left of an image, got {self.jitter}",
        )
        unused = [name for name in _MODERN_ONLY if getattr(self, name)]
        require(
            self.style == "modern" or not unused,
            f"augment.style=darknet has no {', '.join(unused)}: "
            + ("leave it out" if "pipeline" in unused else "set it to 0"),
        )
        # darknet's are factors up to 1 + x and down to 1 / (1 + x); the modern ones go down to 1 - x
        largest = 1.0 if self.style == "modern" else float("inf")
        require_within(self, section="augment.", saturation=largest, value=largest)
        require_at_least(self, section="augment.", scale=0)
        require_at_most(self, section="augment.", scale=100)


@dataclass(frozen=True, kw_only=True)
class RateConfig:
    """How the learning rate changes.

    Attributes:
        policy: cosine (with warm-up, fits epochs and minutes alike), or one of darknet's: constant, step, steps, exp,
            poly, sigmoid, random. Those count updates.
        steps: For steps: updates at which the rate is multiplied; by default none.
        scales: For steps: the factor applied at each of them; by default none.
        step: For step: number of updates between changes; for sigmoid: its middle.
        scale: For step: the factor of each change.
        gamma: For exp: its base; for sigmoid: its slope.
        power: For poly, random and burn_in: the exponent.
        burn_in: Number of updates at the start over which the rate of darknet's policies rises from 0.
    """

    policy: Literal["cosine", "constant", "step", "steps", "exp", "poly", "sigmoid", "random"] = "cosine"
    steps: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    step: int = 1
    scale: float = 1.0
    gamma: float = 1.0
    power: float = 4.0
    burn_in: int = 0

    def __post_init__(self) -> None:
        require(
            len(self.steps) == len(self.scales),
            f"optimizer.rate.steps and scales must be of one length, got {len(self.steps)} and {len(self.scales)}",
        )
        require_at_least(self, section="optimizer.rate.", step=1, burn_in=0)


_DEFAULT_LR = 2e-3


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights are updated.

    Attributes:
        name: adamw or sgd.
        lr: Peak learning rate; by default 0.004 for efficientnet_lite0 with ImageNet weights, and 0.002 otherwise.
        lr_factors: Factors of the learning rate by part of the network, named as in --freeze, such as
            '{"backbone": 0.1}'; where several name a layer, the last counts. By default all have the same
            rate.
        final_lr: For the policy cosine: learning rate at the end, as a share of the peak.
        warmup: For the policy cosine: share of the training over which the rate rises from 0 (at most 500 steps).
        momentum: Momentum of SGD.
        nesterov: Nesterov momentum for SGD; darknet has none.
        weight_decay: On weight matrices only, not on biases and norms.
        clip_norm: Largest norm of the gradient; 0 for no clipping.
        ema: Decay per step of the moving average of the weights that is validated and saved; 0 for none.
        rate: How the learning rate changes.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float | None = None
    lr_factors: dict[str, float] = field(default_factory=dict)
    final_lr: float = 0.01
    warmup: float = 0.03
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.02
    clip_norm: float = 10.0
    ema: float = 0.998
    rate: RateConfig = field(default_factory=RateConfig)

    def __post_init__(self) -> None:
        require(self.peak_lr > 0, f"optimizer.lr must be positive, got {self.lr}")
        for selector, factor in self.lr_factors.items():
            require(
                0 < factor < float("inf"),
                f"optimizer.lr_factors: the factor of {selector} must be positive, got {factor}; "
                "--freeze excludes layers from the training",
            )
        require_within(self, section="optimizer.", final_lr=1, warmup=1, momentum=1)
        require(0 <= self.ema < 1, f"optimizer.ema must be in [0, 1), got {self.ema}")
        require_at_least(self, section="optimizer.", weight_decay=0, clip_norm=0)

    @property
    def peak_lr(self) -> float:
        """`lr`, or what suits most networks where it is not set."""
        return _DEFAULT_LR if self.lr is None else self.lr
