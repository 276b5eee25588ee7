import os
from pathlib import Path

import pytest

from tests.data.dataset_trees import put_text
from yolo.data.csv_boxes import is_box_csv
from yolo.data.listing import find_images, is_file, path_id, read_lines, read_text
from yolo.errors import DataError


def test_images_are_found_sorted_in_any_case_of_suffix(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/z.tiff", "a/.x.jpg", "c.txt", "c.jpg.txt"):
        put_text(tmp_path / name, "")
    assert find_images(tmp_path) == [tmp_path / "a" / "z.tiff", tmp_path / "b.JPG"]


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    put_text(tmp_path / "elsewhere" / "a.jpg", "")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert find_images(tmp_path / "images") == [tmp_path / "images" / "link" / "a.jpg"]


def test_a_folder_that_cannot_be_listed_is_no_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone: cannot be listed"):
        find_images(tmp_path / "gone")


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="an administrator may list every folder")
def test_a_closed_folder_is_reported(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    with pytest.raises(DataError, match="closed: cannot be listed"):
        find_images(tmp_path)


def test_text_may_have_a_byte_order_mark_and_any_line_ends(tmp_path: Path) -> None:
    assert read_lines(put_text(tmp_path / "a.txt", "\ufeffone\r\n two \n\n\rthree")) == ["one", "two", "three"]


def test_text_that_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.txt: cannot be read \(No such file"):
        read_text(tmp_path / "gone.txt")
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.txt: is not UTF-8 text \(byte 0\)"):
        read_text(tmp_path / "latin.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "label.txt")
    with pytest.raises(DataError, match=r"label.txt: cannot be read \(it is a pipe or a device, not a file\)"):
        read_text(tmp_path / "label.txt")
    assert not is_box_csv(tmp_path / "label.txt")


def test_an_impossible_name_is_no_file(tmp_path: Path) -> None:
    assert not is_file(tmp_path / ("x" * 5000))
    assert not is_file(Path("a\0b"))


def test_ids_outside_of_the_folder_are_whole_paths() -> None:
    assert path_id(Path("/x/y.tar.jpg"), Path("/data")) == "/x/y.tar"
