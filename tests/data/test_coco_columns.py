import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from yolo.data.coco_columns import FAULT_KINDS, read_columns

IMAGES: dict[int | str, int] = {10: 0, "ten": 1, 2**70: 2}
NAMES = {7: "dog", 3: "cat"}


def test_columns_of_well_formed_records() -> None:
    records = [
        {"id": 5, "image_id": 10, "category_id": 3, "bbox": [1, 2.5, 3, 4], "area": 6, "iscrowd": 1, "difficult": 0},
        {"id": 6, "image_id": "ten", "category_id": 7, "bbox": [0, 0, 1, 1], "area": 2.5, "iscrowd": 0, "difficult": 1},
    ]
    columns = read_columns(records, index_of_image=IMAGES, names=NAMES)
    np.testing.assert_array_equal(columns.boxes, [[1, 2.5, 4, 6.5], [0, 0, 1, 1]])
    assert columns.labels.tolist() == [1, 0]
    assert columns.image_index.tolist() == [0, 1]
    assert columns.area.tolist() == [6, 2.5]
    assert (columns.iscrowd.tolist(), columns.difficult.tolist()) == ([True, False], [False, True])
    assert not columns.faults.any()
    assert columns.where(1) == "annotations[1] (id 6)"


def test_no_records_have_empty_columns() -> None:
    columns = read_columns([], index_of_image=IMAGES, names=NAMES)
    assert columns.boxes.shape == (0, 4)
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
        "image_id": st.one_of(st.sampled_from([10, "ten", 2**70]), _value),
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
        return None


def _slow(record: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """What is wrong with a record, and its columns."""
    image_id, category_id, box = record.get("image_id"), record.get("category_id"), record.get("bbox")
    image = IMAGES.get(image_id, -1) if type(image_id) in (int, str) else -1  # type: ignore[arg-type]
    label = list(NAMES).index(category_id) if type(category_id) is int and category_id in NAMES else -1
    sides = [_slow_number(side) for side in box] if type(box) is list else []
    usable = len(sides) == 4 and None not in sides
    kind = "unknown_image" if image < 0 else "unknown_class" if label < 0 else "" if usable else "missing_box"
    if not usable:
        sides = [math.nan] * 4
    x, y, w, h = (math.nan if side is None else side for side in sides)
    area = _slow_number(record.get("area"))
    area = math.nan if area is None or not math.isfinite(area) or area < 0 else area
    flags = [type(record.get(key)) in (int, bool, float, str) and record[key] in (1, "1") for key in FLAGS]
    return kind, (image, label, [x, y, x + w, y + h], area, *flags)


FLAGS = ("iscrowd", "difficult")


@given(st.lists(_record, max_size=6))
def test_all_at_once_is_the_same_as_one_by_one(records: list[dict[str, Any]]) -> None:
    columns = read_columns(records, index_of_image=IMAGES, names=NAMES)
    for row, record in enumerate(records):
        kind, (image, label, box, area, crowd, difficult) = _slow(record)
        assert FAULT_KINDS[columns.faults[row]] == kind
        assert columns.image_index[row] == image
        assert columns.labels[row] == label
        np.testing.assert_array_equal(columns.boxes[row], box)
        np.testing.assert_array_equal(columns.area[row], area)
        assert (columns.iscrowd[row], columns.difficult[row]) == (crowd, difficult)
        assert columns.where(row).startswith(f"annotations[{row}]")
        if kind:
            assert columns.message(row)
