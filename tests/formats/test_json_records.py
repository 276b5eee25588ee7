import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.input_files import put
from yolo.errors import DataError
from yolo.formats.json_records import array_parts, parse_json, read_json_bytes

PATH = Path("file.json")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.sampled_from(["}, {", "a},", "{", '"', "\\", "}\n,"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(["a", "},{"]), children),
    max_leaves=6,
)


def elements(data: bytes, part_bytes: int) -> list[Any]:
    return list(chain.from_iterable(array_parts(data, PATH, part_bytes=part_bytes)))


@given(content=st.lists(VALUES, max_size=8), part_bytes=st.integers(0, 40), indent=st.sampled_from([None, 1]))
def test_parts_are_the_whole_wherever_the_file_is_cut(content: list[Any], part_bytes: int, indent: int | None) -> None:
    data = json.dumps(content, indent=indent).encode()
    assert repr(elements(data, part_bytes)) == repr(content)


def test_a_file_is_read_in_parts() -> None:
    data = json.dumps([{"a": number} for number in range(100)]).encode()
    sizes = list(map(len, array_parts(data, PATH, part_bytes=90)))
    assert sum(sizes) == 100
    assert max(sizes) <= 12


def test_an_empty_array_is_one_empty_part() -> None:
    assert [list(array_parts(data, PATH)) for data in (b"[]", b"[ \n]")] == [[[]], [[]]]


@given(cut=st.integers(1, 59), part_bytes=st.integers(0, 30))
def test_a_file_that_is_cut_off_is_never_read(cut: int, part_bytes: int) -> None:
    data = b'[{"a": 1, "b": [1, 2]}, {"a": 2, "b": "},{"}, {"a": 3, "b": {}}]'
    with pytest.raises(DataError, match=r"it was cut off|is not JSON"):
        elements(data[:cut], part_bytes)


@pytest.mark.parametrize("data", [b'[{"a":1},]', b'[{"a":1},{"a":2},  ]', b'[{"a":1}}', b'[{"a":1} {"a":2}]', b"[,]"])
@pytest.mark.parametrize("part_bytes", [0, 5, 1000])
def test_what_is_no_array_is_no_array_in_parts(data: bytes, part_bytes: int) -> None:
    with pytest.raises(DataError, match=r"file.json: "):
        elements(data, part_bytes)


def test_the_message_says_where_a_file_ends(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", b'[\n{"a": 1},\n{"a": 2, "b')
    with pytest.raises(
        DataError, match=r"file\.json: is not JSON: it ends before it is complete, after 23 bytes in line 3 .*again"
    ):
        elements(read_json_bytes(path), 0)


def test_the_message_says_where_a_file_breaks() -> None:
    with pytest.raises(DataError, match=r"is not JSON .* at byte 9, line 2"):
        parse_json('["äö"\n {"a" 1}]'.encode(), PATH)


@pytest.mark.parametrize("data", [b'[{"a": 1}]\n,', b'[{"a": 1}]]', b'[{"a": 1}] x', b'[{"a": 1}]\n[{"a": 2}]'])
def test_what_follows_the_end_is_not_called_cut_off(data: bytes) -> None:
    for part_bytes in (0, 1000):
        with pytest.raises(
            DataError, match=r"is not JSON: there is more after its end, from byte 1\d, .*; remove what"
        ):
            elements(data, part_bytes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('[{"a": 1}]'.encode("utf-16"), r"is not UTF-8 text but UTF-16; save it as UTF-8"),
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b'["\xff"]', r"is not UTF-8 text \(byte 2\)"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", r"is not JSON that can be read \(a number has more than 4,300 digits\); write it"),
        (b"nonsense", "is not JSON"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, data: bytes, message: str) -> None:
    path = put(tmp_path / "a.json", data)
    with pytest.raises(DataError, match=message) as caught:
        parse_json(read_json_bytes(path), path)
    assert len(str(caught.value)) < 600


def test_a_byte_order_mark_and_not_a_number_are_read(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", b'\xef\xbb\xbf[{"a": NaN}, {"a": 1}, {"a": -Infinity}]\n')
    data = read_json_bytes(path)
    assert repr(elements(data, 0)) == "[{'a': nan}, {'a': 1}, {'a': -inf}]"
    assert repr(parse_json(data, path)) == "[{'a': nan}, {'a': 1}, {'a': -inf}]"
