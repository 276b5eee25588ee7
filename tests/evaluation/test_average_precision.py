import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.evaluation.average_precision import (
    RECALL_POINTS,
    Curves,
    MatchFlags,
    curves,
    objects_needed,
    precision_envelope,
)


def flags(text: str) -> tuple[np.ndarray, np.ndarray]:
    """T true positive, F false positive, i ignored; one row."""
    letters = np.array(list(text))[None]
    return letters == "T", letters == "F"


def curves_of(rows: list[list[str]], instances: list[int], *, candidates: np.ndarray | None = None) -> Curves:
    """One row of letters for each threshold and class; `candidates` says which detections are kept apart."""
    hit, miss = (np.concatenate(part) for part in zip(*(flags("".join(row)) for row in rows), strict=True))
    sizes = [len(text) for text in rows[0]]
    count = sum(sizes)
    # a detection may do without its own row where it is false, or ignored, at all thresholds
    alike = ~hit.any(axis=0) & (miss == miss[:1]).all(axis=0)
    candidates = ~alike if candidates is None else candidates | ~alike
    missing = np.where(alike, miss[0], np.arange(count) % 2 == 0)
    positions = np.flatnonzero(candidates)
    # scores fall within each class, and start anew in the next
    scores = np.concatenate([np.linspace(0.9, 0.1, size) for size in sizes])
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    verdicts = MatchFlags(scores, bounds, missing, positions, hit[:, positions], miss[:, positions])
    return curves(verdicts, np.array(instances))


def precision_at_recalls(text: str, num_instances: int) -> np.ndarray:
    """(R,) of a single class and threshold."""
    precision: np.ndarray = curves_of([[text]], [num_instances]).precision[0, :, 0]
    return precision


def test_hand_computed_average_precision() -> None:
    # Two objects; found, wrong, found: precision 1, 1/2, 2/3, so the envelope is 1, 2/3, 2/3.
    # Recall 0 to 0.50 (51 points) is reached by the first, 0.51 to 1 (50 points) by the third.
    precision = precision_at_recalls("TFT", 2)
    assert precision.shape == (101,)
    assert precision.mean() == pytest.approx((51 * 1 + 50 * 2 / 3) / 101, abs=1e-15)


def test_recalls_that_are_not_reached_have_precision_zero() -> None:
    # one of three objects found: recall 1/3 covers the points 0 to 0.33
    precision = precision_at_recalls("T", 3)
    assert precision.tolist() == [1.0] * 34 + [0.0] * 67


def test_ignored_detections_change_nothing() -> None:
    np.testing.assert_array_equal(precision_at_recalls("iTiFiTi", 4), precision_at_recalls("TFT", 4))


def test_nothing_found_is_zero_everywhere() -> None:
    assert not precision_at_recalls("", 4).any()
    assert not precision_at_recalls("FFi", 4).any()


@pytest.mark.parametrize("num_instances", [1, 2, 3, 7, 100, 101, 1000])
def test_perfect_is_exactly_one(num_instances: int) -> None:
    assert (precision_at_recalls("T" * num_instances, num_instances) == 1).all()


def slow_curves(text: str, num_instances: int) -> tuple[list[float], float, list[float]]:
    """Precision and score at the recall points, and the recall of all; scores as in `curves_of`."""
    scores = np.linspace(0.9, 0.1, len(text)).tolist()
    if not num_instances:
        return [-1.0] * 101, -1.0, [-1.0] * 101
    points, lowest = [], []
    for recall in RECALL_POINTS.tolist():
        best, hits, counted, needed = 0.0, 0, 0, 0.0
        for letter, score in zip(text, scores, strict=True):
            hits, counted = hits + (letter == "T"), counted + (letter != "i")
            if hits / num_instances >= recall:
                needed = needed or score
                best = max(best, hits / counted if counted else 0.0)
        points.append(best)
        lowest.append(needed)
    return points, text.count("T") / num_instances, lowest


@given(data=st.data(), num_thresholds=st.integers(1, 3), num_classes=st.integers(1, 4))
def test_equal_to_plain_loops_for_all_classes_and_thresholds(
    data: st.DataObject, num_thresholds: int, num_classes: int
) -> None:
    sizes = [data.draw(st.integers(0, 9)) for _ in range(num_classes)]
    rows = [[data.draw(st.text("TFi", min_size=size, max_size=size)) for size in sizes] for _ in range(num_thresholds)]
    most = [max(row[index].count("T") for row in rows) for index in range(num_classes)]
    instances = [count + data.draw(st.integers(0, 3)) for count in most]
    candidates = np.array([data.draw(st.booleans()) for _ in range(sum(sizes))], bool)
    result = curves_of(rows, instances, candidates=candidates)
    for row in range(num_thresholds):
        for index in range(num_classes):
            precision, recall, scores = slow_curves(rows[row][index], instances[index])
            np.testing.assert_allclose(result.precision[row, :, index], precision, rtol=0, atol=1e-15)
            np.testing.assert_allclose(result.scores[row, :, index], scores, rtol=0, atol=1e-15)
            assert result.recall[row, index] == recall


def test_selecting_detections_is_leaving_out_the_others() -> None:
    generator = np.random.default_rng(0)
    texts = ["".join(generator.choice(list("TFi"), 20)) for _ in range(2)]
    kept = generator.random(40) < 0.5
    hit, miss = flags("".join(texts))
    places = np.arange(40)
    whole = MatchFlags(np.linspace(1, 0, 40), np.array([0, 20, 40]), miss[0], places, hit, miss)
    part = whole.select(kept)
    np.testing.assert_array_equal(part.true_positive, hit[:, kept])
    np.testing.assert_array_equal(part.positions, np.arange(kept.sum()))
    assert part.bounds.tolist() == [0, kept[:20].sum(), kept.sum()]
    few = MatchFlags(whole.scores, whole.bounds, whole.missing, places[::3], hit[:, ::3], miss[:, ::3]).select(kept)
    np.testing.assert_array_equal(places[kept][few.positions], places[::3][kept[::3]])


@pytest.mark.parametrize("num_instances", [*range(1, 300), 11_004, 262_465])
def test_objects_needed_compares_quotients(num_instances: int) -> None:
    expected = np.searchsorted(np.arange(num_instances + 1) / num_instances, RECALL_POINTS)
    np.testing.assert_array_equal(objects_needed(np.array([num_instances]))[0], expected)


@given(text=st.text("TFi", min_size=1, max_size=30))
def test_the_envelope_never_rises(text: str) -> None:
    envelope = precision_envelope(*flags(text))
    assert (np.diff(envelope) <= 0).all()
    assert ((envelope >= 0) & (envelope <= 1)).all()
