from pathlib import Path

from tests.inspection.doctor_splits import Objects, split_of
from yolo.data.descriptor import Split
from yolo.inspection.classes import class_findings
from yolo.inspection.findings import kind_of

BOX = (10.0, 10.0, 110.0, 110.0)
ROOT = Path("/data")


def found(*splits: Split, whole: bool = True) -> list[tuple[str, str]]:
    return [(item.kind, item.message) for item in class_findings(splits, ROOT, whole=whole)]


def objects(*labels: int) -> Objects:
    return [(label, BOX) for label in labels]


def test_a_dataset_in_order() -> None:
    assert found(split_of({"a": objects(0, 1, 2)}), split_of({"b": objects(0)}, name="val")) == []
    assert found() == []


def test_unused_classes_unless_a_split_was_left_out() -> None:
    split = split_of({"a": objects(0, 2)})
    assert found(split) == [("class_unused", "'dog'")]
    assert found(split, whole=False) == []


def test_a_split_without_any_object_is_an_error_but_a_secret_test() -> None:
    train = split_of({"a": objects(0, 1, 2), "b": []})
    empty: dict[str, Objects] = {"c": [], "d": []}
    for splits in ((train, split_of(empty, name="val")), (split_of(empty),)):
        ((kind, message),) = found(*splits, whole=False)
        assert (kind, message) == ("split_without_objects", "2 images, and no object")
    assert found(train, split_of(empty, name="test"), whole=False) == []
    assert kind_of("split_without_objects").severity == "error"


def test_classes_that_are_not_taught() -> None:
    train, val = split_of({"a": objects(0, 1)}), split_of({"b": objects(0), "c": objects(2, 0, 2)}, name="val")
    (item,) = class_findings([train, val], ROOT, whole=True)
    assert (item.kind, item.path) == ("class_not_in_train", "/data/c.jpg")
    assert item.message == "'bird' has 2 objects in val, none in train"
    assert found(val, whole=False) == []  # without train nothing can be said


def test_names_that_are_alike() -> None:
    names = ("Traffic Light", "traffic_lights", "glass", "glas", "bus", "Bus ", "person")
    split = split_of({"a": objects(*range(len(names)))}, class_names=names)
    assert found(split) == [
        ("class_names_alike", "'Traffic Light' and 'traffic_lights'"),
        ("class_names_alike", "'bus' and 'Bus '"),
    ]


def test_images_without_what_nearly_all_have() -> None:
    images = {str(place): objects(0, 0, place % 3) for place in range(99)}
    train = split_of(images)
    val = split_of({"v": objects(1)}, name="val")
    (item,) = class_findings([train, val], ROOT, whole=True)
    assert (item.kind, item.path) == ("usual_class_missing", "/data/v.jpg")
    assert item.message == "no 'cat', which 99.0 % of the images have"
    # of 49 images nothing can be called usual
    assert (
        found(split_of({str(place): objects(0 if place else 1, 2) for place in range(49)}, class_names=("a", "b", "c")))
        == []
    )
    # nor is a class usual that 94 of 100 have
    assert (
        found(split_of({str(place): objects(0 if place > 5 else 1) for place in range(100)}, class_names=("a", "b")))
        == []
    )
