from pathlib import Path

import pytest

from yolo.engine.output_names import OutputNames, safe_name
from yolo.errors import printable
from yolo.formats.detections_json import numbered_frame


def of_frame(names: OutputNames, source: str, frame: int) -> str:
    return numbered_frame(names.of_file(source, frame), frame)


def test_images_of_a_folder_keep_its_folders(tmp_path: Path) -> None:
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    names = OutputNames(str(tmp_path / "photos"))
    given = [names.of_image(str(tmp_path / name)) for name in ("photos/a.jpg", "photos/sub/a.jpg", "else/a.jpg")]
    assert given == ["a", "sub/a", "a-2"]
    pattern = OutputNames(str(tmp_path / "photos" / "*" / "*.jpg"))
    assert pattern.of_image(str(tmp_path / "photos" / "sub" / "a.jpg")) == "sub/a"
    several = OutputNames((str(tmp_path / "photos"), str(tmp_path / "photos" / "sub")))
    assert several.of_image(str(tmp_path / "photos" / "sub" / "a.jpg")) == "sub/a"


def test_equal_names_stay_apart_also_where_case_or_accents_make_no_difference() -> None:
    names = OutputNames()
    assert [names.of_image(one) for one in ("a.jpg", "a.png", "A.jpg", "a-2.jpg")] == ["a", "a-2", "A-3", "a-2-2"]
    assert names.of_image("é.jpg") == "é"
    assert names.of_image("e\u0301.jpg") == "e\u0301-2"


def test_frames_are_numbered_and_a_video_twice_is_two() -> None:
    names = OutputNames()
    assert [of_frame(names, "v.mp4", frame) for frame in (0, 5, 1234567)] == ["v_000000", "v_000005", "v_1234567"]
    assert of_frame(names, "w/v.mp4", 0) == "v-2_000000"
    assert of_frame(names, "v.mp4", 0) == "v-3_000000"
    assert names.of_image("v_000005.jpg") == "v_000005-2"
    others = OutputNames()
    assert [others.of_image("v_000005.jpg"), of_frame(others, "v.mp4", 5)] == ["v_000005", "v-2_000005"]


def test_addresses_and_devices() -> None:
    names = OutputNames("https://example.org/x/cat.jpg?size=large#top")
    assert names.of_image("https://example.org/x/a%2Fcat%20one.jpg?size=../large#top") == "cat one"
    assert names.of_image("https://example.org/") == "example.org"
    assert of_frame(names, "rtsp://user:secret@camera.local:554/live", 3) == "live_000003"
    assert of_frame(names, "0", 3) == "0_000003"


def test_names_are_possible_everywhere() -> None:
    assert safe_name('a<b>:"c|d?e*f\\g/h\x1b') == "a_b___c_d_e_f_g_h%1B"
    assert [safe_name(one) for one in ("nul", "com1.x", "console", "..", ".hidden", "dot. ")] == [
        "_nul", "_com1.x", "console", "_", "_hidden", "dot",
    ]  # fmt: skip
    assert safe_name("caf\udce9") == "caf%E9"  # no UTF-8
    long = [safe_name("ü" * 300 + end) for end in "ab"]
    assert long[0] != long[1]
    assert all(len(one.encode()) <= 180 and one.startswith("üü") for one in long)


def test_many_files_of_one_name_take_no_longer_each() -> None:
    names = OutputNames()
    given = [names.of_image(f"{folder}/frame.jpg") for folder in range(20_000)]
    assert given[:2] == ["frame", "frame-2"]
    assert given[-1] == "frame-20000"


def test_a_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "caf\udce9"
    try:
        (folder / "sub").mkdir(parents=True)
    except OSError:
        pytest.skip("this file system has no such names")
    names = OutputNames(str(folder))
    assert names.of_image(printable(folder / "sub" / "a.jpg")) == "sub/a"


def test_a_further_file_of_a_stream_has_a_name_of_its_own() -> None:
    names = OutputNames()
    video = names.of_file("cam", 0)
    assert [video, names.of_part(video), names.of_file("cam", 1), names.of_image("cam-2.jpg")] == [
        "cam", "cam-2", "cam", "cam-2-2",
    ]  # fmt: skip
