from pathlib import Path

import pytest

from yolo.errors import DataError
from yolo.formats.match_images import match_sources
from yolo.formats.results import KnownImages

PATH = Path("detections.json")


def places(sources: list[str], *file_names: str) -> dict[str, int]:
    return match_sources(sources, KnownImages(list(file_names), list(file_names)), path=PATH)


def test_a_name_is_found_from_wherever_it_is_seen() -> None:
    assert places(["../x/val/7.jpg", "/y/8.png"], "/data/val/7.jpg", "8.png", "9.png") == {
        "../x/val/7.jpg": 0,
        "/y/8.png": 1,
    }
    assert places([r"C:\x\7.jpg", "gone.jpg"], "val/7.jpg") == {r"C:\x\7.jpg": 0}


def test_the_folders_decide_between_equal_names() -> None:
    assert places(["p/b/1.jpg", "p/a/1.jpg"], "a/1.jpg", "b/1.jpg") == {"p/a/1.jpg": 0, "p/b/1.jpg": 1}
    assert places(["p/a/1.jpg", "p/c/1.jpg"], "a/1.jpg") == {"p/a/1.jpg": 0}
    assert places(["1.png"], "1.jpg", "1.png") == {"1.png": 1}


def test_ids_without_files_and_frames_have_no_suffix() -> None:
    images = KnownImages(["a/clip_000012", "v1.5"], ["", ""])
    assert match_sources(["a/clip_000012", "v1.5.jpg"], images, path=PATH) == {"a/clip_000012": 0, "v1.5.jpg": 1}


def test_what_cannot_be_decided_is_refused() -> None:
    with pytest.raises(DataError, match=r"'1.jpg' may be several images of the ground truth, such as 'a/1.jpg'"):
        places(["1.jpg"], "a/1.jpg", "b/1.jpg")
    with pytest.raises(DataError, match=r"several results for the image '1.jpg': 'a/1.jpg' and 'b/1.jpg'"):
        places(["a/1.jpg", "b/1.jpg"], "1.jpg")


def test_names_that_no_file_can_hold_are_matched_as_they_are_written() -> None:
    names = ("p/caf\udce9.jpg", "p/caf\udce8.jpg", "p/a\nb.jpg", "p/\x85.jpg")
    written = ["q/caf%E9.jpg", "q/caf%E8.jpg", "q/a%0Ab.jpg", "q/%C2%85.jpg"]
    assert places(written, *names) == {name: place for place, name in enumerate(written)}
