import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import example, given
from hypothesis import strategies as st

from tests.curate.truths import sized_truths
from tests.data.dataset_trees import HEIGHT, SIZE_HW, WIDTH, put_image, put_text, put_voc, put_voc_list, voc_object
from tests.data.reading import cleaned, header_sizes
from yolo.errors import DataError, printable
from yolo.formats.issues import ReadReport
from yolo.formats.voc import VocEntry, annotation_text, list_voc, names_in_voc, read_voc, voc_boxes
from yolo.structures import AnnotatedImage, GroundTruth

NAMES = ("cat", "dog")
GOOD = voc_object("dog", (1, 1, 10, 10))


def _read(root: Path) -> tuple[list[AnnotatedImage | None], ReadReport]:
    return _read_entries(list_voc(root))


def _read_entries(entries: list[VocEntry]) -> tuple[list[AnnotatedImage | None], ReadReport]:
    account = ReadReport("train")
    images = cleaned(read_voc(entries, sizes=header_sizes(account)), NAMES, account)
    return [images.get(entry.image_id) for entry in entries], account


def _read_one(root: Path) -> tuple[AnnotatedImage, ReadReport]:
    (image,), account = _read(root)
    assert image is not None
    return image, account


def test_pixels_count_from_one_and_both_ends_are_inside(tmp_path: Path) -> None:
    # the whole image is 1..40 x 1..20, a box over its first pixels 1..2 x 1..3 is 2 wide and 3 high
    put_voc(tmp_path, "a", voc_object("dog", (1, 1, WIDTH, HEIGHT)), voc_object("cat", ("1", "1.0", 2, " 3 ")))
    image, account = _read_one(tmp_path)
    np.testing.assert_array_equal(image.ground_truth.boxes, [[0, 0, WIDTH, HEIGHT], [0, 0, 2, 3]])
    assert image.ground_truth.labels.tolist() == [1, 0]
    assert (image.image_id, image.size_hw) == ("a", SIZE_HW)
    assert not account.issues


def test_zero_based_boxes_are_off_by_a_pixel_and_that_is_silent(tmp_path: Path) -> None:
    put_voc(tmp_path, "a", voc_object("dog", (0, 0, WIDTH, HEIGHT)))
    image, account = _read_one(tmp_path)
    np.testing.assert_array_equal(image.ground_truth.boxes, [[0, 0, WIDTH, HEIGHT]])
    assert not account.issues


def test_difficult_is_kept_and_may_be_absent(tmp_path: Path) -> None:
    objects = [
        voc_object("dog", (1, 1, 10, number), extra=extra)
        for number, extra in enumerate(("<difficult>1</difficult>", "<difficult>0</difficult>", ""), start=5)
    ]
    put_voc(tmp_path, "a", *objects)
    image, _ = _read_one(tmp_path)
    assert image.ground_truth.difficult.tolist() == [True, False, False]


def test_parts_of_an_object_are_not_objects(tmp_path: Path) -> None:
    part = f"<part>{voc_object('head', (1, 1, 3, 3)).removeprefix('<object>').removesuffix('</object>')}</part>"
    put_voc(tmp_path, "a", voc_object("dog", (1, 1, 10, 10), extra=part))
    image, account = _read_one(tmp_path)
    np.testing.assert_array_equal(image.ground_truth.boxes, [[0, 0, 10, 10]])
    assert account.objects_found == 1


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        (voc_object("bird", (1, 1, 9, 9)), "unknown_class", "class 'bird' is not among the classes"),
        (voc_object("dogs", (1, 1, 9, 9)), "unknown_class", "did you mean 'dog'?"),
        (voc_object("", (1, 1, 9, 9)), "missing_name", "no <name>"),
        (
            "<object><name>dog</name></object>",
            "missing_box",
            "<bndbox> has no number for xmin, ymin, xmax, ymax; correct",
        ),
        (voc_object("dog", (1, "x", 9, 9)), "missing_box", "<bndbox> has no number for ymin; correct or remove"),
        (voc_object("dog", (1, 1, 9, 9), extra="<name>cat</name>"), "missing_name", "has more than one <name>; split"),
        (voc_object("dog", (1, 1, 9, 9), extra="<bndbox/>"), "missing_box", "has more than one <bndbox>; split"),
        (voc_object("dog", ("nan", 1, 9, 9)), "not_finite", "nan"),
        (voc_object("dog", (5, 7, 5, 7)), "degenerate", "box (4, 6, 5, 7)"),
        (voc_object("dog", (60, 1, 70, 9)), "degenerate", "in an image of 40 x 20"),
        (GOOD, "duplicate", "appears twice"),
    ],
)
def test_a_bad_object_goes_alone_and_is_named(tmp_path: Path, bad: str, kind: str, words: str) -> None:
    path = put_voc(tmp_path, "a", GOOD, bad, voc_object("cat", (2, 2, 8, 8)))
    image, account = _read_one(tmp_path)
    assert image.ground_truth.labels.tolist() == [1, 0]
    assert account.objects_dropped == {kind: 1}
    (issue,) = account.issues
    assert (issue.path, issue.line_or_object) == (str(path), "object 2")
    assert words in issue.message


