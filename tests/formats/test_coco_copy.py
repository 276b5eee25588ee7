import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.data.dataset_trees import put_image, put_json, put_text
from yolo.curate.write import keep_classes
from yolo.data.find import find_dataset
from yolo.data.read import Split, read_split
from yolo.errors import DataError
from yolo.formats.coco_copy import copied_content, fields_beyond_boxes, json_bytes

HEIGHT, WIDTH = 20, 40
_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)),
    max_leaves=6,
)


def extras(*taken: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.one_of(_TEXT, st.sampled_from(["segmentation", "license"])), _JSON, max_size=4).map(
        lambda found: {key: value for key, value in found.items() if key not in taken}
    )


_IMAGE = ("id", "file_name", "height", "width")
_OBJECT = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "difficult", "ignore")


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """A valid COCO file of three images, with anything else in it."""
    image_ids = draw(st.lists(st.one_of(st.integers(0, 2**40), _ids), min_size=3, max_size=3, unique_by=str))
    images = [
        {"id": image_id, "file_name": f"{name}.jpg", "width": WIDTH, "height": HEIGHT} | draw(extras(*_IMAGE))
        for image_id, name in zip(image_ids, "abc", strict=True)
    ]
    categories = [
        {"id": category_id, "name": f"class {category_id}"} | draw(extras("id", "name"))
        for category_id in draw(st.lists(st.integers(0, 90), min_size=1, max_size=4, unique=True))
    ]
    ids = draw(st.lists(st.integers(0, 2**50), max_size=6, unique=True))
    annotations = []
    for place, own in enumerate(ids):
        x, y = draw(st.floats(0, 30)), draw(st.floats(0, 10))
        annotations.append(
            {
                "id": own,
                "image_id": draw(st.sampled_from(image_ids)),
                "category_id": draw(st.sampled_from(categories))["id"],
                "bbox": [x, y, draw(st.floats(1, 10)), 2 + place],  # of different heights, so no two are the same
                "area": draw(st.floats(0, 1e6)),
                "iscrowd": draw(st.sampled_from([0, 1])),
            }
            | draw(extras(*_OBJECT))
        )
    content = {"images": images, "annotations": annotations, "categories": categories}
    return draw(extras(*content)) | content


_ids = st.text(st.characters(codec="ascii", categories=["L"]), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coco")
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        put_image(folder / "images" / name)
    return folder


def read(folder: Path, content: Any) -> Split:
    path = put_json(folder / "annotations" / "instances_train.json", content)
    text = f"train: {path.as_posix()}\nval: {path.as_posix()}\n"  # or a part would be held out
    return read_split(find_dataset(put_text(folder / "data.yaml", text)), "train")


def copy(split: Split, *, image_ids: list[int | str] | None = None) -> tuple[dict[str, Any], list[str]]:
    names = [Path(path).name for path in split.images.paths]
    assert split.category_ids is not None
    content, notes = copied_content(
        split.images,
        names,
        image_ids=image_ids or [int(one) if one.isdigit() else one for one in split.images.image_ids],
        class_names=split.class_names,
        category_ids=split.category_ids,
    )
    return json.loads(json_bytes(content)), notes


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files())
def test_every_field_of_every_record_is_kept(folder: Path, content: dict[str, Any]) -> None:
    if not content["annotations"]:
        return  # there is no object to read
    assert copy(read(folder, content)) == (content, [])


def example() -> dict[str, Any]:
    polygon = [[30, 10, 50, 10, 50, 15]]
    return {
        "info": {"year": 2020},
        "images": [
            {"id": 5, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT, "license": 3},
            {"id": "6", "file_name": "b.jpg", "width": 99, "height": HEIGHT},
            {"id": 7, "file_name": "c.jpg"},
        ],
        "licenses": [{"id": 3, "name": "CC0"}],
        "annotations": [
            {
                "id": 44,
                "image_id": "6",
                "category_id": 18,
                "bbox": [1, 2, 3, 4],
                "keypoints": [1, 2, 2],
                "caption": "x",
            },
            {"id": 41, "image_id": 5, "category_id": "3", "bbox": [30, 10, 20, 5], "area": 50, "segmentation": polygon},
            {"id": 41, "image_id": 5, "category_id": 3, "bbox": [0, 0, 40.75, 20], "area": 9, "iscrowd": True},
            {"image_id": 7, "category_id": 18, "bbox": [5, 5, -2, 2], "id": "x"},
            {"image_id": 7, "category_id": 18, "bbox": [5, 5, 2, 2], "area": None, "iscrowd": False},
        ],
        "categories": [
            {"id": 18, "name": " dog ", "supercategory": "animal", "skeleton": [[0, 1]]},
            {"id": 3, "name": "car"},
        ],
    }


