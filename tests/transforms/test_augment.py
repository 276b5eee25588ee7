from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.samples import sample
from yolo.config import AugmentConfig
from yolo.structures import Sample
from yolo.transforms.albumentations import AlbumentationsPipeline
from yolo.transforms.augment import ColourChange, TrainTransform, change_colours, colour_matrix, draw_colour_change

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


def hue_and_saturation(colour: np.ndarray) -> tuple[float, float]:
    """Of an RGB colour, from OpenCV's own conversion: hue in degrees, saturation in [0, 1]."""
    hue, saturation, _ = cv2.cvtColor((colour / 255).astype(np.float32).reshape(1, 1, 3), cv2.COLOR_RGB2HSV)[0, 0]
    return float(hue), float(saturation)


def test_no_change_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    assert (change_colours(image, ColourChange()) == image).all()


@given(st.floats(-0.5, 0.5), st.floats(0, 2), st.floats(0, 2), st.integers(0, 255))
def test_grey_stays_grey(hue: float, saturation: float, value: float, level: int) -> None:
    image = np.full((2, 2, 3), level, np.uint8)
    changed = change_colours(image, ColourChange(hue=hue, saturation=saturation, value=value))
    assert np.abs(changed.astype(int) - min(255, round(level * value))).max() <= 1


def test_value_is_a_factor() -> None:
    image = np.array([[[10, 60, 100]]], np.uint8)
    assert change_colours(image, ColourChange(value=2.0)).tolist() == [[[20, 120, 200]]]


def test_without_saturation_only_lightness_is_left() -> None:
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    assert change_colours(np.array([[[200, 100, 50]]], np.uint8), ColourChange(saturation=0.0)).tolist() == [
        [[124] * 3]
    ]


def test_saturation_and_hue_go_the_way_hsv_goes() -> None:
    colour = np.array([160.0, 110, 90])
    hue, saturation = hue_and_saturation(colour)
    more = hue_and_saturation(colour_matrix(ColourChange(saturation=1.4)) @ colour)
    assert more[1] > saturation
    assert more[0] == pytest.approx(hue, abs=3)
    turned = hue_and_saturation(colour_matrix(ColourChange(hue=0.05)) @ colour)
    # 18 degrees of the circle of YIQ, which is not quite that of HSV
    assert turned[0] - hue == pytest.approx(18, abs=8)
    assert turned[1] == pytest.approx(saturation, abs=0.12)


def test_draws_stay_in_their_limits_and_nothing_is_drawn_for_nothing() -> None:
    generator = np.random.default_rng(0)
    assert draw_colour_change(generator, hue=0, saturation=0, value=0) is None
    assert generator.random() == np.random.default_rng(0).random()
    drawn = [draw_colour_change(generator, hue=0.1, saturation=0.5, value=0.3) for _ in range(300)]
    limits = {"hue": (-0.1, 0.1), "saturation": (0.5, 1.5), "value": (0.7, 1.3)}
    for name, (low, high) in limits.items():
        values = np.array([getattr(one, name) for one in drawn])
        span = high - low
        assert low <= values.min() < low + span / 20
        assert high - span / 20 < values.max() <= high


def test_how_strong_blur_and_jpeg_noise_are() -> None:
    (step,) = TrainTransform(AugmentConfig(blur=0.3, jpeg_noise=0.2))._steps
    assert isinstance(step, AlbumentationsPipeline)
    blur, noise = step._compose.transforms
    assert (blur.p, tuple(blur.sigma_limit)) == (0.3, (0.5, 1.5))
    assert (noise.p, tuple(noise.quality_range)) == (0.2, (40, 90))
