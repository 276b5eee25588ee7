import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.darknet_truth import encode_truth
from tests.reference.golden import golden_npz
from tests.reference.slow_darknet_images import slow_crop, slow_distort
from yolo.darknet.augment import (
    DarknetAugment,
    DarknetParams,
    crop_with_edges,
    distort,
    draw_factor,
    draw_label_order,
    flip,
    move_objects,
)
from yolo.errors import ConfigError
from yolo.geometry import stretch_corners
from yolo.structures import GroundTruth, Sample

SIZE = 112
STRENGTHS: dict[str, Any] = {"hue": 0.1, "saturation": 1.5, "exposure": 0.75}


def augment(jitter: float = 0.2, **changes: Any) -> DarknetAugment:
    return DarknetAugment((SIZE, SIZE), jitter, **STRENGTHS | changes)


def sample_of(boxes: list[list[float]], labels: list[int], size_hw: tuple[int, int] = (100, 120)) -> Sample:
    pixels = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    return Sample(pixels, GroundTruth.from_boxes(boxes, labels), 3)


def run(sample: Sample, seed: int) -> Sample:
    return augment()(sample, np.random.default_rng(seed), lambda: pytest.fail("no other image"), with_mosaic=True)


def rows(*labels: tuple[float, ...]) -> np.ndarray:
    return np.array(labels, np.float64).reshape(-1, 5)


# --- the draws


def test_draws_stay_in_their_ranges_and_reach_both_signs() -> None:
    generator = np.random.default_rng(0)
    drawn = [augment().draw_params(generator, (101, 204)) for _ in range(2000)]
    # int(0.2 * 204) = 40 and int(0.2 * 101) = 20; truncation towards zero never reaches the ends
    for name, reach in (("left", 40), ("right", 40), ("top", 20), ("bottom", 20)):
        values = np.array([getattr(params, name) for params in drawn])
        assert (values.min(), values.max()) == (1 - reach, reach - 1), name
        assert abs(values.mean()) < reach / 10
        # zero takes everything between -1 and 1: twice as often as any other number
        assert np.mean(values == 0) == pytest.approx(1 / reach, rel=0.5)
    hues = np.array([params.hue for params in drawn])
    assert -0.1 <= hues.min() < -0.099
    assert 0.099 < hues.max() <= 0.1
    assert np.mean([params.flipped for params in drawn]) == pytest.approx(0.5, abs=0.05)


def test_the_edges_are_drawn_independently() -> None:
    generator = np.random.default_rng(1)
    drawn = [augment().draw_params(generator, (400, 400)) for _ in range(2000)]
    edges = np.array([(p.left, p.right, p.top, p.bottom, p.flipped, p.hue, p.saturation) for p in drawn], np.float64)
    correlation = np.corrcoef(edges.T) - np.eye(edges.shape[1])
    assert np.abs(correlation).max() < 0.1


@pytest.mark.parametrize("largest", [1.5, 1 / 1.5])
def test_factors_are_a_uniform_draw_or_its_inverse(largest: float) -> None:
    generator = np.random.default_rng(2)
    factors = np.array([draw_factor(generator, largest) for _ in range(4000)])
    assert 1 / 1.5 <= factors.min() < 0.67
    assert 1.49 < factors.max() <= 1.5
    above = factors[factors > 1]
    assert len(above) / len(factors) == pytest.approx(0.5, abs=0.03)
    # uniform on the side that was drawn from: its mean is in the middle, that of the inverses is not
    drawn_side = factors[(factors > 1) == (largest > 1)]
    assert drawn_side.mean() == pytest.approx((1 + largest) / 2, abs=0.01)
    inverses = factors[(factors > 1) != (largest > 1)]
    assert (1 / inverses).mean() == pytest.approx((1 + largest) / 2, abs=0.01)


def test_strengths_of_nothing_draw_nothing() -> None:
    calm = augment(0.0, hue=0.0, saturation=1.0, exposure=1.0, flip=0.0)
    assert calm.draw_params(np.random.default_rng(0), (50, 60)) == DarknetParams(size_hw=(50, 60))


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_flip_has_its_own_probability(probability: float) -> None:
    generator = np.random.default_rng(0)
    drawn = [augment(flip=probability).draw_params(generator, (9, 9)).flipped for _ in range(50)]
    assert set(drawn) == {probability == 1.0}


