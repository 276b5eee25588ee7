from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.curate.truths import sized_truths
from tests.data.dataset_trees import HEIGHT, SIZE_HW, WIDTH, put_image, put_text
from tests.data.reading import cleaned, header_sizes
from tests.engine.input_files import annotation, coco_truth, kinds, put
from yolo.engine.detection_files import DetectionFiles, read_detections, read_problem
from yolo.engine.ground_truth_files import read_ground_truth
from yolo.errors import DataError
from yolo.formats.issues import Box, LineFault, ReadReport
from yolo.formats.yolo import (
    YoloEntry,
    label_file_of,
    label_text,
    list_yolo,
    nameless_classes,
    parse_labels,
    read_yolo,
)
from yolo.structures import AnnotatedImage, GroundTruth

NAMES = ("a", "b", "c")


def _parse(text: str) -> tuple[list[tuple[int, Box]], list[LineFault]]:
    """Class and box in fractions of each object, and the faults."""
    rows, faults = parse_labels(text, num_classes=3)
    return [(int(class_id), (x1, y1, x2, y2)) for _, class_id, x1, y1, x2, y2 in rows.tolist()], faults


def _entry(root: Path, text: str | bytes | None) -> YoloEntry:
    image = put_image(root / "images" / "a.png")
    entry = YoloEntry("a", str(image), label_file_of(image))
    if text is not None:
        entry.label_file.parent.mkdir(parents=True, exist_ok=True)
        entry.label_file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return entry


def _read(entry: YoloEntry) -> tuple[AnnotatedImage | None, ReadReport]:
    account = ReadReport("train")
    images = cleaned(read_yolo([entry], class_names=NAMES, sizes=header_sizes(account)), NAMES, account)
    return images.get("a"), account


def test_a_line_is_centre_and_size_in_fractions() -> None:
    assert _parse("2 0.5 0.25 0.25 0.5\n") == ([(2, (0.375, 0.0, 0.625, 0.5))], [])


def test_a_polygon_gives_the_box_around_it() -> None:
    assert _parse("0 0.5 0.1 0.75 0.5 0.25 0.9") == ([(0, (0.25, 0.1, 0.75, 0.9))], [])


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("0 0.5 0.5 0.2 0.2 0.93", "confidence_column", "looks like a prediction with confidence"),
        ("0 0.5 0.5 0.2", "wrong_columns", "4 columns; expected 5"),
        ("0", "wrong_columns", "1 columns"),
        ("0 .1 .1 .2 .2 .3 .3 .4", "wrong_columns", "8 columns"),
        ("person 0.5 0.5 0.2 0.2", "unparsable", "is not a row of numbers"),
        ("0 0,5 0,5 0,2 0,2", "unparsable", "'0,5' has a decimal comma; write decimal points"),
        ("0,.5,.5,.2,.2", "wrong_columns", "the columns are separated by ','"),
        ("0, .5, .5, .2, .2", "wrong_columns", "the columns are separated by ','"),
        ("1_0 0.5 0.5 0.2 0.2", "unparsable", "is not a row of numbers"),
        ("1.5 0.5 0.5 0.2 0.2", "class_not_integer", "'1.5' is not a whole number"),
        ("nan 0.5 0.5 0.2 0.2", "class_not_integer", "'nan'"),
        ("-1 0.5 0.5 0.2 0.2", "class_out_of_range", "class id -1 is not in 0..2"),
        ("3 0.5 0.5 0.2 0.2", "class_out_of_range", "class id 3 is not in 0..2"),
        ("0 320 240 100 80", "not_normalised", "320 is not a fraction of the image; are these pixels?"),
    ],
)
def test_a_bad_line_goes_alone_and_is_named(line: str, kind: str, words: str) -> None:
    objects, (fault,) = _parse(f"0 .5 .5 .2 .2\n\n{line}\r\n1 .5 .5 .2 .2")
    assert [label for label, _ in objects] == [0, 1]
    assert (fault.line, fault.kind) == (3, kind)
    assert words in fault.message


