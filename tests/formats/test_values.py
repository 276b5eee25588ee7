import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.formats.values import float32, is_set, number, number_text, plain_id, shortest, shortest_float32, shown_id

_floats = st.floats(0, 1e9, width=32)


@given(st.lists(_floats, max_size=5))
def test_the_shortest_numbers_are_read_back_exactly(values: list[float]) -> None:
    for value in values:
        text = number_text(shortest_float32(value))
        assert float32(float(text)) == value
        assert "e" not in text
        # numpy's own shortest text for a float32 is no shorter; below a billionth the decimals are not searched
        assert len(text) <= len(np.format_float_positional(np.float32(value), trim="-")) or value < 1e-9


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (7.0, "7"), (1 / 3, "0.33333334"), (123.456, "123.456"), (0.0, "0")]
)
def test_known_numbers(value: float, text: str) -> None:
    assert number_text(shortest_float32(float32(value))) == text


def test_seventeen_digits_are_looked_at() -> None:
    assert shortest_float32(float32(1e-16)) == 1e-16
    assert shortest_float32(float32(1e-17)) != 1e-17


def test_what_is_never_accepted_stays() -> None:
    assert shortest(0.123456789, lambda _: False) == 0.123456789


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), (1.0, 1), ("1", 1), ("-3", -3), ("007", "007"), ("1.0", "1.0"), (1.5, None), (True, None), ([1], None)],
)
def test_ids_have_one_form(value: object, expected: object) -> None:
    assert plain_id(value) == expected
    assert type(plain_id(value)) is type(expected)


def test_flags_and_numbers_as_text() -> None:
    assert [is_set(text) for text in ("1", "TRUE", "yes", "0", "", "no", "2", "nan", "x")] == [
        True, True, True, False, False, False, True, None, None,
    ]  # fmt: skip
    assert [number(text) for text in ("1e3", b" 2 ", "1_0", "x", b"1_0")] == [1000, 2, None, None, None]


def test_ids_are_numbers_as_long_as_readers_of_json_keep_them() -> None:
    assert plain_id(2.0**53 - 1) == 2**53 - 1
    assert plain_id(2.0**53) is None
    assert [plain_id(str(value)) for value in (2**64 - 1, 2**64, -(2**63), -(2**63) - 1)] == [
        2**64 - 1, str(2**64), -(2**63), str(-(2**63) - 1),
    ]  # fmt: skip
    assert plain_id("1" * 20) == int("1" * 20)
    assert shown_id(2**64).startswith("18446744073709551616 (a number of more than 64 bits")
    assert [shown_id(value) for value in (1.5, math.inf, math.nan, 7)] == ["1.5", "inf", "nan", "7"]
