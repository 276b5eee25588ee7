"""Datasets that are damaged, enormous or meant to do harm: none crashes the reader, none is taken silently."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.dataset_trees import coco_content, put_image, put_json, put_text, put_voc, put_yolo, voc_object
from yolo.data.read import SizePolicy, Split, find_dataset, read_split
from yolo.errors import DataError, GridYoloError
from yolo.formats.paths import LARGEST_LABEL_FILE

LINE = "0 0.5 0.5 0.5 0.5\n"
YAML = "train: images/train\nval: images/train\nnames: [cat]"


def _yolo(root: Path, text: str, *, yaml: str = YAML) -> Split:
    put_yolo(root, "train", {"a": text, "b": LINE})
    return read_split(find_dataset(put_text(root / "data.yaml", yaml)), "train")


def _voc(root: Path, xml: str | bytes) -> Split:
    put_voc(root, "good", voc_object("cat", (1, 1, 9, 9)))
    put_image(root / "JPEGImages" / "bad.jpg")
    (root / "Annotations" / "bad.xml").write_bytes(xml if isinstance(xml, bytes) else xml.encode())
    put_text(root / "data.yaml", "train: .\nval: .\nformat: voc")
    return read_split(find_dataset(root / "data.yaml"), "train")


def _coco(root: Path, content: Any) -> Split:
    put_image(root / "a.png")
    path = root / "x.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_split(find_dataset(path), "train")


def _check_usable(split: Split) -> None:
    """What training may rely on, whatever was in the files."""
    boxes, labels = split.images.objects.boxes, split.images.objects.labels
    height, width = split.images.sizes_hw[split.images.image_index].T
    assert len(split.images) > 0
    assert ((labels >= 0) & (labels < len(split.class_names))).all()
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes[:, 2] <= width).all()
    assert (boxes[:, 3] <= height).all()


BOMB = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><annotation>&i;</annotation>"
)
EXTERNAL = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><object><name>&x;</name></object></annotation>'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "utf-7"])
@pytest.mark.parametrize("xml", [BOMB, EXTERNAL, "<annotation>" * 5000], ids=["bomb", "external", "deep"])
def test_xml_that_would_grow_or_reach_out_drops_its_image(tmp_path: Path, xml: str, encoding: str) -> None:
    split = _voc(tmp_path, (f'<?xml version="1.0" encoding="{encoding}"?>' + xml).encode(encoding))
    assert split.report.images_dropped == {"annotation_unreadable": 1}
    assert split.class_names == ("cat",)


def test_deep_xml_is_read(tmp_path: Path) -> None:
    depth = 20_000
    split = _voc(tmp_path, f"<annotation>{'<a>' * depth}{'</a>' * depth}</annotation>")
    assert split.report.images_kept == 2


def test_objects_inside_of_objects_are_not_objects(tmp_path: Path) -> None:
    inner = voc_object("inner", (1, 1, 5, 5))
    split = _voc(tmp_path, f"<annotation>{voc_object('cat', (2, 2, 8, 8), extra=inner)}</annotation>")
    assert split.class_names == ("cat",)
    assert split.report.objects_kept == 2


def test_many_objects_on_one_image(tmp_path: Path) -> None:
    text = "".join(f"0 .5 .5 .{number:06d}1 .5\n" for number in range(20_000))
    assert _yolo(tmp_path, text).report.objects_kept == 20_001


def test_many_bad_lines_are_counted_and_not_kept(tmp_path: Path) -> None:
    account = _yolo(tmp_path, LINE + "0 9 9 9 9\n" * 5_000).report
    assert account.objects_dropped == {"not_normalised": 5_000}
    assert len(account.issues) == 2000


def test_many_classes(tmp_path: Path) -> None:
    rows = "".join(f"a.png,1,1,9,9,class {number}\n" for number in range(10_000))
    put_image(tmp_path / "a.png")
    put_text(tmp_path / "x.csv", rows)
    names = "".join(f"- class {number}\n" for number in range(2_000))
    put_text(tmp_path / "x.yaml", f"train: x.csv\nval: x.csv\nnames:\n{names}")
    some = read_split(find_dataset(tmp_path / "x.yaml"), "train")
    assert some.report.objects_dropped == {"unknown_class": 8_000}


@pytest.mark.parametrize("class_id", ["1e300", "99999999999999999999999", "-1", "1" * 400, "9" * 300, "inf", "1e999"])
def test_huge_class_ids(tmp_path: Path, class_id: str) -> None:
    account = _yolo(tmp_path, f"{class_id} .5 .5 .1 .1\n{LINE}").report
    assert account.objects_kept == 2
    assert account.objects_dropped.total() == 1


def test_a_label_file_beyond_all_reason_is_refused_unread(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE, "b": LINE})
    with (tmp_path / "labels" / "train" / "a.txt").open("wb") as file:
        file.truncate(LARGEST_LABEL_FILE + 1)
    account = read_split(find_dataset(put_text(tmp_path / "data.yaml", YAML)), "train").report
    assert account.images_dropped == {"annotation_unreadable": 1}
    assert "is too large for the annotation of one image" in account.issues[0].message


def test_a_single_endless_line(tmp_path: Path) -> None:
    account = _yolo(tmp_path, "0 " + "0.5 " * 100_001).report
    assert account.objects_dropped == {"wrong_columns": 1}
    assert len(account.issues[0].message) < 200


@pytest.mark.parametrize(
    "text", ["\0", "0 .5 .5 .1 .1\0", "\x1c\x1d", "\u2028" * 9, "٣ .5 .5 .1 .1", "0 .5 .5 .1 .1\x0c"]
)
def test_odd_characters_in_label_files(tmp_path: Path, text: str) -> None:
    account = _yolo(tmp_path, text).report
    assert account.images_kept == 2


def test_names_that_differ_in_case_alone_stay_apart(tmp_path: Path) -> None:
    for name in ("A", "a"):
        put_image(tmp_path / "images" / "train" / f"{name}.jpg")
    if len(list((tmp_path / "images" / "train").iterdir())) == 1:
        pytest.skip("this file system knows no case")
    put_text(tmp_path / "labels" / "train" / "a.txt", LINE)
    split = read_split(find_dataset(put_text(tmp_path / "data.yaml", YAML)), "train")
    assert {image.image_id: len(image.ground_truth) for image in split.images} == {"A": 0, "a": 1}


def test_images_that_share_a_label_file_are_told(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": LINE})
    put_image(tmp_path / "images" / "train" / "a.jpg")
    account = read_split(find_dataset(put_text(tmp_path / "data.yaml", YAML)), "train").report
    assert account.counts == {"shared_label_file": 1}
    assert "a.jpg and of a.png" in account.issues[0].message


def test_a_label_folder_that_is_closed_ends_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_yolo(tmp_path, "train", {"a": LINE})
    descriptor = find_dataset(put_text(tmp_path / "data.yaml", YAML))
    folder, scandir = str(tmp_path / "labels" / "train"), os.scandir

    def closed(path: Any = ".") -> Any:
        if str(path) == folder:
            raise PermissionError(13, "Permission denied", folder)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"labels/train: cannot be listed \(Permission denied\)"):
        read_split(descriptor, "train")


NAMES = [
    "../" * 40 + "etc/passwd",
    "/etc/passwd",
    "a\0.png",
    "x" * 5000 + ".png",
    "\ud800.png",
    "~root/a.png",
    ".",
    "a.png/b.png",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_image_names_that_lead_anywhere_write_nothing(tmp_path: Path, name: str) -> None:
    images = put_image(tmp_path / "images" / "a.png").parent
    put_json(tmp_path / "x.json", coco_content(["a.png", name], [], {1: "cat"}))
    path = put_text(tmp_path / "d.yaml", "train: {path: x.json, images: images}\nval: x.json\n")
    before = [(file, file.stat().st_mtime_ns) for file in sorted(tmp_path.rglob("*"))]
    policies: tuple[SizePolicy, ...] = ("read", "stated")
    for policy in policies:
        split = read_split(find_dataset(path), "train", sizes=policy)
        assert split.images[0].path == images / "a.png"
        json.dumps(split.report.to_dict(), allow_nan=False).encode()
    assert before == [(file, file.stat().st_mtime_ns) for file in sorted(tmp_path.rglob("*"))]


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [], "annotations": [], "categories": []}',
        "[" * 100_000,
        '{"a":' * 100_000,
        "1" * 5000,
        '{"images": NaN, "annotations": [], "categories": []}',
        '{"images": [{"id": 1e400, "file_name": "a.png"}], "annotations": [], "categories": []}',
        '{"images": [{"id": 1, "file_name": ["a.png"]}], "annotations": [], "categories": [{"id": 1, "name": "a"}]}',
        '{"images": {"id": 1}, "annotations": [], "categories": []}',
        '"\\ud800"',
        "null",
        "",
    ],
)
def test_json_of_any_shape_is_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"x\.json"):
        _coco(tmp_path, text)


def test_numbers_that_only_python_reads(tmp_path: Path) -> None:
    good = '{"id": 1, "image_id": 10, "category_id": 1, "bbox": [0, 0, 4, 4]}'
    bad = [
        '{"image_id": 10, "category_id": 1, "bbox": [NaN, 0, 4, 4]}',
        '{"image_id": 10, "category_id": 1, "bbox": [0, 0, Infinity, 4]}',
        '{"image_id": 10, "category_id": 1, "bbox": [0, 0, 1e999, 4]}',
        f'{{"image_id": 10, "category_id": 1, "bbox": [0, 0, {"9" * 400}, 4]}}',
        '{"image_id": 1e1, "category_id": 1, "bbox": [0, 0, 4, 4]}',
        '{"image_id": 10, "category_id": 1.0, "bbox": [0, 0, 4, 4]}',
        '{"image_id": 10, "category_id": true, "bbox": [0, 0, 4, 4]}',
    ]
    text = json.dumps(coco_content(["a.png"], [], {1: "cat"})).replace("[]", f"[{', '.join([good, *bad])}]")
    account = _coco(tmp_path, text).report
    assert account.objects_kept == 1
    # 1e1 and 1.0 are ids like 10 and 1, so these two repeat the good one
    assert account.objects_dropped == {"not_finite": 4, "duplicate": 2, "unknown_class": 1}
    json.dumps(account.to_dict(), allow_nan=False)


def test_a_name_that_is_no_unicode_can_be_told(tmp_path: Path) -> None:
    split = _coco(tmp_path, coco_content(["a.png"], [], {1: "cat \ud800"}))
    assert split.class_names == ("cat %ED%A0%80",)


YAML_BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        YAML_BOMB + "names: *i\ntrain: images\n",
        "names: &a [*a]\ntrain: images",
        "[" * 1_000,
        "train: 2024-99-99",
        "train: !!python/object/apply:os.system [echo]",
        "? [a]\n: b",
        "train: images\nnames: {.inf: a}",
        "train: images\nnames: {.nan: a, 1: b}",
        "train: images\nnc: 99999999999999",
        "train: images\nnc: 1e400",
        "train: " + "a/" * 3000,
        'train: "a\\0b"',
        'path: "a\\0b"\ntrain: images',
        "train: ~nobody-of-that-name/x",
        "train: images\nnames: [" + "9" * 5000 + "]",
        "&a a: *a",
        "\0",
        "{",
    ],
    ids=range(18),
)
def test_yaml_of_any_shape_is_refused_in_few_words(tmp_path: Path, text: str) -> None:
    put_image(tmp_path / "images" / "a.png")
    with pytest.raises(DataError, match=r"x\.yaml") as caught:
        find_dataset(put_text(tmp_path / "x.yaml", text))
    assert len(str(caught.value)) < 8000


_scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
_json = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
_record = st.dictionaries(
    st.sampled_from(
        ["id", "image_id", "category_id", "bbox", "area", "iscrowd", "file_name", "name", "width", "height"]
    ),
    st.one_of(st.sampled_from([1, "a.png", [0, 0, 4, 4]]), _json),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {key: st.one_of(st.lists(_record, max_size=3), _json) for key in ("images", "annotations", "categories")}
    )
)
def test_no_json_makes_the_reader_crash(tmp_path: Path, content: dict[str, Any]) -> None:
    with suppress(GridYoloError):
        _check_usable(_coco(tmp_path, json.dumps(content)))


_keys = st.sampled_from(["path", "train", "val", "names", "nc", "format", "classes", "rename", "category_ids", "extra"])
_words = st.sampled_from(
    ["images", "yolo", "cat", ".", "x.yaml", {"path": "images"}, ["cat"], {0: "cat"}, {"cat": "dog"}]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_keys, st.one_of(_words, _json), max_size=5))
def test_no_yaml_makes_the_reader_crash(tmp_path: Path, content: dict[str, Any]) -> None:
    if not (tmp_path / "images").exists():
        put_yolo(tmp_path, "train", {"a": LINE})
    put_text(tmp_path / "x.yaml", json.dumps(content))  # JSON is YAML
    with suppress(GridYoloError):
        _check_usable(read_split(find_dataset(tmp_path / "x.yaml"), "train"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.sampled_from('<>/&;!?[]= "annotiobjecm1-.x'), max_size=80), st.booleans())
def test_no_xml_makes_the_reader_crash(tmp_path: Path, text: str, inside: bool) -> None:
    split = _voc(tmp_path, f"<annotation><object>{text}</object></annotation>" if inside else text)
    assert split.report.images_found == 2
