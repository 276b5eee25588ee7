import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.curate.annotated import Objects, split_of
from yolo.curate.boxes import box_findings, class_findings, class_size_findings
from yolo.curate.findings import Finding, FindingImage, kind_of
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
        (FindingImage("/data/b.jpg", ((10, 10, 110, 110), (15, 10, 115, 110)), ("cat", "cat"), "train"),),
    )


@pytest.mark.parametrize(
    ("moved", "labels", "kinds"),
    [
        # IoU of 100 x 100 moved by m is (100 - m) / (100 + m)
        (11.1, (0, 0), ["nearly_duplicate"]),  # 0.8002
        (11.13, (0, 0), []),  # 0.7997
        (5.25, (0, 1), ["two_labels"]),  # 0.9002
        (5.28, (0, 1), []),  # 0.8997
        (0, (0, 1), ["two_labels"]),
    ],
)
def test_limits_of_overlap(moved: float, labels: tuple[int, int], kinds: list[str]) -> None:
    pair: Objects = [(labels[0], (10, 10, 110, 110)), (labels[1], (10 + moved, 10, 110 + moved, 110))]
    assert [kind for kind, _ in found(pair)] == kinds
    assert found(pair, crowd=True) == []


def test_boxes_of_different_images_are_not_compared_and_each_pair_is_found_once() -> None:
    box = (10.0, 10.0, 110.0, 110.0)
    assert list(box_findings(split_of({"a": [(0, box)], "b": [(0, box)], "c": [], "d": [(1, box)]}))) == []
    three: Objects = [(0, box), (1, (200, 200, 300, 300)), (0, (11, 10, 111, 110)), (0, (12, 10, 112, 110))]
    assert [kind for kind, _ in found(three)] == ["nearly_duplicate"] * 3


def overlapping(split: Split) -> list[Finding]:
    return [item for item in box_findings(split) if item.kind in ("nearly_duplicate", "two_labels")]


def test_pairs_are_those_of_comparing_all() -> None:
    generator = np.random.default_rng(1)
    images: dict[str, Objects] = {}
    expected = set()
    for name in "abcde":
        corners = generator.uniform(0, 8, (80, 2))
        boxes = np.concatenate([corners, corners + 10 * 1.3 ** generator.integers(0, 6, (80, 2))], axis=1)
        boxes, labels = boxes.astype(np.float32).astype(np.float64), generator.integers(0, 2, 80).tolist()
        images[name] = [
            (label, (x1, y1, x2, y2)) for label, (x1, y1, x2, y2) in zip(labels, boxes.tolist(), strict=True)
        ]
        inner = np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - np.maximum(boxes[:, None, :2], boxes[:, :2])
        inter, areas = inner.clip(0).prod(axis=2), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        iou = inter / (areas[:, None] + areas - inter)
        for a, b in np.argwhere(np.triu(iou, 1) > 0.8).tolist():
            if labels[a] == labels[b] or iou[a, b] > 0.9:
                expected.add((name, images[name][a][1], images[name][b][1]))
    items = overlapping(split_of(images))
    assert {(Path(item.path).stem, *item.images[0].boxes) for item in items} == expected
    assert len(items) == len(expected) > 20


def test_of_more_than_10_000_boxes_none_are_compared() -> None:
    apart: Objects = [(0, (20 * k, 10, 20 * k + 10, 20)) for k in range(9_999)]
    images = {"fewer": [*apart, (1, apart[0][1])], "many": [*apart, (1, apart[0][1]), (0, (5, 40, 15, 50))]}
    items = [item for item in box_findings(split_of(images, size_hw=(90, 200_000))) if item.kind != "box_tiny"]
    assert [(item.kind, item.path) for item in items] == [
        ("image_crowded", "/data/many.jpg"),
        ("two_labels", "/data/fewer.jpg"),
    ]
    assert items[0].message == "has 10001 objects"


