"""`open_detector`, `Detector`: the Python interface to a trained detector; and which detections it keeps.

A detector keeps what reaches one score threshold, or one for each class from a validation: `auto` takes what the
validation in training counted, which the weights file holds; a metrics.json, from `gridyolo val`, holds the same for
weights that have none, or for images of another kind.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from yolo.darknet.lookup import WEIGHTS_SUFFIX
from yolo.engine.darknet import open_darknet
from yolo.engine.detector_file import DetectorMetadata, load_detector
from yolo.engine.environment import choose_device, choose_dtype
from yolo.engine.result import StageSeconds
from yolo.errors import ConfigError, DataError
from yolo.files import expand_home
from yolo.geometry import place_image, plan_resize
from yolo.images import read_image
from yolo.models.fusion import fuse
from yolo.models.network import Network
from yolo.postprocess.pipeline import PostprocessSettings, postprocess
from yolo.structures import Detections
from yolo.thresholds import ChosenThresholds, ThresholdTable

AUTO = "auto"
_SHOWN = 12


def open_detector(
    weights: Path, *, cfg: str = "", names: str = "", mapped: bool = False
) -> tuple[Network, DetectorMetadata]:
    """A detector from a `*.safetensors` file or from darknet's files; see `load_detector` and `open_darknet`."""
    weights = expand_home(weights)
    if cfg or weights.suffix == WEIGHTS_SUFFIX:
        return open_darknet(weights, cfg=cfg, names=names, mapped=mapped)
    if names:
        raise ConfigError(f"--names is for darknet's weights; {weights} has its own class names")
    return load_detector(weights)


