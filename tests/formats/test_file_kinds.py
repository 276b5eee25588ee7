import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.dataset_trees import put_image, put_text
from tests.formats.tool_trees import FOLDERS, coco, csv_text, images, labels
from yolo.data.read import find_dataset, read_split
from yolo.engine.ground_truth_files import read_ground_truth
from yolo.errors import DataError
from yolo.formats.file_kinds import kind_of_file

LONELY = [
    ("train.csv", "file;box\na.jpg;1\n", "train.csv, line 1: is 'file;box'; expected a header with the columns image"),
    (
        "labels.json",
        json.dumps(coco(), indent=1)[:400],
        "is not JSON: it ends before it is complete, after 400 bytes in",
    ),
    ("x.json", '{"images": [],\n "annotations": [1,]}', "there is a comma before the ']' at byte 34, line 2; remove"),
    (
        "x.json",
        '{"foo": 1, "bar": 2}',
        "is a JSON object with the keys foo, bar, which is not a known layout; export COCO",
    ),
    ("x.json", "[1, 2]", "is a JSON array without objects"),
    ("x.json", "3", "is a JSON number, not an annotation file"),
    ("x.json", '[{"image_id": 1, "score": 0.5}]', "gridyolo report --detections reads them"),
    ("x.json", '[{"name": "a", "labels": []}]', "looks like Scalabel or BDD100K"),
    ("x.json", '[{"data_row": {}}]', "is an export of Labelbox"),
    ("x.json", '{"items": [], "categories": {}}', "is Datumaro's format"),
    ("x.json", '{"objects": [], "size": {}}', "is Supervisely's format"),
    (
        "x.json",
        '{"project": 1, "metadata": 2, "file": 3}',
        "is a project of VIA 3, which is not read; export it as COCO",
    ),
    (
        "x.json",
        '{"classes": [], "labels": {}}',
        "is an export of FiftyOne that is not read; export a COCODetectionDataset",
    ),
    ("x.jsonl", '{"a": 1}\n', "is a stream of JSON records, which is not read"),
    ("x.xlsx", "PK", "is an Excel table: save it as CSV with the columns image, class"),
    ("x.parquet", "PAR1", "is a Parquet table"),
    ("annotations.xml", "<annotations><track/></annotations>", "is CVAT for video, whose frames are not image files"),
    ("x.xml", "<dataset><images><image/></images></dataset>", "is XML of dlib's imglab"),
    ("x.xml", "<a><b></a>", "is not well-formed XML (mismatched tag: line 1"),
    ("x.xml", "<coverage/>", "is XML with the root <coverage>"),
]


@pytest.mark.parametrize(("name", "text", "words"), LONELY)
def test_what_lies_beside_images_without_labels_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    images(tmp_path / "images")
    path = put_text(tmp_path / name, text)
    for read in (find_dataset, read_ground_truth):
        with pytest.raises(DataError) as caught:
            read(tmp_path)
        assert str(path) in str(caught.value)
        assert words in str(caught.value)
    with pytest.raises(DataError) as caught:
        find_dataset(path)
    assert str(path) in str(caught.value)


def test_utf16_is_named(tmp_path: Path) -> None:
    images(tmp_path / "images")
    (tmp_path / "train.csv").write_bytes(csv_text().encode("utf-16"))
    with pytest.raises(DataError, match=r"train.csv: is not UTF-8 text but UTF-16; save it as UTF-8"):
        find_dataset(tmp_path)


def test_beside_labels_it_is_a_note_and_of_many_alike_one(tmp_path: Path) -> None:
    images(tmp_path / "images")
    labels(tmp_path / "labels")
    for number in range(3):
        put_text(tmp_path / f"{number}.json", '{"a": 1}')
    note = f"not read: {tmp_path}/0.json: is a JSON object with the keys a, which is not a known layout"
    notes = find_dataset(tmp_path).notes
    assert notes[0].startswith(note)
    assert notes[0].endswith("(2 more such files)")
    assert len([one for one in notes if one.startswith("not read")]) == 1


@pytest.mark.parametrize("damaged", ["val_labels.csv", "valid/_annotations.csv"])
def test_a_damaged_file_of_val_does_not_lead_to_holding_out(tmp_path: Path, damaged: str) -> None:
    FOLDERS["tf_csv" if "/" not in damaged else "roboflow_csv"](tmp_path)
    put_text(tmp_path / damaged, "x,y\n1,2\n")
    with pytest.raises(DataError, match=rf"{damaged}, line 1: is 'x,y'; expected a header"):
        find_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.json", {"categories": [{"id": 0, "name": "cat"}], "info": {}}),
        ("image_info_test.json", {"images": [], "categories": [], "info": {}}),
        ("captions_train.json", {"images": [], "annotations": [{"caption": "a cat"}]}),
    ],
)
def test_what_belongs_beside_annotations_is_not_worth_a_word(tmp_path: Path, name: str, content: Any) -> None:
    images(tmp_path / "images")
    labels(tmp_path / "labels")
    put_text(tmp_path / name, json.dumps(content))
    assert not [note for note in find_dataset(tmp_path).notes if name in note]


def test_images_alone_are_said_to_have_no_annotations(tmp_path: Path) -> None:
    images(tmp_path / "images")
    with pytest.raises(DataError, match=r"there are images, but no annotations.*labels/x[12].txt"):
        read_split(find_dataset(tmp_path), "train")


def test_two_files_for_one_split_are_ambiguous(tmp_path: Path) -> None:
    images(tmp_path / "images")
    for name in ("a.json", "b.json"):
        put_text(tmp_path / name, json.dumps(coco()))
    with pytest.raises(DataError, match=r"several annotation files for train \(a.json, b.json\)"):
        find_dataset(tmp_path)


def test_a_large_json_is_taken_for_coco_without_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put_text(tmp_path / "x.json", '{"foo": 1}')
    assert kind_of_file(path).format is None
    monkeypatch.setattr("yolo.formats.file_kinds._LARGEST_LOOKED_AT", 5)
    assert kind_of_file(path).format == "coco"


def test_one_xml_of_voc_is_told_from_all(tmp_path: Path) -> None:
    put_image(tmp_path / "a.jpg")
    path = put_text(tmp_path / "a.xml", "<annotation/>")
    with pytest.raises(DataError, match="is the Pascal VOC annotation of one image; give the folder of all"):
        find_dataset(path)
