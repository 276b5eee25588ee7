import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.formats.exact_numbers import number_text, rounding_bounds, shortest, shortest_float32s

_floats = st.floats(0, 1e9, width=32)


@given(_floats)
def test_what_lies_between_the_bounds_is_rounded_to_the_number_and_nothing_else_is(value: float) -> None:
    ((low, high),) = rounding_bounds(np.array([value], np.float32))
    assert low < value < high
    for inside in (np.nextafter(low, high), np.nextafter(high, low), (low + value) / 2, (high + value) / 2):
        assert np.float64(inside).astype(np.float32) == value
    for outside in (np.nextafter(low, -1e30), np.nextafter(high, 1e30)):
        assert np.float64(outside).astype(np.float32) != value


@given(st.lists(_floats, max_size=5))
def test_the_shortest_numbers_are_read_back_exactly(values: list[float]) -> None:
    for value, number in zip(values, shortest_float32s(np.array(values, np.float32)), strict=True):
        text = number_text(number)
        assert np.float64(float(text)).astype(np.float32) == value
        assert "e" not in text
        # numpy's own shortest text for a float32 is no shorter; below a billionth the decimals are not searched
        assert len(text) <= len(np.format_float_positional(np.float32(value), trim="-")) or value < 1e-9


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (7.0, "7"), (1 / 3, "0.33333334"), (123.456, "123.456"), (0.0, "0")]
)
def test_known_numbers(value: float, text: str) -> None:
    (number,) = shortest_float32s(np.array([value], np.float32))
    assert number_text(number) == text


def test_what_is_never_accepted_is_none() -> None:
    assert shortest(0.5, lambda _: False) is None
