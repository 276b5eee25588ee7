from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.input_files import SIZE_HW, annotation, coco_truth, detection, kinds, put, put_image
from yolo.engine.ground_truth_files import GroundTruthFiles, read_ground_truth
from yolo.errors import DataError


def read(folder: Path, content: Any, **options: Any) -> GroundTruthFiles:
    return read_ground_truth(put(folder / "gt.json", content), **options)


def test_everything_arrives_to_the_bit_in_pycocotools_order(tmp_path: Path) -> None:
    odd = [0.1 + 0.2, 1 / 3, 2 / 3, 1e-3]
    content = coco_truth(
        [annotation(5, 10, 7, odd, area=0.7), annotation(6, 9, 3, [1, 2, 3, 4], iscrowd=1)],
        images=[10, 9, 2], categories={7: "dog", 3: "cat"},
    )  # fmt: skip
    truth = read(tmp_path, content)
    assert truth.images.image_ids == ("2", "9", "10")  # as numbers, not as text
    assert (truth.class_names, truth.category_ids) == (("cat", "dog"), (3, 7))
    assert truth.truths.image_index.tolist() == [1, 2]
    assert truth.truths.labels.tolist() == [0, 1]
    assert truth.truths.sizes_wh.tolist() == [[3, 4], odd[2:]]
    assert truth.truths.boxes.tolist() == [[1, 2, 4, 6], [odd[0], odd[1], odd[0] + odd[2], odd[1] + odd[3]]]
    assert truth.truths.area.tolist() == [100, 0.7]
    assert truth.truths.iscrowd.tolist() == [True, False]
    assert truth.images.sizes_hw.tolist() == [list(SIZE_HW)] * 3
    assert (truth.format, truth.source) == ("coco", str(tmp_path / "gt.json"))
    assert not kinds(truth.warnings)


def test_nothing_is_clipped_mended_or_dropped(tmp_path: Path) -> None:
    boxes = [[-50, -50, 900, 900], [5, 5, 0, 3], [5, 5, -2, 3], [1, 1, 2, 2], [1, 1, 2, 2]]
    truth = read(tmp_path, coco_truth([annotation(k + 1, 1, 1, box, area=-3) for k, box in enumerate(boxes)]))
    assert np.hstack([truth.truths.boxes[:, :2], truth.truths.sizes_wh]).tolist() == boxes
    assert truth.truths.area.tolist() == [-3] * 5
    remark = kinds(truth.warnings)["empty_truth_box"]
    places = tuple(f"{tmp_path / 'gt.json'}, annotations[{k}] (id {k + 1})" for k in (1, 2))
    assert (remark.count, remark.examples) == (2, places)


def test_absent_keys_that_pycocotools_needs_have_plain_values(tmp_path: Path) -> None:
    content = coco_truth([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4.5]}])
    truth = read(tmp_path, content)
    assert (truth.truths.area.tolist(), truth.truths.iscrowd.tolist()) == ([13.5], [False])
    assert kinds(truth.warnings)["area_missing"].examples == ("annotations[0]",)


def test_annotations_of_unknown_images_and_categories_take_no_part(tmp_path: Path) -> None:
    rows = [(7, 1), (1, 9), (1, 1), (True, 1), (None, 1), (1, "x"), (1.0, 2)]
    content = coco_truth([annotation(k + 1, image, category, [1, 2, 3, 4]) for k, (image, category) in enumerate(rows)])
    truth = read(tmp_path, content)
    assert truth.truths.labels.tolist() == [0, 1]
    remarks = kinds(truth.warnings)
    assert [text.partition("gt.json, annotations")[2] for text in remarks["unknown_image"].examples] == [
        "[0] (id 1): image_id 7 is not among the images",
        "[3] (id 4): image_id True is not among the images",
        "[4] (id 5): image_id None is not among the images",
    ]
    assert [text.partition("gt.json, annotations")[2] for text in remarks["unknown_class"].examples] == [
        "[1] (id 2): category_id 9 is not among the classes",
        "[5] (id 6): category_id 'x' is not among the classes",
    ]


def test_a_fault_of_an_annotation_that_takes_no_part_is_none(tmp_path: Path) -> None:
    truth = read(tmp_path, coco_truth([annotation(1, 7, 1, "no box"), annotation(2, 1, 1, [1, 2, 3, 4])]))
    assert len(truth.truths) == 1


def test_departures_from_pycocotools_are_told(tmp_path: Path) -> None:
    box = [1, 2, 3, 4]
    content = coco_truth(
        [
            annotation(0, 1, 1, box),
            annotation(4, 1, 1, box, difficult=1),
            annotation(4, 1, 1, box, ignore=1),
            annotation(5, 1, 1, box, ignore=1, iscrowd=1),
        ]
    )
    truth = read(tmp_path, content)
    assert truth.truths.difficult.tolist() == [False, True, False, False]
    remarks = kinds(truth.warnings)
    assert {kind: remark.examples for kind, remark in remarks.items()} == {
        "difficult_in_coco": ("annotations[1] (id 4)",),
        "ignore_without_effect": ("annotations[2] (id 4)",),
        "annotation_id_zero": ("annotations[0] (id 0)",),
        "annotation_id_shared": ("annotations[2] (id 4)",),
    }


