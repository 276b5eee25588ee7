from pathlib import Path

import pytest
import torch

from tests.darknet.networks import HEADERS, detector_cfg
from tests.engine.darknet_detectors import write_darknet
from tests.engine.shapes import write_untrained
from yolo.config import DarknetExportConfig, DarknetImportConfig, DarknetShowConfig
from yolo.darknet.lookup import find_cfg, read_names, show
from yolo.darknet.plan import detector_classes, plan_cfg
from yolo.darknet.weights import WeightsHeader, read_header
from yolo.engine.darknet import export_darknet, import_darknet, open_darknet
from yolo.engine.detector import open_detector
from yolo.errors import ConfigError, DataError, GridYoloError, WeightsError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_the_cfg_beside_the_weights_is_taken(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    network, metadata = open_darknet(weights)
    assert network.spec.cfg == weights.with_suffix(".cfg").read_text()
    assert not network.training
    assert metadata.class_names == ("class 0", "class 1")
    assert metadata.seen == 640


def test_a_cfg_that_is_named_goes_before_the_one_beside(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    other = write(tmp_path / "other.cfg", weights.with_suffix(".cfg").read_text() + "# other\n")
    write(weights.with_suffix(".cfg"), "no cfg at all")
    assert open_darknet(weights, cfg=str(other))[0].spec.cfg.endswith("# other\n")


@pytest.mark.parametrize(
    ("file", "network"), [("yolov1-tiny", "yolov1-tiny"), ("tiny-yolov1", "yolov1-tiny"), ("yolov1", "yolov1")]
)
def test_weights_with_a_known_name_need_no_cfg(file: str, network: str, tmp_path: Path) -> None:
    # a header alone: which cfg was taken shows in what is missing
    weights = write(tmp_path / f"{file}.weights", WeightsHeader.new().to_bytes())
    with pytest.raises(WeightsError, match=f"no layer of {network}.cfg"):
        open_darknet(weights)


def test_without_a_cfg_the_error_names_the_choices(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    weights.with_suffix(".cfg").unlink()
    with pytest.raises(ConfigError, match=r"small\.weights: does not say which network.*yolov1-tiny.*small\.cfg"):
        open_darknet(weights)
    with pytest.raises(WeightsError, match=r"none\.weights: no such weights file"):
        open_darknet(tmp_path / "none.weights")
    with pytest.raises(WeightsError, match=r"none\.weights"):
        open_darknet(tmp_path / "none.weights", cfg="yolov1-tiny")
    with pytest.raises(ConfigError, match="'yolov1-tinny' is neither a file nor a network: did you mean yolov1-tiny"):
        open_darknet(weights, cfg="yolov1-tinny")


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (detector_cfg().split("[detection]")[0], r"small\.cfg: has no \[detection\] section: it is a classifier"),
        (detector_cfg(net={"channels": 1}), r"small\.cfg: takes inputs of 32 x 32 x 1; images here are RGB"),
        (detector_cfg() + "[dropout]\n", r"small\.cfg:\d+: \[detection\] must be the last section"),
    ],
)
def test_networks_that_detect_nothing_on_rgb_images_are_refused(cfg: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        open_darknet(write_darknet(tmp_path, cfg))
    with pytest.raises(ConfigError, match=message):
        detector_classes(plan_cfg(find_cfg(tmp_path / "small.cfg")))


def test_a_safetensors_file_needs_no_cfg_and_gets_none(tmp_path: Path) -> None:
    detector = import_darknet(DarknetImportConfig(weights=str(write_darknet(tmp_path))))
    for options in ({"cfg": "yolov1"}, {"names": "a.names"}):
        with pytest.raises(GridYoloError, match=r"small\.safetensors.*(its own|already)"):
            open_detector(detector, cfg=options.get("cfg", ""), names=options.get("names", ""))
    with pytest.raises(GridYoloError, match=r"small\.safetensors.*of gridyolo already"):
        import_darknet(DarknetImportConfig(weights=str(detector)))
    with pytest.raises(GridYoloError, match=r"small\.safetensors.*of gridyolo already"):
        show(DarknetShowConfig(cfg="yolov1", weights=str(detector)))
    assert show(DarknetShowConfig(weights=str(detector))) == show(DarknetShowConfig(cfg=str(tmp_path / "small.cfg")))


def test_the_settings_are_those_of_darknets_own_commands(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, header=WeightsHeader.new(seen=2**40 + 3))
    imported = import_darknet(DarknetImportConfig(weights=str(weights)))
    for metadata in (open_detector(weights)[1], open_detector(imported)[1]):
        assert (metadata.predict.score_threshold, metadata.predict.iou_threshold) == (0.2, 0.4)
        assert (metadata.val.score_threshold, metadata.val.iou_threshold) == (0.001, 0.5)
        assert metadata.predict.max_detections == metadata.val.max_detections == 2 * 2 * 2 * 2
        assert metadata.resize == "stretch_corners"
        assert metadata.input_hw == (32, 32)
        assert metadata.seen == 2**40 + 3
        assert metadata.category_ids is None


def test_names_are_read_line_by_line(tmp_path: Path) -> None:
    names = write(tmp_path / "a.names", "\ufeff cat \r\n\r\nbig dog\r\n")
    assert read_names(names, 2) == ("cat", "big dog")
    assert open_darknet(write_darknet(tmp_path), names=str(names))[1].class_names == ("cat", "big dog")


def test_names_beside_the_weights_are_found(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    write(weights.with_suffix(".names"), "cat\nbig dog\n")
    assert open_darknet(weights)[1].class_names == ("cat", "big dog")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat\n", r"a\.names: has 1 class names, the network has 2 classes"),
        ("cat\ndog\nhen\n", r"a\.names: has 3 class names"),
        ("cat\ncat\n", r"a\.names: 'cat' appears twice"),
        (b"\xff\xfe\x00cat\n", r"a\.names: is not UTF-8 text"),
        ("x" * 1_000_001, r"a\.names: is too large"),
    ],
)
def test_names_that_do_not_fit_are_refused(content: str | bytes, message: str, tmp_path: Path) -> None:
    names = write(tmp_path / "a.names", content)
    with pytest.raises(DataError, match=message):
        open_darknet(write_darknet(tmp_path), names=str(names))


def test_import_and_export_give_the_same_bytes(tmp_path: Path) -> None:
    # comments, odd spaces and Windows line ends: the text is kept, not written anew
    cfg = "# a network\r\n" + detector_cfg(body="[conv]\nfilters = 3\nsize=3\nstride=8\npad=1\n; end\n").replace(
        "=", " = "
    )
    weights = write_darknet(tmp_path, cfg, header=WeightsHeader.new(seen=2**33 + 5))
    names = write(tmp_path / "small.names", "Häuser\nbig dog\n")
    imported = import_darknet(
        DarknetImportConfig(weights=str(weights), names=str(names), output=str(tmp_path / "new" / "x.safetensors"))
    )
    exported = export_darknet(DarknetExportConfig(weights=str(imported)))
    assert [path.name for path in exported] == ["x.weights", "x.cfg", "x.names"]
    originals = (weights, weights.with_suffix(".cfg"), names)
    for path, original in zip(exported, originals, strict=True):
        assert path.read_bytes() == original.read_bytes(), path.name


@pytest.mark.parametrize("header", HEADERS[1:], ids=lambda header: header.form)
def test_old_headers_are_exported_as_todays_with_the_same_numbers(header: WeightsHeader, tmp_path: Path) -> None:
    weights = write_darknet(tmp_path / "old", header=header)
    imported = import_darknet(DarknetImportConfig(weights=str(weights), output=str(tmp_path / "a.safetensors")))
    exported, cfg, _ = export_darknet(DarknetExportConfig(weights=str(imported)))
    assert read_header(exported) == WeightsHeader.new(max(0, header.seen))
    (before, _), (after, _) = open_darknet(weights), open_darknet(exported, cfg=str(cfg))
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name]), name