def test_a_class_id_written_as_a_float_is_whole_enough() -> None:
    (((label, _),), _) = _parse("2.0 0.5 0.5 0.2 0.2")
    assert label == 2


@given(st.text(max_size=200))
def test_no_text_makes_the_parser_raise(text: str) -> None:
    objects, faults = _parse(text)
    assert len(objects) + len(faults) == sum(bool(line.split()) for line in text.split("\n"))


_columns = st.one_of(st.integers(-5, 5).map(str), st.floats().map(str), st.text("0123456789.e-nif", max_size=5))


@given(st.lists(st.lists(_columns, max_size=9).map(" ".join), max_size=6).map("\n".join))
def test_nor_does_text_that_is_nearly_right(text: str) -> None:
    objects, faults = _parse(text)
    assert len(objects) + len(faults) == sum(bool(line.split()) for line in text.split("\n"))


_corner = st.floats(0, 1, width=32)


@given(st.lists(st.tuples(st.integers(0, 2), _corner, _corner, _corner, _corner), max_size=8))
def test_what_is_written_is_read(rows: list[tuple[int, float, float, float, float]]) -> None:
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for _, a, b, c, d in rows]
    lines = [
        f"{row[0]} {(x1 + x2) / 2!r} {(y1 + y2) / 2!r} {x2 - x1!r} {y2 - y1!r}"
        for row, (x1, y1, x2, y2) in zip(rows, boxes, strict=True)
    ]
    objects, faults = _parse("\n".join(lines))
    assert not faults
    assert [label for label, _ in objects] == [row[0] for row in rows]
    np.testing.assert_allclose(np.reshape([box for _, box in objects], (-1, 4)), np.reshape(boxes, (-1, 4)), atol=1e-9)


def test_an_image_is_read_with_its_header_size(tmp_path: Path) -> None:
    image, account = _read(_entry(tmp_path, "\ufeff1 0.5 0.5 1 1\r\n"))
    assert image is not None
    assert image.size_hw == SIZE_HW
    np.testing.assert_array_equal(image.ground_truth.boxes, [[0, 0, WIDTH, HEIGHT]])
    assert (account.images_kept, account.objects_kept, account.backgrounds) == (1, 1, 0)


def test_empty_and_absent_label_files_are_backgrounds(tmp_path: Path) -> None:
    empty, account = _read(_entry(tmp_path / "empty", "\n"))
    assert empty is not None
    assert len(empty.ground_truth) == 0
    assert (account.backgrounds, account.label_files_missing) == (1, 0)
    absent, account = _read(_entry(tmp_path / "absent", None))
    assert absent is not None
    assert (account.backgrounds, account.label_files_missing) == (1, 1)
    assert account.issues[0].path.endswith("labels/a.txt")


def test_a_label_file_that_is_no_text_drops_its_image(tmp_path: Path) -> None:
    # UTF-16, as some editors save: taking it for background would teach that nothing is there
    image, account = _read(_entry(tmp_path, "0 0.5 0.5 1 1".encode("utf-16")))
    assert image is None
    assert account.images_dropped == {"annotation_unreadable": 1}
    assert "UTF-8" in account.issues[0].message


def test_a_label_file_that_is_a_folder_drops_its_image(tmp_path: Path) -> None:
    entry = _entry(tmp_path, None)
    entry.label_file.mkdir(parents=True)
    image, account = _read(entry)
    assert image is None
    assert account.images_dropped == {"annotation_unreadable": 1}


def test_labels_lie_in_the_parallel_folder_or_beside_the_image(tmp_path: Path) -> None:
    assert label_file_of(Path("images/b/images/c/x.y.jpg")) == Path("images/b/labels/c/x.y.txt")
    assert label_file_of(Path("photos/x.jpg")) == Path("photos/x.txt")
    beside = put_text(tmp_path / "images" / "x.txt", "")
    assert label_file_of(tmp_path / "images" / "x.jpg") == beside
    apart = put_text(tmp_path / "labels" / "x.txt", "")
    assert label_file_of(tmp_path / "images" / "x.jpg") == apart


