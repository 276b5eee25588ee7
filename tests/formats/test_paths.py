import os
from pathlib import Path
from typing import Any

import pytest

from tests.data.dataset_trees import coco_content, put_image, put_json, put_text, put_voc, voc_object
from yolo.data.read import find_dataset, read_split
from yolo.errors import DataError
from yolo.formats.csv import is_box_csv
from yolo.formats.issues import ReadReport
from yolo.formats.paths import (
    ImageSizes,
    find_images,
    is_file,
    path_id,
    read_lines,
    read_text,
    split_lines,
)


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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_that_is_utf_16_is_named_with_what_to_do(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("0 .5 .5 .1 .1\n".encode(encoding))
    name = "UTF-32" if encoding == "utf-32" else "UTF-16"
    for read in (read_text, split_lines):
        with pytest.raises(DataError, match=f"a.txt: is not UTF-8 text but {name}; save it as UTF-8"):
            read(path)


def test_sixty_four_bytes_tell_utf_16_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\0" * 31 + b"aa")
    assert len(read_text(path)) == 64
    path.write_bytes(b"a\0" * 32 + b"aa")
    with pytest.raises(DataError, match="but UTF-16"):
        read_text(path)


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


def test_stated_sizes_are_trusted_without_opening_the_file(tmp_path: Path) -> None:
    image = put_text(tmp_path / "a.jpg", "no image at all")
    account = ReadReport("train")
    sizes = ImageSizes(account, "stated")
    assert sizes.find(str(image), (7, 9)) == (str(image), (7, 9))
    assert sizes.find(str(tmp_path / "gone.jpg"), (7, 9)) is None
    assert sizes.find(str(tmp_path), (7, 9)) is None  # a folder
    assert account.images_dropped == {"image_missing": 2}
    sizes.note()
    assert account.notes == [
        "the sizes of 1 images are those that the annotations state; each is checked when its image is decoded"
    ]


def test_an_evaluation_needs_no_image_files_unless_boxes_are_fractions(tmp_path: Path) -> None:
    image, gone = str(put_image(tmp_path / "a.png")), str(tmp_path / "gone.png")
    report = ReadReport("val")
    sizes = ImageSizes(report, needed=False)
    assert sizes.find(image, (7, 9)) == (image, (7, 9))
    assert sizes.find(image, (None, 9)) == (image, (20, 40))
    assert sizes.find(gone, (7, 9)) == ("", (7, 9))
    assert sizes.find(gone) == sizes.find("") == ("", (0, 0))
    assert not report.counts
    assert sizes.find(gone, fractions=True) is None
    assert report.images_dropped == {"image_missing": 1}


@pytest.mark.parametrize("stated", [(0, 9), (-1, 9), (True, 9), (7.0, 9), ("7", 9), (None, 9), (2**31, 9), ([], {})])
def test_what_is_no_whole_positive_size_is_not_trusted(tmp_path: Path, stated: tuple[Any, Any]) -> None:
    image = put_image(tmp_path / "a.png")
    assert ImageSizes(ReadReport("train"), "stated").find(str(image), stated) == (str(image), (20, 40))


@pytest.mark.parametrize("kind", ["coco", "voc", "csv"])
def test_formats_that_state_sizes_are_opened_without_reading_images(tmp_path: Path, kind: str) -> None:
    images = [put_text(tmp_path / "JPEGImages" / f"{name}.jpg", "x") for name in "ab"]
    if kind == "coco":
        put_json(tmp_path / "labels.json", coco_content([f"JPEGImages/{p.name}" for p in images], [], {1: "cat"}))
    elif kind == "csv":
        rows = "".join(f"JPEGImages/{path.name},cat,1,1,9,9,40,20\n" for path in images)
        put_text(tmp_path / "annotations.csv", "image,class,xmin,ymin,xmax,ymax,width,height\n" + rows)
    else:
        for name in "ab":
            put_voc(
                tmp_path,
                name,
                voc_object("cat", (1, 1, 9, 9)),
                size="<size><width>40</width><height>20</height></size>",
            )
        for path in images:
            path.write_text("x")
    descriptor = find_dataset(tmp_path)
    for split in ("train", "val"):
        read = read_split(descriptor, split, sizes="stated")
        assert [image.size_hw for image in read.images] == [(20, 40)]
        assert "each is checked when" in read.report.notes[-1]


def test_auto_reads_small_splits_and_trusts_large_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_image(tmp_path / "a.png", size_hw=(10, 20))
    path = put_json(tmp_path / "labels.json", coco_content(["a.png"], [], {1: "cat"}))
    descriptor = find_dataset(put_text(tmp_path / "d.yaml", f"train: {path.name}\nval: {path.name}"))
    assert read_split(descriptor, "train").images[0].size_hw == (10, 20)
    monkeypatch.setattr("yolo.formats.paths.AUTO_READS", 0)
    assert read_split(descriptor, "train").images[0].size_hw == (20, 40)
    assert read_split(descriptor, "train", sizes="read").images[0].size_hw == (10, 20)


def test_auto_trusts_stated_sizes_of_more_than_20000_images(tmp_path: Path) -> None:
    image = str(put_text(tmp_path / "a.jpg", "no image"))
    for count, found in ((20_000, None), (20_001, (image, (7, 9)))):
        sizes = ImageSizes(ReadReport(), "auto")
        sizes.expect(count)
        assert sizes.find(image, (7, 9)) == found