def test_swapped_corners_are_put_in_order_before_pixels_become_borders(tmp_path: Path) -> None:
    # 9..2 means the pixels 2..9, which are [1, 9] of the image; 6..5 two pixels, [4, 6]
    put_voc(tmp_path, "a", voc_object("dog", (9, 1, 2, 9)), voc_object("dog", (6, 1, 5, 9)))
    image, account = _read_one(tmp_path)
    np.testing.assert_array_equal(image.ground_truth.boxes, [[1, 0, 9, 9], [4, 0, 6, 9]])
    assert account.objects_repaired == {"inverted": 2}


def test_two_images_of_one_annotation_are_told(tmp_path: Path) -> None:
    put_voc(tmp_path, "a", GOOD)
    put_image(tmp_path / "JPEGImages" / "a.png")
    image, account = _read_one(tmp_path)
    assert image.path.name == "a.jpg"
    assert account.counts == {"shared_label_file": 1}
    assert "a.jpg and to a.png" in account.issues[0].message


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        ("<annotation><object>", "is not well-formed XML"),
        ("", "is not well-formed XML"),
        ("<html></html>", "is not a VOC annotation, its root is <html>"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "is not well-formed XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "declares XML entities, which are refused"),
    ],
)
def test_a_malformed_annotation_drops_its_image_and_reading_goes_on(tmp_path: Path, xml: str, words: str) -> None:
    put_voc(tmp_path, "b", GOOD)
    put_image(tmp_path / "JPEGImages" / "a.jpg")
    put_text(tmp_path / "Annotations" / "a.xml", xml)
    images, account = _read(tmp_path)
    assert images[0] is None
    assert images[1] is not None
    assert account.images_dropped == {"annotation_unreadable": 1}
    assert account.issues[0].path.endswith("a.xml")
    assert account.issues[0].message.startswith(words)
    assert names_in_voc(list_voc(tmp_path)) == ("dog",)


def test_the_list_decides_on_the_image_not_the_filename_in_the_xml(tmp_path: Path) -> None:
    put_voc(tmp_path, "a", GOOD, filename="b.jpg")
    put_voc(tmp_path, "b", GOOD, filename="a.jpg")
    images, _ = _read(tmp_path)
    assert [image.path.name for image in images if image] == ["a.jpg", "b.jpg"]


def test_the_filename_serves_where_no_image_has_the_name_of_the_annotation(tmp_path: Path) -> None:
    put_voc(tmp_path, "a", GOOD, filename="folder/real.png")
    (tmp_path / "JPEGImages" / "a.jpg").rename(tmp_path / "JPEGImages" / "real.jpeg")
    image, _ = _read_one(tmp_path)
    assert image.path.name == "real.jpeg"
    assert image.image_id == "a"


def test_any_image_suffix_and_both_unicode_forms_are_found(tmp_path: Path) -> None:
    put_voc(tmp_path, unicodedata.normalize("NFC", "ü"), GOOD)
    old = tmp_path / "JPEGImages" / f"{unicodedata.normalize('NFC', 'ü')}.jpg"
    old.rename(old.with_name(unicodedata.normalize("NFD", "ü") + ".JPEG"))
    image, _ = _read_one(tmp_path)
    assert image.path.suffix == ".JPEG"


def test_missing_and_damaged_images_are_dropped(tmp_path: Path) -> None:
    for name in "abc":
        put_voc(tmp_path, name, GOOD)
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    (tmp_path / "JPEGImages" / "b.jpg").write_bytes(b"")
    images, account = _read(tmp_path)
    assert [image is None for image in images] == [True, True, False]
    assert account.images_dropped == {"image_missing": 1, "image_unreadable": 1}
    assert (account.images_found, account.images_kept) == (3, 1)


