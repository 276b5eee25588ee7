import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inspection.annotated import annotated, centred, random_images
from tests.reference import slow_grid_limits
from yolo.data.annotations import AnnotatedImages
from yolo.geometry import ResizeMode
from yolo.inspection.grid_limits import MAX_BOXES, GridLimits, measure_grids
from yolo.structures import GroundTruth


def measure(
    images: AnnotatedImages, grid_size: int, *, input_size: int = 0, resize: ResizeMode = "letterbox"
) -> GridLimits:
    (limits,) = measure_grids(images, [(input_size or 16 * grid_size, grid_size)], resize=resize)
    return limits


def test_the_three_rules_by_hand() -> None:
    # S = 2 on 100x100: cells of 50 px. Top left: classes 0, 0, 0, 1; bottom right: 1, 2; top right: 0 alone.
    together = centred(
        [(10, 10), (20, 20), (30, 30), (40, 40), (60, 60), (90, 90), (90, 10)], labels=[0, 0, 0, 1, 1, 2, 0]
    )
    limits = measure(annotated(together), 2)
    assert limits.num_objects == 7
    assert limits.shared_cells == 2
    assert limits.most_in_cell == 4
    assert limits.lost_one_object == 3 + 1
    assert limits.lost_boxes == (3 + 1, 2 + 0, 1 + 0, 0 + 0)
    # top left keeps 1, 2, 3, 3 of class 0; bottom right always one of its two
    assert limits.lost_one_class == (3 + 1, 2 + 1, 1 + 1, 1 + 1)
    assert limits.share(limits.lost_one_object) == 4 / 7


def test_images_do_not_share_cells() -> None:
    assert measure(annotated(centred([(10, 10)]), centred([(10, 10)])), 2).lost_one_object == 0


def test_letterbox_uses_a_part_of_the_cells() -> None:
    # 50x200 on an input of 64: 16 px high, from y = 24 to 40. Rows are 16 px: the centres' y, 27.2 and 30.4, are both
    # in row 1. Stretched over all four rows they are 12.8 and 25.6, in rows 0 and 1.
    images = annotated(centred([(10, 10), (10, 20)]), sizes_hw=[(50, 200)])
    assert measure(images, 4, resize="letterbox").lost_one_object == 1
    assert measure(images, 4, resize="stretch").lost_one_object == 0


def test_centres_on_the_border_belong_to_the_last_cell() -> None:
    assert measure(annotated(centred([(100, 100), (99, 99)])), 10).lost_one_object == 1


def test_a_centre_on_the_line_between_cells_belongs_to_the_right_one() -> None:
    assert measure(annotated(centred([(50, 10), (51, 10)])), 2).lost_one_object == 1
    assert measure(annotated(centred([(50, 10), (49, 10)])), 2).lost_one_object == 0


def test_difficult_objects_and_crowds_are_not_counted() -> None:
    boxes = centred([(10, 10)] * 4).boxes
    flags = {"difficult": [True, False, False, False], "iscrowd": [False, True, False, False]}
    limits = measure(annotated(GroundTruth.from_boxes(boxes, [0] * 4, **flags)), 2)
    assert limits.num_objects == 2
    assert limits.lost_one_object == 1


@pytest.mark.parametrize("truths", [[], [GroundTruth.empty()], [GroundTruth.empty(), GroundTruth.empty()]])
def test_nothing_to_lose(truths: list[GroundTruth]) -> None:
    limits = measure(annotated(*truths), 7)
    assert limits.num_objects == limits.lost_one_object == limits.most_in_cell == limits.shared_cells == 0
    assert limits.lost_boxes == limits.lost_one_class == (0,) * MAX_BOXES
    assert limits.share(0) == 0


