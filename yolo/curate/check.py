"""`gridyolo data check`: everything that is wrong in a dataset, in a run folder and on the console.

The folder holds `check.html`, a page for people, and `check.json`:

    version, dataset (its root), formats, notes
    counts      number of errors, warnings and notes
    splits      what was read of each split, without its single issues
    kinds       by name: severity, meaning, action, count
    findings    kind, severity, file, where (line or object), message, and images: file, split, boxes (xyxy, pixels)

Paths are relative to the dataset where they are inside it. Nothing in it depends on the number of workers. With
`--fix-into` a copy is written: upright, without unreadable images, boxes repaired; what takes a person to decide,
copies of images and doubtful labels, stays. Left out: the single checks (`images`, `duplicates`, `boxes`, `files`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from yolo._version import __version__
from yolo.config import DataCheckConfig
from yolo.console import say
from yolo.curate.boxes import box_findings, class_findings, class_size_findings
from yolo.curate.check_page import Verdict, make_verdict, write_page
from yolo.curate.duplicates import images_in_splits, leak_findings
from yolo.curate.files import file_findings
from yolo.curate.findings import (
    SEVERITIES,
    Finding,
    Severity,
    below,
    finding_dict,
    first_findings,
    issue_finding,
    kind_of,
)
from yolo.curate.images import ImageFacts, image_findings, inspect_images, pixel_digests
from yolo.curate.write import require_outside, write_dataset
from yolo.data.read import DatasetDescriptor, Split, find_dataset, read_split
from yolo.errors import ConfigError, DataError, printable
from yolo.files import new_folder, write_json

_WRITTEN = ("train", "val", "test")
_UNREADABLE = "image_unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was found, and where it is written.

    Attributes:
        folder: the run folder with check.html and check.json.
        findings: the worst first; of each kind the first 2,000.
        kinds: number of cases by kind, in the order of the findings.
        counts: number of cases by severity.
    """

    folder: Path
    findings: tuple[Finding, ...]
    kinds: dict[str, int]
    counts: dict[Severity, int]

    @property
    def has_errors(self) -> bool:
        """Whether there is anything that must not stay as it is."""
        return self.counts["error"] > 0


class _Dataset(NamedTuple):
    """A dataset as far as it could be read."""

    descriptor: DatasetDescriptor
    splits: tuple[Split, ...]
    findings: tuple[Finding, ...]  # of the readers
    whole: bool  # no split was left out

    @property
    def image_files(self) -> set[str]:
        """Every image file that some split names, whatever became of it."""
        named = {image.path for item in self.findings for image in item.images}
        return named.union(*(split.images.paths for split in self.splits))

    @property
    def inspected(self) -> list[str]:
        """Every image that can be looked at: those that were read, and those whose header could not be."""
        refused = {image.path for item in self.findings if item.kind == _UNREADABLE for image in item.images}
        return sorted(refused.union(*(split.images.paths for split in self.splits)))


def check(config: DataCheckConfig, console: Console | None = None) -> CheckReport:
    """Look for everything that is wrong in a dataset; see `DataCheckConfig`.

    Raises:
        ConfigError: the repaired copy would lie in the dataset, or in a folder that is not empty.
        DataError: there is no dataset, or no such split.
    """
    console = console or Console(quiet=True)
    descriptor = find_dataset(Path(config.data))
    if config.fix_into:
        _require_new(config.fix_into, descriptor)
    dataset = _read(descriptor, config.split)
    if config.fix_into:
        target = Path(config.fix_into).expanduser()
        require_outside(target, Path(config.data), descriptor, dataset.splits, option="--fix-into")
    paths = dataset.inspected
    with _progress(console, len(paths)) as progress:
        found = inspect_images(paths, workers=config.workers, progress=progress)
    facts = dict(zip(paths, found, strict=True))
    report = _make_report(config, dataset, facts)
    verdict = make_verdict(report.kinds, report.counts)
    write_json(report.folder / "check.json", _to_dict(report, dataset))
    _write_page(report, dataset, facts, verdict, config)
    _print(report, verdict, dataset, console)
    if config.fix_into:
        # boxes of pixels that were turned otherwise were cut to the wrong border, which cannot be undone
        unusable = {image.path for item in report.findings if item.kind == "exif_ignored" for image in item.images}
        unusable.update(path for path, one in facts.items() if one.broken)
        say(console, *_write_repaired(dataset, unusable, config))
    return report


def _require_new(folder: str, descriptor: DatasetDescriptor) -> None:
    """ConfigError if a repaired copy cannot be written to a folder."""
    target, root = Path(folder).expanduser().resolve(), descriptor.root.resolve()
    if target.is_relative_to(root):
        raise ConfigError(f"--fix-into {folder}: lies in the dataset, which is never written to")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"--fix-into {folder}: is there already; name a new folder")


def _read(descriptor: DatasetDescriptor, wanted: str) -> _Dataset:
    """Read the splits; one that cannot be used is a finding, unless it is the one that was asked for by name."""
    names = (wanted,) if wanted else tuple(descriptor.splits)
    splits, findings = [], []
    for name in names:
        try:
            split = read_split(descriptor, name, box_policy="fix", sizes="read")
        except DataError as error:
            if wanted and wanted not in descriptor.splits:
                raise
            findings.append(Finding("split_unusable", printable(descriptor.root), name, str(error)))
            continue
        splits.append(split)
        findings += map(issue_finding, split.report.issues)
    # `trainval` is left out where it only repeats train and val: each object is to count once
    others = {path for split in splits if split.name in ("train", "val") for path in split.images.paths}
    kept = [split for split in splits if split.name != "trainval" or not others.issuperset(split.images.paths)]
    return _Dataset(descriptor, tuple(kept), tuple(findings), len(names) == len(descriptor.splits))


