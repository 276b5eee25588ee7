from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.curate.doctor_splits import Objects, split_of
from tests.data.dataset_trees import put_image, put_text, put_voc, put_yolo
from yolo.curate.boxes import MOST_COMPARED, box_findings, class_findings, class_size_findings, file_findings
from yolo.curate.findings import Finding, Pointed, kind_of
from yolo.data.read import Split


def found(objects: Objects, *, crowd: bool = False) -> list[tuple[str, str]]:
    return [(item.kind, item.message) for item in box_findings(split_of({"a": objects}, crowd=crowd))]


def test_ordinary_boxes_are_nothing() -> None:
    assert found([(0, (10, 10, 110, 110)), (0, (60, 10, 160, 110)), (1, (300, 200, 420, 260))]) == []
    assert found([]) == []


def test_two_boxes_of_one_class_on_one_thing() -> None:
    # 100 x 100, moved by 5: intersection 95 x 100 = 9500, union 10500
    pair: Objects = [(0, (10, 10, 110, 110)), (0, (15, 10, 115, 110))]
    (item,) = box_findings(split_of({"a": [], "b": pair}))
    assert item == Finding(
        "nearly_duplicate",
        "/data/b.jpg",
        "",
        "IoU 0.904: cat (10, 10, 110, 110), cat (15, 10, 115, 110)",
        (Pointed("/data/b.jpg", ((10, 10, 110, 110), (15, 10, 115, 110)), ("cat", "cat"), "train"),),
    )


@pytest.mark.parametrize(
    ("moved", "labels", "kinds"),
    [
        # IoU of 100 x 100 moved by m is (100 - m) / (100 + m)
        (11, (0, 0), ["nearly_duplicate"]),  # 0.802
        (12, (0, 0), []),  # 0.786
        (5, (0, 1), ["two_labels"]),  # 0.905
        (6, (0, 1), []),  # 0.887
        (0, (0, 1), ["two_labels"]),
    ],
)
def test_limits_of_overlap(moved: int, labels: tuple[int, int], kinds: list[str]) -> None:
    pair: Objects = [(labels[0], (10, 10, 110, 110)), (labels[1], (10 + moved, 10, 110 + moved, 110))]
    assert [kind for kind, _ in found(pair)] == kinds
    assert found(pair, crowd=True) == []


def test_boxes_of_different_images_are_not_compared_and_each_pair_is_found_once() -> None:
    box = (10.0, 10.0, 110.0, 110.0)
    assert list(box_findings(split_of({"a": [(0, box)], "b": [(0, box)], "c": [], "d": [(1, box)]}))) == []
    three: Objects = [(0, box), (1, (200, 200, 300, 300)), (0, (11, 10, 111, 110)), (0, (12, 10, 112, 110))]
    assert [kind for kind, _ in found(three)] == ["nearly_duplicate"] * 3


def test_pairs_are_those_of_comparing_all() -> None:
    generator = np.random.default_rng(0)
    images: dict[str, Objects] = {}
    expected = 0
    for place in range(20):
        corners = generator.integers(0, 12, (generator.integers(0, 40), 2)).astype(float).tolist()
        objects = [(int(generator.integers(2)), (x, y, x + 40, y + 40)) for x, y in corners]
        images[str(place)] = objects
        for b in range(len(objects)):
            for a in range(b):
                (label_a, (xa, ya, *_)), (label_b, (xb, yb, *_)) = objects[a], objects[b]
                inter = (40 - abs(xa - xb)) * (40 - abs(ya - yb))
                expected += inter / (3200 - inter) > (0.8 if label_a == label_b else 0.9)
    items = [item for item in box_findings(split_of(images)) if item.kind in ("nearly_duplicate", "two_labels")]
    assert len(items) == expected > 100