def test_folders_are_searched_in_depth_and_ids_are_paths_below_them(tmp_path: Path) -> None:
    for name in ("b/ü.PNG", "a.jpg", "._a.jpg", ".hidden/c.jpg"):
        put_text(tmp_path / name, "")
    put_text(tmp_path / "notes.txt", "")
    assert [entry.image_id for entry in list_yolo(tmp_path, tmp_path)] == ["a", "b/ü"]


def test_a_list_is_relative_to_itself_then_to_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "root"
    beside = put_image(root / "lists" / "a.png")
    below = put_image(root / "images" / "train" / "b.png")
    here = put_image(tmp_path / "c.png")
    text = f"./a.png\r\n\nimages/train/b.png\nc.png\n{beside.with_name('absolute.png')}\ngone.png\n"
    entries = list_yolo(put_text(root / "lists" / "train.txt", text), root)
    assert [Path(entry.image) for entry in entries[:3]] == [beside, below, here]
    assert [entry.image_id for entry in entries[:2]] == ["lists/a", "train/b"]
    assert Path(entries[3].image) == beside.with_name("absolute.png")
    assert Path(entries[4].image) == root / "lists" / "gone.png"


def test_a_list_without_images_is_refused(tmp_path: Path) -> None:
    path = put_text(tmp_path / "train.txt", "0 0.5 0.5 1 1\n/\n")
    with pytest.raises(DataError, match=r"train.txt: lists no images; its first line is '0 0.5"):
        list_yolo(path, tmp_path)


def test_a_link_that_leads_back_up_does_not_go_round(tmp_path: Path) -> None:
    put_text(tmp_path / "a.jpg", "")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(list_yolo(tmp_path, tmp_path)) == 1


def test_classes_without_names_reach_up_to_the_largest_id(tmp_path: Path) -> None:
    entry = _entry(tmp_path, "0 .5 .5 1 1\n2 .5 .5 1 1\nbroken\n9\n")
    assert nameless_classes([entry]) == ("class0", "class1", "class2")


def test_no_objects_or_an_absurd_id_say_no_classes(tmp_path: Path) -> None:
    assert nameless_classes([_entry(tmp_path / "empty", ""), _entry(tmp_path / "absent", None)]) == ()
    assert len(nameless_classes([_entry(tmp_path, "9999 .5 .5 1 1")])) == 10_000
    with pytest.raises(DataError, match=r"a.txt, line 1: class id 10000; if it is meant, name"):
        nameless_classes([_entry(tmp_path, "10000 .5 .5 1 1")])


def read_line(line: str, size_hw: tuple[int, int]) -> list[float]:
    """Class and float32 corners that a line stands for, cut to the image: what the format says, spelled out."""
    height, width = size_hw
    label, *numbers = map(float, line.split())
    if len(numbers) == 4:
        cx, cy, w, h = numbers
        corners = [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
    else:
        xs, ys = numbers[::2], numbers[1::2]
        corners = [min(xs) * width, min(ys) * height, max(xs) * width, max(ys) * height]
    x1, y1, x2, y2 = corners
    cut = [max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)]
    return [label, *np.array(cut).astype(np.float32).tolist()]


@given(sized_truths())
def test_every_float32_box_is_read_back_to_the_last_bit(case: tuple[tuple[int, int], GroundTruth]) -> None:
    size_hw, truth = case
    lines = label_text(truth, size_hw).splitlines()
    for line, label, box in zip(lines, truth.labels.tolist(), truth.boxes.tolist(), strict=True):
        read = read_line(line, size_hw)
        near_border = min(box[0], box[1], size_hw[1] - box[2], size_hw[0] - box[3]) < 1e-6
        assert read == [label, *box] or (near_border and read == pytest.approx([label, *box], rel=0, abs=1e-9))


