"""`val`: a trained detector, measured on a split of a dataset. Files of detections are the business of `report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from yolo.config import ValConfig
from yolo.data.account import DataAccount
from yolo.data.descriptor import Split, find_dataset, read_split
from yolo.data.loader import default_workers
from yolo.detection_files.comp4 import check_names, write_comp4
from yolo.engine.darknet_files import OWN_SUFFIXES, open_detector
from yolo.engine.devices import choose_device, choose_dtype
from yolo.engine.environment import command_of
from yolo.engine.evaluate import Evaluation, evaluate_network, evaluation_loader, grid_on
from yolo.engine.reports import write_evaluation
from yolo.errors import DataError
from yolo.evaluation.voc import VocEvaluator, VocResult
from yolo.evaluation.voc_rule import INTERPOLATIONS
from yolo.files import new_folder, write_json
from yolo.models.fusion import fuse
from yolo.structures import Detections


@dataclass(frozen=True, slots=True)
class ValidationRun:
    """What `gridyolo val` reports.

    Attributes:
        folder: where everything was written.
        account: how the split was read.
        evaluation: what was measured by COCO's rules.
        voc: what was measured by VOC's rules; None where nobody asked for them.
        note: why there are no comp4 files, where they were asked for.
    """

    folder: Path
    account: DataAccount
    evaluation: Evaluation
    voc: VocResult | None
    note: str = ""


def validate(config: ValConfig) -> ValidationRun:
    """Measure on a split of a dataset and write a run folder; see `ValConfig`.

    Raises:
        ConfigError: options that make no sense together.
        DataError: a dataset that cannot be used.
        WeightsError: weights that cannot be loaded.
    """
    network, metadata = open_detector(Path(config.weights), cfg=config.cfg, names=config.names)
    device = choose_device(config.device)
    input_hw = metadata.input_hw if config.input_size is None else (config.input_size, config.input_size)
    grid_on(metadata.network, input_hw)
    split = _read_split(config, metadata.class_names)
    loader = evaluation_loader(
        split,
        input_hw=input_hw,
        resize=metadata.resize,
        batch_size=config.batch_size,
        workers=default_workers(device.type) if config.workers is None else config.workers,
    )
    settings = metadata.val.changed(
        score_threshold=config.score_threshold,
        iou_threshold=config.iou_threshold,
        max_detections=config.max_detections,
    )
    fused = fuse(network, device=device, dtype=choose_dtype(config.precision, device))
    evaluation = evaluate_network(fused, loader, split, spec=metadata.network, settings=settings, device=device)
    folder = new_folder(Path(config.runs), config.name)
    account = split.account.to_dict() | {"unreadable": [asdict(image) for image in evaluation.skipped]}
    write_json(folder / "data.json", {split.name: account})
    voc, note = None, ""
    if config.protocol != "coco":
        voc = measure_by_voc(split, evaluation.detections, config.protocol)
        write_json(folder / "voc.json", voc.to_dict())
        note = _write_comp4(folder / "comp4", evaluation.detections, split)
    write_evaluation(
        folder,
        evaluation,
        split,
        title=f"{Path(config.weights).name} on {Path(config.data).name}, {split.name}",
        command=command_of("val", config),
        configuration=asdict(config) | {"settings": asdict(settings)},
        device=device,
        replicates=config.bootstrap,
        report=config.report,
        voc=None if voc is None else voc.to_dict(),
    )
    return ValidationRun(folder, split.account, evaluation, voc, note)


def measure_by_voc(
    split: Split, detections: Mapping[str, Detections], protocol: Literal["voc07", "voc10"]
) -> VocResult:
    """VOC's numbers of detections on the images of a split; images without an entry are left out."""
    evaluator = VocEvaluator(split.class_names, interpolation=INTERPOLATIONS[protocol])
    for image in split.images:
        if image.image_id in detections:
            evaluator.update(image.image_id, detections[image.image_id], image.ground_truth)
    return evaluator.compute()


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
        if config.names or Path(config.weights).suffix in OWN_SUFFIXES:
            raise
        shown = ", ".join(class_names[:3]) + (", ..." if len(class_names) > 3 else "")
        raise DataError(f"{error}\n  (without --names the classes of {config.weights} are {shown})") from error
