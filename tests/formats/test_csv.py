import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.curate.truths import sized_truths
from tests.data.dataset_trees import SIZE_HW, put_image, put_text
from tests.data.reading import cleaned, header_sizes
from yolo.data.read import find_dataset, read_split
from yolo.errors import DataError
from yolo.formats.csv import (
    COLUMNS,
    columns_of,
    csv_rows,
    csv_text,
    load_csv,
)
from yolo.formats.issues import ReadReport
from yolo.formats.named_boxes import list_named, names_in_file, read_named, report_nameless
from yolo.structures import AnnotatedImage, GroundTruth

HEADER = "image,class,xmin,ymin,xmax,ymax"


def _read(root: Path, text: str) -> tuple[dict[str, AnnotatedImage], ReadReport]:
    account = ReadReport("train")
    file = load_csv(put_text(root / "train.csv", text))
    report_nameless(file, account)
    source = read_named(file, list_named(file, None), sizes=header_sizes(account))
    return cleaned(source, ("cat", "dog"), account), account


def test_boxes_are_continuous_pixels_and_every_column_is_used(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    text = (
        "filename,width,height,class,xmin,ymin,xmax,ymax,difficult,iscrowd,area,image_id\n"
        "a.png,40,20,dog,1.5,2,11.5,7,1,0,33.25,id 7\n"
        "a.png,40,20,cat,0,0,40,20,0,1,,id 7\n"
    )
    images, account = _read(tmp_path, text)
    truth = images["id 7"].ground_truth
    np.testing.assert_array_equal(truth.boxes, [[1.5, 2, 11.5, 7], [0, 0, 40, 20]])
    assert truth.labels.tolist() == [1, 0]
    assert (truth.difficult.tolist(), truth.iscrowd.tolist()) == ([True, False], [False, True])
    assert truth.area.tolist() == [33.25, 800]
    assert not account.issues


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image,class,xmin,ymin,xmax,ymax", "a.png,dog,4,5,8,15"),
        ("path;label;x1;y1;x2;y2", "a.png;dog;4;5;8;15"),
        ("X1\tX2\tY1\tY2\tclass_name\tIMAGE_PATH", "4\t8\t5\t15\tdog\ta.png"),
        ('"file_name","LabelName","XMIN","YMIN","XMAX","YMAX"', '"a.png","dog","4","5","8","15"'),
        ("ImageID,Source,LabelName,XMin,XMax,YMin,YMax,IsGroupOf", "a,human,dog,0.1,0.2,0.25,0.75,1"),
        ("", "a.png,4,5,8,15,dog"),
        ("image,image_id,unknown column,class,xmin,ymin,xmax,ymax", "a.png,a,,dog,4,5,8,15"),
    ],
)
def test_headers_in_use(tmp_path: Path, header: str, row: str) -> None:
    put_image(tmp_path / "a.png")
    images, account = _read(tmp_path, "\ufeff" + (header + "\r\n" if header else "") + row + "\r\n")
    np.testing.assert_allclose(images["a"].ground_truth.boxes, [[4, 5, 8, 15]], rtol=1e-6)
    assert images["a"].ground_truth.iscrowd.tolist() == ["IsGroupOf" in header]
    assert not account.issues


def test_rows_without_class_and_box_are_backgrounds(tmp_path: Path) -> None:
    for name in "ab":
        put_image(tmp_path / f"{name}.png")
    images, account = _read(tmp_path, f"{HEADER}\na.png,,,,,\nb.png,,,,,\nb.png,dog,1,1,9,9\n\n")
    assert {name: len(image.ground_truth) for name, image in images.items()} == {"a": 0, "b": 1}
    assert not account.issues


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [
        ("a.png,dog,1,1,9", "wrong_columns", "5 columns; expected 6"),
        ("a.png,dog,1,1,9,9,9", "wrong_columns", "7 columns"),
        (",dog,1,1,9,9", "unknown_image", "names no image"),
        ("a.png,,1,1,9,9", "missing_name", "no class"),
        ("a.png,dog,1,1,9,x", "missing_box", "'1, 1, 9, x', expected four numbers"),
        ("a.png,dog,,,,", "missing_box", "expected four numbers"),
        ("a.png,dog,1_0,1,9,9", "missing_box", "1_0"),
        ("a.png,dog,nan,1,9,9", "not_finite", "nan"),
        ("a.png,dog,1,1,9,1e999", "not_finite", "inf"),
        ("a.png,bird,1,1,9,9", "unknown_class", "'bird' is not among"),
        ("a.png,dog,2,2,8,8", "duplicate", "appears twice"),
    ],
)
def test_a_bad_row_goes_alone_and_is_named(tmp_path: Path, row: str, kind: str, words: str) -> None:
    put_image(tmp_path / "a.png")
    images, account = _read(tmp_path, f"{HEADER}\na.png,dog,2,2,8,8\n{row}\na.png,cat,3,3,8,8\n")
    assert images["a"].ground_truth.labels.tolist() == [1, 0]
    assert account.objects_dropped == {kind: 1}
    (issue,) = account.issues
    assert (issue.line_or_object, issue.path) == ("line 3", str(tmp_path / "train.csv"))
    assert words in issue.message