def test_label_orders_are_permutations_of_every_kind() -> None:
    generator = np.random.default_rng(0)
    orders = [tuple(draw_label_order(generator, 3).tolist()) for _ in range(2700)]
    counts = {order: orders.count(order) for order in sorted(set(orders))}
    # 27 equally likely triples of swaps: 4 or 5 of them lead to each order
    expected = {(0, 1, 2): 4, (0, 2, 1): 5, (1, 0, 2): 5, (1, 2, 0): 5, (2, 0, 1): 4, (2, 1, 0): 4}
    assert counts.keys() == expected.keys()
    for order, ways in expected.items():
        assert counts[order] == pytest.approx(100 * ways, abs=75), order
    assert draw_label_order(generator, 0).shape == (0,)


def test_the_same_generator_gives_the_same_sample() -> None:
    sample = sample_of([[10, 20, 60, 70], [30, 10, 90, 50], [5, 5, 40, 90]], [0, 1, 2])
    first, again, other = run(sample, 7), run(sample, 7), run(sample, 8)
    assert (first.image == again.image).all()
    assert (first.ground_truth.boxes == again.ground_truth.boxes).all()
    assert (first.ground_truth.labels == again.ground_truth.labels).all()
    assert not (first.image == other.image).all()


@pytest.mark.parametrize("wrong", [{"saturation": math.inf}, {"exposure": math.inf}, {"exposure": math.nan}], ids=str)
def test_changes_of_colour_without_limit_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be finite"):
        augment(**wrong)


# --- pixels


def test_the_order_is_crop_stretch_flip_distort() -> None:
    sample = sample_of([], [])
    params = DarknetParams(
        size_hw=(100, 120), left=-9, right=5, top=7, bottom=-3, flipped=True, hue=0.05, saturation=1.4, exposure=0.8
    )
    augmented = augment().apply(sample, params, np.arange(0))
    cut = crop_with_edges(sample.image, dx=-9, dy=7, width=124, height=96)
    expected = distort(flip(stretch_corners(cut, (SIZE, SIZE))), hue=0.05, saturation=1.4, exposure=0.8)
    assert (augmented.image == expected).all()


def test_a_sample_that_nothing_happens_to_is_stretched() -> None:
    sample = sample_of([[0, 0, 120, 100], [30, 25, 60, 50]], [4, 5])
    augmented = augment().apply(sample, DarknetParams(size_hw=(100, 120)), np.arange(2))
    np.testing.assert_allclose(augmented.image, stretch_corners(sample.image, (SIZE, SIZE)), atol=1e-6)
    np.testing.assert_allclose(augmented.ground_truth.boxes, [[0, 0, 112, 112], [28, 28, 56, 56]], atol=1e-5)
    assert (augmented.index, augmented.geometry) == (3, None)


def test_the_result_is_float_in_zero_to_one_and_the_input_is_left_alone() -> None:
    sample = sample_of([[10, 20, 60, 70]], [1])
    before = sample.image.copy()
    for seed in range(10):
        image = run(sample, seed).image
        assert image.shape == (SIZE, SIZE, 3)
        assert image.dtype == np.float32
        assert image.min() >= 0
        assert image.max() <= 1
    assert (sample.image == before).all()


@given(
    *[st.integers(-20, 20)] * 4,
    st.booleans(),
    st.tuples(st.integers(0, 70), st.integers(0, 60), st.integers(25, 50), st.integers(25, 40)),
)
def test_boxes_follow_the_pixels(
    left: int, right: int, top: int, bottom: int, flipped: bool, box: tuple[int, int, int, int]
) -> None:
    x, y, w, h = box
    image = np.zeros((100, 120, 3), np.uint8)
    image[y : y + h, x : x + w] = 255
    params = DarknetParams(size_hw=(100, 120), left=left, right=right, top=top, bottom=bottom, flipped=flipped)
    sample = Sample(image, GroundTruth.from_boxes([[x, y, x + w, y + h]], [0]), 0)
    augmented = augment().apply(sample, params, np.arange(1))
    (found,) = augmented.ground_truth.boxes.tolist()
    seen_rows, seen_cols = np.nonzero(augmented.image[..., 0] > 0.5)
    seen = [seen_cols.min(), seen_rows.min(), seen_cols.max() + 1, seen_rows.max() + 1]
    cut_off = [x <= left, y <= top, x + w >= 120 - right, y + h >= 100 - bottom]
    at_border = [x == 0, y == 0, x + w == 120, y + h == 100]
    # where a box ends at the image's own border, the repeated edge pixels go on beyond it
    goes_on = [border and not cut for border, cut in zip(at_border, cut_off, strict=True)]
    if flipped:
        goes_on[0], goes_on[2] = goes_on[2], goes_on[0]
    for edge in range(4):
        assert goes_on[edge] or found[edge] == pytest.approx(seen[edge], abs=1.01), (edge, found, seen)


