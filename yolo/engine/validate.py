"""`val`: a trained detector measured on a split of a dataset, and the files that this leaves in a run folder.

`ground_truth.json` and `predictions.json` are what was measured, in COCO's formats: pycocotools reads them as they are,
and so do `gridyolo report` and `gridyolo compare`. Left out: files of other detectors (`report`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from yolo.config import TrainConfig, ValConfig
from yolo.console import counted, say, warn
from yolo.darknet.lookup import OWN_SUFFIXES
from yolo.data.cache import ImageCache
from yolo.data.dataset import DetectionDataset
from yolo.data.depth import depth_notes
from yolo.data.loader import EvaluationBatches, default_workers, make_loader, original_images
from yolo.data.read import Split, find_dataset, read_split
from yolo.detection_sets import EvaluationData, ImageTable
from yolo.engine.detector import Detector, detector_of, open_detector
from yolo.engine.detector_file import PREDICT, DetectorMetadata
from yolo.engine.environment import choose_device, choose_dtype, command_of, describe_environment
from yolo.engine.evaluation_display import warn_where_nothing_to_find
from yolo.engine.progress import OnValidationProgress, ValidationProgress
from yolo.engine.tiled import tiling_of
from yolo.errors import DataError, ImageReadError
from yolo.evaluation.analysis import analyse
from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.result import EvaluationResult
from yolo.evaluation.summary import summarise
from yolo.evaluation.voc import INTERPOLATIONS, VocResult, evaluate_voc
from yolo.files import new_folder, write_json
from yolo.formats.coco_results import write_predictions
from yolo.formats.coco_write import ground_truth_dict
from yolo.formats.comp4 import check_names, write_comp4
from yolo.formats.issues import ReadReport
from yolo.geometry import ResizeMode
from yolo.images import read_to_show, write_image
from yolo.losses.yolo_loss import TERM_NAMES, YoloLoss
from yolo.media.drawing import draw_detections, draw_ground_truth, image_grid, side_by_side
from yolo.media.items import Frame
from yolo.models.fusion import fuse
from yolo.models.network import Spec
from yolo.postprocess.pipeline import PostprocessSettings, postprocess
from yolo.progress_display import ProgressDisplay
from yolo.report.files import write_result
from yolo.report.page import ReportContext
from yolo.report.pictures import CasePictures
from yolo.report.report import write_report
from yolo.run_weights import find_weights
from yolo.structures import Batch, Detections, Sample, SkippedImage

_NUM_SAMPLES, _SAMPLE_COLUMNS, _SAMPLE_SIZE = 8, 2, 640
# A network that has hardly learned is best at a threshold near 0, where its boxes would cover the samples.
_LEAST_SHOWN = 0.05

OnBatch = Callable[[Batch, torch.Tensor | None], object]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation and what it rests on."""

    result: EvaluationResult  # the numbers
    problem: EvaluationData  # what they are about
    detections: dict[str, Detections]  # by image id, in pixels of the original images
    skipped: tuple[SkippedImage, ...]  # images of the split that could not be read; no metric includes them
    seconds: dict[str, float]  # spent in all on `load` (waiting for images), `inference` and `postprocess`


@dataclass(frozen=True, slots=True, repr=False)
class ValidationRun:
    """What `gridyolo val` reports."""

    folder: Path  # where everything was written
    report: ReadReport  # how the split was read
    evaluation: Evaluation  # by COCO's rules
    voc: VocResult | None  # by VOC's rules; None where nobody asked for them
    note: str = ""  # why there are no comp4 files, where they were asked for

    @property
    def metrics(self) -> EvaluationResult:
        """The numbers, by COCO's rules."""
        return self.evaluation.result

    @property
    def report_path(self) -> Path | None:
        """The report, where there is one."""
        path = self.folder / "report.html"
        return path if path.is_file() else None

    def __repr__(self) -> str:
        return f"ValidationRun({self.metrics.summary()}, folder={str(self.folder)!r})"


