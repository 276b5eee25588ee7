"""The page of `gridyolo data check`: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined

from yolo._version import __version__
from yolo.data.account import DataAccount, printable
from yolo.engine.data_check_pictures import draw_findings
from yolo.files import atomic_write
from yolo.inspection.findings import Finding, Pointed, Severity, below, kind_of

_MOST_CASES = 50
_MOST_FIRST = 3
_FORMATS = {"voc": "Pascal VOC", "coco": "COCO", "yolo": "YOLO", "csv": "CSV"}


class Verdict(NamedTuple):
    """What is to be said first, in plain words."""

    level: str  # error, warning, note or good
    headline: str
    lines: tuple[str, ...]
    first: tuple[dict[str, Any], ...]  # kind, meaning, count, action


def make_verdict(kinds: dict[str, int], counts: dict[Severity, int]) -> Verdict:
    """Sum up.

    Args:
        kinds: number of cases by kind, the worst first.
        counts: number of cases by severity.
    """
    level = next((severity for severity, count in counts.items() if count), "good")
    told = {
        "error": (
            "This dataset has errors.",
            "A part of it is lost, wrong, or makes measured numbers untrue. Mend the errors before training.",
        ),
        "warning": (
            "No errors, but things that look wrong.",
            "It can be used as it is. Each case is worth a look: many are mistakes of annotation.",
        ),
        "note": ("Nothing is wrong with this dataset.", "There are a few things that are worth knowing."),
        "good": ("Nothing is wrong with this dataset.", "Every file was read to its end, every box looked at."),
    }
    headline, line = told[level]
    totals = ", ".join(_plural(count, severity) for severity, count in counts.items() if count)
    worst = [name for name in kinds if kind_of(name).severity == level and level != "note"][:_MOST_FIRST]
    first = tuple(
        {"kind": name, "meaning": kind_of(name).meaning, "count": kinds[name], "action": kind_of(name).action}
        for name in worst
    )
    return Verdict(level, headline, ((f"{totals}. {line}" if totals else line),), first)


def write_page(
    path: Path,
    *,
    root: Path,
    formats: Sequence[str],
    accounts: Sequence[DataAccount],
    notes: Sequence[str],
    num_files: int,
    findings: Sequence[Finding],
    kinds: dict[str, int],
    verdict: Verdict,
    most_pictures: int,
    annotations: Callable[[str], Pointed],
    readable: Callable[[str], bool],
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        root: of the dataset; paths on the page are relative to it.
        formats: `voc`, `coco`, `yolo`, `csv`.
        accounts: of the splits that were read.
        notes: what was decided for the user.
        num_files: image files that were looked at.
        findings: sorted, the worst first.
        kinds: number of cases by kind, in the order of the findings; may be more than the findings.
        verdict: what stands on top.
        most_pictures: images drawn, at most.
        annotations: an image with all of its boxes.
        readable: whether an image can be decoded.
    """
    groups = [[item for item in findings if item.kind == name] for name in kinds]
    drawn = draw_findings(groups, most=most_pictures, annotations=annotations, readable=readable)
    sections = []
    for (name, count), group, pictures in zip(kinds.items(), groups, drawn, strict=True):
        sections.append(
            {
                "kind": name,
                "count": count,
                "listed": f"{len(group)} of them" if len(group) < count else "all",
                **kind_of(name)._asdict(),
                "cases": [_case(item, root) for item in group[:_MOST_CASES]],
                "placed": any(item.where for item in group[:_MOST_CASES]),
                "pictures": [
                    _case(item, root)
                    | {"pictures": [image._asdict() | {"file": below(image.path, root)} for image in images]}
                    for item, images in pictures
                ],
            }
        )
    template = (resources.files("yolo.engine") / "data_check.html.j2").read_text(encoding="utf-8")
    # all that comes from the dataset is escaped: names are anybody's text
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["sentence"] = _sentence
    text = environment.from_string(template).render(
        dataset=printable(root.name),
        root=printable(root),
        formats=" and ".join(_FORMATS[name] for name in formats),
        num_files=num_files,
        verdict=verdict,
        splits=[_split_row(account) for account in accounts],
        remarks=notes,
        sections=sections,
        version=__version__,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _case(item: Finding, root: Path) -> dict[str, Any]:
    return {"file": below(item.path, root), "where": item.where, "message": item.message}


def _split_row(account: DataAccount) -> dict[str, Any]:
    return {
        "name": account.split,
        "images": account.images_kept,
        "images_dropped": account.images_dropped.total(),
        "backgrounds": account.backgrounds,
        "objects": account.objects_kept,
        "repaired": account.objects_repaired.total(),
        "objects_dropped": account.objects_dropped.total(),
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" + "s" * (count != 1)