def test_fractions_that_are_pixels_are_told(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    header = "ImageID,LabelName,XMin,XMax,YMin,YMax"
    _, account = _read(tmp_path, f"{header}\na,dog,0,20,0,15\na,dog,0,1,0,1\n")
    assert account.objects_dropped == {"not_normalised": 1}


def test_sizes_and_missing_images(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png", size_hw=(10, 20))
    text = "image,class,xmin,ymin,xmax,ymax,width,height\na.png,dog,1,1,9,9,40,20\ngone.png,dog,1,1,9,9,40,20\n"
    images, account = _read(tmp_path, text)
    assert images["a"].size_hw == (10, 20)
    assert account.counts == {"size_mismatch": 1, "image_missing": 1}


@pytest.mark.parametrize("text", ["", "a,b,c\n1,2,3", "image,class,xmin,ymin,xmax\n", "{}", "\0", "a.txt,1,1,9,9,dog"])
def test_what_is_no_file_of_boxes_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"train.csv, line 1: is .*expected a header with the columns image"):
        load_csv(put_text(tmp_path / "train.csv", text))
    assert columns_of(text.split("\n")[0]) is None


@pytest.mark.parametrize(
    "row", ['a.png,"dog,1,1,9,9', 'a.png,1,1,9,9,"dog', '"a.png,dog,1,1,9,9', 'a.png,"dog,1,1,9,9\na.png,"cat",1,1,7,7']
)
@pytest.mark.parametrize("rows_after", [1, 9000])  # so many are longer than any cell may be
def test_a_quote_that_is_not_closed_costs_its_row_alone_and_is_named(tmp_path: Path, row: str, rows_after: int) -> None:
    header = "image,xmin,ymin,xmax,ymax,class" if row.endswith('"dog') else HEADER
    good = "a.png,2,2,8,8,dog\n" if row.endswith('"dog') else "a.png,dog,2,2,8,8\n"
    file = load_csv(put_text(tmp_path / "train.csv", f"{header}\n{good}{row}\n{good * rows_after}"))
    assert len(file.images["a.png"].objects) == 1 + rows_after + ("cat" in row)
    assert [(fault.line, fault.message) for fault in file.faults] == [
        (3, "a quote is opened and not closed on this line; close or remove it")
    ]


def test_a_cell_may_hold_line_breaks(tmp_path: Path) -> None:
    file = load_csv(put_text(tmp_path / "train.csv", f'{HEADER}\na.png,"big\ndog",1,1,9,9\na.png,"cat",1,1,9,9\n'))
    assert names_in_file(file) == ("big%0Adog", "cat")
    assert [found.line for found in file.images["a.png"].objects] == [2, 4]


def test_an_endless_field_is_refused_with_its_line(tmp_path: Path) -> None:
    path = put_text(tmp_path / "train.csv", f'{HEADER}\na.png,"{"x" * 200_000}')
    with pytest.raises(DataError, match=r"train.csv, line 2: is not CSV"):
        load_csv(path)


def test_names_are_sorted(tmp_path: Path) -> None:
    rows = "a.png,dog,1,1,9,9\na.png,ant,1,1,9,9\nb.png,cat,x,1,9,9\n"
    assert names_in_file(load_csv(put_text(tmp_path / "a.csv", f"{HEADER}\n{rows}"))) == ("ant", "dog")


def _splits(root: Path) -> dict[str, list[str]]:
    descriptor = find_dataset(root)
    assert descriptor.formats == ("csv",)
    return {name: [image.image_id for image in read_split(descriptor, name).images] for name in descriptor.splits}


def test_one_file_per_split(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put_image(tmp_path / "images" / f"{split}.png")
        put_text(tmp_path / f"{split}.csv", f"{HEADER}\n{split}.png,dog,1,1,9,9\n")
    put_text(tmp_path / "test.csv", "epoch,loss\n1,2\n")  # something else
    assert _splits(tmp_path) == {"train": ["train"], "val": ["val"]}
    assert list(find_dataset(tmp_path / "val.csv").splits) == ["val"]


def test_roboflow_s_export(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        put_image(tmp_path / split / f"{split}.jpg")
        text = f"filename,width,height,class,xmin,ymin,xmax,ymax\n{split}.jpg,40,20,dog,1,1,9,9\n"
        put_text(tmp_path / split / "_annotations.csv", text)
    assert _splits(tmp_path) == {"train": ["train"], "val": ["valid"]}


def test_a_single_file_is_divided(tmp_path: Path) -> None:
    for name in "abcde":
        put_image(tmp_path / f"{name}.png")
    put_text(tmp_path / "annotations.csv", HEADER + "".join(f"\n{name}.png,dog,1,1,9,9" for name in "abcde"))
    splits = _splits(tmp_path)
    assert (len(splits["train"]), len(splits["val"])) == (4, 1)
    assert _splits(tmp_path / "annotations.csv") == splits


def test_csv_in_a_yaml_by_file_and_by_folder(tmp_path: Path) -> None:
    put_image(tmp_path / "a" / "a.png")
    put_text(tmp_path / "a" / "_annotations.csv", f"{HEADER}\na.png,dog,1,1,9,9\n")
    put_image(tmp_path / "b.png")
    put_text(tmp_path / "x.csv", f"{HEADER}\nb.png,dog,1,1,9,9\n")
    put_text(tmp_path / "data.yaml", "train: a\nval: x.csv\nnames: [dog]")
    assert _splits(tmp_path) == {"train": ["a"], "val": ["b"]}
    (tmp_path / "empty").mkdir()
    put_text(tmp_path / "data.yaml", "train: empty\nformat: csv")
    with pytest.raises(DataError, match=r"empty: there is no CSV file of boxes, such as _annotations.csv"):
        find_dataset(tmp_path / "data.yaml")


_cell = st.one_of(
    st.sampled_from(["a.png", "", "dog", "1", "9.5", '"', "nan", "1e400", ";", "-1"]), st.text(max_size=4)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_cell, max_size=7).map(",".join), max_size=6).map("\n".join))
def test_no_row_makes_the_reader_raise(tmp_path: Path, text: str) -> None:
    if not (tmp_path / "a.png").exists():
        put_image(tmp_path / "a.png")
    images, account = _read(tmp_path, f"{HEADER}\na.png,,,,,\n{text}")
    assert images["a"].size_hw == SIZE_HW
    assert account.objects_kept == sum(len(image.ground_truth) for image in images.values())


NAMES = ("a, b", 'c "d"', "e\nf")


def write(size_hw: tuple[int, int], truth: GroundTruth) -> list[dict[str, str]]:
    image = AnnotatedImage("id, 7", Path("x.jpg"), size_hw, truth)
    text = csv_text(COLUMNS, csv_rows([image], ["images/train/x.jpg"], class_names=NAMES))
    return list(csv.DictReader(io.StringIO(text, newline="")))


@given(sized_truths())
def test_everything_is_read_back_to_the_last_bit(case: tuple[tuple[int, int], GroundTruth]) -> None:
    size_hw, truth = case
    rows = write(size_hw, truth)
    if not len(truth):
        return
    keys = ("xmin", "ymin", "xmax", "ymax")
    np.testing.assert_array_equal(
        np.array([[row[key] for key in keys] for row in rows], np.float64).astype(np.float32), truth.boxes
    )
    np.testing.assert_array_equal(np.array([row["area"] for row in rows], np.float64).astype(np.float32), truth.area)
    assert [row["class"] for row in rows] == [NAMES[label] for label in truth.labels]
    assert [row["difficult"] == "1" for row in rows] == truth.difficult.tolist()
    assert [row["iscrowd"] == "1" for row in rows] == truth.iscrowd.tolist()
    assert {(row["image"], row["image_id"], row["height"], row["width"]) for row in rows} == {
        ("images/train/x.jpg", "id, 7", str(size_hw[0]), str(size_hw[1]))
    }


def test_a_background_has_one_row_without_class_and_box() -> None:
    (row,) = write((20, 40), GroundTruth.empty())
    assert row == dict.fromkeys(COLUMNS, "") | {
        "image": "images/train/x.jpg", "width": "40", "height": "20", "image_id": "id, 7"
    }  # fmt: skip


def test_whole_pixels_are_whole_numbers() -> None:
    (row,) = write((20, 40), GroundTruth.from_boxes([[1, 2, 3.5, 4]], [0]))
    assert [row[key] for key in COLUMNS[4:11]] == ["1", "2", "3.5", "4", "0", "0", "5"]