def validate(
    config: ValConfig, on_progress: OnValidationProgress | None = None, console: Console | None = None
) -> ValidationRun:
    """Measure on a split of a dataset and write a run folder; see `ValConfig`.

    `on_progress` is called after every batch; `console` is told how the data was read, and how far it is.

    Raises:
        ConfigError: options that make no sense together.
        DataError: a dataset that cannot be used.
        WeightsError: weights that cannot be loaded.
    """
    console = console or Console(quiet=True)
    network, metadata = open_detector(Path(config.weights), cfg=config.cfg, names=config.names)
    metadata = metadata if config.bit_depth is None else replace(metadata, bit_depth=config.bit_depth)
    device = choose_device(config.device)
    metadata.network.grid(_input_hw(config, metadata))  # an impossible size ends it here, before the data is read
    split = _read_split(config, metadata.class_names)
    say(console, *split.report.summary_lines())
    warn_where_nothing_to_find(split, config.data, console)
    warn(console, *depth_notes(split.images.paths, metadata.bit_depth))
    settings = metadata.val.changed(
        score_threshold=config.score_threshold,
        iou_threshold=config.iou_threshold,
        max_detections=config.max_detections,
        tiling=tiling_of(config.tile, config.overlap),
    )
    with _showing_progress(console, len(split.images), on_progress) as advance:
        if settings.tiling is None:
            loader = evaluation_loader(
                split,
                input_hw=_input_hw(config, metadata),
                resize=metadata.resize,
                bit_depth=metadata.bit_depth,
                batch_size=config.batch_size,
                workers=workers_of(config, device.type),
            )
            evaluation = evaluate_network(
                fuse(network, device=device, dtype=choose_dtype(config.precision, device)),
                loader,
                split,
                spec=metadata.network,
                settings=settings,
                device=device,
                on_batch=lambda batch, raw: advance(len(batch) + len(batch.skipped)),
            )
        else:
            del network  # the detector has one of its own
            evaluation = _evaluate_tiled(config, split, metadata, settings, advance)
    return _write_run(config, split, evaluation, settings, device)


@contextmanager
def _showing_progress(
    console: Console, num_images: int, on_progress: OnValidationProgress | None
) -> Iterator[Callable[[int], object]]:
    """Yields what is called with the number of images that were just measured."""
    done = 0
    with ProgressDisplay(console, "validating", num_images) as display:

        def advance(images: int) -> None:
            nonlocal done
            done += images
            display.update(done)
            if on_progress is not None:
                on_progress(ValidationProgress(images=done, num_images=num_images))

        yield advance


def _input_hw(config: ValConfig, metadata: DetectorMetadata) -> tuple[int, int]:
    return metadata.input_hw if config.input_size is None else (config.input_size, config.input_size)


def _evaluate_tiled(
    config: ValConfig,
    split: Split,
    metadata: DetectorMetadata,
    settings: PostprocessSettings,
    advance: Callable[[int], object],
) -> Evaluation:
    input_hw = _input_hw(config, metadata)
    dataset = DetectionDataset(split.images, input_hw=input_hw, resize=metadata.resize, bit_depth=metadata.bit_depth)
    device_type = choose_device(config.device).type
    originals = original_images(dataset, workers=workers_of(config, device_type))
    return evaluate_detector(detector_of(config), originals, split, settings=settings, on_image=lambda: advance(1))


def _write_run(
    config: ValConfig, split: Split, evaluation: Evaluation, settings: PostprocessSettings, device: torch.device
) -> ValidationRun:
    """A new run folder with all that was measured."""
    folder = new_folder(Path(config.runs), config.name)
    reading = split.report.to_dict() | {"unreadable": [asdict(image) for image in evaluation.skipped]}
    write_json(folder / "data.json", {split.name: reading})
    voc, note = None, ""
    if config.protocol != "coco":
        voc = evaluate_voc(evaluation.problem, interpolation=INTERPOLATIONS[config.protocol])
        write_json(folder / "voc.json", voc.to_dict())
        note = _write_comp4(folder / "comp4", evaluation.detections, split)
    context = ReportContext(
        title=f"{Path(config.weights).name} on {Path(config.data).name}, {split.name}",
        command=command_of("val", config),
        configuration=asdict(config) | {"settings": asdict(settings)},
        environment=describe_environment(device),
        voc=None if voc is None else voc.to_dict(),
    )
    write_evaluation(folder, evaluation, split, context, replicates=config.bootstrap, report=config.report)
    return ValidationRun(folder, split.report, evaluation, voc, note)


