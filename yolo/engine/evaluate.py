"""Measuring a network on a split."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader

from yolo.data.cache import ImageCache
from yolo.data.dataset import DetectionDataset
from yolo.data.loader import EvaluationBatches, make_loader
from yolo.data.read import Split
from yolo.detection_sets import ImageTable, Problem
from yolo.errors import DataError
from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise
from yolo.geometry import ResizeMode
from yolo.models.network import Spec
from yolo.postprocess.pipeline import PostprocessSettings, postprocess
from yolo.structures import Batch, Detections, SkippedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation and what it rests on.

    Attributes:
        result: the numbers.
        problem: what they are about.
        detections: by image id, in pixels of the original images.
        skipped: images of the split that could not be read; they are in no number.
        seconds: spent in all on `load` (waiting for images), `inference` and `postprocess`.
    """

    result: EvaluationResult
    problem: Problem
    detections: dict[str, Detections]
    skipped: tuple[SkippedImage, ...]
    seconds: dict[str, float]


def evaluation_loader(
    split: Split,
    *,
    input_hw: tuple[int, int],
    resize: ResizeMode,
    batch_size: int,
    workers: int,
    cache: ImageCache | None = None,
) -> DataLoader[Batch]:
    """A loader over every image of a split, in order."""
    dataset = DetectionDataset(split.images, input_hw=input_hw, resize=resize, cache=cache)
    return make_loader(dataset, EvaluationBatches(len(split.images), batch_size), workers=workers)


@torch.inference_mode()
def evaluate_network(
    network: nn.Module,
    loader: DataLoader[Batch],
    split: Split,
    *,
    spec: Spec,
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
        grid = spec.grid((batch.images.shape[2], batch.images.shape[3]))
        for index, found in zip(batch.indices, postprocess(grid, raw, geometries, settings), strict=True):
            annotated = split.images[index]
            detections[annotated.image_id] = found
            evaluator.update(annotated.image_id, found, annotated.ground_truth)
        lap("postprocess")
    if not detections:
        raise DataError(f"no image of the split {split.name!r} could be read; the first: {skipped[0].reason}")
    problem = evaluator.problem(_image_table(split))
    return Evaluation(
        result=summarise(problem),
        problem=problem,
        detections=detections,
        skipped=tuple(skipped),
        seconds=seconds,
    )


def _image_table(split: Split) -> ImageTable:
    images = split.images
    return ImageTable(images.image_ids, images.paths, images.sizes_hw)
