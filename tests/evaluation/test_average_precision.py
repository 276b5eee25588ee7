import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.evaluation.average_precision import RECALL_POINTS, precision_at_recalls, precision_envelope


def flags(text: str) -> tuple[np.ndarray, np.ndarray]:
    """T true positive, F false positive, i ignored; one row."""
    letters = np.array(list(text))[None]
    return letters == "T", letters == "F"


def test_hand_computed_average_precision() -> None:
    # Two objects; found, wrong, found: precision 1, 1/2, 2/3, so the envelope is 1, 2/3, 2/3.
    # Recall 0 to 0.50 (51 points) is reached by the first, 0.51 to 1 (50 points) by the third.
    precision = precision_at_recalls(*flags("TFT"), 2)
    assert precision.shape == (1, 101)
    assert precision.mean() == pytest.approx((51 * 1 + 50 * 2 / 3) / 101, abs=1e-15)


def test_recalls_that_are_not_reached_have_precision_zero() -> None:
    # one of three objects found: recall 1/3 covers the points 0 to 0.33
    precision = precision_at_recalls(*flags("T"), 3)[0]
    assert precision.tolist() == [1.0] * 34 + [0.0] * 67


def test_ignored_detections_change_nothing() -> None:
    np.testing.assert_array_equal(precision_at_recalls(*flags("iTiFiTi"), 4), precision_at_recalls(*flags("TFT"), 4))


def test_nothing_found_is_zero_everywhere() -> None:
    assert not precision_at_recalls(*flags(""), 4).any()
    assert not precision_at_recalls(*flags("FFi"), 4).any()


@pytest.mark.parametrize("num_instances", [1, 2, 3, 7, 100, 101, 1000])
def test_perfect_is_exactly_one(num_instances: int) -> None:
    assert (precision_at_recalls(*flags("T" * num_instances), num_instances) == 1).all()


def slow_precision(text: str, num_instances: int) -> list[float]:
    points = []
    for recall in RECALL_POINTS.tolist():
        best, hits, counted = 0.0, 0, 0
        for letter in text:
            hits, counted = hits + (letter == "T"), counted + (letter != "i")
            if counted and hits / num_instances >= recall:
                best = max(best, hits / counted)
        points.append(best)
    return points


@given(rows=st.lists(st.text("TFi", min_size=9, max_size=9), min_size=1, max_size=4), extra=st.integers(0, 5))
def test_equal_to_plain_loops_at_every_threshold(rows: list[str], extra: int) -> None:
    num_instances = max(1, *(row.count("T") for row in rows)) + extra
    hit, miss = (np.concatenate(parts) for parts in zip(*map(flags, rows), strict=True))
    precision = precision_at_recalls(hit, miss, num_instances)
    np.testing.assert_allclose(precision, [slow_precision(row, num_instances) for row in rows], atol=1e-15)


@given(text=st.text("TFi", min_size=1, max_size=30))
def test_the_envelope_never_rises(text: str) -> None:
    envelope = precision_envelope(*flags(text))
    assert (np.diff(envelope) <= 0).all()
    assert ((envelope >= 0) & (envelope <= 1)).all()