class Detector:
    """A trained detector, ready to be called on images.

    Args:
        weights: a `*.safetensors` file written by `gridyolo train`, or a darknet `*.weights` file.
        device: auto, cpu, cuda, cuda:1 or mps.
        input_size: side of the input in pixels, a multiple of the network's stride; default: as in training.
        cfg: of a darknet file: its cfg or the name of a shipped network; default: by the file's name.
        names: of a darknet file: text file with a class name in each line; default: the one beside it, VOC's for 20.
        precision: 32, bf16 or fp16 (the latter on CUDA).

    Raises:
        WeightsError: the file is missing, damaged or no detector.
        ConfigError: an impossible device, input size, precision or cfg.

    Example:
        detector = Detector("runs/train/weights/best.safetensors")
        detections = detector("photo.jpg", score_threshold=0.3)
        for box, score, label in zip(detections.boxes, detections.scores, detections.labels):
            print(detector.class_names[label], float(score), box.tolist())
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        device: str = "auto",
        input_size: int | None = None,
        cfg: str = "",
        names: str = "",
        precision: str = "32",
    ) -> None:
        network, self.metadata = open_detector(Path(weights), cfg=cfg, names=names, mapped=True)
        self.device = choose_device(device)
        self.input_hw = self.metadata.input_hw if input_size is None else (input_size, input_size)
        self._grid = self.metadata.network.grid(self.input_hw)
        dtype = choose_dtype(precision, self.device)
        self._network = fuse(network, device=self.device, dtype=dtype, release=True)
        self.seconds = StageSeconds()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""
        return self.metadata.class_names

    def __call__(
        self,
        image: str | Path | NDArray[np.uint8],
        *,
        score_threshold: float | str | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> Detections:
        """Detect on one image.

        Args:
            image: a file, or (H, W, 3) uint8 RGB (OpenCV's own images are BGR: pass `image[:, :, ::-1]`).
            score_threshold: keep what scores more than this, 0..1; default: what the file says, mostly 0.25. "auto"
                keeps of each class what scores at least as much as had the best F1 in validation, and a path of a
                metrics.json what had it there.
            iou_threshold: suppress what overlaps a better one of its class by more than this, 0..1; default: what
                the file says, mostly 0.5.
            max_detections: keep at most this many; default: what the file says, mostly 300.

        Returns:
            Detections in pixels of `image`, by falling score, on the CPU.

        Raises:
            ImageReadError: a file that cannot be read.
            ValueError: an array that is not an (H, W, 3) uint8 image.
            ConfigError: "auto" of weights that gridyolo has not validated.
        """
        pixels = read_image(expand_home(image)) if isinstance(image, str | Path) else image
        settings, _ = choose_settings(
            self.metadata,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
        )
        return self.detect_batch([pixels], settings)[0]

    def detect_batch(self, images: Sequence[NDArray[np.uint8]], settings: PostprocessSettings) -> list[Detections]:
        """Detect on several (H, W, 3) uint8 RGB images, of any sizes, in one pass of the network."""
        began = time.perf_counter()
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
                raise ValueError(f"an image must be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
        geometries = [
            plan_resize((image.shape[0], image.shape[1]), self.input_hw, self.metadata.resize) for image in images
        ]
        placed = np.stack(
            [place_image(image, plan, self.metadata.resize) for image, plan in zip(images, geometries, strict=True)]
        )
        batch = torch.from_numpy(placed).permute(0, 3, 1, 2).to(self.device)
        placed_at = time.perf_counter()
        with torch.inference_mode():
            answer = self._network(batch).float().cpu()  # the copy also waits for the device
        raw = answer.clone()  # an ordinary tensor: users may change what they get
        answered_at = time.perf_counter()
        found = postprocess(self._grid, raw, geometries, settings)
        self.seconds = StageSeconds(placed_at - began, answered_at - placed_at, time.perf_counter() - answered_at)
        return found


def choose_settings(
    metadata: DetectorMetadata,
    *,
    score_threshold: float | str | None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
    min_precision: float | None = None,
    min_recall: float | None = None,
) -> tuple[PostprocessSettings, list[str]]:
    """Settings of `predict`, and what is to be said of them; None stands for the detector's own.

    Args:
        metadata: of the detector.
        score_threshold: a number; `auto`; the path of a metrics.json.
        iou_threshold: where None, and thresholds come from a validation, it is that of the validation: they hold for
            its suppression.
        max_detections: per image.
        min_precision: wanted of each class, in place of the best F1.
        min_recall: likewise.

    Raises:
        ConfigError: `auto` of weights without thresholds.
        DataError: a metrics.json that cannot be used.
    """
    if not isinstance(score_threshold, str):
        settings = metadata.predict.changed(
            score_threshold=score_threshold, iou_threshold=iou_threshold, max_detections=max_detections
        )
        return settings, []
    table = _table(score_threshold, metadata)
    chosen, what = _choose(table, min_precision, min_recall)
    default = metadata.predict.score_threshold
    values = np.where(np.isnan(chosen.values), default, chosen.values)
    if iou_threshold is None:
        iou_threshold = metadata.val.iou_threshold
    settings = metadata.predict.changed(
        # decoding wants more than its threshold, a class threshold is reached
        score_threshold=max(0.0, float(np.nextafter(np.float32(values.min()), np.float32(-1)))),
        iou_threshold=iou_threshold,
        max_detections=max_detections,
    )
    return replace(settings, class_thresholds=tuple(values.tolist())), _describe(table, chosen, what, default)


def _choose(
    table: ThresholdTable, min_precision: float | None, min_recall: float | None
) -> tuple[ChosenThresholds, str]:
    if min_precision is not None:
        return table.for_precision(min_precision), f"precision {min_precision:g}"
    if min_recall is not None:
        return table.for_recall(min_recall), f"recall {min_recall:g}"
    return table.best_f1(), "the best F1"


def _describe(table: ThresholdTable, chosen: ChosenThresholds, what: str, default: float) -> list[str]:
    pairs = list(zip(table.class_names, chosen.values.tolist(), strict=True))
    known = [f"{name} {value:.2f}" for name, value in pairs if math.isfinite(value)]
    nothing = [name for name, value in pairs if math.isinf(value)]
    unknown = [name for name, value in pairs if value != value]
    lines = [f"score thresholds for {what} in validation: {_list(known)}"] if known else []
    if unknown:
        lines.append(f"validation chooses no threshold for {_list(unknown)}: {default:g} is taken")
    if nothing:
        lines.append(f"no threshold of {_list(nothing)} is any good: nothing of that class is shown")
    closest = [name for name in chosen.out_of_reach if name not in nothing]
    if closest:
        lines.append(f"not reached by {_list(closest)}: what comes closest is taken")
    return lines


def _list(names: list[str]) -> str:
    more = f", ... ({len(names)} classes)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _table(source: str, metadata: DetectorMetadata) -> ThresholdTable:
    """The detector's own table, or that of a metrics.json."""
    if source == AUTO:
        if metadata.thresholds is None:
            raise ConfigError(
                "--conf auto: these weights hold no thresholds, because gridyolo train has not validated them; run "
                "gridyolo val --weights ... --data ... and pass its metrics.json: --conf runs/val/metrics.json"
            )
        return metadata.thresholds
    path = expand_home(source)
    # predicting needs nothing of the evaluation but this
    from yolo.evaluation.result import EvaluationResult
    from yolo.evaluation.thresholds import threshold_table

    try:
        table = threshold_table(EvaluationResult.from_dict(json.loads(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise ConfigError(
            f"--conf {path}: is neither a number, nor auto, nor a metrics.json ({error.strerror or error})"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is not a metrics.json of gridyolo val ({type(error).__name__}: {error})") from error
    if table.class_names != metadata.class_names:
        raise DataError(
            f"{path}: is about the classes {_list(list(table.class_names))}, "
            f"the detector's are {_list(list(metadata.class_names))}"
        )
    return table
