import json
from pathlib import Path

import pytest

from yolo.errors import printable
from yolo.formats.issues import KINDS, DataIssue, ReadReport


def _account() -> ReadReport:
    account = ReadReport("val", notes=["every fifth image is held out"])
    account.keep_images(2, backgrounds=1, objects=3)
    account.drop_image(Path("a.jpg"), "image_missing", "there is no such image file")
    account.drop_object(Path("b.txt"), "line 2", "inverted", "box (3, 0, 1, 9)", image=Path("b.jpg"))
    account.drop_object(Path("c.txt"), "line 7", "inverted", "box (4, 0, 1, 9)")
    account.repair_objects(
        "clipped", [1], lambda row: DataIssue("b.txt", f"line {row}", "clipped", "box (-9, 0, 1, 9)")
    )
    account.add_issue(Path("d.txt"), "", "label_file_missing", "there is no such label file")
    return account


def test_found_is_kept_plus_dropped() -> None:
    account = _account()
    assert (account.images_found, account.images_kept, account.backgrounds) == (3, 2, 1)
    assert (account.objects_found, account.objects_kept, account.objects_clipped) == (5, 3, 1)
    assert account.label_files_missing == 1


def test_summary_has_one_line_per_kind_with_count_and_first_example() -> None:
    lines = _account().summary_lines()
    assert lines[0] == "val: 2 of 3 images kept (1 without objects), 3 of 5 objects kept (1 clipped)"
    assert lines[1] == "  note: every fifth image is held out"
    (inverted,) = [line for line in lines if "swapped" in line]
    assert inverted.startswith("  boxes")
    assert inverted.endswith(": 2, e.g. b.txt, line 2: box (3, 0, 1, 9)")
    assert len(lines) == 2 + 4  # image_missing, label_file_missing, clipped, inverted


def test_to_dict_is_json_and_lists_every_issue() -> None:
    content = json.loads(json.dumps(_account().to_dict(), allow_nan=False))
    assert content["objects_dropped"] == {"inverted": 2}
    assert content["images_found"] == 3
    assert len(content["issues"]) == 5
    assert content["issues"][1] == {
        "path": "b.txt",
        "line_or_object": "line 2",
        "kind": "inverted",
        "message": "box (3, 0, 1, 9)",
        "image": "b.jpg",
        "box": None,
    }


def test_an_unknown_kind_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        ReadReport("train").drop_object(Path("a"), "", "no such kind", "")


def test_a_path_that_is_no_unicode_can_still_be_written_as_json() -> None:
    account = ReadReport("train")
    account.drop_image(Path("caf\udce9.jpg"), "image_missing", "of caf\udce9")
    json.dumps(account.to_dict(), ensure_ascii=False).encode()
    assert printable(Path("caf\udce9.jpg")) == "caf%E9.jpg"
    assert printable("naïve") == "naïve"


def test_every_kind_has_words_for_the_console() -> None:
    assert all(KINDS.values())


def test_a_warning_has_five_examples_of_300_characters_at_most() -> None:
    report = ReadReport()
    report.warn("odd", "is odd", *("x" * (295 + number) for number in range(9)))
    (warning,) = report.warnings()
    assert warning.count == 9
    assert list(map(len, warning.examples)) == [295, 296, 297, 298, 299]
    report = ReadReport()
    report.warn("odd", "is odd", "x" * 400)
    assert len(report.warnings()[0].examples[0]) == 300
    report = ReadReport()
    report.warn_rows("odd", "is odd", [True] * 9, str)
    assert (report.warnings()[0].count, len(report.warnings()[0].examples)) == (9, 5)
