from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.golden import golden_npz
from tests.reference.slow_darknet_images import slow_crop, slow_distort
from yolo.transforms.darknet_images import crop_with_edges, distort, flip, letterbox

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


def test_crop_inside_is_a_slice() -> None:
    image = photo()
    assert (crop_with_edges(image, dx=5, dy=3, width=10, height=7) == image[3:10, 5:15]).all()


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


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (-3, 5)])
def test_crop_refuses_a_rectangle_without_pixels(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="cannot cut"):
        crop_with_edges(photo(), dx=0, dy=0, width=width, height=height)


def test_flip_mirrors_and_twice_is_the_identity() -> None:
    image = photo()
    assert (flip(image) == image[:, ::-1]).all()
    assert (flip(flip(image)) == image).all()


def test_letterbox_by_hand() -> None:
    # 4 x 8 into 6 x 6: width 8 -> 6, height 4 * 6 // 8 = 3, one grey row above and two below
    boxed = letterbox(np.ones((4, 8, 3), np.float32), (6, 6))
    assert boxed[:, 0, 0].tolist() == [0.5, 1, 1, 1, 0.5, 0.5]
    boxed = letterbox(np.ones((8, 4, 3), np.float32), (6, 6))
    assert boxed[0, :, 0].tolist() == [0.5, 1, 1, 1, 0.5, 0.5]


def test_letterbox_of_the_same_shape_only_stretches() -> None:
    image = photo(10, 20)
    assert (letterbox(image, (10, 20)) == image).all()


def test_letterbox_of_a_hair_is_grey() -> None:
    assert (letterbox(np.ones((1, 100, 3), np.float32), (8, 8)) == 0.5).all()


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
        letterbox(image, (20, 30)),
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


def test_letterbox_equals_darknets() -> None:
    arrays = golden_npz("image_ops.npz")
    cases = [key for key in arrays if key.startswith("letterbox_")]
    assert len(cases) == 2
    for key in cases:
        width, height = (int(side) for side in key.split("_")[1].split("x"))
        boxed = letterbox(golden_image(arrays, "image"), (height, width))
        np.testing.assert_allclose(boxed, golden_image(arrays, key), atol=2e-5, err_msg=key)


def test_distort_equals_darknets() -> None:
    arrays = golden_npz("image_ops.npz")
    assert DISTORTIONS.keys() == {key for key in arrays if key.startswith("distort_")}
    for key, (hue, saturation, exposure) in DISTORTIONS.items():
        image = golden_image(arrays, "image_hsv")
        distorted = distort(image, hue=hue, saturation=saturation, exposure=exposure)
        np.testing.assert_allclose(distorted, golden_image(arrays, key), atol=2e-5, err_msg=key)