# --- labels


def moved(params: DarknetParams, *objects: tuple[float, ...]) -> np.ndarray:
    """Rows (class, x, y, w, h) relative to the result, from such rows relative to the image."""
    labels, x, y, w, h = rows(*objects).T
    height, width = params.size_hw
    boxes = np.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), 1) * (width, height, width, height)
    truth = move_objects(GroundTruth.from_boxes(boxes, labels), params, (1, 1))
    x1, y1, x2, y2 = truth.boxes.astype(np.float64).T
    return np.stack((truth.labels, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), 1)


def test_objects_move_with_the_image_by_hand() -> None:
    # 100 x 200 pixels (h x w), cut columns 40..180 and rows -20..100: 140 wide, 120 high
    params = DarknetParams(size_hw=(100, 200), left=40, right=20, top=-20, bottom=0)
    # pixels x 60..100, y 30..50 -> x 20..60 of 140, y 50..70 of 120
    np.testing.assert_allclose(
        moved(params, (7, 0.4, 0.4, 0.2, 0.2)), [[7, 40 / 140, 60 / 120, 40 / 140, 20 / 120]], atol=1e-6
    )
    np.testing.assert_allclose(
        moved(replace(params, flipped=True), (7, 0.4, 0.4, 0.2, 0.2)),
        [[7, 100 / 140, 60 / 120, 40 / 140, 20 / 120]],
        atol=1e-6,
    )


def test_what_is_cut_off_is_lost_and_the_rest_is_the_object() -> None:
    params = DarknetParams(size_hw=(100, 100), left=20)
    # columns 0..40 lose half: 0..20 of 80 remain
    np.testing.assert_allclose(moved(params, (0, 0.2, 0.5, 0.4, 0.2)), [[0, 0.125, 0.5, 0.25, 0.2]], atol=1e-6)


def test_thin_objects_and_those_beside_the_crop_are_dropped() -> None:
    objects = ((0, 0.5, 0.5, 0.0049, 0.5), (1, 0.5, 0.5, 0.0051, 0.5), (2, 0, 0, 0, 0), (3, 0, 0.5, 0.3, 0.3))
    assert moved(DarknetParams(size_hw=(100, 100)), *objects)[:, 0].tolist() == [1, 3]
    assert moved(DarknetParams(size_hw=(100, 100), left=60), (0, 0.3, 0.5, 0.2, 0.2)).shape == (0, 5)
    assert len(run(sample_of([], []), 0).ground_truth) == 0


def test_labels_are_shuffled_and_difficult_and_crowd_objects_left_out() -> None:
    boxes = [[10.0 * k, 10, 10.0 * k + 30, 60] for k in range(6)]
    truth = GroundTruth.from_boxes(
        boxes, range(6), difficult=[0, 1, 0, 0, 0, 0], iscrowd=[0, 0, 0, 1, 0, 0], area=[750.0] * 6
    )
    sample = replace(sample_of([], []), ground_truth=truth)
    seen = {tuple(run(sample, seed).ground_truth.labels.tolist()) for seed in range(30)}
    assert {tuple(sorted(order)) for order in seen} == {(0, 2, 4, 5)}
    assert len(seen) > 5
    still = augment().apply(sample, DarknetParams(size_hw=(100, 120)), np.array([3, 0, 1, 2]))
    assert still.ground_truth.labels.tolist() == [5, 0, 2, 4]
    # half of each box's 1500 pixels was the object, and half of the stretched box still is
    np.testing.assert_allclose(still.ground_truth.area, 750 * (112 / 120) * (112 / 100), rtol=1e-5)


