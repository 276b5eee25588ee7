from pathlib import Path

from yolo.engine.output_names import OutputNames, safe_name


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
    assert [names.of_frame("v.mp4", frame) for frame in (0, 5, 1234567)] == ["v_000000", "v_000005", "v_1234567"]
    assert names.of_frame("w/v.mp4", 0) == "v-2_000000"
    assert names.of_frame("v.mp4", 0) == "v-3_000000"
    assert names.of_image("v_000005.jpg") == "v_000005-2"
    others = OutputNames()
    assert [others.of_image("v_000005.jpg"), others.of_frame("v.mp4", 5)] == ["v_000005", "v-2_000005"]


def test_addresses_and_devices() -> None:
    names = OutputNames("https://example.org/x/cat.jpg?size=large#top")
    assert names.of_image("https://example.org/x/a%2Fcat%20one.jpg?size=../large#top") == "cat one"
    assert names.of_image("https://example.org/") == "example.org"
    assert names.of_frame("rtsp://user:secret@camera.local:554/live", 3) == "live_000003"
    assert names.of_frame("0", 3) == "0_000003"


def test_names_are_possible_everywhere() -> None:
    assert safe_name('a<b>:"c|d?e*f\\g/h\x1b') == "a_b___c_d_e_f_g_h_"
    assert [safe_name(one) for one in ("nul", "com1.x", "console", "..", ".hidden", "dot. ")] == [
        "_nul", "_com1.x", "console", "_", "_hidden", "dot",
    ]  # fmt: skip
    assert safe_name("caf\udce9") == "caf_"  # no UTF-8
    long = [safe_name("ü" * 300 + end) for end in "ab"]
    assert long[0] != long[1]
    assert all(len(one.encode()) <= 180 and one.startswith("üü") for one in long)
