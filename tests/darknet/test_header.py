import os
import struct
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.darknet.networks import CURRENT, FORM_2016, OLDEST, plan_of
from tests.reference.golden import golden_path
from yolo.darknet.header import WeightsHeader, parse_header, read_header
from yolo.darknet.weights import read_weights
from yolo.errors import WeightsError


def test_the_three_forms_byte_by_byte() -> None:
    assert CURRENT.to_bytes() == struct.pack("<iiiQ", 0, 2, 0, 2**40 + 3)
    assert FORM_2016.to_bytes() == struct.pack("<iiii", 0, 1, 0, -5)
    assert OLDEST.to_bytes() == struct.pack("<fffi", 0.001, 0.9, 0.0005, 6400)
    assert [header.size for header in (CURRENT, FORM_2016, OLDEST)] == [20, 16, 16]
    assert OLDEST.hyperparameters == pytest.approx((0.001, 0.9, 0.0005))
    assert CURRENT.hyperparameters is None


@pytest.mark.parametrize(
    ("major", "minor", "form", "transposes"),
    [
        (0, 0, "2016", False),
        (0, 1, "2016", False),
        (0, 2, "current", False),
        (1, 0, "current", False),
        (999, 999, "current", False),
        (1000, 0, "2016", False),  # neither below nor above the limit
        (0, 1000, "2016", False),
        (1001, 0, "oldest", True),
        (0, 1001, "oldest", True),
        (-1, 12, "current", False),
        (-1, 11, "2016", False),
        (-(2**31), 2**31 - 1, "oldest", True),
    ],
)
def test_the_form_follows_from_the_first_two_numbers(major: int, minor: int, form: str, transposes: bool) -> None:
    header = WeightsHeader(major=major, minor=minor, revision=0, seen=7)
    assert (header.form, header.transposes_connected) == (form, transposes)
    assert parse_header(header.to_bytes(), source="a") == header


@given(st.binary(min_size=20, max_size=40))
def test_any_twenty_bytes_are_a_header_that_is_written_back_as_it_was(start: bytes) -> None:
    assume(not start.startswith((b"PK", b"[net", b"<", b"version")))  # what other files begin with is refused
    header = parse_header(start, source="a")
    assert start.startswith(header.to_bytes())


def test_seen_must_fit_its_form() -> None:
    with pytest.raises(WeightsError, match=r"does not fit the 2016 header .* 32-bit number before version 0\.2\.0"):
        WeightsHeader(major=0, minor=1, revision=0, seen=2**31)
    with pytest.raises(WeightsError, match="does not fit the current header"):
        WeightsHeader.new(seen=-1)
    assert WeightsHeader.new(2**64 - 1).seen == 2**64 - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are shorter than any header"),
        (b"\0" * 15, "15 bytes are shorter than any header"),
        (struct.pack("<iiii", 0, 2, 0, 0), "ends inside the header"),
        (b"PK\x03\x04" + b"\0" * 40, "a zip archive or PyTorch file"),
        (b"[net]\nbatch=64\nsubdivisions=8\n", "but a cfg"),
        (b"<!DOCTYPE html><html><head>", "a web page: the download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ],
)
def test_what_is_no_weights_file_is_called_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.weights"
    path.write_bytes(content)
    for read in (read_header, lambda path: read_weights(path, plan_of())):
        with pytest.raises(WeightsError, match=rf"a\.weights is no darknet weights file.*{message}"):
            read(path)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing: cannot read these weights: No such file"):
        read_weights(tmp_path / "missing", plan_of())
    with pytest.raises(WeightsError, match="is no file"):
        read_weights(tmp_path, plan_of())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="pipe is no file"):
        read_header(tmp_path / "pipe")


def test_the_oldest_headers_numbers() -> None:
    header = read_header(golden_path("micro_ancient.weights"))
    assert header.form == "oldest"
    assert header.hyperparameters == pytest.approx((0.001, 0.9, 0.0005))
