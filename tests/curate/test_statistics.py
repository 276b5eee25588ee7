import io
import json

import numpy as np
import pytest
from rich.console import Console

from tests.curate.annotated import annotated, centred, random_images
from yolo.curate import statistics
from yolo.curate.grid_fit import measure_grids
from yolo.curate.statistics import (
    MAX_ROWS,
    DatasetStatistics,
    Spread,
    TextTable,
    class_table,
    grid_table,
    measure_dataset,
    overview_lines,
    size_table,
)
from yolo.formats.objects import AnnotatedImages
from yolo.structures import GroundTruth

NAMES = ("cat", "dog", "bird", "fish")


def measure(images: AnnotatedImages, names: tuple[str, ...] = NAMES) -> DatasetStatistics:
    return measure_dataset(images, names, resize="letterbox", input_sizes=(50, 200))


def test_classes_are_counted_by_object_and_image() -> None:
    first = GroundTruth.from_boxes([[0, 0, 20, 10]] * 4, [0, 0, 1, 1], difficult=[1, 0, 0, 0], iscrowd=[0, 0, 1, 1])
    counted = measure(annotated(first, centred([(5, 5)], labels=[0]), GroundTruth.empty()))
    assert (counted.images, counted.background_images) == (3, 1)
    assert (counted.objects, counted.taught_objects) == (5, 2)
    cat, dog, bird, _ = counted.classes
    assert (cat.name, cat.objects, cat.images, cat.difficult, cat.crowd) == ("cat", 3, 2, 1, 0)
    assert cat.shorter_side == pytest.approx((0.1 + 0.04) / 2)
    assert (dog.objects, dog.images, dog.difficult, dog.crowd, dog.shorter_side) == (2, 1, 0, 2, None)
    assert (bird.objects, bird.images, bird.shorter_side) == (0, 0, None)


def test_sides_belong_to_their_class_and_to_the_width_and_height_of_their_image() -> None:
    # on 50x200 (height, width): 20x10 is 0.1 by 0.2, 40x30 is 0.2 by 0.6
    truth = GroundTruth.from_boxes([[0, 0, 40, 30], [0, 0, 20, 10]], [1, 0])
    cat, dog, *_ = measure(annotated(truth, sizes_hw=[(50, 200)])).classes
    assert (cat.shorter_side, dog.shorter_side) == pytest.approx((0.1, 0.2))


def test_an_image_of_crowds_alone_is_no_background() -> None:
    assert measure(annotated(GroundTruth.from_boxes([[0, 0, 9, 9]], [0], iscrowd=[True]))).background_images == 0


def test_objects_per_image_are_the_taught_ones() -> None:
    crowd = GroundTruth.from_boxes([[0, 0, 5, 5]] * 3, [0] * 3, iscrowd=[True, False, False])
    counted = measure(annotated(crowd, GroundTruth.empty(), centred([(5, 5)] * 2)))
    assert counted.images_by_objects == (1, 0, 2)
    assert counted.objects_per_image is not None
    assert (counted.objects_per_image.min, counted.objects_per_image.max) == (0, 2)
    assert counted.objects_per_image.mean == pytest.approx(4 / 3)


def test_small_medium_and_large_as_coco_has_them() -> None:
    # on the images, sides of 31, 32, 95 and 96: small, medium, medium, large
    boxes = [[0, 0, side, side] for side in (31, 32, 95, 96)]
    counted = measure(annotated(GroundTruth.from_boxes(boxes, [0] * 4)))
    in_files, half, double = counted.areas
    assert (in_files.input_size, in_files.small, in_files.medium, in_files.large) == (None, 0.25, 0.5, 0.25)
    # on an input of 50, half the size: 15.5, 16, 47.5, 48
    assert (half.input_size, half.small, half.medium, half.large) == (50, 0.5, 0.5, 0.0)
    # on 200: 62, 64, 190, 192
    assert (double.input_size, double.small, double.medium, double.large) == (200, 0.0, 0.5, 0.5)
    assert half.shorter_side is not None
    assert (half.shorter_side.min, half.shorter_side.max) == (15.5, 48)


def test_area_is_that_of_the_annotation_where_it_has_one() -> None:
    mask = GroundTruth.from_boxes([[0, 0, 90, 90]], [0], area=[100])
    assert measure(annotated(mask)).areas[0].small == 1.0


def test_sizes_and_shapes() -> None:
    truth = GroundTruth.from_boxes([[10, 20, 50, 30]], [0])  # 40 by 10 on 200 by 100
    counted = measure(annotated(truth, sizes_hw=[(100, 200)]))
    assert counted.image_width == Spread(*[200.0] * 8)
    assert counted.image_height == Spread(*[100.0] * 8)
    assert counted.image_aspect == Spread(*[2.0] * 8)
    assert counted.box_width == Spread(*[40.0] * 8)
    assert counted.box_height == Spread(*[10.0] * 8)
    assert counted.box_aspect == Spread(*[4.0] * 8)
    assert counted.box_side_relative is not None
    assert counted.box_side_relative.median == pytest.approx(np.sqrt(0.2 * 0.1))


def test_the_map_has_rows_from_the_top() -> None:
    # the centre (199, 1) of an image 200 wide and 100 high: first row, last column
    counted = measure(annotated(centred([(199, 1)], side=2), sizes_hw=[(100, 200)]))
    assert counted.centres[0][19] == 1
    assert sum(map(sum, counted.centres)) == 1


def test_frequent_sizes_and_pairs() -> None:
    truths = [centred([(5, 5)] * len(labels), labels=labels) for labels in ([0, 1], [1, 0, 0], [0, 3], [2])]
    counted = measure(annotated(*truths, sizes_hw=[(10, 20), (10, 20), (30, 20), (10, 20)]))
    assert counted.image_sizes == ((20, 10, 3), (20, 30, 1))
    assert counted.class_pairs == (("cat", "dog", 2), ("cat", "fish", 1))