def test_another_size_in_the_xml_is_told_and_the_file_decides(tmp_path: Path) -> None:
    put_voc(tmp_path, "a", GOOD, size="<size><width>20</width><height>40</height></size>")
    put_voc(tmp_path, "b", GOOD, size=f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>")
    images, account = _read(tmp_path)
    assert [image.size_hw for image in images if image] == [SIZE_HW, SIZE_HW]
    (issue,) = account.issues
    assert (issue.kind, issue.message) == ("size_mismatch", "the file says 20 x 40 for a.jpg, it is 40 x 20")


def test_a_list_chooses_and_an_absent_annotation_is_background(tmp_path: Path) -> None:
    for name in "abc":
        put_voc(tmp_path, name, GOOD)
    (tmp_path / "Annotations" / "c.xml").unlink()
    images, account = _read_entries(list_voc(put_voc_list(tmp_path, "train", ["c.jpg", "a", ""])))
    assert [image.image_id for image in images if image] == ["c", "a"]
    assert (account.label_files_missing, account.backgrounds) == (1, 1)


def test_images_beside_their_annotations(tmp_path: Path) -> None:
    put_voc(tmp_path / "tree", "a", GOOD)
    (tmp_path / "flat").mkdir()
    (tmp_path / "tree" / "Annotations" / "a.xml").rename(tmp_path / "flat" / "a.xml")
    (tmp_path / "tree" / "JPEGImages" / "a.jpg").rename(tmp_path / "flat" / "a.jpg")
    image, _ = _read_one(tmp_path / "flat")
    assert image.path == tmp_path / "flat" / "a.jpg"


def test_a_list_may_name_folders_and_whole_paths(tmp_path: Path) -> None:
    put_voc(tmp_path, "sub/a", GOOD)
    put_voc(tmp_path, "b", GOOD)
    listed = put_voc_list(tmp_path, "train", ["sub/a", str(tmp_path / "elsewhere" / "c.jpg"), "../up"])
    images, account = _read_entries(list_voc(listed))
    assert [image.image_id for image in images if image] == ["sub/a"]
    assert account.images_dropped == {"image_missing": 2}


def test_names_are_sorted_and_distinct(tmp_path: Path) -> None:
    put_voc(tmp_path, "a", GOOD, voc_object("Zebra", (1, 1, 2, 2)), voc_object("dog", (1, 1, 3, 3)))
    put_voc(tmp_path, "b", voc_object(" ant ", (1, 1, 3, 3)))
    assert names_in_voc(list_voc(tmp_path)) == ("Zebra", "ant", "dog")


def test_no_objects_no_names_and_no_tree_no_list(tmp_path: Path) -> None:
    put_voc(tmp_path, "a")
    assert names_in_voc(list_voc(tmp_path)) == ()
    with pytest.raises(DataError, match="has no folder Annotations with XML files"):
        list_voc(tmp_path / "JPEGImages")
    with pytest.raises(DataError, match=r"train.txt: no folder above this list"):
        list_voc(Path("/nowhere/ImageSets/Main/train.txt"))


NAMES_VOC = ("a & b", "<c>", "d\re")


def corners(item: Any) -> list[float]:
    return [float(item.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]


def write(truth: GroundTruth, size_hw: tuple[int, int] = (20, 40)) -> Any:
    boxes, _ = voc_boxes(truth, size_hw)
    own = replace(truth, boxes=boxes)
    return fromstring(annotation_text("x<1>.jpg", size_hw, own, class_names=NAMES_VOC).encode())


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
        found.append([NAMES_VOC.index(item.findtext("name")), int(item.findtext("difficult")), *cut])
    assert found == np.column_stack([truth.labels, truth.difficult, boxes]).tolist()


def test_pixels_are_counted_from_one_and_inclusive() -> None:
    # pixels 10..19 and 5..9 from 0, so 11..20 and 6..10 from 1
    text = annotation_text("x.jpg", (20, 40), GroundTruth.from_boxes([[10, 5, 20, 10]], [0]), class_names=NAMES_VOC)
    assert "<xmin>11</xmin><ymin>6</ymin><xmax>20</xmax><ymax>10</ymax>" in text


def test_a_box_of_one_pixel_is_no_stray_click() -> None:
    truth = GroundTruth.from_boxes([[4, 0, 5, 1]], [0])
    xmin, ymin, xmax, ymax = corners(write(truth).find("object"))
    assert (xmax, ymax) == (5, 1)
    assert xmin < 5
    assert ymin < 1
    assert np.float32(xmin - 1) == 4
    assert ymin == 1 - 1e-7


def test_names_are_escaped() -> None:
    root = write(GroundTruth.from_boxes([[0, 0, 4, 4]] * 3, [0, 1, 2]))
    assert [item.findtext("name") for item in root.iterfind("object")] == list(NAMES_VOC)
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
@example("\x00\x1b\ud800\uffff\n\t\u202e")
def test_xml_holds_what_is_printable(text: str) -> None:
    truth = GroundTruth.from_boxes([[0, 0, 4, 4]], [0])
    xml = annotation_text("x.jpg", (20, 40), truth, class_names=[printable(text)])
    assert (fromstring(xml.encode()).findtext("object/name") or "") == printable(text)