def check_parity(images: AnnotatedImages, input_size: int, grid_size: int, resize: ResizeMode) -> None:
    limits = measure(images, grid_size, input_size=input_size, resize=resize)
    cells = slow_grid_limits.labels_by_cell(images, input_size=input_size, grid_size=grid_size, resize=resize)
    assert limits.num_objects == sum(map(len, cells))
    assert limits.shared_cells == sum(len(labels) > 1 for labels in cells)
    assert limits.most_in_cell == max(map(len, cells), default=0)
    assert limits.lost_one_object == slow_grid_limits.lost_one_object(cells)
    counts = range(1, MAX_BOXES + 1)
    assert limits.lost_boxes == tuple(slow_grid_limits.lost_boxes(cells, count) for count in counts)
    assert limits.lost_one_class == tuple(slow_grid_limits.lost_one_class(cells, count) for count in counts)


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "stretch_corners"])
@pytest.mark.parametrize(("input_size", "grid_size"), [(224, 7), (320, 10), (320, 20), (416, 26), (64, 16)])
def test_parity_with_training_s_own_placing(input_size: int, grid_size: int, resize: ResizeMode) -> None:
    check_parity(random_images(grid_size, num_images=60), input_size, grid_size, resize)


@given(seed=st.integers(0, 10**6), stride=st.sampled_from([4, 8, 32]), grid_size=st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_parity_anywhere(seed: int, stride: int, grid_size: int) -> None:
    check_parity(random_images(seed, num_images=4), stride * grid_size, grid_size, "letterbox")


@given(seed=st.integers(0, 10**6), grid_size=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_more_boxes_and_halved_cells_never_lose_more(seed: int, grid_size: int) -> None:
    images = random_images(seed, num_images=5)
    # cells of 2n divide those of n where the image is placed alike: on the same input
    coarse = measure(images, grid_size, input_size=32 * grid_size)
    fine = measure(images, 2 * grid_size, input_size=32 * grid_size)
    for limits in (coarse, fine):
        assert list(limits.lost_boxes) == sorted(limits.lost_boxes, reverse=True)
        assert list(limits.lost_one_class) == sorted(limits.lost_one_class, reverse=True)
        assert limits.lost_one_object == limits.lost_boxes[0] == limits.lost_one_class[0]
        assert all(a <= b for a, b in zip(limits.lost_boxes, limits.lost_one_class, strict=True))
        assert limits.lost_one_object <= max(0, limits.num_objects - 1)
    assert fine.lost_one_object <= coarse.lost_one_object
    assert all(a <= b for a, b in zip(fine.lost_boxes, coarse.lost_boxes, strict=True))
    assert all(a <= b for a, b in zip(fine.lost_one_class, coarse.lost_one_class, strict=True))


def test_ever_finer_cells_lose_only_equal_centres() -> None:
    images = random_images(3, num_images=20)
    taught = ~(images.objects.difficult | images.objects.iscrowd)
    centres = (images.objects.boxes[:, :2] + images.objects.boxes[:, 2:])[taught] / 2
    distinct = np.unique(np.column_stack([images.image_index[taught], centres]), axis=0)
    twins = annotated(centred([(40, 40), (40, 40), (40.5, 40)]))
    assert measure(images, 4000, input_size=32000, resize="stretch").lost_one_object == len(centres) - len(distinct)
    assert measure(twins, 4000, input_size=32000).lost_one_object == 1
    assert measure(twins, 10).lost_one_object == 2


def test_one_cell_loses_all_but_one_of_each_image() -> None:
    images = random_images(5, num_images=20)
    taught = ~(images.objects.difficult | images.objects.iscrowd)
    assert measure(images, 1).lost_one_object == taught.sum() - len(np.unique(images.image_index[taught]))


def test_huge_labels_do_not_mix_cells() -> None:
    # label 79 of one cell must not be taken for a label of the next
    images = annotated(centred([(10, 10), (60, 10), (60, 12)], labels=[79, 0, 79]))
    limits = measure(images, 2)
    assert limits.lost_one_object == 1
    assert limits.lost_one_class == (1, 1, 1, 1)
