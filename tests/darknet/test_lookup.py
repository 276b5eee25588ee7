import os
from pathlib import Path

import pytest

from yolo.darknet.lookup import VOC_NAMES, default_names, find_cfg, network_cfg, read_names
from yolo.errors import ConfigError, DataError


def test_a_network_is_found_by_name_with_or_without_suffix() -> None:
    assert find_cfg("yolov1").text == network_cfg("yolov1")
    assert find_cfg("yolov1.cfg").source == "yolov1.cfg"


def test_a_file_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yolov1").write_text("[net]\n[max]\n")
    monkeypatch.chdir(tmp_path)
    assert len(find_cfg("yolov1").sections) == 2
    assert find_cfg(tmp_path / "yolov1").source == str(tmp_path / "yolov1")


@pytest.mark.parametrize("name", ["yolo1", "yolov1_tiny.cfg", "extracton"])
def test_a_misspelt_name_gets_the_nearest_one(name: str) -> None:
    with pytest.raises(ConfigError, match=r"did you mean (yolov1|yolov1-tiny|extraction)\?"):
        find_cfg(name)


def test_a_missing_path_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither a file nor a network"):
        find_cfg(tmp_path / "mine.cfg")


@pytest.mark.parametrize("name", ["", "x" * 100_000, "a\0b"])
def test_what_can_be_no_path_is_no_crash(name: str) -> None:
    with pytest.raises(ConfigError, match="is neither a file nor a network"):
        find_cfg(name)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_names_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.names", tmp_path):
        with pytest.raises(DataError, match=f"{path.name}: cannot be read"):
            read_names(path, 2)


def test_many_names_are_read_at_once(tmp_path: Path) -> None:
    count = 100_000  # comparing each with each would take minutes
    names = write(tmp_path / "a.names", "".join(f"{index}\n" for index in range(count)))
    assert len(read_names(names, count)) == count


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_names_from_a_pipe_or_an_endless_device_do_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(DataError, match=f"{path.name}: is (not a file|too large)"):
            read_names(path, 2)


def test_names_that_nobody_gives_are_vocs_or_numbers() -> None:
    assert default_names(20) == VOC_NAMES
    assert (VOC_NAMES[0], VOC_NAMES[19], sorted(VOC_NAMES)) == ("aeroplane", "tvmonitor", list(VOC_NAMES))
    assert default_names(2) == ("class 0", "class 1")
