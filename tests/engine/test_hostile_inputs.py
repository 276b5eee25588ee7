"""Whatever is in the files: an error for people, or a problem of finite numbers with everything accounted for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.input_files import annotation, coco_truth, detection, put, voc_xml
from yolo.engine.detection_files import read_problem
from yolo.errors import DataError
from yolo.evaluation.summary import summarise

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just([]), st.just({}),
    st.sampled_from([10**400, -(10**30), 2**63, 1e308, -1e308, 5e-324, -0.0, "1", "1.jpg", "nan", [1], [[1, 2, 3, 4]]]),
)  # fmt: skip
SIDE = st.one_of(st.integers(-5, 50), st.floats(0, 50), ODD)
BOX = st.one_of(st.lists(SIDE, min_size=4, max_size=4), st.just([1, 2, 3, 4]), ODD)
KEY = st.one_of(st.sampled_from([0, 1, 2, 3, 1.0, "1"]), ODD)


def spoilt(good: dict[str, Any], values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """A record of which up to two values are odd, or missing, or that is something else."""

    @st.composite
    def one(draw: st.DrawFn) -> Any:
        record = dict(good)
        for key in draw(st.lists(st.sampled_from(list(values)), max_size=2)):
            record[key] = draw(values[key])
            if draw(st.integers(0, 9)) == 0:
                del record[key]
        return record if draw(st.integers(0, 19)) else draw(ODD)

    return one()


ANNOTATION = spoilt(
    annotation(1, 1, 1, [1, 2, 30, 40]),
    {"image_id": KEY, "category_id": KEY, "bbox": BOX, "area": SIDE, "iscrowd": KEY, "difficult": KEY, "ignore": KEY,
     "id": KEY},
)  # fmt: skip
DETECTION = spoilt(detection(1, 1, [1, 2, 30, 40]), {"image_id": KEY, "category_id": KEY, "bbox": BOX, "score": SIDE})
IMAGE = spoilt(coco_truth()["images"][0], {"id": KEY, "file_name": ODD, "height": SIDE, "width": SIDE})
CATEGORY = spoilt({"id": 1, "name": "cat"}, {"id": KEY, "name": ODD})


def check(truth: Path, found: Path) -> None:
    try:
        problem, gt, dt = read_problem(truth, found)
    except DataError as error:
        if not 0 < len(str(error).encode()) < 3000:
            raise AssertionError("not a message for people") from error
        return
    for values in (problem.detections.boxes, problem.detections.scores, problem.detections.sizes_wh):
        assert np.isfinite(values).all()
    for values in (problem.truths.boxes, problem.truths.area, problem.truths.sizes_wh):
        assert np.isfinite(values).all()
    for one in (problem.truths, problem.detections):
        assert ((one.labels >= 0) & (one.labels < problem.num_classes)).all()
        assert ((one.image_index >= 0) & (one.image_index < len(problem.images))).all()
    for remark in gt.warnings + dt.warnings:
        assert remark.count >= max(1, len(remark.examples))
        str(remark).encode()
    summarise(problem)


@settings(max_examples=150)
@given(
    annotations=st.lists(ANNOTATION, max_size=4), found=st.lists(DETECTION, max_size=4),
    images=st.lists(IMAGE, max_size=2), categories=st.lists(CATEGORY, max_size=1),
)  # fmt: skip
def test_odd_json_values(
    annotations: list[Any], found: list[Any], images: list[Any], categories: list[Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("odd")
    truth = coco_truth(annotations)
    truth["images"] += images
    truth["categories"] = categories or truth["categories"]
    check(put(folder / "gt.json", truth), put(folder / "dt.json", found))


@settings(max_examples=100)
@given(truth=st.binary(max_size=30) | st.text(max_size=30), found=st.binary(max_size=30) | st.text(max_size=30))
def test_odd_bytes(truth: str | bytes, found: str | bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    good = coco_truth([annotation(1, 1, 1, [1, 2, 30, 40])]), [detection(1, 1, [1, 2, 30, 40])]
    for first, second in ((truth, good[1]), (good[0], found)):
        check(put(folder / "gt.json", first), put(folder / "dt.json", second))


FIELD = st.sampled_from(
    ["a", "0", "1", "0.5", "nan", "inf", "-1e999", "1e308", "1_0", "\xa0", "\udcff", "x" * 300, "\0"]
)


@settings(max_examples=80)
@given(
    rows=st.lists(st.lists(FIELD, min_size=5, max_size=7).map(" ".join), max_size=3),
    form=st.sampled_from(["comp4_det_test_cat.txt", "a.txt"]),
)
def test_odd_lines(rows: list[str], form: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("lines")
    put(folder / "voc" / "a.xml", voc_xml([("cat", [1, 2, 30, 40])]))
    put(folder / "found" / form, "\n".join(rows).encode("utf-8", "surrogateescape"))
    check(folder / "voc", folder / "found")
