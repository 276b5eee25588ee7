"""`report`: the detections of any detector, read from files, measured and explained on one page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from yolo.config import ReportConfig
from yolo.console import say
from yolo.engine.detections import read_problem
from yolo.engine.inputs import GroundTruthFiles
from yolo.engine.provenance import command_of, describe_environment
from yolo.errors import DataError
from yolo.evaluation.analysis import Analysis, analyse
from yolo.evaluation.voc import INTERPOLATIONS, VocResult, evaluate_voc
from yolo.files import new_folder, write_json
from yolo.formats.issues import InputWarning
from yolo.report.page import ReportContext
from yolo.report.pictures import CasePictures
from yolo.report.report import write_report

# what `compare` needs to measure the same files again
INPUTS = "inputs.json"
_PATHS = ("ground_truth", "detections", "images", "names")
_SHOWN_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class ReportRun:
    """What `gridyolo report` made.

    Attributes:
        folder: where everything was written.
        page: report.html.
        analysis: the numbers and what explains them.
        voc: by VOC's rules; None where nobody asked for them.
        warnings: warnings about the files.
    """

    folder: Path
    page: Path
    analysis: Analysis
    voc: VocResult | None
    warnings: tuple[InputWarning, ...]


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
        class_names=read_names(config.names),
        format=config.format,
    )
    warnings = (*truth.warnings, *found.warnings)
    account = describe_files(truth, len(found.detections), found.format)
    say(console, *account, *warning_lines(warnings))
    voc = None
    if config.protocol != "coco":
        interpolation = INTERPOLATIONS[config.protocol]
        voc = evaluate_voc(problem, interpolation=interpolation, plus_one=config.plus_one)
    analysis = analyse(problem, replicates=config.bootstrap)
    folder = new_folder(Path(config.runs), config.name)
    inputs = {name: str(Path(value).absolute()) for name, value in asdict(config).items() if name in _PATHS and value}
    write_json(folder / INPUTS, inputs | {"split": config.split, "format": found.format})
    if voc is not None:
        write_json(folder / "voc.json", voc.to_dict())
    context = ReportContext(
        title=config.title or f"{Path(config.detections).name} on {Path(config.ground_truth).name}",
        command=command_of("report", config),
        data_summary=tuple(account),
        warnings=warnings,
        configuration=asdict(config),
        environment=describe_environment(),
        voc=None if voc is None else voc.to_dict(),
        pictures=CasePictures(analysis.matches.problem) if config.pictures else None,
    )
    return ReportRun(folder, write_report(folder, analysis, context), analysis, voc, warnings)


def describe_files(truth: GroundTruthFiles, num_detections: int, found_format: str) -> list[str]:
    """What was read, a line each."""
    counted = int((~truth.truths.reusable).sum())
    ignored = len(truth.truths) - counted
    ignored_text = f", {ignored} crowd or difficult" if ignored else ""
    return [
        f"ground truth ({truth.format}): {len(truth.images)} images, {len(truth.class_names)} classes, "
        f"{counted} objects to be found{ignored_text}",
        f"detections ({found_format}): {num_detections}",
    ]


def warning_lines(warnings: Iterable[InputWarning]) -> list[str]:
    """Warnings about files for a console, with a few examples."""
    lines = []
    for warning in warnings:
        lines.append(f"warning: {warning.message} ({warning.count})")
        lines += [f"  {example}" for example in warning.examples[:_SHOWN_EXAMPLES]]
    return lines


def read_names(path: str) -> tuple[str, ...] | None:
    """Class names, one in each line of a text file; None where no file is given."""
    if not path:
        return None
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a text file of class names ({error})") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names or len(set(names)) < len(names):
        raise DataError(f"{path}: must have one class name in each line, and each name once")
    return names
