import json
import math
from pathlib import Path

from yolo.curate.findings import (
    FINDING_KINDS,
    SEVERITIES,
    Finding,
    FindingImage,
    finding_dict,
    first_findings,
    issue_finding,
    kind_of,
)
from yolo.formats.issues import KINDS, MAX_ISSUES_PER_KIND, DataIssue, ReadReport


def test_every_kind_of_the_readers_has_a_severity_and_advice() -> None:
    assert [name for name in KINDS if name not in FINDING_KINDS] == []
    for name in [*FINDING_KINDS, *KINDS]:
        kind = kind_of(name)
        assert kind.severity in SEVERITIES
        assert kind.meaning
        assert kind.action.endswith(".")


def test_unknown_kinds_are_warnings() -> None:
    assert kind_of("something_new") == ("warning", "something new", "Correct or remove it in the annotation file.")


def test_issues_become_findings_with_what_to_look_at() -> None:
    report = ReadReport("train")
    clipped = DataIssue("a.txt", "line 3", "clipped", "too large", "a.jpg", (1, 2, 30, 40))
    report.add_issues("clipped", [0], lambda _: clipped)
    report.add_issue("b.txt", "", "label_file_missing", "none", image="b.jpg")
    report.add_issue("c.json", "", "unknown_image", "what")
    assert list(map(issue_finding, report.issues)) == [
        Finding("clipped", "a.txt", "line 3", "too large", (FindingImage("a.jpg", ((1, 2, 30, 40),), ("clipped",)),)),
        Finding("label_file_missing", "b.txt", "", "none", (FindingImage("b.jpg"),)),
        Finding("unknown_image", "c.json", "", "what"),
    ]


def test_findings_are_sorted() -> None:
    items = [
        Finding("image_grey", "a", "", ""),
        Finding("degenerate", "b", "line 10", ""),
        Finding("degenerate", "b", "line 9", ""),
        Finding("clipped", "a", "", ""),
        Finding("image_missing", "z", "", ""),
    ]
    ranked, counts = first_findings(items)
    assert [(item.kind, item.where) for item in ranked] == [
        ("image_missing", ""),
        ("degenerate", "line 9"),
        ("degenerate", "line 10"),
        ("clipped", ""),
        ("image_grey", ""),
    ]
    assert first_findings(items[::-1])[0] == ranked
    assert counts == {"image_grey": 1, "degenerate": 2, "clipped": 1, "image_missing": 1}


def test_each_finding_counts_once_and_the_first_of_a_kind_are_kept() -> None:
    many = [Finding("box_tiny", "/d/a.txt", f"line {number}", "x") for number in range(MAX_ISSUES_PER_KIND + 5)]
    other = Finding("clipped", "/d/a.txt", "line 1", "x")
    kept, counts = first_findings([*many, other, *many])
    assert kept == [other, *many[:MAX_ISSUES_PER_KIND]]
    assert counts == {"box_tiny": MAX_ISSUES_PER_KIND + 5, "clipped": 1}


def test_boxes_that_read_alike_are_two_findings_and_those_of_two_splits_are_one() -> None:
    def tiny(side: float, split: str) -> Finding:
        return Finding("box_tiny", "a.jpg", "", "3 x 3", (FindingImage("a.jpg", ((0, 0, 3, side),), ("cat",), split),))

    assert first_findings([tiny(3, "train"), tiny(3.001, "train"), tiny(3, "trainval")])[1] == {"box_tiny": 2}


def test_findings_are_json_even_with_numbers_that_json_lacks() -> None:
    item = Finding(
        "not_finite", "/d/a.txt", "line 1", "x", (FindingImage("/d/a.jpg", ((math.nan, -math.inf, 1 / 3, 4),), ("x",)),)
    )
    entry = finding_dict(item, Path("/d"))
    assert json.loads(json.dumps(entry, allow_nan=False)) == {
        "kind": "not_finite",
        "severity": "error",
        "file": "a.txt",
        "where": "line 1",
        "message": "x",
        "images": [{"file": "a.jpg", "boxes": [["nan", "-inf", 0.333, 4]]}],
    }
