"""What can follow each command of `gridyolo data`, and its numbers, for `--json`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo.cli.ending import FOUND_ERRORS, SUCCESS, Ending

if TYPE_CHECKING:
    from yolo.config import DataCheckConfig, DataDownloadConfig, DataPreviewConfig, DataStatsConfig
    from yolo.curate.check_report import CheckReport
    from yolo.curate.stats import DataStatsRun
    from yolo.curate.write import WrittenDataset


def end_of(action: str, config: Any, outcome: Any) -> Ending:
    """How `gridyolo data ACTION` ended, from its configuration and what it returned."""
    return _ENDINGS[action](config, outcome)


def _end_of_check(config: DataCheckConfig, report: CheckReport) -> Ending:
    repaired = Path(config.fix_into).expanduser() / "dataset.yaml" if config.fix_into else None
    following: list[str | Path] = ["gridyolo", "data", "stats", "--data", config.data]
    if repaired:
        following = ["gridyolo", "data", "check", "--data", repaired]
    elif report.has_errors:
        following = [
            "gridyolo",
            "data",
            "check",
            "--data",
            config.data,
            "--fix-into",
            _new_copy(report.descriptor.root),
        ]
    return Ending(
        exit_code=FOUND_ERRORS if report.has_errors else SUCCESS,
        folder=report.folder,
        files=[report.folder / "check.html", report.folder / "check.json", *([repaired] if repaired else [])],
        look_at=report.folder / "check.html",
        next_command=following,
        results={
            "counts": report.counts,
            "kinds": report.kinds,
            "images": {split.name: len(split.images) for split in report.splits},
            "objects": {split.name: len(split.images.objects) for split in report.splits},
        },
    )


def _new_copy(root: Path) -> Path:
    """A folder for a repaired copy that does not exist: here, or beside the dataset if this is a folder of it."""
    root = root.absolute()
    parent = root.parent if Path.cwd().is_relative_to(root) else Path()
    names = (f"{root.name}-fixed{f'-{number}' * (number > 1)}" for number in count(1))
    return next(parent / name for name in names if not (parent / name).exists())


def _end_of_stats(config: DataStatsConfig, run: DataStatsRun) -> Ending:
    found = run.recommendation
    results = {
        "recommendation": None if found is None else asdict(found),
        "statistics": asdict(run.statistics),
    }
    return Ending(
        folder=run.folder,
        files=sorted(run.folder.iterdir()),
        look_at=run.folder,
        next_command=shlex.split(run.command),
        results=results,
    )


def _end_of_preview(config: DataPreviewConfig, folder: Path) -> Ending:
    sheets = sorted(folder.glob("*.jpg"))
    return Ending(
        folder=folder,
        files=[*sheets, folder / "preview.json"],
        look_at=sheets[0] if sheets else None,
        next_command=["gridyolo", "train", "--data", config.data],
        results={"batches": len(sheets)},
    )


def _end_of_convert(config: Any, written: WrittenDataset) -> Ending:
    return Ending(
        folder=written.yaml.parent,
        files=[written.yaml],
        next_command=["gridyolo", "data", "check", "--data", written.yaml],
        results={"images": dict(written.images), "objects": dict(written.objects), "notes": list(written.notes)},
    )


def _end_with_dataset(config: Any, path: Path) -> Ending:
    """Of a command that made a dataset to train on."""
    return Ending(
        folder=path.parent,
        files=sorted(one for one in path.parent.iterdir() if one.is_file()),
        next_command=["gridyolo", "train", "--data", path],
    )


def _end_of_download(config: DataDownloadConfig, path: Path) -> Ending:
    return Ending(files=[path], next_command=["gridyolo", "data", "stats", "--data", path])


_ENDINGS: Mapping[str, Callable[[Any, Any], Ending]] = {
    "check": _end_of_check,
    "stats": _end_of_stats,
    "preview": _end_of_preview,
    "convert": _end_of_convert,
    "split": _end_with_dataset,
    "synth": _end_with_dataset,
    "download": _end_of_download,
}
