import io
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yolo.errors import PERCENT, line_of_path, printable, printable_text, terminal_text
from yolo.files import path_of_text, table_cell, write_csv, write_json, write_text
from yolo.growing_file import GrowingFile

NAMES = ("caf\udce9", "a\nb", "\x1b[31m", "\u202egpj", "100% \x07", "%41\t", " a ", "#a", "a\\b", "<b>", "=1", "\u65e5")

needs_any_name = pytest.mark.skipif(os.name == "nt", reason="there are no such names")


@given(st.text())
@example("caf\udce9\ud800%e9")
def test_what_is_printable_is_utf8_on_one_line_and_stays(text: str) -> None:
    shown = printable(text)
    assert shown.encode().decode() == shown
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown
    assert not any(letter in shown for letter in "\x00\x1b\x7f\x9b\u2028")


def test_a_text_keeps_its_lines() -> None:
    assert printable_text("a\n\tb\x1b") == "a\n\tb%1B"
    assert printable("a\n\tb\x1b") == "a%0A%09b%1B"
    assert terminal_text("a\n\u202e\u200f\u2066\x1b") == "a\n%E2%80%AE%E2%80%8F%E2%81%A6%1B"


def test_a_locale_without_utf8_changes_no_name() -> None:
    ascii_locale = "na\xefve caf\udce9".encode("utf-8", "surrogateescape").decode("ascii", "surrogateescape")
    assert printable(ascii_locale) == "na\xefve caf%E9"


def test_other_letters_are_no_business_of_ours() -> None:
    for text in ("na\xefve \u65e5\u672c \U0001f600 \u05d0\u200f\u202e", "100%25.jpg", "a b\\c"):
        assert printable(text) == printable_text(text) == text


@needs_any_name
@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_found_by_what_was_written_of_it(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system has no such names")
    assert path_of_text(printable(path)) == path
    assert path_of_text(str(tmp_path / line_of_path(Path(name)))) == path
    line = line_of_path(Path(name))
    assert line == line.strip()
    assert "\\" not in line
    assert not line.startswith("#")


@needs_any_name
def test_a_name_that_is_there_as_it_stands_is_meant(tmp_path: Path) -> None:
    for name in ("caf%E9", "caf\udce9"):
        (tmp_path / name).touch()
    assert path_of_text(str(tmp_path / "caf%E9")).name == "caf%E9"
    assert path_of_text(str(tmp_path / "gone%E9")).name == "gone%E9"
    assert path_of_text(str(tmp_path / "nul%00")).name == "nul%00"


def test_every_writer_writes_utf8(tmp_path: Path) -> None:
    odd = "caf\udce9 \ud800"
    write_json(tmp_path / "a.json", {odd: odd})
    write_text(tmp_path / "a.txt", odd)
    write_csv(tmp_path / "a.csv", [odd], [[odd]])
    with GrowingFile(tmp_path / "a.jsonl", head=odd, tail=odd) as file:
        file.add(odd)
    for path in tmp_path.iterdir():
        assert "caf%E9 %ED%A0%80" in path.read_text(encoding="utf-8"), path.name


def test_a_cell_is_one_line_and_no_formula() -> None:
    assert [table_cell(text) for text in ("=1", "-a", "a\r\nb", "\t=1")] == ["'=1", "'-a", "a%0D%0Ab", "%09=1"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "utf-8"])
def test_a_stream_of_any_encoding_takes_every_text(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=PERCENT)
    stream.write("".join(NAMES) + "\u65e5 \xb2 \u2212 \ud800")
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    assert "caf%E9" in text
    assert ("%E6%97%A5" in text) == (encoding != "utf-8")
    assert "%ED%A0%80" in text


def test_our_own_signs_have_plain_ones() -> None:
    assert "32\xb2 \xd7 \u22121 \u2013".encode("ascii", PERCENT) == b"32^2 x -1 -"
