"""`gridyolo data check`: everything that is wrong in a dataset, in a run folder and on the console.

The folder holds `check.html`, a page for people, and `check.json`:

    version, dataset (its root), formats, notes
    counts      number of errors, warnings and notes
    splits      the account of each split, without its single issues
    kinds       by name: severity, meaning, action, count
    findings    kind, severity, file, where (line or object), message, and images: file, split, boxes (xyxy, pixels)

Paths are relative to the dataset where they are inside it. Nothing in it depends on the number of workers. Left out:
the checks (yolo/inspection).

The repaired copy that `gridyolo data check --fix-into` writes: upright, without unreadable images, boxes mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from yolo.curate.boxes import box_findings, class_findings, class_size_findings, file_findings
from yolo.curate.check_page import Verdict, make_verdict, write_page
from yolo.curate.duplicates import Placed, leak_findings, placed_images
from yolo.curate.findings import (
    Finding,
    Pointed,
    Severity,
    account_findings,
    below,
    count_severities,
    findings_to_dicts,
    first_findings,
    kind_of,
    sorted_findings,
)
from yolo.curate.images import ImageFacts, image_findings, inspect_images, pixel_digests
from yolo.curate.write import require_outside, write_dataset
from yolo.data.read import DatasetDescriptor, Split, find_dataset, read_split
from yolo.errors import ConfigError, DataError, printable
from yolo.files import new_folder, write_json
from yolo.formats.issues import DataAccount

_WRITTEN = ("train", "val", "test")


def check_target(folder: str, descriptor: DatasetDescriptor) -> None:
    """ConfigError if the folder for the copy, where there is to be one, cannot be it."""
    if not folder:
        return
    target, root = Path(folder).expanduser().resolve(), descriptor.root.resolve()
    if target.is_relative_to(root):
        raise ConfigError(f"--fix-into {folder}: lies in the dataset, which is never written to")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"--fix-into {folder}: is there already; name a new folder")


def write_repaired(
    splits: Sequence[Split], unusable: Collection[str], config: DataCheckConfig, descriptor: DatasetDescriptor
) -> list[str]:
    """Write the copy.

    What cannot be mended by itself stays: copies of images, doubtful labels.

    Args:
        splits: as read, with boxes mended.
        unusable: image files that are left out.
        config: where to, and in which format.
        descriptor: of the dataset.

    Returns:
        What to tell the user, in lines.

    Raises:
        DataError: there is no image that can be used.
    """
    usable = {split.name: _without(split, unusable) for split in splits if split.name in _WRITTEN}
    usable = {name: split for name, split in usable.items() if len(split.images)}
    if not usable:
        raise DataError(f"--fix-into {config.fix_into}: no image can be used, so there is nothing to write")
    written = write_dataset(
        usable,
        Path(config.fix_into).expanduser(),
        format=config.format or descriptor.format,
        images="copy",
        upright=True,
    )
    left_out = sum(len(split.images) for split in splits) - sum(len(split.images) for split in usable.values())
    return [
        f"repaired copy: {written.yaml}",
        *(
            [f"  images left out, as they are damaged or their boxes are for other pixels: {left_out}"]
            if left_out
            else []
        ),
        *(f"  {note}" for note in written.notes),
    ]


def _without(split: Split, broken: Collection[str]) -> Split:
    good = [index for index in range(len(split.images)) if split.images.paths[index] not in broken]
    return replace(split, images=split.images.take(np.asarray(good, np.int64)))


_OWN_WORDS_FOR_UNREADABLE = frozenset({"image_unreadable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was found, and where it is written.

    Attributes:
        folder: the run folder with check.html and check.json.
        findings: the worst first; of each kind the first 2,000.
        kinds: number of cases by kind.
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


def check(config: DataCheckConfig, console: Console | None = None) -> CheckReport:
    """Look for everything that is wrong in a dataset; see `DataCheckConfig`.

    Raises:
        ConfigError: the repaired copy would lie in the dataset.
        DataError: there is no dataset, or no such split.
    """
    console = console or Console(quiet=True)
    descriptor = find_dataset(Path(config.data))
    check_target(config.fix_into, descriptor)
    dataset = _read(descriptor, config.split)
    if config.fix_into:
        target = Path(config.fix_into).expanduser()
        require_outside(target, Path(config.data), descriptor, dataset.splits, option="--fix-into")
    paths = sorted(_image_files(dataset))
    with _progress(console, len(paths)) as progress:
        found = inspect_images(paths, workers=config.workers, progress=progress)
    facts = dict(zip(paths, found, strict=True))
    kept, found_of_kind = first_findings(_all_findings(dataset, facts, config))
    findings = tuple(sorted_findings(kept))
    kinds = _count(findings, found_of_kind, dataset.splits)
    counts = _by_severity(kinds)
    report = CheckReport(
        folder=new_folder(Path(config.runs), config.name), findings=findings, kinds=kinds, counts=counts
    )
    verdict = make_verdict(kinds, counts)
    write_json(report.folder / "check.json", _to_dict(report, dataset))
    _write_page(report, dataset, facts, verdict, config)
    _print(report, verdict, dataset, console)
    if config.fix_into:
        # boxes for pixels that lie otherwise were cut to the wrong border, which cannot be undone
        unusable = {image.path for item in findings if item.kind == "exif_ignored" for image in item.images}
        unusable.update(path for path, one in facts.items() if one.broken)
        for line in write_repaired(dataset.splits, unusable, config, descriptor):
            say(console, line)
    return report


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
        findings += account_findings(split.account)
    splits = _without_repeated(splits)
    return _Dataset(descriptor, tuple(splits), tuple(findings), len(names) == len(descriptor.splits))


def _without_repeated(splits: list[Split]) -> list[Split]:
    """Without `trainval` where it only repeats train and val: each object is to count once."""
    others = {path for split in splits if split.name in ("train", "val") for path in split.images.paths}
    return [split for split in splits if split.name != "trainval" or not others.issuperset(split.images.paths)]


def _image_files(dataset: _Dataset) -> set[str]:
    """Every image that can be looked at: those that were read, and those whose header could not be."""
    refused = {
        image.path for item in dataset.findings if item.kind in _OWN_WORDS_FOR_UNREADABLE for image in item.images
    }
    return refused.union(*(split.images.paths for split in dataset.splits))


def _all_findings(dataset: _Dataset, facts: Mapping[str, ImageFacts], config: DataCheckConfig) -> Iterator[Finding]:
    placed = placed_images(dataset.splits)
    own = _of_images(dataset, facts)
    # what was seen in a file itself is more exact than what its header gave to the reader
    explained = {(item.kind, image.path) for item in own for image in item.images}
    broken = {path for path, one in facts.items() if one.broken}
    for item in dataset.findings:
        path = item.images[0].path if item.images else ""
        if item.kind in _OWN_WORDS_FOR_UNREADABLE and path in broken:
            continue
        if item.kind == "size_mismatch" and ("exif_ignored", path) in explained:
            continue
        yield item
    yield from own
    digests = partial(pixel_digests, workers=config.workers)
    yield from leak_findings(placed, facts, most_bits=config.near_duplicates, digests=digests)
    for split in dataset.splits:
        yield from box_findings(split)
    for group in _of_same_classes(dataset.splits):
        yield from class_size_findings(group)
        yield from class_findings(group, dataset.descriptor.root, whole=dataset.whole)
    if dataset.whole:
        yield from file_findings(_named_files(dataset), dataset.descriptor.formats, _sources(dataset.descriptor))


def _of_images(dataset: _Dataset, facts: Mapping[str, ImageFacts]) -> list[Finding]:
    stated = {item.images[0].path: item for item in dataset.findings if item.kind == "size_mismatch" and item.images}
    return [item for path, one in facts.items() for item in image_findings(path, one, stated.get(path))]


def _of_same_classes(splits: Iterable[Split]) -> list[list[Split]]:
    """Splits whose labels mean the same; without a split train each may have classes of its own."""
    groups: dict[tuple[str, ...], list[Split]] = {}
    for split in splits:
        groups.setdefault(split.class_names, []).append(split)
    return list(groups.values())


def _named_files(dataset: _Dataset) -> set[str]:
    """Every image file that some split names, whatever became of it."""
    issues = {image.path for item in dataset.findings for image in item.images}
    return issues.union(*(split.images.paths for split in dataset.splits))


def _sources(descriptor: DatasetDescriptor) -> set[Path]:
    return {source.path for sources in descriptor.splits.values() for source in sources}


def _count(findings: Sequence[Finding], found: Mapping[str, int], splits: Sequence[Split]) -> dict[str, int]:
    """Cases by kind in the order of the findings; readers keep the first of a kind only, and count the others."""
    kinds = {item.kind: found[item.kind] for item in findings}
    for split in splits:
        kept = Counter(issue.kind for issue in split.account.issues)
        for kind, count in split.account.counts.items():
            if kind in kinds:
                kinds[kind] += count - kept[kind]
    return kinds


def _by_severity(kinds: Mapping[str, int]) -> dict[Severity, int]:
    counts = count_severities(())
    for name, count in kinds.items():
        counts[kind_of(name).severity] += count
    return counts


def _to_dict(report: CheckReport, dataset: _Dataset) -> dict[str, Any]:
    root = dataset.descriptor.root
    return {
        "version": __version__,
        "dataset": printable(root),
        "formats": list(dataset.descriptor.formats),
        "notes": list(dataset.descriptor.notes),
        "counts": dict(report.counts),
        "splits": [_account(split.account) for split in dataset.splits],
        "kinds": {name: kind_of(name)._asdict() | {"count": count} for name, count in report.kinds.items()},
        "findings": findings_to_dicts(report.findings, root),
    }


def _account(account: DataAccount) -> dict[str, Any]:
    return {key: value for key, value in account.to_dict().items() if key != "issues"}


def _write_page(
    report: CheckReport,
    dataset: _Dataset,
    facts: Mapping[str, ImageFacts],
    verdict: Verdict,
    config: DataCheckConfig,
) -> None:
    placed = {image.path: image for image in placed_images(dataset.splits)}
    accounts = [split.account for split in dataset.splits]
    notes = dict.fromkeys(note for account in accounts for note in account.notes)

    def readable(path: str) -> bool:
        return path in facts and not facts[path].broken

    write_page(
        report.folder / "check.html",
        root=dataset.descriptor.root,
        formats=dataset.descriptor.formats,
        accounts=accounts,
        notes=tuple(notes),
        num_files=len(facts),
        findings=report.findings,
        kinds=report.kinds,
        verdict=verdict,
        most_pictures=config.max_pictures,
        annotations=lambda path: _annotated(placed.get(path), path),
        readable=readable,
    )


def _annotated(image: Placed | None, path: str) -> Pointed:
    """An image with all of its boxes."""
    if image is None:
        return Pointed(path)
    split, index = image.places[0]
    truth = split.images[index].ground_truth
    boxes = tuple((x1, y1, x2, y2) for x1, y1, x2, y2 in truth.boxes.tolist())
    return Pointed(path, boxes, tuple(split.class_names[label] for label in truth.labels.tolist()), split.name)


def _print(report: CheckReport, verdict: Verdict, dataset: _Dataset, console: Console) -> None:
    root = dataset.descriptor.root
    for split in dataset.splits:
        say(console, split.account.summary_lines()[0])
    say(console, " ".join([verdict.headline, *verdict.lines]))
    firsts: dict[str, Finding] = {}
    for item in report.findings:
        firsts.setdefault(item.kind, item)
    for name, count in report.kinds.items():
        kind, first = kind_of(name), firsts[name]
        place = ", ".join(part for part in (below(first.path, root), first.where) if part)
        say(console, f"  {kind.severity}: {kind.meaning}: {count}, e.g. {place}: {first.message}")
    say(console, f"report: {report.folder / 'check.html'}")


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Any]:
    """A bar while images are read; on a terminal only."""
    columns = (TextColumn("reading images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
