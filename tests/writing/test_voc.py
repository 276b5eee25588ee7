from typing import Any

import numpy as np
import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.writing.truths import sized_truths
from yolo.structures import GroundTruth
from yolo.writing.voc import annotation_text, can_be_xml, voc_boxes

NAMES = ("a & b", "<c>", "d\re")


def corners(item: Any) -> list[float]:
    return [float(item.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]


def write(truth: GroundTruth, size_hw: tuple[int, int] = (20, 40)) -> Any:
    return fromstring(annotation_text("x<1>.jpg", size_hw, truth, class_names=NAMES).encode())


@settings(max_examples=400)
@given(sized_truths())
def test_every_float32_box_is_read_back_to_the_last_bit(case: tuple[tuple[int, int], GroundTruth]) -> None:
    size_hw, truth = case
    boxes, _ = voc_boxes(truth, size_hw)
    root = write(truth, size_hw)
    assert (root.findtext("size/height"), root.findtext("size/width")) == tuple(map(str, size_hw))
    found = []
    for item in root.iterfind("object"):
        xmin, ymin, xmax, ymax = corners(item)
        assert xmin < xmax
        assert ymin < ymax
        cut = np.array([max(xmin - 1, 0.0), max(ymin - 1, 0.0), xmax, ymax]).astype(np.float32).tolist()
        found.append([NAMES.index(item.findtext("name")), int(item.findtext("difficult")), *cut])
    assert found == np.column_stack([truth.labels, truth.difficult, boxes]).tolist()


def test_pixels_are_counted_from_one_and_inclusive() -> None:
    # pixels 10..19 and 5..9 from 0, so 11..20 and 6..10 from 1
    text = annotation_text("x.jpg", (20, 40), GroundTruth.from_boxes([[10, 5, 20, 10]], [0]), class_names=NAMES)
    assert "<xmin>11</xmin><ymin>6</ymin><xmax>20</xmax><ymax>10</ymax>" in text


def test_a_box_of_one_pixel_is_no_stray_click() -> None:
    truth = GroundTruth.from_boxes([[4, 0, 5, 1]], [0])
    xmin, ymin, xmax, ymax = corners(write(truth).find("object"))
    assert (xmax, ymax) == (5, 1)
    assert xmin < 5
    assert ymin < 1
    assert np.float32(xmin - 1) == 4
    assert -1e-6 < ymin - 1 < 0


def test_names_are_escaped() -> None:
    root = write(GroundTruth.from_boxes([[0, 0, 4, 4]] * 3, [0, 1, 2]))
    assert [item.findtext("name") for item in root.iterfind("object")] == list(NAMES)
    assert root.findtext("filename") == "x<1>.jpg"


@given(sized_truths())
def test_boxes_of_a_pixel_or_more_are_not_changed(case: tuple[tuple[int, int], GroundTruth]) -> None:
    size_hw, truth = case
    boxes, changed = voc_boxes(truth, size_hw)
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    assert (high - low >= 1).all()
    assert (low >= 0).all()
    assert (high <= size_hw[::-1]).all()
    old = truth.boxes.astype(np.float64)
    fits = (old[:, 2:] - old[:, :2] >= 1).all(axis=1) & ((old[:, :2] == 0) | (old[:, :2] >= 1e-7)).all(axis=1)
    np.testing.assert_array_equal(boxes[fits], truth.boxes[fits])
    assert changed == (boxes != truth.boxes).any(axis=1).sum() <= (~fits).sum()


def test_smaller_boxes_grow_to_a_pixel_and_hairs_at_the_border_go() -> None:
    # 40 x 20 pixels: a tenth of a pixel in column 4; at the right border; 5e-8 pixels from the left one
    truth = GroundTruth.from_boxes([[4.3, 0, 4.4, 4], [39.9, 19.9, 40, 20], [5e-8, 0, 4, 4]], [0, 0, 0])
    boxes, changed = voc_boxes(truth, (20, 40))
    assert boxes.tolist() == [[4, 0, 5, 4], [39, 19, 40, 20], [0, 0, 4, 4]]
    assert changed == 3


@given(st.text())
def test_what_xml_cannot_hold_is_known(text: str) -> None:
    if can_be_xml(text):
        truth = GroundTruth.from_boxes([[0, 0, 4, 4]], [0])
        xml = annotation_text("x.jpg", (20, 40), truth, class_names=[text])
        assert (fromstring(xml.encode()).findtext("object/name") or "") == text


@pytest.mark.parametrize("text", ["\x00", "a\x1b", "\ud800", "\uffff"])
def test_control_characters_and_half_characters_cannot_be_xml(text: str) -> None:
    assert not can_be_xml(text)
