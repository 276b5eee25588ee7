from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.curate.image_files import FileNames
from yolo.formats.paths import is_image_name

_pieces = st.sampled_from(
    ["a", "A", ".", "..", "/", "\\", "\n", " ", "ü", "u\u0308", ".jpg", "\udcff", "-2", "x" * 300]
)
_names = st.one_of(st.text(max_size=20), st.lists(_pieces, max_size=6).map("".join)).map(lambda name: f"{name}.jpg")


def test_names_are_kept_and_made_different() -> None:
    names = FileNames(apart_by_stem=False)
    given_names = ["a.jpg", "a.jpg", "A.JPG", "a-2.jpg", "a.png", "ü.jpg", "u\u0308.jpg"]
    assert [names.name_for(name) for name in given_names] == [
        "a.jpg", "a-2.jpg", "A-3.JPG", "a-2-2.jpg", "a.png", "ü.jpg", "u\u0308-2.jpg"
    ]  # fmt: skip


def test_formats_with_a_file_per_image_need_different_stems() -> None:
    names = FileNames(apart_by_stem=True)
    assert [names.name_for(name) for name in ("a.jpg", "a.png")] == ["a.jpg", "a-2.png"]


@pytest.mark.parametrize(
    ("name", "fitting"),
    [
        ("../../x.jpg", "_.._.._x.jpg"),
        ("/etc/x.jpg", "_etc_x.jpg"),
        ("a\nb\\c.jpg", "a_b_c.jpg"),
        (" a .jpg", "a.jpg"),
        (".hidden.jpg", "_.hidden.jpg"),
        ("a.jpg.png", "a_jpg.png"),  # lists of Pascal VOC would take a.jpg for a
        ("\udcff.jpg", "_.jpg"),
        (".jpg", "_.jpg"),
    ],
)
def test_what_lists_cannot_hold_is_replaced(name: str, fitting: str) -> None:
    assert FileNames(apart_by_stem=True).name_for(name) == fitting


@given(st.lists(_names, max_size=6), st.booleans())
def test_every_name_is_fit_and_its_own(originals: list[str], apart_by_stem: bool) -> None:
    names = FileNames(apart_by_stem=apart_by_stem)
    found = [names.name_for(name, suffix=".png" if len(name) % 2 else "") for name in originals]
    assert len({name.casefold() for name in found}) == len(found)
    for name in found:
        assert PurePath(name).name == name not in (".", "..")
        assert len(name.encode("utf-8")) <= 255
        assert is_image_name(name if PurePath(name).suffix else f"{name}.jpg")
        stem = PurePath(name).stem
        assert stem == stem.strip()
        assert not set(name) & set("\n\r\\/\0")


def test_a_thousand_images_of_one_name_are_quick() -> None:
    names = FileNames(apart_by_stem=True)
    assert len({names.name_for("a.jpg") for _ in range(3000)}) == 3000