def _make_report(config: DataCheckConfig, dataset: _Dataset, facts: Mapping[str, ImageFacts]) -> CheckReport:
    findings, found = first_findings(_all_findings(dataset, facts, config))
    kinds = {item.kind: found[item.kind] for item in findings}
    # readers keep the first issues of a kind only, and count the others
    for split in dataset.splits:
        kept = Counter(issue.kind for issue in split.report.issues)
        for kind, count in split.report.counts.items():
            if kind in kinds:
                kinds[kind] += count - kept[kind]
    counts = dict.fromkeys(SEVERITIES, 0)
    for kind, count in kinds.items():
        counts[kind_of(kind).severity] += count
    folder = new_folder(Path(config.runs), config.name)
    return CheckReport(folder=folder, findings=tuple(findings), kinds=kinds, counts=counts)


def _all_findings(dataset: _Dataset, facts: Mapping[str, ImageFacts], config: DataCheckConfig) -> Iterator[Finding]:
    stated = {item.images[0].path: item for item in dataset.findings if item.kind == "size_mismatch" and item.images}
    own = [item for path, one in facts.items() for item in image_findings(path, one, stated.get(path))]
    # what was seen in a file itself is more exact than what its header gave to the reader
    turned = {image.path for item in own if item.kind == "exif_ignored" for image in item.images}
    for item in dataset.findings:
        path = item.images[0].path if item.images else ""
        is_broken = path in facts and facts[path].broken
        if (item.kind == _UNREADABLE and is_broken) or (item.kind == "size_mismatch" and path in turned):
            continue
        yield item
    yield from own
    digests = partial(pixel_digests, workers=config.workers)
    images = images_in_splits(dataset.splits)
    yield from leak_findings(images, facts, most_bits=config.near_duplicates, digests=digests)
    # splits whose labels mean the same; without a split train each may have classes of its own
    groups: dict[tuple[str, ...], list[Split]] = {}
    for split in dataset.splits:
        yield from box_findings(split)
        groups.setdefault(split.class_names, []).append(split)
    descriptor = dataset.descriptor
    for group in groups.values():
        yield from class_size_findings(group)
        yield from class_findings(group, descriptor.root, whole=dataset.whole)
    if dataset.whole:
        sources = {source.path for sources in descriptor.splits.values() for source in sources}
        yield from file_findings(dataset.image_files, descriptor.formats, sources)


def _to_dict(report: CheckReport, dataset: _Dataset) -> dict[str, Any]:
    descriptor = dataset.descriptor
    splits = [split.report.to_dict() for split in dataset.splits]
    return {
        "version": __version__,
        "dataset": printable(descriptor.root),
        "formats": list(descriptor.formats),
        "notes": list(descriptor.notes),
        "counts": dict(report.counts),
        "splits": [{key: value for key, value in split.items() if key != "issues"} for split in splits],
        "kinds": {name: kind_of(name)._asdict() | {"count": count} for name, count in report.kinds.items()},
        "findings": [finding_dict(item, descriptor.root) for item in report.findings],
    }


def _write_page(
    report: CheckReport, dataset: _Dataset, facts: Mapping[str, ImageFacts], verdict: Verdict, config: DataCheckConfig
) -> None:
    images = {image.path: image for image in images_in_splits(dataset.splits)}
    readable = {path for path, one in facts.items() if not one.broken}
    write_page(
        report.folder / "check.html",
        descriptor=dataset.descriptor,
        splits=dataset.splits,
        num_files=len(facts),
        findings=report.findings,
        kinds=report.kinds,
        verdict=verdict,
        max_pictures=config.max_pictures,
        annotations=lambda image: images[image.path].pointed(annotated=True) if image.path in images else image,
        readable=readable,
    )


def _print(report: CheckReport, verdict: Verdict, dataset: _Dataset, console: Console) -> None:
    root = dataset.descriptor.root
    say(console, *(split.report.summary_lines()[0] for split in dataset.splits))
    say(console, " ".join([verdict.headline, *verdict.lines]))
    firsts: dict[str, Finding] = {}
    for item in report.findings:
        firsts.setdefault(item.kind, item)
    for name, count in report.kinds.items():
        kind, first = kind_of(name), firsts[name]
        place = ", ".join(part for part in (below(first.path, root), first.where) if part)
        say(console, f"  {kind.severity}: {kind.meaning}: {count}, e.g. {place}: {first.message}")
    say(console, f"report: {report.folder / 'check.html'}")


def _write_repaired(dataset: _Dataset, unusable: Collection[str], config: DataCheckConfig) -> list[str]:
    """Write the copy, without some image files; what to say about it, in lines."""
    usable = {}
    for split in dataset.splits:
        good = [index for index, path in enumerate(split.images.paths) if path not in unusable]
        if good and split.name in _WRITTEN:
            usable[split.name] = replace(split, images=split.images.take(np.asarray(good, np.int64)))
    if not usable:
        raise DataError(f"--fix-into {config.fix_into}: no image can be used, so there is nothing to write")
    target, kind = Path(config.fix_into).expanduser(), config.format or dataset.descriptor.format
    written = write_dataset(usable, target, format=kind, images="copy", upright=True)
    left_out = _num_images(dataset.splits) - _num_images(list(usable.values()))
    return [
        f"repaired copy: {written.yaml}",
        *([f"  images left out, as they are damaged or their boxes are of other pixels: {left_out}"] * bool(left_out)),
        *(f"  {note}" for note in written.notes),
    ]


def _num_images(splits: Sequence[Split]) -> int:
    return sum(len(split.images) for split in splits)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Any]:
    """A bar while images are read; on a terminal only."""
    columns = (TextColumn("reading images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
