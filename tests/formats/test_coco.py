import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.dataset_trees import SIZE_HW, coco_content, put_image, put_json
from tests.data.reading import cleaned, header_sizes
from yolo.data.read import find_dataset, read_split
from yolo.errors import DataError
from yolo.formats.coco import FAULT_KINDS, list_coco, load_coco, read_annotations, read_coco, report_orphans
from yolo.formats.issues import ReadReport
from yolo.structures import AnnotatedImage

CATEGORIES = {0: "cat", 7: "dog"}
NAMES = ("cat", "dog")


def _annotation(bbox: Any, **more: Any) -> dict[str, Any]:
    return {"image_id": 10, "category_id": 7, "bbox": bbox} | more


def _read(root: Path, *annotations: dict[str, Any]) -> tuple[list[AnnotatedImage | None], ReadReport]:
    put_image(root / "val2017" / "a.png")
    content = coco_content(["a.png"], annotations, CATEGORIES)
    return _read_file(put_json(root / "annotations" / "instances_val2017.json", content))


def _read_file(path: Path) -> tuple[list[AnnotatedImage | None], ReadReport]:
    account = ReadReport("val")
    file = load_coco(path)
    report_orphans(file, account)
    entries = list_coco(file, None)
    images = cleaned(read_coco(file, entries, sizes=header_sizes(account)), NAMES, account)
    return [images.get(entry.image_id) for entry in entries], account


def test_boxes_are_corner_and_size_and_every_field_is_kept(tmp_path: Path) -> None:
    (image,), account = _read(
        tmp_path, _annotation([1.5, 2, 10, 5], area=33.25), _annotation([0, 0, 40, 20], category_id=0, iscrowd=1)
    )
    assert image is not None
    truth = image.ground_truth
    np.testing.assert_array_equal(truth.boxes, [[1.5, 2, 11.5, 7], [0, 0, 40, 20]])
    assert truth.labels.tolist() == [1, 0]
    assert truth.iscrowd.tolist() == [False, True]
    assert truth.area.tolist() == [33.25, 800]
    assert (image.image_id, image.size_hw) == ("10", SIZE_HW)
    assert not account.issues


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        (_annotation([1, 2, 3]), "missing_box", "bbox is [1, 2, 3], expected [x, y, width, height]"),
        (_annotation(None), "missing_box", "bbox is None"),
        (_annotation([1, 2, "3", 4]), "missing_box", "expected [x, y, width, height]"),
        (_annotation([True, 2, 3, 4]), "missing_box", "expected [x, y, width, height]"),
        (_annotation([1, 2, 3, 10**400]), "not_finite", "inf"),
        (_annotation([1, 2, float("nan"), 4]), "not_finite", "nan"),
        (_annotation([5, 5, 0, 4]), "degenerate", "box (5, 5, 5, 9)"),
        (_annotation([1, 1, 9, 9], category_id=3), "unknown_class", "category_id 3 is not among"),
        (_annotation([1, 1, 9, 9], category_id=None), "unknown_class", "category_id None"),
        (_annotation([1, 1, 9, 9], image_id=99), "unknown_image", "image_id 99 is not among the images"),
        (_annotation([1, 1, 9, 9], image_id=[10]), "unknown_image", "image_id [10]"),
        (_annotation([0, 0, 5, 5]), "duplicate", "appears twice"),
    ],
)
def test_a_bad_annotation_goes_alone_and_is_named(tmp_path: Path, bad: dict[str, Any], kind: str, words: str) -> None:
    (image,), account = _read(tmp_path, _annotation([0, 0, 5, 5]), bad, _annotation([3, 3, 6, 6]))
    assert image is not None
    assert len(image.ground_truth) == 2
    assert account.objects_dropped == {kind: 1}
    (issue,) = account.issues
    assert issue.line_or_object == "annotations[1] (id 2)"
    assert issue.path.endswith("instances_val2017.json")
    assert words in issue.message