def test_pairs_are_counted_through_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    images = random_images(4, num_images=23, most_objects=4)
    sets = [set(image.ground_truth.labels.tolist()) for image in images]
    expected = {(a, b): sum({a, b} <= one for one in sets) for a in range(4) for b in range(a + 1, 4)}
    for at_a_time in (5, 100):
        monkeypatch.setattr(statistics, "_IMAGES_AT_A_TIME", at_a_time)
        pairs = {(NAMES.index(a), NAMES.index(b)): count for a, b, count in measure(images).class_pairs}
        assert pairs == expected


def test_sums_of_a_crowded_dataset() -> None:
    images = random_images(1, num_images=50)
    counted = measure(images)
    assert sum(one.objects for one in counted.classes) == counted.objects == len(images.objects)
    assert sum(map(sum, counted.centres)) == counted.taught_objects
    assert sum(counted.images_by_objects) == len(images)
    assert sum(k * number for k, number in enumerate(counted.images_by_objects)) == counted.taught_objects
    for one in counted.classes:
        label = NAMES.index(one.name)
        assert one.images == sum(label in image.ground_truth.labels for image in images)
    for areas in counted.areas:
        assert areas.small + areas.medium + areas.large == pytest.approx(1)


@pytest.mark.parametrize("truths", [[], [GroundTruth.empty()]])
def test_nothing_to_describe(truths: list[GroundTruth]) -> None:
    counted = measure(annotated(*truths))
    assert (counted.objects, counted.taught_objects) == (0, 0)
    assert counted.box_width is counted.box_aspect is counted.areas[0].shorter_side is None
    assert counted.areas[0].large == 0
    assert counted.class_pairs == ()
    assert (counted.image_width is None) == (not truths)


def test_it_goes_into_json_as_it_is() -> None:
    content = measure(random_images(2, num_images=3)).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False))["classes"][0]["name"] == "cat"


def test_spread_by_hand() -> None:
    spread = Spread.of(np.arange(101, dtype=np.int32))
    assert spread == Spread(0, 5, 25, 50, 75, 95, 100, 50)
    assert Spread.of(np.zeros(0)) is None


def measured(*truths: GroundTruth, names: tuple[str, ...] = ("cat", "[red]dog")) -> DatasetStatistics:
    return measure_dataset(annotated(*truths), names, resize="letterbox", input_sizes=(50,))


def test_overview() -> None:
    truth = GroundTruth.from_boxes([[0, 0, 10, 10], [0, 0, 30, 10], [0, 0, 9, 9]], [0] * 3, iscrowd=[0, 0, 1])
    assert overview_lines(measured(truth, GroundTruth.empty())) == [
        "images: 2, without objects 1 (50.0%)",
        "objects: 3, of them 1 difficult or crowds, not in what follows",
        "objects per image: 0 to 2, median 1, 90 % in 0.1 to 1.9",
        "image width: 100 px",
        "image height: 100 px",
        "box width: 10 to 30 px, median 20 px, 90 % in 11 to 29 px",
        "box height: 10 px",
        "box width / height: 1 to 3, median 2, 90 % in 1.1 to 2.9",
    ]


def test_overview_of_nothing() -> None:
    assert overview_lines(measured()) == ["images: 0, without objects 0 (0.0%)", "objects: 0"]


def test_classes_most_frequent_first() -> None:
    table = class_table(measured(centred([(9, 9)] * 3, labels=[1, 1, 0], side=10)))
    assert table.plain().splitlines()[1:] == [
        "class     objects  share  images  difficult  crowd   side",
        "[red]dog        2  66.7%       1          0      0  10.0%",
        "cat             1  33.3%       1          0      0  10.0%",
    ]


def test_many_classes_are_cut_and_said_to_be() -> None:
    names = tuple(f"class {k}" for k in range(MAX_ROWS + 5))
    table = class_table(measured(centred([(9, 9)], labels=[MAX_ROWS + 4]), names=names))
    assert len(table.rows) == MAX_ROWS
    assert table.rows[0][0] == f"class {MAX_ROWS + 4}"
    assert table.rows[1][-1] == "-"
    assert "5 rarer ones are in stats.json" in table.title


def test_sizes() -> None:
    table = size_table(measured(GroundTruth.from_boxes([[0, 0, 40, 50]], [0])))
    assert table.rows == (
        ("as in the files", "0.0%", "100.0%", "0.0%", "40", "40"),
        ("50 px", "100.0%", "0.0%", "0.0%", "20", "20"),
    )
    assert size_table(measured()).rows[1] == ("50 px", "0.0%", "0.0%", "0.0%", "-", "-")


def test_grids() -> None:
    images = annotated(centred([(10, 10)] * 4, labels=[0, 0, 1, 1]))
    (row,) = grid_table(measure_grids(images, [(224, 7)], resize="letterbox")).rows
    assert row == ("7x7", "224/32", "75.00%", "50.00%", "25.00%", "0.00%", "50.00%")


def test_terminals_get_the_same_cells_and_names_as_they_are() -> None:
    table = TextTable("Title [bold]", ("name", "[x]"), (("[red]dog", "1"), ("cat", "22")))
    stream = io.StringIO()
    Console(file=stream, width=100, force_terminal=True, color_system=None).print(table.rich())
    printed = [line.split() for line in stream.getvalue().splitlines()]
    assert printed == [line.split() for line in table.plain().splitlines()]
    assert np.unique([len(line) for line in table.plain().splitlines()[1:]]).size == 1