def test_export_of_the_first_layers_starts_from_zero_images(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    imported = import_darknet(DarknetImportConfig(weights=str(weights)))

    def exported(**options: int) -> Path:
        output = str(tmp_path / "out.weights")
        return export_darknet(DarknetExportConfig(weights=str(imported), output=output, **options))[0]

    partial = exported(upto=2)
    floats = 4 * 4 + 4 * 27  # the first convolution; the pool has none
    assert partial.read_bytes()[20:] == weights.read_bytes()[20 : 20 + 4 * floats]
    assert read_header(partial).seen == 0
    assert read_header(exported(upto=2, seen=7)).seen == 7
    assert read_header(exported(seen=2**40)).seen == 2**40
    assert read_header(exported()).seen == 640
    with pytest.raises(ConfigError, match="upto 6: the network has 5 layers"):
        exported(upto=6)
    with pytest.raises(WeightsError, match="seen"):
        exported(seen=2**64)


def test_a_file_that_nobody_named_is_not_overwritten(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    detector = import_darknet(DarknetImportConfig(weights=str(weights)))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=r"small\.safetensors: exists already.*--output"):
        import_darknet(DarknetImportConfig(weights=str(weights)))
    with pytest.raises(ConfigError, match=r"small\.weights: exists already.*--output"):
        export_darknet(DarknetExportConfig(weights=str(detector)))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    # named, it is replaced
    assert import_darknet(DarknetImportConfig(weights=str(weights), output=str(detector))) == detector
    export_darknet(DarknetExportConfig(weights=str(detector), output=str(weights), seen=5))
    assert read_header(weights).seen == 5


def test_another_cfg_beside_the_output_is_somebodys_own_and_stays(tmp_path: Path) -> None:
    detector = import_darknet(DarknetImportConfig(weights=str(write_darknet(tmp_path))))
    for suffix in (".cfg", ".names"):
        mine = write(tmp_path / f"mine{suffix}", "something else\n")
        with pytest.raises(ConfigError, match=rf"mine\{suffix}: exists with different content"):
            export_darknet(DarknetExportConfig(weights=str(detector), output=str(tmp_path / "mine.weights")))
        assert mine.read_text() == "something else\n"
        assert not (tmp_path / "mine.weights").exists()
        mine.unlink()


def test_detectors_that_darknet_lacks_cannot_be_exported(tmp_path: Path) -> None:
    best = write_untrained(tmp_path / "best.safetensors")
    with pytest.raises(WeightsError, match=r"best\.safetensors: its network is .* which darknet does not have"):
        export_darknet(DarknetExportConfig(weights=str(best)))
    assert not best.with_suffix(".weights").exists()


def test_a_darknet_file_is_no_input_of_export(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    with pytest.raises(WeightsError, match=r"small\.weights: is .*darknet.*already"):
        export_darknet(DarknetExportConfig(weights=str(weights)))


@pytest.mark.parametrize(
    "cfg",
    [
        detector_cfg(body="[conv]\nfilters=1000000000\nsize=3\nstride=8\npad=1\n"),
        # few numbers in a file, but a name for each of many classes
        detector_cfg(classes=100_000_000, side=1, num=1, net={"width": 1, "height": 1}, body=""),
    ],
)
def test_a_giant_network_is_refused_before_it_needs_memory(cfg: str, tmp_path: Path) -> None:
    path = write(tmp_path / "giant.cfg", cfg)
    weights = write(tmp_path / "giant.weights", WeightsHeader.new().to_bytes() + bytes(400))
    with pytest.raises(GridYoloError, match="giant"):
        open_darknet(weights, cfg=str(path))