def test_an_unusable_area_is_replaced_by_the_box_s(tmp_path: Path) -> None:
    areas = [None, "9", -1, float("inf"), True, 10**400]
    (image,), _ = _read(tmp_path, *(_annotation([0, 0, 4, n], area=area) for n, area in enumerate(areas, start=1)))
    assert image is not None
    assert image.ground_truth.area.tolist() == [4, 8, 12, 16, 20, 24]


def test_a_crowd_and_an_object_of_the_same_box_are_two(tmp_path: Path) -> None:
    (image,), _ = _read(tmp_path, _annotation([0, 0, 4, 4]), _annotation([0, 0, 4, 4], iscrowd=1))
    assert image is not None
    assert image.ground_truth.iscrowd.tolist() == [False, True]


def test_images_without_annotations_are_backgrounds_and_lost_images_are_told(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    content = coco_content(["a.png", "gone.png"], [_annotation([0, 0, 4, 4], image_id=11)], CATEGORIES)
    images, account = _read_file(put_json(tmp_path / "_annotations.coco.json", content))
    assert [image is None for image in images] == [False, True]
    assert account.backgrounds == 1
    assert account.issues[0].message == "there is no such image file; 1 annotations go with it"


def test_another_size_in_the_file_is_told(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png", size_hw=(10, 20))
    _, account = _read_file(put_json(tmp_path / "b.json", coco_content(["a.png"], [], CATEGORIES)))
    (issue,) = account.issues
    assert (issue.kind, issue.line_or_object) == ("size_mismatch", "image 10")
    assert issue.message == "the file says 40 x 20 for a.png, it is 20 x 10"


_PLACES = "train2017 images/train2017 train images/train images annotations ."


@pytest.mark.parametrize("place", _PLACES.split())
def test_the_image_folder_is_found(tmp_path: Path, place: str) -> None:
    put_image(tmp_path / "val2017" / "a.png")  # of the same name, in the other split
    image = put_image(tmp_path / place / "a.png")
    content = coco_content(["not-there.png", "a.png"], [], CATEGORIES)
    path = put_json(tmp_path / "annotations" / "instances_train2017.json", content)
    assert list_coco(load_coco(path), None)[1].image == str(image)


def test_a_file_name_may_hold_folders(tmp_path: Path) -> None:
    image = put_image(tmp_path / "train" / "b" / "a.png")
    path = put_json(tmp_path / "annotations" / "x.json", coco_content(["train/b/a.png"], [], CATEGORIES))
    assert list_coco(load_coco(path), None)[0].image == str(image)


def test_images_that_are_nowhere_are_reported_with_the_places(tmp_path: Path) -> None:
    path = put_json(tmp_path / "annotations" / "instances_train.json", coco_content(["a.png"], [], CATEGORIES))
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"(?s)instances_train.json: its images are not found.*train/a.png"):
        list_coco(load_coco(path), None)


def _broken(**replaced: Any) -> dict[str, Any]:
    return coco_content(["a.png"], [], CATEGORIES) | replaced


_A = {"id": 1, "file_name": "a.png"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "is a JSON array, expected an object"),
        ({"images": [], "categories": []}, "'annotations' is missing, expected an array"),
        (_broken(annotations={}), "'annotations' is a JSON object, expected an array"),
        (_broken(images=None), "'images' is a JSON null"),
        (_broken(images=[_A, _A | {"file_name": "b.png"}]), r"images\[1\]: id 1 stands for 'a.png' and for 'b.png'"),
        (_broken(categories="x"), "'categories' is a JSON string"),
        (_broken(categories=[]), "'categories' is empty"),
        (_broken(categories=[{"id": "one", "name": "a"}]), r"categories\[0\].id is 'one'"),
        (_broken(categories=[3]), r"categories\[0\] is a JSON number, expected an object"),
        (
            _broken(categories=[{"id": 1, "name": "a"}] * 2),
            r"categories\[1\]: id 1 is already used for 'a'; give each category an id of its own",
        ),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused_with_its_key(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(DataError, match=f"b.json.*{words}"):
        load_coco(put_json(tmp_path / "b.json", content))


def test_a_malformed_element_costs_itself_alone(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    good = {"image_id": 10, "category_id": min(CATEGORIES), "bbox": [1, 1, 5, 5]}
    content = coco_content(["a.png"], [good], CATEGORIES)
    content["annotations"] += [5, None, [good], good | {"image_id": 97}]
    content["images"] += ["b.png", {"id": True, "file_name": "c.png"}, {"id": 98}, {"id": 99, "file_name": ""}]
    path = put_json(tmp_path / "instances_val.json", content)
    split = read_split(find_dataset(path), "val")
    assert [image.image_id for image in split.images] == ["10"]
    assert len(split.images[0].ground_truth) == 1
    account = split.report
    assert account.objects_dropped == {"unknown_image": 4}
    assert account.images_dropped == {"image_malformed": 4}
    assert [str(issue).removeprefix(f"{path}, ") for issue in account.issues if issue.kind == "image_malformed"] == [
        "images[1]: is a JSON string, expected an object",
        "images[2]: its id is True, expected a number or text",
        "images[3]: has no file_name, expected the name of an image file",
        "images[4]: has no file_name, expected the name of an image file",
    ]


def test_categories_are_in_the_order_of_their_ids(tmp_path: Path) -> None:
    file = load_coco(put_json(tmp_path / "a.json", coco_content([], [], {7: "dog", 0: "cat"})))
    assert list(file.categories.items()) == [(0, "cat"), (7, "dog")]


def test_ids_beyond_64_bits_which_json_readers_round_are_refused_and_named(tmp_path: Path) -> None:
    # 2**70 and 2**70 + 1 are one float
    first, second = 2**70, 2**70 + 1
    content = coco_content(["a.png", "b.png", "c.png"], [], CATEGORIES)
    content["images"][0]["id"], content["images"][1]["id"], content["images"][2]["id"] = first, second, 2**64 - 1
    content["annotations"] = [_annotation([1, 2, 3, 4], image_id=key) for key in (first, 2**64 - 1)]
    put_image(tmp_path / "c.png")
    split = read_split(find_dataset(put_json(tmp_path / "val.json", content)), "val")
    assert [(image.image_id, len(image.ground_truth)) for image in split.images] == [(str(2**64 - 1), 1)]
    messages = list(map(str, split.report.issues))
    assert [text.partition(": ")[0] for text in messages] == [
        f"{tmp_path}/val.json, {place}" for place in ("images[0]", "images[1]", "annotations[0]")
    ]
    assert all("more than 64 bits, which may be rounded: write it as text" in text for text in messages)
    content["categories"][0]["id"] = first
    with pytest.raises(DataError, match=r"val.json: categories\[0\].id is .*write it as text.*expected a whole number"):
        load_coco(put_json(tmp_path / "val.json", content))


IMAGES: dict[int | str, int] = {10: 0, "ten": 1, 2**63: 2}
NAMES_COCO_COLUMNS = {7: "dog", 3: "cat"}


def test_columns_of_well_formed_records() -> None:
    records = [
        {"id": 5, "image_id": 10, "category_id": 3, "bbox": [1, 2.5, 3, 4], "area": 6, "iscrowd": 1, "difficult": 0},
        {"id": 6, "image_id": "ten", "category_id": 7, "bbox": [0, 0, 1, 1], "area": 2.5, "iscrowd": 0, "difficult": 1},
    ]
    columns = read_annotations(records, index_of_image=IMAGES, category_ids=list(NAMES_COCO_COLUMNS))
    np.testing.assert_array_equal(columns.objects.boxes, [[1, 2.5, 4, 6.5], [0, 0, 1, 1]])
    assert columns.objects.labels.tolist() == [1, 0]
    assert columns.objects.image_index.tolist() == [0, 1]
    assert columns.objects.area.tolist() == [6, 2.5]
    assert (columns.objects.iscrowd.tolist(), columns.objects.difficult.tolist()) == ([True, False], [False, True])
    assert not columns.faults.any()
    assert columns.where(1) == "annotations[1] (id 6)"


def test_no_records_have_empty_columns() -> None:
    columns = read_annotations([], index_of_image=IMAGES, category_ids=list(NAMES_COCO_COLUMNS))
    assert columns.objects.boxes.shape == (0, 4)
    assert len(columns) == len(columns.faults) == 0


_number = st.one_of(
    st.integers(-3, 60), st.floats(), st.sampled_from([2**63, -(2**63), 2**62, 10**400, 2**70, True, False, 1.0, 10.0])
)
_value: st.SearchStrategy[Any] = st.one_of(
    _number, st.none(), st.sampled_from(["", "10", "ten", "1", "7"]), st.just([]), st.just({})
)
_box: st.SearchStrategy[Any] = st.one_of(
    st.lists(_number, min_size=4, max_size=4), st.lists(_value, max_size=5), _value
)
_record = st.fixed_dictionaries(
    {},
    optional={
        "id": _value,
        "image_id": st.one_of(st.sampled_from([10, "ten", 2**63]), _value),
        "category_id": st.one_of(st.sampled_from([3, 7]), _value),
        "bbox": _box,
        "area": _value,
        "iscrowd": _value,
        "difficult": _value,
    },
)


def _slow_number(value: Any) -> float | None:
    try:
        return None if type(value) not in (int, float) else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _slow_id(value: Any) -> Any:
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return {"10": 10, "1": 1, "7": 7}.get(value, value) if type(value) is str else value


def _slow_flag(value: Any) -> bool:
    if type(value) is str:
        return value in ("1", "7", "10")
    return type(value) in (int, float, bool) and value != 0 and value == value  # NaN does not say


def _slow(record: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """What is wrong with a record, and its columns."""
    image_id, category_id, box = (
        _slow_id(record.get("image_id")),
        _slow_id(record.get("category_id")),
        record.get("bbox"),
    )
    image = IMAGES.get(image_id, -1) if type(image_id) in (int, str) else -1
    label = list(NAMES_COCO_COLUMNS).index(category_id) if type(category_id) is int and category_id in (7, 3) else -1
    sides = [_slow_number(side) for side in box] if type(box) is list else []
    usable = len(sides) == 4 and None not in sides
    kind = "unknown_image" if image < 0 else "unknown_class" if label < 0 else "" if usable else "missing_box"
    if not usable:
        sides = [math.nan] * 4
    x, y, w, h = (math.nan if side is None else side for side in sides)
    area = _slow_number(record.get("area"))
    area = math.nan if area is None or not math.isfinite(area) else area
    return kind, (image, label, [x, y, x + w, y + h], area, *(_slow_flag(record.get(key)) for key in FLAGS))


FLAGS = ("iscrowd", "difficult")


@given(st.lists(_record, max_size=6))
def test_all_at_once_is_the_same_as_one_by_one(records: list[dict[str, Any]]) -> None:
    columns = read_annotations(records, index_of_image=IMAGES, category_ids=list(NAMES_COCO_COLUMNS))
    for row, record in enumerate(records):
        kind, (image, label, box, area, crowd, difficult) = _slow(record)
        assert FAULT_KINDS[columns.faults[row]] == kind
        assert columns.objects.image_index[row] == image
        assert columns.objects.labels[row] == label
        np.testing.assert_array_equal(columns.objects.boxes[row], box)
        np.testing.assert_array_equal(columns.objects.area[row], area)
        assert (columns.objects.iscrowd[row], columns.objects.difficult[row]) == (crowd, difficult)
        assert columns.where(row).startswith(f"annotations[{row}]")
        if kind:
            assert columns.message(row)