def test_boxes_beyond_number_are_reported_and_not_compared() -> None:
    # all of them on one another
    many: Objects = [(0, (100, 100, 200 + k / 1000, 200)) for k in range(MOST_COMPARED + 1)]
    pair: Objects = [(0, (10, 10, 110, 110)), (0, (15, 10, 115, 110))]
    items = list(box_findings(split_of({"many": many, "pair": pair})))
    assert [(item.kind, item.path, item.message[:18]) for item in items] == [
        ("image_crowded", "/data/many.jpg", "has 10001 objects"),
        ("nearly_duplicate", "/data/pair.jpg", "IoU 0.904: cat (10"),
    ]
    # of fewer each is compared, and has 20 partners, the last ones fewer
    items = list(box_findings(split_of({"many": many[:500]})))
    assert {item.kind for item in items} == {"nearly_duplicate"}
    assert len(items) == 20 * 480 + 20 * 19 // 2


def test_pairs_of_many_sizes_are_those_of_comparing_all() -> None:
    generator = np.random.default_rng(1)
    corners = generator.uniform(0, 20, (400, 2))
    boxes = np.concatenate([corners, corners + 10 * 1.3 ** generator.integers(0, 8, (400, 2))], axis=1)
    boxes = boxes.astype(np.float32).astype(np.float64)
    labels = generator.integers(0, 2, 400)
    expected = set()
    for b in range(400):
        for a in range(b):
            sides = np.minimum(boxes[a, 2:], boxes[b, 2:]) - np.maximum(boxes[a, :2], boxes[b, :2])
            inter = float(np.prod(np.maximum(sides, 0)))
            union = float(sum(np.prod(box[2:] - box[:2]) for box in (boxes[a], boxes[b])) - inter)
            if inter / union > (0.8 if labels[a] == labels[b] else 0.9):
                expected.add((tuple(boxes[a].tolist()), tuple(boxes[b].tolist())))
    objects: Objects = [(int(label), tuple(box)) for label, box in zip(labels, boxes.tolist(), strict=True)]
    items = [item for item in box_findings(split_of({"a": objects})) if item.kind in ("nearly_duplicate", "two_labels")]
    assert {item.images[0].boxes for item in items} == expected
    assert len(items) == len(expected) > 30


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 640, 480), [("box_covers_image", "100.0 % of the image: cat (0, 0, 640, 480)")]),
        ((0, 0, 640, 455), []),  # 94.8 %
        ((10, 10, 13, 60), [("box_tiny", "3 x 50 pixels: cat (10, 10, 13, 60)")]),
        ((10, 10, 14, 60), []),
        ((10, 10, 15, 111), [("box_thin", "20 times as long as wide: cat (10, 10, 15, 111)")]),
        ((10, 10, 15, 110), []),
    ],
)
def test_shapes(box: tuple[float, float, float, float], expected: list[tuple[str, str]]) -> None:
    assert found([(0, box)]) == expected


def test_small_is_relative_to_the_image_as_well() -> None:
    # 20 x 20 of 6000 x 4000 pixels is 1/60,000; 20 x 30 is 1/40,000
    objects: Objects = [(0, (0, 0, 20, 20)), (0, (100, 100, 120, 130))]
    items = box_findings(split_of({"a": objects}, size_hw=(4000, 6000)))
    assert [item.message for item in items] == ["20 x 20 pixels: cat (0, 0, 20, 20)"]


def test_class_names_are_not_read_as_formats() -> None:
    split = split_of({"a": [(0, (0, 0, 640, 480))]}, class_names=("{x} %s {boxes}",))
    assert next(box_findings(split)).message.endswith("{x} %s {boxes} (0, 0, 640, 480)")


def boxes_of(label: int, side: float, count: int, seed: int) -> list[tuple[int, tuple[float, float, float, float]]]:
    sides = side * np.random.default_rng(seed).uniform(0.8, 1.25, (count, 2))
    return [(label, (5.0, 5.0, 5.0 + w, 5.0 + h)) for w, h in sides.tolist()]