def test_an_image_listed_twice_alike_counts_once(tmp_path: Path) -> None:
    content = coco_truth(images=[1, 1, 2])
    truth = read(tmp_path, content)
    assert truth.images.image_ids == ("1", "2")
    assert kinds(truth.warnings)["image_listed_twice"].count == 1
    content["images"][1]["file_name"] = "other.jpg"
    with pytest.raises(DataError, match=r"images\[1\]: id 1 stands for '1.jpg' and for 'other.jpg'"):
        read(tmp_path, content)


def test_a_number_and_its_text_are_not_two_images(tmp_path: Path) -> None:
    assert read(tmp_path, coco_truth(images=[1, "1"])).images.image_ids == ("1",)
    with pytest.raises(DataError, match=r"images\[1\]: id 7 stands for"):
        read(tmp_path, coco_truth(images=[7, "7"]) | {"images": [{"id": 7, "file_name": "a"}, {"id": "7"}]})


def test_ground_truth_without_objects_is_valid(tmp_path: Path) -> None:
    truth = read(tmp_path, coco_truth())
    assert (len(truth.truths), len(truth.images)) == (0, 2)
    assert "no_objects" in kinds(truth.warnings)


def test_images_are_found_around_the_file_or_where_somebody_says(tmp_path: Path) -> None:
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4])])
    content["images"][0] |= {"height": None, "width": "9"}
    first = read(tmp_path, content)
    assert first.images.paths == ("", "")
    assert first.images.sizes_hw.tolist() == [[0, 0], list(SIZE_HW)]
    assert {remark.kind: remark.count for remark in first.warnings}["picture_missing"] == 2
    put_image(tmp_path / "elsewhere" / "1.jpg", (30, 40))
    second = read(tmp_path, content, images=tmp_path / "elsewhere")
    assert second.images.paths == (str(tmp_path / "elsewhere" / "1.jpg"), "")
    assert second.images.sizes_hw.tolist() == [[30, 40], list(SIZE_HW)]
    put_image(tmp_path / "images" / "2.jpg")
    assert read(tmp_path, content).images.paths == ("", str(tmp_path / "images" / "2.jpg"))
    with pytest.raises(DataError, match="there is no such folder of images"):
        read(tmp_path, content, images=tmp_path / "nowhere")


def test_images_need_no_file_name(tmp_path: Path) -> None:
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4])])
    del content["images"][0]["file_name"]
    assert read(tmp_path, content).images.paths == ("", "")


def test_chosen_classes_in_their_order(tmp_path: Path) -> None:
    content = coco_truth([annotation(1, 1, 1, [1, 2, 3, 4]), annotation(2, 1, 2, [1, 2, 3, 4])])
    truth = read(tmp_path, content, class_names=["bird", "dog"])
    assert (truth.class_names, truth.category_ids, truth.truths.labels.tolist()) == (("bird", "dog"), (3, 2), [1])
    assert kinds(truth.warnings)["unknown_class"].count == 1


def changed(**more: Any) -> dict[str, Any]:
    """Two annotations, the second with something else."""
    good = annotation(1, 1, 1, [1, 2, 3, 4])
    return coco_truth([good, good | {"id": 2} | more])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([detection(1, 1, [1, 2, 3, 4])], "these are detections .* were the two files swapped"),
        (coco_truth() | {"images": []}, "lists no images"),
        (coco_truth(images=[True]), r"(?s)lists no images.*images\[0\]: its id is True"),
        (b'{"images": [], "annot', "ends before it is complete, after 21 bytes"),
        (coco_truth([annotation(1, 1, 1, [])]), "(?s)not one of its 1 objects can be used.*bbox is"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_evaluated_is_an_error(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path / "gt.json"))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ([1, 2, 3], "missing_box"),
        (None, "missing_box"),
        ([1, 2, "3", 4], "missing_box"),
        ([1, 2, True, 4], "missing_box"),
        ([1, 2, float("nan"), 4], "not_finite"),
        ([1, 2, 10**400, 4], "not_finite"),
        ([1, 2, 1.1e100, 4], "not_finite"),
    ],
)
def test_a_box_that_no_evaluation_can_use_is_left_out_and_counted(tmp_path: Path, value: Any, kind: str) -> None:
    truth = read(tmp_path, changed(bbox=value))
    assert len(truth.truths) == 1
    warning = kinds(truth.warnings)[kind]
    assert (warning.count, "annotations[1] (id 2): " in warning.examples[0]) == (1, True)


@pytest.mark.parametrize("area", ["big", float("inf"), True])
def test_an_area_that_is_not_a_number_is_that_of_the_box(tmp_path: Path, area: Any) -> None:
    truth = read(tmp_path, changed(area=area))
    assert truth.truths.area.tolist() == [100, 12]
    assert kinds(truth.warnings)["area_missing"].count == 1