def test_a_box_has_at_most_20_partners() -> None:
    items = overlapping(split_of({"a": [(0, (100, 100, 200 + k / 1000, 200)) for k in range(100)]}))
    assert len(items) == 20 * 80 + 20 * 19 // 2  # the last ones have fewer


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 640, 480), [("box_covers_image", "100.0 % of the image: cat (0, 0, 640, 480)")]),
        ((0, 0, 640, 456.1), [("box_covers_image", "95.0 % of the image: cat (0, 0, 640, 456.1)")]),
        ((0, 0, 640, 455.9), []),  # 94.98 %
        ((10, 10, 13.99, 60), [("box_tiny", "3.99 x 50 pixels: cat (10, 10, 14, 60)")]),
        ((10, 10, 14, 60), []),
        ((10, 10, 15, 110.1), [("box_thin", "20 times as long as wide: cat (10, 10, 15, 110.1)")]),
        ((10, 10, 15, 110), []),
    ],
)
def test_shapes(box: tuple[float, float, float, float], expected: list[tuple[str, str]]) -> None:
    assert found([(0, box)]) == expected


def test_small_is_relative_to_the_image_as_well() -> None:
    # 1/45,000 of 6000 x 4500 pixels is 600
    objects: Objects = [(0, (0, 0, 20, 29.9)), (0, (100, 100, 120, 130))]
    items = box_findings(split_of({"a": objects}, size_hw=(4500, 6000)))
    assert [item.message for item in items] == ["20 x 29.9 pixels: cat (0, 0, 20, 29.9)"]


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
    assert "times the area of a typical cat, typical of the class dog: cat (10, 10, 205, 205)" in item.message


USUAL = float(np.log(40 * 40))


def of_sizes(label: int, *log_areas: float) -> list[tuple[int, tuple[float, float, float, float]]]:
    """Squares whose areas have logarithms that far from that of 40 x 40."""
    sides = np.exp((np.array(log_areas) + USUAL) / 2).tolist()
    return [(label, (0.0, 0.0, side, side)) for side in sides]


def is_unlike(odd: float, *, other: float, spread: float = 0.0, count: int = 31) -> bool:
    """Whether a cat of an odd size is found among `count` - 1 usual ones and 40 dogs of another size."""
    third = (count - 1) // 3  # a third of the cats smaller, a third larger
    sizes = [-spread] * third + [0.0] * (count - 1 - 2 * third) + [spread] * third
    split = split_of({"a": of_sizes(0, *sizes, odd) + of_sizes(1, *[other] * 40)})
    found = [item.images[0].boxes[0][2] for item in class_size_findings([split])]
    assert len(found) <= 1
    return bool(found)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        # a class without spread counts as one of 0.2: more than 0.8 from its own, less than 0.4 from the other
        ({"odd": 0.79, "other": 1.0}, False),
        ({"odd": 0.81, "other": 1.0}, True),
        ({"odd": 1.39, "other": 1.0}, True),
        ({"odd": 1.41, "other": 1.0}, False),
        # 4 * 1.4826 * 0.3 = 1.779
        ({"odd": 1.77, "other": 1.8, "spread": 0.3}, False),
        ({"odd": 1.79, "other": 1.8, "spread": 0.3}, True),
        # 1.4826 * 0.472 = 0.6998, and a little too much
        ({"odd": 2.9, "other": 2.9, "spread": 0.472}, True),
        ({"odd": 2.9, "other": 2.9, "spread": 0.473}, False),
        # of 30 a usual size can be said
        ({"odd": 0.9, "other": 1.0, "count": 30}, True),
        ({"odd": 0.9, "other": 1.0, "count": 29}, False),
    ],
)
def test_limits_of_sizes(case: dict[str, float], expected: bool) -> None:
    assert is_unlike(**case) == expected  # type: ignore[arg-type]


def test_sizes_say_nothing_where_they_vary() -> None:
    generator = np.random.default_rng(0)
    # cars in photos: most are far away, a near one is as large as a table and yet a car
    cars = [(0, (0.0, 0.0, side, side)) for side in np.exp(generator.normal(np.log(12), 0.6, 100)).tolist()]
    street = split_of({"a": cars, "b": boxes_of(1, 300, 40, 1), "c": [(0, (0, 0, 300, 300))]})
    for splits in ([street], [], [split_of({"a": []})], [split_of({"a": []}, class_names=())]):
        assert list(class_size_findings(splits)) == []