def test_what_is_missing_or_wrong_is_put_right_in_the_record(folder: Path) -> None:
    old = example()
    content, notes = copy(read(folder, old))
    assert {key: content[key] for key in ("info", "licenses")} == {key: old[key] for key in ("info", "licenses")}
    assert list(content) == list(old)
    assert content["categories"] == old["categories"]
    assert content["images"] == [
        old["images"][0],
        old["images"][1] | {"width": WIDTH},
        old["images"][2] | {"width": WIDTH, "height": HEIGHT},
    ]
    dog, car, crowd, turned, last = old["annotations"]
    assert content["annotations"] == [
        dog | {"area": 12, "iscrowd": 0},
        # the box was cut to the image, the polygon is what it was, the id of the category is spelled like the category
        car | {"bbox": [30, 10, 10, 5], "iscrowd": 0, "category_id": 3},
        # less than a pixel over the border is cut whenever it is read
        crowd | {"id": 45},
        turned | {"bbox": [3, 5, 2, 2], "area": 4, "iscrowd": 0},
        last | {"id": 46, "area": 4},
    ]
    assert notes == ["2 annotations had no id, or that of another one: they got new ids"]


def test_chosen_classes_keep_the_ids_of_their_objects(folder: Path) -> None:
    content, _ = copy(keep_classes(read(folder, example()), ("car",)))
    assert [(one["id"], one["bbox"][0]) for one in content["annotations"]] == [(41, 30), (42, 0)]
    assert content["categories"] == example()["categories"][1:]
    assert [one["file_name"] for one in content["images"]] == ["a.jpg", "b.jpg", "c.jpg"]


def test_merged_classes_are_one_category_with_the_fields_of_the_first(folder: Path) -> None:
    path = put_json(folder / "annotations" / "instances_train.json", example())
    yaml = put_text(folder / "merged.yaml", f"train: {path}\nval: {path}\nrename: {{dog: thing, car: thing}}\n")
    content, _ = copy(read_split(find_dataset(yaml), "train"))
    assert content["categories"] == [example()["categories"][0] | {"name": "thing"}]
    assert {one["category_id"] for one in content["annotations"]} == {18}
    assert content["annotations"][0]["keypoints"] == [1, 2, 2]


def test_two_files_in_one_keep_their_ids_as_far_as_they_differ(folder: Path) -> None:
    first = put_json(folder / "annotations" / "instances_train.json", example())
    other = example() | {"info": {"year": 1999}, "more": [1]}
    other["annotations"] = [{"id": number, "image_id": 8, "category_id": 3, "bbox": [1, 1, 9, 9]} for number in (44, 2)]
    other["annotations"][1]["bbox"][0] = 3
    other["images"] = [{"id": 8, "file_name": "a.jpg"}]
    second = put_json(folder / "annotations" / "second.json", other)
    yaml = put_text(folder / "both.yaml", f"train: [{first}, {second}]\nval: {first}\n")
    content, notes = copy(read_split(find_dataset(yaml), "train"))
    assert [one["id"] for one in content["annotations"]] == [44, 41, 45, "x", 46, 47, 2]
    assert (content["info"], content["more"]) == ({"year": 2020}, [1])
    assert notes[0] == "the files have a different 'info'; that of the first is kept"


def test_a_file_that_changed_meanwhile_is_an_error(folder: Path) -> None:
    split = read(folder, example())
    put_json(folder / "annotations" / "instances_train.json", example() | {"annotations": []})
    with pytest.raises(DataError, match=r"instances_train\.json: was changed while it was read; run the command again"):
        copy(split)


def test_what_has_no_place_elsewhere_is_counted(folder: Path) -> None:
    old = example()
    old["annotations"][0]["attributes"] = {}
    counts = fields_beyond_boxes(read(folder, old).images)
    assert counts.pop(("id", "objects")) == 4  # one has none
    assert counts == {
        ("keypoints", "objects"): 1,
        ("caption", "objects"): 1,
        ("segmentation", "objects"): 1,
        ("license", "images"): 1,
    }


def test_numbers_and_texts_that_json_lacks(folder: Path) -> None:
    old = example()
    path = folder / "annotations" / "instances_train.json"
    split = read(folder, old)
    old["annotations"][0] |= {"long": 2**90, "nan": float("nan"), "half": "\ud800"}
    path.write_text(json.dumps(old))
    found = copy(split)[0]["annotations"][0]
    assert (found["long"], found["nan"], found["half"]) == (2**90, None, "\ud800")
