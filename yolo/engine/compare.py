"""`compare`: two detectors on the same images, from their run folders or their files of detections."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from yolo.config import CompareConfig, DetectionFormat
from yolo.console import say
from yolo.detection_sets import Problem, TruthSet
from yolo.engine.detections import read_detections
from yolo.engine.inputs import GroundTruthFiles, read_ground_truth
from yolo.engine.provenance import command_of, describe_environment
from yolo.engine.report import INPUTS, describe_files, read_names, warning_lines
from yolo.errors import ConfigError, DataError
from yolo.evaluation.comparison import Comparison, compare
from yolo.evaluation.matching import match
from yolo.files import new_folder
from yolo.formats.issues import InputWarning
from yolo.report.compare import Sides, write_comparison
from yolo.report.page import ReportContext
from yolo.report.pictures import ChangePictures

_TRUTH, _FOUND, _METRICS = "ground_truth.json", "predictions.json", "metrics.json"
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class CompareRun:
    """What `gridyolo compare` made.

    Attributes:
        folder: where everything was written.
        page: compare.html.
        comparison: the differences.
        warnings: warnings about the files.
    """

    folder: Path
    page: Path
    comparison: Comparison
    warnings: tuple[InputWarning, ...]


class _Truth(NamedTuple):
    """What is measured by."""

    path: Path
    split: str = "val"
    images: Path | None = None
    names: str = ""


class _Side(NamedTuple):
    """Files of one of the two."""

    name: str
    detections: Path
    format: DetectionFormat
    truth: _Truth | None
    run: Path | None = None  # the run folder, where it is one


def compare_files(config: CompareConfig, console: Console | None = None) -> CompareRun:
    """Compare and write a run folder; see `CompareConfig`.

    Raises:
        ConfigError: there is no ground truth to measure by.
        DataError: files that cannot be used, or run folders that were measured on different images or objects.
    """
    console = console or Console(quiet=True)
    first, second = (_side(Path(word), config.format) for word in (config.a, config.b))
    truth = _read_truths(config, first, second)
    warnings = list(truth.warnings)
    problems: list[Problem] = []
    for letter, side in (("A", first), ("B", second)):
        found = read_detections(side.detections, truth, format=side.format)
        problems.append(Problem(truth.images, truth.class_names, truth.truths, found.detections))
        warnings += [replace(one, message=f"{letter}: {one.message}") for one in found.warnings]
        say(console, *describe_files(truth, len(found.detections), found.format)[letter == "B" :])
    say(console, *warning_lines(warnings))
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


def _side(path: Path, detection_format: DetectionFormat) -> _Side:
    """What a word of the command line stands for."""
    if (path / INPUTS).is_file():
        return _side_of_report(path)
    if (path / _FOUND).is_file():
        truth = path / _TRUTH
        return _Side(str(path), path / _FOUND, "coco", _Truth(truth) if truth.is_file() else None, path)
    if not path.exists():
        raise DataError(f"{path}: there is no such run folder, nor a file or folder of detections")
    return _Side(str(path), path, detection_format, None)


def _side_of_report(folder: Path) -> _Side:
    """The files that a report was made of, where they lie."""
    path = folder / INPUTS
    try:
        inputs = json.loads(path.read_text(encoding="utf-8"))
        images = Path(inputs["images"]) if "images" in inputs else None
        truth = _Truth(Path(inputs["ground_truth"]), inputs["split"], images, inputs.get("names", ""))
        return _Side(str(folder), Path(inputs["detections"]), inputs["format"], truth, folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is not what gridyolo report writes ({type(error).__name__}: {error})") from error


def _read_truths(config: CompareConfig, first: _Side, second: _Side) -> GroundTruthFiles:
    """The ground truth of both, which must be one."""
    images = Path(config.images) if config.images else None
    if config.ground_truth:
        return _read_truth(_Truth(Path(config.ground_truth), config.split, images, config.names))
    sources = [side.truth for side in (first, second) if side.truth is not None]
    if not sources:
        raise ConfigError(
            "gridyolo compare: neither is a run folder with a ground_truth.json; add --ground-truth, what both were "
            "made for"
        )
    sources = list(dict.fromkeys(source._replace(images=images or source.images) for source in sources))
    truths = [_read_truth(source) for source in sources]
    for other in truths[1:]:
        _check_same(truths[0], other, [source.path for source in sources])
    return truths[0]


def _read_truth(source: _Truth) -> GroundTruthFiles:
    names = read_names(source.names)
    return read_ground_truth(source.path, split=source.split, images=source.images, class_names=names)


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
        if not math.isclose(own[name], now, rel_tol=0, abs_tol=_ROUNDING) and not (
            math.isnan(own[name]) and math.isnan(now)
        ):
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
