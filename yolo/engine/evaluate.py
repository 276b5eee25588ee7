"""Measuring a network on a split, and writing down what was measured."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from yolo.config import ValConfig
from yolo.data.account import DataAccount
from yolo.data.cache import ImageCache
from yolo.data.dataset import DetectionDataset
from yolo.data.descriptor import Split, find_dataset, read_split
from yolo.data.loader import EvaluationBatches, default_workers, make_loader
from yolo.engine.checkpoint import load_detector
from yolo.engine.devices import choose_device
from yolo.engine.reports import write_evaluation
from yolo.errors import ConfigError, DataError
from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.result import EvaluationResult
from yolo.files import new_folder, write_json
from yolo.geometry import ResizeMode
from yolo.models.fusion import fuse
from yolo.models.network import NetworkSpec
from yolo.postprocess.pipeline import PostprocessSettings, postprocess
from yolo.structures import Batch, Detections, SkippedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation and what it rests on.

    Attributes:
        result: the numbers.
        detections: by image id, in pixels of the original images.
        skipped: images of the split that could not be read; they are in no number.
        seconds: spent in all on `load` (waiting for images), `inference` and `postprocess`.
    """

    result: EvaluationResult
    detections: dict[str, Detections]
    skipped: tuple[SkippedImage, ...]
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class ValidationRun:
    """What `gridyolo val` reports.

    Attributes:
        folder: where everything was written.
        evaluation: what was measured.
        account: how the split was read.
    """

    folder: Path
    evaluation: Evaluation
    account: DataAccount


def evaluation_loader(
    split: Split, *, input_size: int, resize: ResizeMode, batch_size: int, workers: int, cache_mb: int = 0
) -> DataLoader[Batch]:
    """A loader over every image of a split, in order."""
    cache = ImageCache(len(split.images), (input_size, input_size), limit_mb=cache_mb) if cache_mb else None
    dataset = DetectionDataset(split.images, input_size=input_size, resize=resize, cache=cache)
    return make_loader(dataset, EvaluationBatches(len(split.images), batch_size), workers=workers)


@torch.inference_mode()
def evaluate_network(
    network: nn.Module,
    loader: DataLoader[Batch],
    split: Split,
    *,
    spec: NetworkSpec,
    settings: PostprocessSettings,
    device: torch.device,
) -> Evaluation:
    """Run a network in evaluation mode over a split and measure it.

    Args:
        network: images (N, 3, H, W) uint8 to raw.
        loader: from `evaluation_loader`.
        split: what the loader reads.
        spec: of the network.
        settings: which detections are kept.
        device: where the network is.
    """
    evaluator = Evaluator(split.class_names)
    detections: dict[str, Detections] = {}
    skipped: list[SkippedImage] = []
    seconds = {"load": 0.0, "inference": 0.0, "postprocess": 0.0}
    mark = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal mark
        now = time.perf_counter()
        seconds[stage] += now - mark
        mark = now

    for batch in loader:
        skipped += batch.skipped
        lap("load")
        if not len(batch):
            continue
        raw = network(batch.images.to(device)).float().cpu()  # the copy also waits for the device
        lap("inference")
        geometries = [geometry for geometry in batch.geometries if geometry is not None]
        grid = spec.grid(batch.images.shape[-1])
        for index, found in zip(batch.indices, postprocess(grid, raw, geometries, settings), strict=True):
            annotated = split.images[index]
            detections[annotated.image_id] = found
            evaluator.update(annotated.image_id, found, annotated.ground_truth)
        lap("postprocess")
    if not detections:
        raise DataError(f"no image of the split {split.name!r} could be read; the first: {skipped[0].reason}")
    return Evaluation(result=evaluator.compute(), detections=detections, skipped=tuple(skipped), seconds=seconds)


def validate(config: ValConfig) -> ValidationRun:
    """Measure a trained detector on a split of a dataset and write a run folder."""
    network, metadata = load_detector(Path(config.weights))
    device = choose_device(config.device)
    input_size = metadata.input_size if config.input_size is None else config.input_size
    check_input_size(input_size, metadata.network.stride)
    split = read_split(find_dataset(Path(config.data)), config.split, class_names=metadata.class_names)
    loader = evaluation_loader(
        split,
        input_size=input_size,
        resize=metadata.resize,
        batch_size=config.batch_size,
        workers=default_workers(device.type) if config.workers is None else config.workers,
    )
    settings = PostprocessSettings(
        score_threshold=config.score_threshold,
        iou_threshold=config.iou_threshold,
        max_detections=config.max_detections,
    )
    fused = fuse(network).to(device)
    evaluation = evaluate_network(fused, loader, split, spec=metadata.network, settings=settings, device=device)
    folder = new_folder(Path(config.runs), config.name)
    write_evaluation(folder, evaluation.result, evaluation.detections, split)
    account = split.account.to_dict() | {"unreadable": [asdict(image) for image in evaluation.skipped]}
    write_json(folder / "data.json", {split.name: account})
    return ValidationRun(folder, evaluation, split.account)


def check_input_size(input_size: int, stride: int) -> None:
    """ConfigError unless the stride divides the input's side."""
    if input_size < stride or input_size % stride:
        lower = max(stride, input_size // stride * stride)
        raise ConfigError(
            f"input_size {input_size} is not a multiple of the network's stride {stride}; "
            f"the nearest are {lower} and {lower + stride}"
        )