def test_a_box_of_another_classes_size() -> None:
    train = split_of(
        {
            str(k): [cat, dog]
            for k, (cat, dog) in enumerate(zip(boxes_of(0, 40, 40, 0), boxes_of(1, 200, 40, 1), strict=True))
        }
    )
    val = split_of({"odd": [(0, (10, 10, 205, 205)), (1, (10, 10, 400, 400))]}, name="val")
    (item,) = class_size_findings([train, val])
    assert (item.kind, item.path, item.images[0].split) == ("unlike_its_class", "/data/odd.jpg", "val")
    # the dog of 390 x 390 is too large for a dog, but no other class is like it
    assert "times as large as the median cat, like a dog: cat (10, 10, 205, 205)" in item.message


def test_sizes_say_nothing_where_they_vary_or_are_few() -> None:
    generator = np.random.default_rng(0)
    sides = np.exp(generator.uniform(np.log(8), np.log(400), 200))
    wild = split_of({str(k): [(int(generator.integers(2)), (0, 0, side, side))] for k, side in enumerate(sides)})
    assert class_size_findings([wild]) == []
    # cars in photos: most are far away, a near one is as large as a table and yet a car
    cars = [(0, (0.0, 0.0, side, side)) for side in np.exp(generator.normal(np.log(12), 0.6, 100)).tolist()]
    tables = boxes_of(1, 300, 40, 1)
    street = split_of({"a": cars, "b": tables, "c": [(0, (0, 0, 300, 300))]})
    assert class_size_findings([street]) == []
    few = split_of({"a": boxes_of(0, 40, 29, 0), "b": boxes_of(1, 200, 29, 0), "c": [(0, (0, 0, 200, 200))]})
    assert class_size_findings([few]) == []
    assert class_size_findings([]) == []
    assert class_size_findings([split_of({"a": []})]) == []


BOX = (10.0, 10.0, 110.0, 110.0)
ROOT = Path("/data")


def found_classes(*splits: Split, whole: bool = True) -> list[tuple[str, str]]:
    return [(item.kind, item.message) for item in class_findings(splits, ROOT, whole=whole)]


def objects(*labels: int) -> Objects:
    return [(label, BOX) for label in labels]


def test_a_dataset_in_order() -> None:
    assert found_classes(split_of({"a": objects(0, 1, 2)}), split_of({"b": objects(0)}, name="val")) == []
    assert found_classes() == []


def test_unused_classes_unless_a_split_was_left_out() -> None:
    split = split_of({"a": objects(0, 2)})
    assert found_classes(split) == [("class_unused", "'dog'")]
    assert found_classes(split, whole=False) == []


def test_a_split_without_any_object_is_an_error_but_a_secret_test() -> None:
    train = split_of({"a": objects(0, 1, 2), "b": []})
    empty: dict[str, Objects] = {"c": [], "d": []}
    for splits in ((train, split_of(empty, name="val")), (split_of(empty),)):
        ((kind, message),) = found_classes(*splits, whole=False)
        assert (kind, message) == ("split_without_objects", "2 images, and no object")
    assert found_classes(train, split_of(empty, name="test"), whole=False) == []
    assert kind_of("split_without_objects").severity == "error"


def test_classes_that_are_not_taught() -> None:
    train, val = split_of({"a": objects(0, 1)}), split_of({"b": objects(0), "c": objects(2, 0, 2)}, name="val")
    (item,) = class_findings([train, val], ROOT, whole=True)
    assert (item.kind, item.path) == ("class_not_in_train", "/data/c.jpg")
    assert item.message == "'bird' has 2 objects in val, none in train"
    assert found_classes(val, whole=False) == []  # without train nothing can be said


def test_names_that_are_alike() -> None:
    names = ("Traffic Light", "traffic_lights", "glass", "glas", "bus", "Bus ", "person")
    split = split_of({"a": objects(*range(len(names)))}, class_names=names)
    assert found_classes(split) == [
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
        found_classes(
            split_of({str(place): objects(0 if place else 1, 2) for place in range(49)}, class_names=("a", "b", "c"))
        )
        == []
    )
    # nor is a class usual that 94 of 100 have
    assert (
        found_classes(
            split_of({str(place): objects(0 if place > 5 else 1) for place in range(100)}, class_names=("a", "b"))
        )
        == []
    )


