"""`report` and `compare`: detections of any detector, read from files, measured and explained on one page.

`compare` takes two run folders of `val`, `train` or `report`, or two files of detections, of the same images.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from yolo.config import CompareConfig, DetectionFormat, ReportConfig
from yolo.console import counted, say, warn
from yolo.darknet.lookup import read_names
from yolo.detection_sets import EvaluationData, TruthSet
from yolo.engine.detection_files import read_detections, read_problem
from yolo.engine.environment import command_of, describe_environment
from yolo.engine.ground_truth_files import GroundTruthFiles, read_ground_truth
from yolo.errors import ConfigError, DataError
from yolo.evaluation.analysis import Analysis, analyse
from yolo.evaluation.comparison import Comparison, compare
from yolo.evaluation.matching import match
from yolo.evaluation.voc import INTERPOLATIONS, VocResult, evaluate_voc
from yolo.files import expand_home, new_folder, write_json
from yolo.formats.issues import InputWarning
from yolo.report.compare import Sides, write_comparison
from yolo.report.page import ReportContext
from yolo.report.pictures import CasePictures, ChangePictures
from yolo.report.report import write_report

# What `report` leaves for `compare`, to measure the same files again; and what `val` and `train` leave.
_INPUTS = "inputs.json"
_TRUTH, _FOUND, _METRICS = "ground_truth.json", "predictions.json", "metrics.json"
_SHOWN_EXAMPLES = 3
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ReportRun:
    """What `gridyolo report` made."""

    folder: Path
    page: Path  # report.html
    analysis: Analysis
    voc: VocResult | None  # None where nobody asked for VOC's rules
    warnings: tuple[InputWarning, ...]  # about the files


@dataclass(frozen=True, slots=True)
class CompareRun:
    """What `gridyolo compare` made."""

    folder: Path
    page: Path  # compare.html
    comparison: Comparison
    warnings: tuple[InputWarning, ...]  # about the files


class _Truth(NamedTuple):
    """Arguments of `read_ground_truth`."""

    path: Path
    split: str
    images: Path | None = None
    names: str = ""

    def read(self) -> GroundTruthFiles:
        return read_ground_truth(self.path, split=self.split, images=self.images, class_names=_class_names(self.names))


class _Side(NamedTuple):
    """Files of one of the two that are compared."""

    name: str
    detections: Path
    format: DetectionFormat
    truth: _Truth | None = None
    run: Path | None = None  # the run folder, where it is one


def report(config: ReportConfig, console: Console | None = None) -> ReportRun:
    """Measure files of detections and write a run folder; see `ReportConfig`.

    Raises:
        DataError: files that cannot be used; the message names file and place.
    """
    console = console or Console(quiet=True)
    problem, truth, found = read_problem(
        Path(config.ground_truth),
        Path(config.detections),
        split=config.split,
        images=Path(config.images) if config.images else None,
        class_names=_class_names(config.names),
        format=config.format,
    )
    warnings = (*truth.warnings, *found.warnings)
    data_summary = [_describe_truth(truth), _describe_found(found.format, len(found.detections))]
    say(console, *data_summary)
    _print_warnings(warnings, console)
    voc = None
    if config.protocol != "coco":
        interpolation = INTERPOLATIONS[config.protocol]
        voc = evaluate_voc(problem, interpolation=interpolation, plus_one=config.plus_one)
    analysis = analyse(problem, replicates=config.bootstrap)
    folder = new_folder(Path(config.runs), config.name)
    paths = {name: getattr(config, name) for name in ("ground_truth", "detections", "images", "names")}
    inputs = {name: str(expand_home(path).absolute()) for name, path in paths.items() if path}
    write_json(folder / _INPUTS, inputs | {"split": config.split, "format": found.format})
    if voc is not None:
        write_json(folder / "voc.json", voc.to_dict())
    context = ReportContext(
        title=config.title or f"{Path(config.detections).name} on {Path(config.ground_truth).name}",
        command=command_of("report", config),
        data_summary=tuple(data_summary),
        warnings=warnings,
        configuration=asdict(config),
        environment=describe_environment(),
        voc=None if voc is None else voc.to_dict(),
        pictures=CasePictures(analysis.matches.problem) if config.pictures else None,
    )
    return ReportRun(folder, write_report(folder, analysis, context), analysis, voc, warnings)


def compare_files(config: CompareConfig, console: Console | None = None) -> CompareRun:
    """Compare and write a run folder; see `CompareConfig`.

    Raises:
        ConfigError: there is no ground truth to measure by.
        DataError: files that cannot be used, or run folders that were measured on different images or objects.
    """
    console = console or Console(quiet=True)
    first, second = (_side(expand_home(word), config.format) for word in (config.a, config.b))
    truth = _common_truth(config, first, second)
    say(console, _describe_truth(truth))
    warnings = list(truth.warnings)
    problems: list[EvaluationData] = []
    for letter, side in (("A", first), ("B", second)):
        found = read_detections(side.detections, truth, format=side.format)
        problems.append(EvaluationData(truth.images, truth.class_names, truth.truths, found.detections))
        warnings += [replace(one, message=f"{letter}: {one.message}") for one in found.warnings]
        say(console, _describe_found(found.format, len(found.detections)))
    _print_warnings(warnings, console)
    a, b = problems
    comparison = compare(a, b, replicates=config.bootstrap)
    if not config.ground_truth:
        _check_unchanged(first, {one.name: one.a for one in comparison.headline})
        _check_unchanged(second, {one.name: one.b for one in comparison.headline})
    pictures = None
    if config.pictures:
        pictures = ChangePictures(match(a), match(b), comparison.score_thresholds)
    folder = new_folder(Path(config.runs), config.name)
    context = ReportContext(
        title=f"{first.name} and {second.name}",
        command=command_of("compare", config, positional=("a", "b")),
        warnings=tuple(warnings),
        configuration=asdict(config),
        environment=describe_environment(),
    )
    page = write_comparison(folder, Sides(comparison, a, b, (first.name, second.name)), context, pictures=pictures)
    return CompareRun(folder, page, comparison, tuple(warnings))


def _describe_truth(truth: GroundTruthFiles) -> str:
    to_find = int((~truth.truths.reusable).sum())
    ignored = len(truth.truths) - to_find
    parts = [
        counted(len(truth.images), "image", "images"),
        counted(len(truth.class_names), "class", "classes"),
        counted(to_find, "object", "objects") + " to be found",
        *([f"{ignored:,} crowd or difficult"] if ignored else []),
    ]
    return f"ground truth ({truth.format}): {', '.join(parts)}"


def _describe_found(found_format: str, count: int) -> str:
    return f"detections ({found_format}): {count}"


def _print_warnings(warnings: Iterable[InputWarning], console: Console) -> None:
    """Warnings about files, with a few examples."""
    for warning in warnings:
        examples = "; ".join(warning.examples[:_SHOWN_EXAMPLES])
        warn(console, f"{warning.message} ({warning.count}{f': {examples}' if examples else ''})")


def _class_names(path: str) -> tuple[str, ...] | None:
    return read_names(expand_home(path)) if path else None


def _side(path: Path, detection_format: DetectionFormat) -> _Side:
    """What a word of the command line stands for."""
    if (path / _INPUTS).is_file():
        return _side_of_report(path)
    if (path / _FOUND).is_file():
        truth = path / _TRUTH
        return _Side(str(path), path / _FOUND, "coco", _Truth(truth, "val") if truth.is_file() else None, path)
    if not path.exists():
        raise DataError(f"{path}: there is no such run folder, nor a file or folder of detections")
    return _Side(str(path), path, detection_format)


def _side_of_report(folder: Path) -> _Side:
    """The files that a report was made of, where they lie."""
    path = folder / _INPUTS
    try:
        inputs = json.loads(path.read_text(encoding="utf-8"))
        images = Path(inputs["images"]) if "images" in inputs else None
        truth = _Truth(Path(inputs["ground_truth"]), inputs["split"], images, inputs.get("names", ""))
        return _Side(str(folder), Path(inputs["detections"]), inputs["format"], truth, folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is not what gridyolo report writes ({type(error).__name__}: {error})") from error


def _common_truth(config: CompareConfig, first: _Side, second: _Side) -> GroundTruthFiles:
    """The ground truth of both, which must be one."""
    images = Path(config.images) if config.images else None
    if config.ground_truth:
        return _Truth(Path(config.ground_truth), config.split, images, config.names).read()
    sources = [side.truth for side in (first, second) if side.truth is not None]
    if not sources:
        raise ConfigError(
            "gridyolo compare: neither is a run folder with a ground_truth.json; add --ground-truth, what both were "
            "made for"
        )
    sources = list(dict.fromkeys(source._replace(images=images or source.images) for source in sources))
    truths = [source.read() for source in sources]
    for other in truths[1:]:
        _check_same(truths[0], other, [source.path for source in sources])
    return truths[0]


def _check_unchanged(side: _Side, numbers: Mapping[str, float]) -> None:
    """Refuse a run whose files are others by now: detectors write every run into the same file."""
    if side.run is None or not (path := side.run / _METRICS).is_file():
        return
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
        own = {name: math.nan if stated[name] is None else float(stated[name]) for name in numbers}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is not what gridyolo writes ({type(error).__name__}: {error})") from error
    for name, now in numbers.items():
        if not np.isclose(own[name], now, rtol=0, atol=_ROUNDING, equal_nan=True):
            raise DataError(
                f"{side.detections}: it, or its ground truth, has changed since {side.run} was made of it: {name} was "
                f"{own[name]:.6f}, and is {now:.6f} now; keep the detections of each run in a file of their own, and "
                "measure them again"
            )


def _check_same(one: GroundTruthFiles, other: GroundTruthFiles, paths: list[Path]) -> None:
    """Numbers of different images or objects say nothing of two detectors."""
    what = ""
    if one.class_names != other.class_names:
        what = "classes"
    elif list(one.images.image_ids) != list(other.images.image_ids):
        what = "images"
    elif any(
        not np.array_equal(getattr(one.truths, field.name), getattr(other.truths, field.name))
        for field in fields(TruthSet)
    ):
        what = "objects"
    if what:
        raise DataError(
            f"{paths[0]} and {paths[1]} have different {what}: the runs were measured on different data; measure both "
            "on one split, or name a --ground-truth that holds for both"
        )
