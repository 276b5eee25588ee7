from pathlib import Path

import pytest

from tests.data.dataset_trees import put_image
from yolo.errors import DataError
from yolo.formats.image_names import ImageNames, files_by_ends, plain_name


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a\\b.jpg", "a/b.jpg"),
        ("http://x.org:8080/data/local-files/?d=a%5Cb%20c.jpg", "a/b c.jpg"),
        ("s3://bucket/a/b.jpg", "a/b.jpg"),
        ("what?.jpg", "what?.jpg"),
        ("http://[::1.jpg", "http://[::1.jpg"),
    ],
)
def test_what_is_left_of_an_address(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_the_first_fifty_names_choose_the_rule_for_all(tmp_path: Path) -> None:
    put_image(tmp_path / "50.jpg")
    names = [f"{number}.jpg" for number in range(1, 60)]
    assert ImageNames(tmp_path / "x.json", names).note == ""
    moved = ImageNames(tmp_path / "x.json", [f"/gone/{name}" for name in names])
    assert moved.file_of("/gone/50.jpg") == str(tmp_path / "50.jpg")
    assert "x.json says '/gone/50.jpg', which is not there" in moved.note
    with pytest.raises(DataError, match="its images are not found; looked for the first one at"):
        ImageNames(tmp_path / "x.json", ["0.jpg", "1.jpg"])


def test_a_missing_image_does_not_become_another_one_of_its_name(tmp_path: Path) -> None:
    put_image(tmp_path / "a" / "1.jpg")
    put_image(tmp_path / "b" / "2.jpg")
    names = ImageNames(tmp_path / "x.json", ["a/1.jpg", "a/2.jpg"])
    assert names.file_of("a/2.jpg") == str(tmp_path / "a" / "2.jpg")


def test_among_several_of_a_name_the_folders_decide(tmp_path: Path) -> None:
    files = {key: str(put_image(tmp_path / key / "1.jpg")) for key in ("cam1/day", "cam2/day", "cam2/night")}
    found = files_by_ends(["/x/cam1/day/1.jpg", "C:\\cam2\\night\\1.jpg", "/x/day/1.jpg", "/y/1.jpg"], tmp_path)
    assert found == {"/x/cam1/day/1.jpg": files["cam1/day"], "C:\\cam2\\night\\1.jpg": files["cam2/night"]}


def test_one_image_under_two_names_is_neither(tmp_path: Path) -> None:
    put_image(tmp_path / "1.jpg")
    assert files_by_ends(["/a/1.jpg", "/b/1.jpg"], tmp_path) == {}
    assert files_by_ends(["/a/1.jpg", "/a/1.jpg"], tmp_path) == {"/a/1.jpg": str(tmp_path / "1.jpg")}