def test_whole_pixels_need_few_digits() -> None:
    # 40 x 20 pixels: box (10, 5)..(20, 10) has its centre at (15, 7.5), 0.375 and 0.375 of the image
    truth = GroundTruth.from_boxes([[10, 5, 20, 10]], [2])
    assert label_text(truth, (20, 40)) == "2 0.375 0.375 0.25 0.25\n"


def test_numbers_are_as_short_as_they_can_be() -> None:
    # a third of 640 pixels: with one decimal less, centre and size no longer give 213 and 426
    truth = GroundTruth.from_boxes([[213, 0, 426, 480]], [0])
    _, cx, cy, w, h = label_text(truth, (480, 640)).split()
    assert (cy, h) == ("0.5", "1")
    decimals = len(cx.split(".")[1])
    assert decimals <= 8
    fewer = f"0 {float(cx):.{decimals - 1}f} 0.5 {float(w):.{decimals - 1}f} 1"
    assert read_line(fewer, (480, 640)) != [0, 213, 0, 426, 480]


def test_a_box_next_to_the_border_is_a_centre_and_a_size_like_every_other() -> None:
    truth = GroundTruth.from_boxes([[1e-30, 0, 39, 20]], [1])
    text = label_text(truth, (20, 40))
    assert len(text.split()) == 5
    assert read_line(text, (20, 40)) == pytest.approx([1, 0, 0, 39, 20], abs=1e-9)


def test_a_box_at_the_border_begins_exactly_there() -> None:
    # 34 of 480 pixels: rounded to 17 decimals, centre and size would leave 3e-15 pixels
    truth = GroundTruth.from_boxes([[51, 0, 92, 34]], [0])
    text = label_text(truth, (480, 640))
    assert text == "0 0.11171875 0.035416666666666666 0.0640625 0.07083333333333333\n"
    assert read_line(text, (480, 640)) == [0, 51, 0, 92, 34]


@pytest.mark.parametrize(
    ("box", "side", "cx", "w"),
    [
        # at the border, a number may be off by a ten-thousandth of a pixel to be shorter
        ([283, 0, 480, 480], 480, "0.7947917", "0.4104167"),
        ([0, 0, 621, 640], 640, "0.48515625", "0.9703125"),
        # next to it twelve decimals are needed, or seventeen
        ([1e-3, 0, 480, 480], 480, "0.500001041667", "0.999997916667"),
        ([1e-7, 0, 18, 480], 480, "0.018750000104166668", "0.03749999979166666"),
    ],
)
def test_decimals_at_the_border(box: list[float], side: int, cx: str, w: str) -> None:
    _, *numbers = label_text(GroundTruth.from_boxes([box], [0]), (side, side)).split()
    assert (numbers[0], numbers[2]) == (cx, w)


def test_a_background_has_no_text() -> None:
    assert label_text(GroundTruth.empty(), (20, 40)) == ""


@pytest.mark.parametrize("size", [1, 7, 500, 4096])
def test_no_number_leaves_the_image_by_more_than_a_whisker(size: int) -> None:
    truth = GroundTruth.from_boxes([[0, 0, size, size], [0, 0, size / 3, size]], [0, 0])
    for line in label_text(truth, (size, size)).splitlines():
        cx, cy, w, h = map(float, line.split()[1:])
        assert all(0 < number <= 1 for number in (cx, cy, w, h))
        corners = np.array([cx - w / 2, cy - h / 2, 1 - cx - w / 2, 1 - cy - h / 2]) * size
        assert corners.min() > -1e-3


def read_results(folder: Path, truth: dict[str, Any] | None = None, **texts: str | bytes) -> DetectionFiles:
    """Text files for the images a to c of 200 x 100 pixels."""
    content = truth or truth_of("a.jpg", "b.jpg", "c.jpg")
    for name, text in texts.items():
        put(folder / "found" / f"{name}.txt", text)
    (folder / "found").mkdir(exist_ok=True)
    return read_detections(folder / "found", read_ground_truth(put(folder / "gt.json", content)), format="yolo")