# (hue, saturation, exposure) by the name of the golden array, which is rounded
DISTORTIONS = {
    "distort_0_1.0000_1.0000": (0.0, 1.0, 1.0),
    "distort_0.1_1.5000_1.2000": (0.1, 1.5, 1.2),
    "distort_-0.1_0.6667_0.7143": (-0.1, 1 / 1.5, 1 / 1.4),
    "distort_0.05_0.7500_1.5000": (0.05, 0.75, 1.5),
}


def photo(height: int = 20, width: int = 30, seed: int = 0) -> np.ndarray:
    """Random colours as they come from a file, with greys, black, white and pure colours among them."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    pixels[0] = pixels[0, :, :1]
    pixels[1, :8] = [[int(bit) * 255 for bit in f"{code:03b}"] for code in range(8)]
    return pixels.astype(np.float32) / np.float32(255)


def one(red: float, green: float, blue: float, **changes: float) -> list[float]:
    """The colour that `distort` makes of one pixel."""
    amounts: dict[str, Any] = {"hue": 0.0, "saturation": 1.0, "exposure": 1.0} | changes
    pixel = np.array([[[red, green, blue]]], np.float32)
    return [float(channel) for channel in distort(pixel, **amounts)[0, 0]]


def test_crop_outside_repeats_the_edge() -> None:
    # columns -1..3 of a row of three pixels: first, first, second, third, third
    row = np.array([[[1, 0, 0], [2, 0, 0], [3, 0, 0]]], np.uint8)
    cut = crop_with_edges(row, dx=-1, dy=-1, width=5, height=2)
    assert cut[..., 0].tolist() == [[1, 1, 2, 3, 3], [1, 1, 2, 3, 3]]
    assert cut.dtype == np.uint8


@given(st.integers(-12, 12), st.integers(-12, 12), st.integers(1, 15), st.integers(1, 15))
def test_crop_equals_the_slow_oracle_even_beside_the_image(dx: int, dy: int, width: int, height: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    expected = slow_crop(image, dx=dx, dy=dy, width=width, height=height)
    cut = crop_with_edges(image, dx=dx, dy=dy, width=width, height=height)
    assert cut.shape == expected.shape
    assert (cut == expected).all()


def test_flip_mirrors_and_twice_is_the_identity() -> None:
    image = photo()
    assert (flip(image) == image[:, ::-1]).all()
    assert (flip(flip(image)) == image).all()


def test_distort_by_hand() -> None:
    # a third of the circle: red to green to blue
    assert one(1, 0, 0, hue=1 / 3) == pytest.approx([0, 1, 0], abs=1e-6)
    assert one(1, 0, 0, hue=-1 / 3) == pytest.approx([0, 0, 1], abs=1e-6)
    assert one(0, 0, 1, hue=0.5) == pytest.approx([1, 1, 0], abs=1e-6)
    # value 0.8, saturation (0.8 - 0.4) / 0.8 = 0.5; halved: the lowest channel is 0.8 * (1 - 0.25)
    assert one(0.8, 0.4, 0.6, saturation=0.5) == pytest.approx([0.8, 0.6, 0.7])
    # a saturation above 1 makes channels negative, which are clipped: 0.8 - 0.4 * 3 < 0, 0.8 - 0.2 * 3 = 0.2
    assert one(0.8, 0.4, 0.6, saturation=3.0) == pytest.approx([0.8, 0.0, 0.2])
    assert one(0.8, 0.4, 0.6, exposure=0.5) == pytest.approx([0.4, 0.2, 0.3])
    assert one(0.8, 0.4, 0.6, exposure=1.5) == pytest.approx([1.0, 0.6, 0.9])


def test_greys_have_no_hue_to_change() -> None:
    assert one(0.4, 0.4, 0.4, hue=0.3, saturation=2.0, exposure=1.5) == pytest.approx([0.6] * 3)
    assert one(0, 0, 0, hue=0.3, saturation=2.0, exposure=1.5) == [0, 0, 0]
    assert one(1, 1, 1, hue=-0.3, saturation=0.1) == [1, 1, 1]


def test_a_hue_of_exactly_one_is_magenta_as_in_darknet() -> None:
    # blue has hue 2/3 in float32, a third more is 1, which darknet does not wrap
    assert one(0, 0, 1, hue=1 / 3) == [1, 0, 1]


def test_no_distortion_is_the_identity() -> None:
    image = photo(100, 100)
    np.testing.assert_allclose(distort(image, hue=0.0, saturation=1.0, exposure=1.0), image, atol=1e-6)


@given(st.floats(-0.999, 0.999), st.floats(0.1, 3), st.floats(0.1, 3), st.integers(0, 99))
def test_distort_equals_the_slow_oracle(hue: float, saturation: float, exposure: float, seed: int) -> None:
    image = photo(6, 9, seed)
    changes = {"hue": hue, "saturation": saturation, "exposure": exposure}
    expected = slow_distort(image, **changes)
    distorted = distort(image, **changes)
    # where the hue falls on 1 exactly, blue is darknet's own choice
    at_one = (distorted[..., 2] == distorted[..., 0]) & (expected[..., 2] < expected[..., 0])
    distorted[at_one, 2] = expected[at_one, 2]
    np.testing.assert_allclose(distorted, expected, atol=5e-6)


def test_a_large_image_is_distorted_like_its_pieces() -> None:
    image = photo(200, 150)
    whole = distort(image, hue=0.07, saturation=1.3, exposure=0.8)
    parts = [distort(image[start : start + 7], hue=0.07, saturation=1.3, exposure=0.8) for start in range(0, 200, 7)]
    assert (whole == np.concatenate(parts)).all()


def test_inputs_are_left_alone_and_results_are_their_own() -> None:
    image = photo()
    image.setflags(write=False)
    before = image.copy()
    results = [
        crop_with_edges(image, dx=0, dy=0, width=30, height=20),
        flip(image),
        distort(image, hue=0.1, saturation=1.5, exposure=1.5),
    ]
    for result in results:
        assert not np.shares_memory(result, image)
        result[:] = 9
    assert (image == before).all()


def golden_image(arrays: dict[str, Any], key: str) -> np.ndarray:
    """A golden image as (H, W, 3)."""
    image: np.ndarray = arrays[key].transpose(1, 2, 0)
    return image


def test_crop_and_flip_equal_darknets_to_the_bit() -> None:
    arrays = golden_npz("image_ops.npz")
    image = golden_image(arrays, "image")
    assert (flip(image) == golden_image(arrays, "flip")).all()
    crops = [key for key in arrays if key.startswith("crop_")]
    assert len(crops) == 3
    for key in crops:
        dx, dy, width, height = (int(number) for number in key.split("_")[1:])
        cut = crop_with_edges(image, dx=dx, dy=dy, width=width, height=height)
        assert (cut == golden_image(arrays, key)).all(), key


def test_distort_equals_darknets() -> None:
    arrays = golden_npz("image_ops.npz")
    assert DISTORTIONS.keys() == {key for key in arrays if key.startswith("distort_")}
    for key, (hue, saturation, exposure) in DISTORTIONS.items():
        image = golden_image(arrays, "image_hsv")
        distorted = distort(image, hue=hue, saturation=saturation, exposure=exposure)
        np.testing.assert_allclose(distorted, golden_image(arrays, key), atol=2e-5, err_msg=key)


def test_truth_equals_darknets() -> None:
    arrays = golden_npz("truth_region.npz")
    cases = [key.removesuffix("__params") for key in arrays if key.endswith("__params")]
    assert len(cases) == 8
    for case in cases:
        numbers = json.loads(str(arrays[f"{case}__params"]))
        width, left, right = pixels_of(numbers["sx"], numbers["dx"])
        height, top, bottom = pixels_of(numbers["sy"], numbers["dy"])
        params = DarknetParams(
            size_hw=(height, width), left=left, right=right, top=top, bottom=bottom, flipped=bool(numbers["flip"])
        )
        labels = arrays[f"{case}__labels"]
        labels = labels[(labels[:, 1:3] != 0).any(axis=1)]  # darknet crashes on a centre at x = y = 0
        truth = encode_truth(moved(params, *map(tuple, labels)), numbers["side"], numbers["classes"])
        np.testing.assert_allclose(truth, arrays[f"{case}__truth"], atol=2e-6, err_msg=case)


def pixels_of(scale: float, offset: float) -> tuple[int, int, int]:
    """Size of an axis and what is cut off its two ends, from darknet's size / cut size and offset / cut size."""
    exact_scale, exact_offset = (Fraction(number).limit_denominator(1000) for number in (scale, offset))
    cut = math.lcm(exact_scale.denominator, exact_offset.denominator)
    size, first = int(exact_scale * cut), int(exact_offset * cut)
    return size, first, size - cut - first
