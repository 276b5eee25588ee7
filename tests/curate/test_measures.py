import numpy as np
import pytest

from tests.curate.annotated import annotated, centred, random_images
from yolo.curate.measures import DatasetStatistics, Quantiles, measure_dataset
from yolo.formats.objects import AnnotatedImages
from yolo.structures import GroundTruth

NAMES = ("cat", "dog", "bird", "fish")


def measure(images: AnnotatedImages, names: tuple[str, ...] = NAMES) -> DatasetStatistics:
    return measure_dataset(images, names, resize="letterbox", input_sizes=(50, 200))


def test_classes_are_counted_by_object_and_image() -> None:
    first = GroundTruth.from_boxes([[0, 0, 20, 10]] * 4, [0, 0, 1, 1], difficult=[1, 0, 0, 0], iscrowd=[0, 0, 1, 1])
    counted = measure(annotated(first, centred([(5, 5)], labels=[0]), GroundTruth.empty()))
    assert (counted.images, counted.background_images) == (3, 1)
    assert (counted.objects, counted.trainable_objects) == (5, 2)
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


def test_an_image_of_crowds_alone_is_not_a_background() -> None:
    assert measure(annotated(GroundTruth.from_boxes([[0, 0, 9, 9]], [0], iscrowd=[True]))).background_images == 0


def test_objects_per_image_are_the_trainable_ones() -> None:
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
    assert counted.image_width == Quantiles(*[200.0] * 8)
    assert counted.image_height == Quantiles(*[100.0] * 8)
    assert counted.image_aspect == Quantiles(*[2.0] * 8)
    assert counted.box_width == Quantiles(*[40.0] * 8)
    assert counted.box_height == Quantiles(*[10.0] * 8)
    assert counted.box_aspect == Quantiles(*[4.0] * 8)
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


def test_pairs_are_counted_through_all_images() -> None:
    images = random_images(4, num_images=23, most_objects=4)
    sets = [set(image.ground_truth.labels.tolist()) for image in images]
    expected = {(a, b): sum({a, b} <= one for one in sets) for a in range(4) for b in range(a + 1, 4)}
    pairs = {(NAMES.index(a), NAMES.index(b)): count for a, b, count in measure(images).class_pairs}
    assert pairs == expected


def test_sums_of_a_crowded_dataset() -> None:
    images = random_images(1, num_images=50)
    counted = measure(images)
    assert sum(one.objects for one in counted.classes) == counted.objects == len(images.objects)
    assert sum(map(sum, counted.centres)) == counted.trainable_objects
    assert sum(counted.images_by_objects) == len(images)
    assert sum(k * number for k, number in enumerate(counted.images_by_objects)) == counted.trainable_objects
    for one in counted.classes:
        label = NAMES.index(one.name)
        assert one.images == sum(label in image.ground_truth.labels for image in images)
    for areas in counted.areas:
        assert areas.small + areas.medium + areas.large == pytest.approx(1)


@pytest.mark.parametrize("truths", [[], [GroundTruth.empty()]])
def test_nothing_to_describe(truths: list[GroundTruth]) -> None:
    counted = measure(annotated(*truths))
    assert (counted.objects, counted.trainable_objects) == (0, 0)
    assert counted.box_width is counted.box_aspect is counted.areas[0].shorter_side is None
    assert counted.areas[0].large == 0
    assert counted.class_pairs == ()
    assert (counted.image_width is None) == (not truths)


def test_quantiles_by_hand() -> None:
    quantiles = Quantiles.of(np.arange(101, dtype=np.int32))
    assert quantiles == Quantiles(0, 5, 25, 50, 75, 95, 100, 50)
    assert Quantiles.of(np.zeros(0)) is None