def truth_of(*names: str) -> dict[str, Any]:
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4])], images=range(1, len(names) + 1))
    for image, name in zip(content["images"], names, strict=True):
        image["file_name"] = name
    return content


RESULT_LINE = "0 0.5 0.5 0.25 0.5 0.9\n"


def test_lines_by_image_in_their_order(tmp_path: Path) -> None:
    result = read_results(tmp_path, b=RESULT_LINE, a="1 0.25 0.25 0.1 0.1 0.3\r\n\n 0.0\t0.5 0.5 0.25 0.5 3e-1 ")
    found = result.detections
    assert found.image_index.tolist() == [0, 0, 1]
    assert found.labels.tolist() == [1, 0, 0]
    assert found.scores.tolist() == [0.3, 0.3, 0.9]
    assert found.boxes[1].tolist() == [75, 25, 125, 75]
    assert found.boxes[0].tolist() == pytest.approx([40, 20, 60, 30])
    assert kinds(result.warnings)["image_without_file"].count == 1
    assert result.format == "yolo"


def test_an_odd_fraction_is_the_same_box_on_both_sides(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.png", size_hw=(333, 777))
    put(tmp_path / "labels" / "a.txt", "0 0.3331 0.2717 0.123457 0.0771\n")
    put(tmp_path / "found" / "labels" / "a.txt", "0 0.3331 0.2717 0.123457 0.0771 0.25\n")
    problem, _, _ = read_problem(tmp_path / "labels", tmp_path / "found")
    assert problem.detections.boxes.tolist() == problem.truths.boxes.tolist()
    assert problem.detections.sizes_wh.tolist() == problem.truths.sizes_wh.tolist()


def test_images_are_found_by_folder_and_name_or_by_name_alone(tmp_path: Path) -> None:
    content = truth_of("x/a.jpg", "x/b.jpg", "c.jpg")
    put(tmp_path / "found" / "labels" / "c.txt", RESULT_LINE)
    put(tmp_path / "found" / "classes.txt", "cat\n")
    assert read_results(tmp_path, content, a=RESULT_LINE).detections.image_index.tolist() == [0, 2]
    (tmp_path / "found" / "a.txt").unlink()
    (tmp_path / "found" / "labels" / "c.txt").rename(tmp_path / "found" / "labels" / "b.txt")
    put(tmp_path / "found" / "run" / "c.txt", RESULT_LINE)
    (tmp_path / "found" / "labels" / "b.txt").unlink()
    assert read_results(tmp_path, content).detections.image_index.tolist() == [2]


def test_one_image_with_two_files_and_two_images_with_one_name(tmp_path: Path) -> None:
    put(tmp_path / "found" / "labels" / "a.jpg.txt", RESULT_LINE)
    with pytest.raises(DataError, match="has several files for the image 1"):
        read_results(tmp_path, a=RESULT_LINE)
    with pytest.raises(DataError, match="'a' is the name of several images"):
        read_results(tmp_path / "other", truth_of("x/a.jpg", "y/a.jpg"), a=RESULT_LINE)


def test_unknown_images_and_classes_and_numbers_that_are_not_finite(tmp_path: Path) -> None:
    bad = "7 .5 .5 .1 .1 .9\n0 nan .5 .1 .1 .9\n0 .5 .5 inf .1 .9\n0 .5 .5 .1 .1 nan\n"
    result = read_results(tmp_path, a=RESULT_LINE + bad, z=RESULT_LINE)
    assert len(result.detections) == 1
    remarks = kinds(result.warnings)
    assert remarks["unknown_image"].examples == (f"{tmp_path}/found/z.txt, line 1, image 'z'",)
    assert remarks["unknown_class"].examples == (f"{tmp_path}/found/a.txt, line 2, class 7",)
    assert remarks["not_finite"].count == 3
    assert remarks["file_of_unknown_image"].count == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0 .5 .5 .1 .1\n",
            "line 2: has 5 columns instead of 6, .*; lines of 5 columns are ground truth: let the detector save",
        ),
        ("0 .5 .5 .1\n", "line 2: has 4 columns instead of 6"),
        ("0 .5 .5 .1 .1 .9 7\n", "line 2: has 7 columns instead of 6"),
        ("0 .5 .5 x .1 .9\n", r"line 2: '0 .5 .5 x .1 .9' is not"),
        ("0 .5 .5 1_0 .1 .9\n", "line 2: .* in numbers"),
        ("cat .5 .5 .1 .1 .9\n", "line 2: 'cat' is not the number of a class, with which a line"),
        ("0.5 .5 .5 .1 .1 .9\n", "line 2: .* is not the number of a class"),
        ("nan .5 .5 .1 .1 .9\n", "line 2: .* is not the number of a class"),
        ("9007199254740992 .5 .5 .1 .1 .9\n", "line 2: .* is not the number of a class"),
        (b"\xff .5 .5 .1 .1 .9\n", "line 2: .* is not the number of a class"),
    ],
)
def test_a_line_that_is_no_detection_is_an_error(tmp_path: Path, text: str | bytes, message: str) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DataError, match=message) as caught:
        read_results(tmp_path, a=RESULT_LINE.encode() + data)
    assert str(caught.value).startswith(f"{tmp_path}/found/a.txt, line 2: ")