def test_many_classes_do_not_take_memory_for_each_object() -> None:
    names = tuple(f"class {k}" for k in range(2000))
    split = split_of({"a": [(k % 2000, (0, 0, 10, 10 + k)) for k in range(2500)]}, class_names=names)
    tracemalloc.start()
    try:
        assert list(class_size_findings([split])) == []
        assert tracemalloc.get_traced_memory()[1] < 5_000_000  # 2500 x 2000 numbers would be 40 megabytes
    finally:
        tracemalloc.stop()


BOX = (10.0, 10.0, 110.0, 110.0)
ROOT = Path("/data")


def class_kinds(*splits: Split, whole: bool = True) -> list[tuple[str, str]]:
    return [(item.kind, item.message) for item in class_findings(splits, ROOT, whole=whole)]


def objects(*labels: int) -> Objects:
    return [(label, BOX) for label in labels]


def test_a_dataset_in_order() -> None:
    assert class_kinds(split_of({"a": objects(0, 1, 2)}), split_of({"b": objects(0)}, name="val")) == []
    assert class_kinds() == []


def test_unused_classes_unless_a_split_was_left_out() -> None:
    split = split_of({"a": objects(0, 2)})
    assert class_kinds(split) == [("class_unused", "'dog'")]
    assert class_kinds(split, whole=False) == []


def test_a_split_without_any_object_is_an_error_but_a_secret_test() -> None:
    train = split_of({"a": objects(0, 1, 2), "b": []})
    empty: dict[str, Objects] = {"c": [], "d": []}
    for splits in ((train, split_of(empty, name="val")), (split_of(empty),)):
        ((kind, message),) = class_kinds(*splits, whole=False)
        assert (kind, message) == ("split_without_objects", "2 images, and no object")
    assert class_kinds(train, split_of(empty, name="test"), whole=False) == []
    assert kind_of("split_without_objects").severity == "error"


def test_classes_that_are_not_in_train() -> None:
    train, val = split_of({"a": objects(0, 1)}), split_of({"b": objects(0), "c": objects(2, 0, 2)}, name="val")
    (item,) = class_findings([train, val], ROOT, whole=True)
    assert (item.kind, item.path) == ("class_not_in_train", "/data/c.jpg")
    assert item.message == "'bird' has 2 objects in val, none in train"
    assert class_kinds(val, whole=False) == []  # without train nothing can be said


def test_names_that_are_alike() -> None:
    names = ("Traffic Light", "traffic_lights", "glass", "glas", "bus", "Bus ", "bu", "cars", "car", "person")
    split = split_of({"a": objects(*range(len(names)))}, class_names=names)
    assert class_kinds(split) == [
        ("class_names_alike", "'Traffic Light' and 'traffic_lights'"),
        ("class_names_alike", "'bus' and 'Bus '"),
        ("class_names_alike", "'cars' and 'car'"),
    ]


def test_images_without_what_nearly_all_have() -> None:
    images = {str(place): objects(0, 0, place % 3) for place in range(99)}
    train = split_of(images)
    val = split_of({"v": objects(1)}, name="val")
    (item,) = class_findings([train, val], ROOT, whole=True)
    assert (item.kind, item.path) == ("usual_class_missing", "/data/v.jpg")
    assert item.message == "no 'cat', which 99.0 % of the images have"


@pytest.mark.parametrize(("with_class", "num_images", "found"), [(95, 100, 5), (94, 100, 0), (49, 50, 1), (48, 49, 0)])
def test_a_class_is_usual_from_95_percent_of_50_images_on(with_class: int, num_images: int, found: int) -> None:
    images = {str(place): objects(0 if place < with_class else 1) for place in range(num_images)}
    assert [kind for kind, _ in class_kinds(split_of(images, class_names=("a", "b")))] == [
        "usual_class_missing"
    ] * found