def _write_comp4(folder: Path, detections: Mapping[str, Detections], split: Split) -> str:
    """Write the devkit's files, or say why they cannot be: the numbers do not need them."""
    try:
        check_names(split.class_names, (image.image_id for image in split.images))
    except DataError as error:
        return f"no comp4 files: {error}"
    write_comp4(folder, detections, split.class_names)
    return ""


def _read_split(config: ValConfig, class_names: tuple[str, ...]) -> Split:
    try:
        descriptor = find_dataset(Path(config.data))
        return read_split(descriptor, config.split, class_names=class_names, box_policy=config.box_policy)
    except DataError as error:
        if config.names or find_weights(config.weights).suffix in OWN_SUFFIXES:
            raise
        shown = ", ".join(class_names[:3]) + (", ..." if len(class_names) > 3 else "")
        raise DataError(f"{error}\n  (without --names the classes of {config.weights} are {shown})") from error


def workers_of(config: TrainConfig | ValConfig, device_type: str) -> int:
    """How many processes load images: what the user wants, else the default beside a network on such a device."""
    return default_workers(device_type) if config.workers is None else config.workers


def evaluation_loader(
    split: Split,
    *,
    input_hw: tuple[int, int],
    resize: ResizeMode,
    bit_depth: int,
    batch_size: int,
    workers: int,
    cache: ImageCache | None = None,
) -> Iterable[Batch]:
    """A loader over every image of a split, in order."""
    dataset = DetectionDataset(split.images, input_hw=input_hw, resize=resize, bit_depth=bit_depth, cache=cache)
    return make_loader(dataset, EvaluationBatches(len(split.images), batch_size), workers=workers)