def test_pixels_are_refused_and_single_boxes_far_outside_kept(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are not fractions of the image, as in 3 of 5 lines; are these pixels"):
        read_results(tmp_path, a=2 * RESULT_LINE + 3 * "0 50 50 10 10 .9\n")
    result = read_results(tmp_path, a=RESULT_LINE + "0 2.0 .5 .1 .1 .9\n")  # half of them
    assert len(result.detections) == 2
    assert kinds(result.warnings)["far_outside"].examples == (f"{tmp_path}/found/a.txt, line 2",)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    result = read_results(tmp_path, a=b"\xef\xbb\xbf" + RESULT_LINE.encode())
    assert len(result.detections) == 1


def test_class_numbers_from_one_are_refused(tmp_path: Path) -> None:
    message = "class numbers are one off: the detections have 1 to 2, the ground truth 0 to 1; subtract 1"
    with pytest.raises(DataError, match=message):
        read_results(tmp_path, a="1 .5 .5 .1 .1 .9\n2 .5 .5 .1 .1 .9\n")


def test_an_image_of_unknown_size_is_an_error(tmp_path: Path) -> None:
    content = truth_of("a.jpg", "b.jpg")
    del content["images"][0]["width"]
    assert len(read_results(tmp_path, content, b=RESULT_LINE, a="").detections) == 1
    with pytest.raises(DataError, match=r"a\.txt, line 1: .* the size of image 1 is not known"):
        read_results(tmp_path, content, a=RESULT_LINE)


def test_no_files_and_empty_files_are_no_detections(tmp_path: Path) -> None:
    result = read_results(tmp_path)
    assert len(result.detections) == 0
    assert kinds(result.warnings).keys() == {"no_detections", "image_without_file"}
    result = read_results(tmp_path, a="", b="\n")
    assert len(result.detections) == 0
    assert kinds(result.warnings)["image_without_file"].count == 1


def test_the_order_is_that_of_the_images_not_of_the_file_names(tmp_path: Path) -> None:
    result = read_results(tmp_path, truth_of("c.jpg", "a.jpg"), a=RESULT_LINE, c="1 0.5 0.5 0.25 0.5 0.9\n")
    assert result.detections.image_index.tolist() == [0, 1]
    assert result.detections.labels.tolist() == [1, 0]
