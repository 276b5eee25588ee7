import csv
import io
from pathlib import Path

import numpy as np
from hypothesis import given, settings

from tests.writing.truths import sized_truths
from yolo.structures import AnnotatedImage, GroundTruth
from yolo.writing.csv_boxes import COLUMNS, csv_rows, csv_text

NAMES = ("a, b", 'c "d"', "e\nf")


def write(size_hw: tuple[int, int], truth: GroundTruth) -> list[dict[str, str]]:
    image = AnnotatedImage("id, 7", Path("x.jpg"), size_hw, truth)
    text = csv_text(COLUMNS, csv_rows([image], ["images/train/x.jpg"], class_names=NAMES))
    return list(csv.DictReader(io.StringIO(text, newline="")))


@settings(max_examples=400)
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