def found_files(root: Path, images: list[Path], dataset_format: str = "yolo") -> list[tuple[str, str]]:
    items = file_findings([str(path) for path in images], [dataset_format], {root / "train.txt"})
    return [(item.kind, Path(item.path).relative_to(root).as_posix()) for item in items]


def yolo_images(root: Path) -> list[Path]:
    return sorted((root / "images").rglob("*.png"))


def test_a_tree_in_order(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "0 .5 .5 .1 .1\n", "b": "", "c": None})
    put_text(tmp_path / "labels" / "train" / "classes.txt", "cat\n")
    assert found_files(tmp_path, yolo_images(tmp_path)) == []


def test_label_files_without_image(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": "0 .5 .5 .1 .1\n"})
    images = yolo_images(tmp_path)
    put_text(tmp_path / "labels" / "train" / "gone.txt", "0 .5 .5 .1 .1\n")
    put_text(tmp_path / "labels" / "train" / "empty.txt", "")
    put_text(tmp_path / "labels" / "train" / "notes.txt", "these images were taken in spring\n")
    assert found_files(tmp_path, images) == [
        ("label_without_image", "labels/train/empty.txt"),
        ("label_without_image", "labels/train/gone.txt"),
    ]


def test_images_that_no_split_names_and_their_label_files(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": "0 .5 .5 .1 .1\n"})
    # b is not listed: that is one finding, not a second one for its label file
    assert found_files(tmp_path, [tmp_path / "images" / "train" / "a.png"]) == [
        ("image_not_listed", "images/train/b.png")
    ]


def test_a_folder_may_be_named_in_several_ways(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": ""})
    put_yolo(tmp_path, "val", {"c": ""})
    folder = tmp_path / "images" / "train"
    images = [folder / "a.png", folder / ".." / "train" / "b.png", folder / ".." / "val" / "c.png"]
    assert found_files(tmp_path, images) == []


def test_a_folder_that_cannot_be_listed_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_yolo(tmp_path, "train", {"a": ""})

    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert found_files(tmp_path, [tmp_path / "images" / "train" / "a.png"]) == []


def test_label_files_beside_images(tmp_path: Path) -> None:
    image = put_image(tmp_path / "a.png")
    put_text(tmp_path / "a.txt", "0 .5 .5 .1 .1\n")
    put_text(tmp_path / "train.txt", "a.png\n")
    put_text(tmp_path / "b.txt", "0 .5 .5 .1 .1\n")
    assert found_files(tmp_path, [image]) == [("label_without_image", "b.txt")]


def test_names_that_differ_in_capitals_only(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"dog": "", "Dog": "", "cat": ""})
    images = yolo_images(tmp_path)
    if len(images) < 3:
        pytest.skip("this file system does not tell capitals apart")
    assert found_files(tmp_path, images) == [("case_collision", "images/train/Dog.png")]


def test_names_that_differ_in_the_coding_of_accents_only(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"caf\u00e9": "", "cafe\u0301": ""})
    images = yolo_images(tmp_path)
    if len(images) < 2:
        pytest.skip("this file system joins both codings")
    assert [kind for kind, _ in found_files(tmp_path, images)] == ["case_collision"]


def test_annotations_that_no_list_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_voc(tmp_path, name)
    put_text(tmp_path / "Annotations" / "c.xml", "<annotation/>")
    items = file_findings([str(tmp_path / "JPEGImages" / "a.jpg")], ["voc"], set())
    assert [(item.kind, Path(item.path).name, item.message) for item in items] == [
        ("image_not_listed", "b.jpg", "no split names it, though it is annotated"),
        ("annotation_not_listed", "c.xml", "there is no image c"),
    ]


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    assert found_files(tmp_path, [tmp_path / "images" / "gone.png"]) == []
