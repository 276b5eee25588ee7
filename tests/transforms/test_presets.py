from dataclasses import replace

import numpy as np

from tests.transforms.samples import sample
from yolo.config import AugmentConfig
from yolo.structures import Sample
from yolo.transforms.presets import TrainTransform

NOTHING = AugmentConfig(
    mosaic=0, scale=0, translate=0, flip_horizontal=0, flip_vertical=0, hue=0, saturation=0, value=0
)


def others() -> list[Sample]:
    return [sample(index, 30) for index in range(1, 5)]


def test_all_off_is_the_identity() -> None:
    result = TrainTransform(NOTHING)(sample(), np.random.default_rng(0), others, with_mosaic=True)
    assert (result.image == sample().image).all()
    assert result.ground_truth.boxes.tolist() == [[10, 20, 30, 40]]


def test_the_same_generator_gives_the_same_pixels_and_another_gives_others() -> None:
    transform = TrainTransform(AugmentConfig())

    def pixels(seed: int) -> bytes:
        return transform(sample(), np.random.default_rng(seed), others, with_mosaic=True).image.tobytes()

    assert pixels(3) == pixels(3)
    assert len({pixels(seed) for seed in range(8)}) == 8


def test_colour_changes_leave_boxes_alone() -> None:
    transform = TrainTransform(AugmentConfig(mosaic=0, scale=0, translate=0, flip_horizontal=0))
    result = transform(sample(), np.random.default_rng(1), others, with_mosaic=True)
    assert (result.image != sample().image).any()
    assert result.ground_truth.boxes.tolist() == [[10, 20, 30, 40]]


def test_mosaic_is_left_out_when_another_image_cannot_be_read_or_near_the_end() -> None:
    always = TrainTransform(AugmentConfig(mosaic=1, scale=0, translate=0, hue=0, saturation=0, value=0))
    alone = always(sample(), np.random.default_rng(0), list, with_mosaic=True)
    closed = always(sample(), np.random.default_rng(0), others, with_mosaic=False)
    for result in (alone, closed):
        assert result.ground_truth.labels.tolist() == [0]
        assert sorted(np.unique(result.image).tolist()) == sorted({90, 200, 30, 60})


def test_flips_mirror_pixels_and_boxes() -> None:
    for horizontal, vertical, box, axes in (
        (1, 0, [34, 20, 54, 40], (slice(None), slice(None, None, -1))),
        (0, 1, [10, 24, 30, 44], (slice(None, None, -1),)),
        (1, 1, [34, 24, 54, 44], (slice(None, None, -1), slice(None, None, -1))),
    ):
        transform = TrainTransform(replace(NOTHING, flip_horizontal=horizontal, flip_vertical=vertical))
        result = transform(sample(), np.random.default_rng(0), others, with_mosaic=True)
        assert result.ground_truth.boxes.tolist() == [box]
        assert (result.image == sample().image[axes]).all()
