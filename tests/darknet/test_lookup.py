from pathlib import Path

import pytest

from tests.darknet.networks import HEADERS, detector_cfg
from tests.engine.darknet_detectors import write_cfg, write_darknet
from yolo.config import DarknetShowConfig
from yolo.darknet.lookup import NETWORKS, VOC_NAMES, default_names, find_cfg, network_cfg, read_names, show
from yolo.darknet.weights import WeightsHeader
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


def test_names_have_at_most_a_million_bytes(tmp_path: Path) -> None:
    assert read_names(write(tmp_path / "a.names", "x" * 1_000_000)) == ("x" * 1_000_000,)
    with pytest.raises(DataError, match=r"a\.names: is too large for a file of class names"):
        read_names(write(tmp_path / "a.names", "x" * 1_000_001))


def test_without_a_number_of_classes_any_number_of_names_will_do(tmp_path: Path) -> None:
    assert read_names(write(tmp_path / "a.names", "cat\n\n dog \n")) == ("cat", "dog")
    with pytest.raises(DataError, match="has no class names"):
        read_names(write(tmp_path / "a.names", "\n"))


def test_many_names_are_read_at_once(tmp_path: Path) -> None:
    count = 100_000  # comparing each with each would take minutes
    names = write(tmp_path / "a.names", "".join(f"{index}\n" for index in range(count)))
    assert len(read_names(names, count)) == count


def test_names_that_nobody_gives_are_vocs_or_numbers() -> None:
    assert default_names(20) == VOC_NAMES
    assert (VOC_NAMES[0], VOC_NAMES[19], sorted(VOC_NAMES)) == ("aeroplane", "tvmonitor", list(VOC_NAMES))
    assert default_names(2) == ("class 0", "class 1")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_shipped_network_can_be_shown(name: str) -> None:
    assert "GFLOP per image" in show(DarknetShowConfig(cfg=name))[-1]


def test_show_tells_what_a_weights_file_holds(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, header=WeightsHeader.new(seen=6400))
    header, covers = show(DarknetShowConfig(weights=str(weights)))[-2:]
    assert header.endswith("small.weights: header of the form 'current', version 0.2.0, 6,400 images seen")
    assert covers == "it holds the whole network"
    partial = write_darknet(tmp_path, name="part", upto=2)
    assert "the first 2 of 5 layers" in show(DarknetShowConfig(weights=str(partial)))[-1]
    old = write_darknet(tmp_path, name="old", header=HEADERS[2])
    assert "learning rate 0.001, momentum 0.9, decay 0.0005" in show(DarknetShowConfig(weights=str(old)))
    cfg = write_cfg(tmp_path, detector_cfg(body="[conv]\nfilters=3\nsize=3\nstride=8\npad=1\nfoo=1\n"))
    assert "unused key 'foo'" in show(DarknetShowConfig(cfg=str(cfg)))[-1]
