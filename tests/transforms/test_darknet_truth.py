import json
import math
from fractions import Fraction

import numpy as np
import pytest

from tests.reference.golden import golden_npz
from yolo.transforms.darknet_augment import DarknetParams, transform_labels
from yolo.transforms.darknet_truth import encode_truth


def rows(*labels: tuple[float, ...]) -> np.ndarray:
    return np.array(labels, np.float64).reshape(-1, 5)


def test_truth_by_hand() -> None:
    # 2 x 2 cells, 3 classes, 8 values each; centre (0.75, 0.25): column 1, row 0, in the middle of its cell
    truth = encode_truth(rows((2, 0.75, 0.25, 0.3, 0.1)), 2, 3)
    assert truth.shape == (32,)
    assert truth[8:16].tolist() == pytest.approx([1, 0, 0, 1, 0.5, 0.5, 0.3, 0.1])
    assert not truth[:8].any()
    assert not truth[16:].any()


def test_the_first_object_of_a_cell_owns_it() -> None:
    first, second = (0, 0.3, 0.3, 0.2, 0.2), (1, 0.31, 0.31, 0.4, 0.4)
    assert (encode_truth(rows(first, second), 2, 3) == encode_truth(rows(first), 2, 3)).all()
    assert (encode_truth(rows(second, first), 2, 3) == encode_truth(rows(second), 2, 3)).all()


@pytest.mark.parametrize("label", [3, 25, -1])
def test_an_unknown_class_is_an_object_without_a_class(label: int) -> None:
    truth = encode_truth(rows((label, 0.25, 0.25, 0.2, 0.2)), 2, 3)
    assert truth[:8].tolist() == pytest.approx([1, 0, 0, 0, 0.5, 0.5, 0.2, 0.2])


def test_a_centre_on_the_far_border_belongs_to_the_last_cell() -> None:
    assert encode_truth(rows((0, 1.0, 1.0, 0.2, 0.2)), 2, 3)[24] == 1


def test_no_objects() -> None:
    truth = encode_truth(rows(), 7, 20)
    assert truth.shape == (7 * 7 * 25,)
    assert not truth.any()


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
        moved = transform_labels(arrays[f"{case}__labels"], params)
        truth = encode_truth(moved, numbers["side"], numbers["classes"])
        np.testing.assert_allclose(truth, arrays[f"{case}__truth"], atol=2e-6, err_msg=case)


def pixels_of(scale: float, offset: float) -> tuple[int, int, int]:
    """Size of an axis and what is cut off its two ends, from darknet's size / cut size and offset / cut size."""
    exact_scale, exact_offset = (Fraction(number).limit_denominator(1000) for number in (scale, offset))
    cut = math.lcm(exact_scale.denominator, exact_offset.denominator)
    size, first = int(exact_scale * cut), int(exact_offset * cut)
    return size, first, size - cut - first