@torch.inference_mode()
def evaluate_network(
    network: nn.Module,
    loader: Iterable[Batch],
    split: Split,
    *,
    spec: Spec,
    settings: PostprocessSettings,
    device: torch.device,
    on_batch: OnBatch | None = None,
) -> Evaluation:
    """Run a network, from images (N, 3, H, W) uint8 to raw, over a split and measure it.

    `loader` is the split's, from `evaluation_loader`; `spec` is the network's, which is on `device`; `on_batch` is
    called with every batch and its raw output on the CPU, None where no image could be read.
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
        raw = None
        if len(batch):
            raw = network(batch.images.to(device)).float().cpu()  # the copy also waits for the device
            lap("inference")
            geometries = [geometry for geometry in batch.geometries if geometry is not None]
            grid = spec.grid((batch.images.shape[2], batch.images.shape[3]))
            for index, found in zip(batch.indices, postprocess(grid, raw, geometries, settings), strict=True):
                annotated = split.images[index]
                detections[annotated.image_id] = found
                evaluator.update(annotated.image_id, found, annotated.ground_truth)
            lap("postprocess")
        if on_batch is not None:
            on_batch(batch, raw)
            mark = time.perf_counter()
    return _evaluation(split, evaluator, detections, skipped, seconds)


def evaluate_detector(
    detector: Detector,
    loader: Iterable[Sample | SkippedImage],
    split: Split,
    *,
    settings: PostprocessSettings,
    on_image: Callable[[], object],
) -> Evaluation:
    """Run a detector over the images of a split as they are in their files, one at a time, and measure it.

    `loader` is the split's, from `original_images`; `on_image` is called after every image.
    """
    evaluator = Evaluator(split.class_names)
    detections: dict[str, Detections] = {}
    skipped: list[SkippedImage] = []
    seconds = {"load": 0.0, "inference": 0.0, "postprocess": 0.0}
    mark = time.perf_counter()
    for sample in loader:
        seconds["load"] += time.perf_counter() - mark
        if isinstance(sample, SkippedImage):
            skipped.append(sample)
        else:
            annotated = split.images[sample.index]
            (result,) = detector.detect_frames([Frame(sample.image, str(annotated.path))], settings)
            detections[annotated.image_id] = result.detections
            evaluator.update(annotated.image_id, result.detections, annotated.ground_truth)
            seconds["inference"] += result.seconds.preprocess + result.seconds.inference
            seconds["postprocess"] += result.seconds.postprocess
        on_image()
        mark = time.perf_counter()
    return _evaluation(split, evaluator, detections, skipped, seconds)


def _evaluation(
    split: Split,
    evaluator: Evaluator,
    detections: dict[str, Detections],
    skipped: list[SkippedImage],
    seconds: dict[str, float],
) -> Evaluation:
    if not detections:
        raise DataError(f"no image of the split {split.name!r} could be read; the first: {skipped[0].reason}")
    images = split.images
    problem = evaluator.problem(ImageTable(images.image_ids, images.paths, images.sizes_hw))
    return Evaluation(summarise(problem), problem, detections, tuple(skipped), seconds)


class LossMeter:
    """The loss over all batches that it is called with, as `on_batch` of `evaluate_network`.

    It is the training's: difficult objects and crowds are in none of its terms.
    """

    def __init__(self, loss: YoloLoss, spec: Spec) -> None:
        self._loss, self._spec = loss, spec
        self._sums = torch.zeros(len(TERM_NAMES), dtype=torch.float64)
        self._images = 0

    def __call__(self, batch: Batch, raw: torch.Tensor | None) -> None:
        """Add a batch with its raw output (N, S, S, D)."""
        if raw is not None:
            input_hw = (batch.images.shape[2], batch.images.shape[3])
            terms = self._loss(self._spec.grid(input_hw), raw, batch.targets, input_hw)
            self._sums += terms.to_tensor().double() * len(batch)
            self._images += len(batch)

    @property
    def means(self) -> dict[str, float]:
        """The terms by name, means over the images; NaN where there was none."""
        return dict(zip(TERM_NAMES, (self._sums / self._images).tolist(), strict=True))


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    split: Split,
    context: ReportContext,
    *,
    replicates: int | None = None,
    report: bool,
) -> None:
    """Write everything about the evaluation of a network on a split.

    `context` is what the page says of the run; what follows from the evaluation is added to it. Without `report` there
    are the numbers alone, and nothing that explains them. `replicates` are those of the bootstrap, see `analyse`.
    """
    write_predictions(folder / "predictions.json", evaluation.detections, category_ids=split.category_ids)
    measured = [image for image in split.images if image.image_id in evaluation.detections]
    truth = ground_truth_dict(measured, split.class_names, category_ids=split.category_ids, full_paths=True)
    write_json(folder / "ground_truth.json", truth)
    threshold = evaluation.result.score_threshold
    shown = PREDICT.score_threshold if np.isnan(threshold) else max(threshold, _LEAST_SHOWN)
    write_samples(folder / "samples.jpg", evaluation.detections, split, score_threshold=shown)
    if not report:
        write_json(folder / "metrics.json", evaluation.result.to_dict())
        write_result(folder / "per_class.csv", evaluation.result)
        return
    data_summary = split.report.summary_lines()
    if evaluation.skipped:
        skipped = counted(len(evaluation.skipped), "image", "images")
        data_summary.append(f"{skipped} could not be read and excluded from all metrics")
    analysis = analyse(evaluation.problem, result=evaluation.result, replicates=replicates)
    context = replace(
        context,
        data_summary=tuple(data_summary),
        seconds_per_stage=evaluation.seconds,
        pictures=CasePictures(analysis.matches.problem),
    )
    write_report(folder, analysis, context)


def write_samples(path: Path, detections: Mapping[str, Detections], split: Split, *, score_threshold: float) -> None:
    """A sheet of images spread over the split: annotated on the left, detected on the right."""
    evaluated = [image for image in split.images if image.image_id in detections]
    places = np.linspace(0, len(evaluated) - 1, min(_NUM_SAMPLES, len(evaluated))).astype(int)
    pairs: list[NDArray[np.uint8]] = []
    for place in places:
        annotated = evaluated[place]
        try:
            image = read_to_show(annotated.path)
        except ImageReadError:
            continue  # counted when it was evaluated; the sheet does without it
        found = detections[annotated.image_id]
        truth = draw_ground_truth(image, annotated.ground_truth, split.class_names)
        predicted = draw_detections(image, found[found.scores >= score_threshold], split.class_names)
        pairs.append(side_by_side(truth, predicted))
    if pairs:
        write_image(path, image_grid(pairs, columns=_SAMPLE_COLUMNS, size=_SAMPLE_SIZE))
