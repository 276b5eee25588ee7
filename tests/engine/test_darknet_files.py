import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.darknet.networks import HEADERS, detector_cfg
from tests.engine.darknet_detectors import network_from, write_darknet
from yolo import Detector
from yolo.boxes import clip_to_image
from yolo.config import DarknetExportConfig, DarknetImportConfig, DarknetShowConfig
from yolo.darknet.catalogue import NETWORKS, find_cfg
from yolo.darknet.plan import plan_cfg
from yolo.darknet.weights import WeightsHeader, read_header
from yolo.engine.checkpoint import load_detector
from yolo.engine.darknet_files import (
    VOC_NAMES,
    default_names,
    detector_classes,
    export_darknet,
    import_darknet,
    open_darknet,
    open_detector,
    read_names,
    show,
)
from yolo.engine.train import TrainingRun
from yolo.errors import ConfigError, DataError, GridYoloError, WeightsError
from yolo.models.darknet_weights import load_darknet
from yolo.postprocess.darknet_nms import nms_by_class
from yolo.resampling import stretch_corners


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def image_of(size_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size_hw, 3), dtype=np.uint8)


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
    with pytest.raises(ConfigError, match=r"small\.weights: which network.*yolov1-tiny.*small\.cfg"):
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


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    other = write(tmp_path / "other.cfg", detector_cfg(classes=3))
    with pytest.raises(WeightsError, match=r"small\.weights ends inside layer 3 \(connected\) of .*other\.cfg"):
        open_darknet(weights, cfg=str(other))
    smaller = write(tmp_path / "smaller.cfg", detector_cfg(classes=1))
    with pytest.raises(WeightsError, match=r"small\.weights goes on for \d+ bytes after .*smaller\.cfg"):
        open_darknet(weights, cfg=str(smaller))


def test_a_safetensors_file_needs_no_cfg_and_gets_none(tmp_path: Path) -> None:
    detector = import_darknet(DarknetImportConfig(weights=str(write_darknet(tmp_path))))
    for options in ({"cfg": "yolov1"}, {"names": "a.names"}):
        with pytest.raises(GridYoloError, match=r"small\.safetensors.*(its own|already)"):
            open_detector(detector, **options)
    with pytest.raises(GridYoloError, match=r"small\.safetensors.*already"):
        import_darknet(DarknetImportConfig(weights=str(detector)))


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat\n", r"a\.names: has 1 class names, the network has 2 classes"),
        ("cat\ndog\nhen\n", r"a\.names: has 3 class names"),
        ("cat\ncat\n", r"a\.names: 'cat' is there twice"),
        (b"\xff\xfe\x00cat\n", r"a\.names: is no UTF-8 text"),
        ("x" * 1_000_001, r"a\.names: is too large"),
    ],
)
def test_names_that_do_not_fit_are_refused(content: str | bytes, message: str, tmp_path: Path) -> None:
    names = write(tmp_path / "a.names", content)
    with pytest.raises(DataError, match=message):
        open_darknet(write_darknet(tmp_path), names=str(names))


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
        with pytest.raises(DataError, match=f"{path.name}: is (no file|too large)"):
            read_names(path, 2)


def test_names_that_nobody_gives_are_vocs_or_numbers() -> None:
    assert default_names(20) == VOC_NAMES
    assert (VOC_NAMES[0], VOC_NAMES[19], sorted(VOC_NAMES)) == ("aeroplane", "tvmonitor", list(VOC_NAMES))
    assert default_names(2) == ("class 0", "class 1")


def test_import_and_export_give_the_same_bytes(tmp_path: Path) -> None:
    # comments, odd spaces and Windows line ends: the text is kept, not written anew
    cfg = "# a network\r\n" + detector_cfg(body="[conv]\nfilters = 3\nsize=3\nstride=8\npad=1\n; end\n").replace("=", " = ")
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


def test_detectors_that_darknet_lacks_cannot_be_exported(trained: TrainingRun, tmp_path: Path) -> None:
    best = trained.folder / "weights" / "best.safetensors"
    with pytest.raises(WeightsError, match=r"best\.safetensors: its network is .* which darknet does not have"):
        export_darknet(DarknetExportConfig(weights=str(best)))
    assert not best.with_suffix(".weights").exists()


def test_a_darknet_file_is_no_input_of_export(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    with pytest.raises(WeightsError, match=r"small\.weights: is .*darknet.*already"):
        export_darknet(DarknetExportConfig(weights=str(weights)))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_shipped_network_can_be_shown(name: str) -> None:
    description = show(DarknetShowConfig(cfg=name))
    assert "GFLOP per image" in description.table[-1]
    assert description.weights == []


def test_show_tells_what_a_weights_file_holds(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, header=WeightsHeader.new(seen=6400))
    (header, covers) = show(DarknetShowConfig(weights=str(weights))).weights
    assert header.endswith("small.weights: header of the form 'current', version 0.2.0, 6,400 images seen")
    assert covers == "it holds the whole network"
    partial = write_darknet(tmp_path, name="part", upto=2)
    assert "the first 2 of 5 layers" in show(DarknetShowConfig(weights=str(partial))).weights[-1]
    old = write_darknet(tmp_path, name="old", header=HEADERS[2])
    assert "learning rate 0.001, momentum 0.9, decay 0.0005" in show(DarknetShowConfig(weights=str(old))).weights
    cfg = write(tmp_path / "typo.cfg", detector_cfg(body="[conv]\nfilters=3\nsize=3\nstride=8\npad=1\nfoo=1\n"))
    assert "unused key 'foo'" in show(DarknetShowConfig(cfg=str(cfg))).notes[0]


def by_hand(weights: Path, image: np.ndarray, score_threshold: float, iou_threshold: float) -> set[tuple[float, ...]]:
    """Rows (label, score, x1, y1, x2, y2), rounded, of darknet's own steps one after the other."""
    plan = plan_cfg(find_cfg(weights.with_suffix(".cfg")))
    network, _ = load_darknet(weights, network_from(plan.text).spec)
    assert network.grid is not None
    height, width = plan.net.height, plan.net.width
    placed = torch.from_numpy(stretch_corners(image, (height, width))).permute(2, 0, 1)[None]
    with torch.no_grad():
        parts = network.grid.split(network(placed))
    boxes = network.grid.decode_boxes(network.grid.activate(parts))[0].flatten(0, 2)
    confidence = parts.confidence[0].flatten()
    classes = parts.class_probs[0][:, :, None].expand(-1, -1, network.grid.boxes_per_cell, -1).flatten(0, 2)
    scores = confidence[:, None] * classes
    scores[scores <= score_threshold] = 0
    boxes = boxes * boxes.new_tensor(image.shape[1::-1] * 2)
    kept = nms_by_class(boxes, confidence, scores, iou_threshold=iou_threshold)
    boxes = clip_to_image(boxes[kept.order], image.shape[:2])
    return {
        (label, *(round(value, 2) for value in (float(kept.scores[place, label]), *boxes[place].tolist())))
        for place, label in kept.scores.nonzero().tolist()
        if (boxes[place, 2:] > boxes[place, :2]).all()
    }


@pytest.mark.parametrize("size", [{}, {"width": 48, "height": 32}, {"width": 32, "height": 40}], ids=str)
@pytest.mark.parametrize("thresholds", [(0.2, 0.4), (0.001, 0.1)])
def test_detections_are_those_of_darknets_steps_by_hand(
    size: dict[str, int], thresholds: tuple[float, float], tmp_path: Path
) -> None:
    weights = write_darknet(tmp_path, detector_cfg(side=3, classes=3, net=size))
    image = image_of((37, 53))
    found = Detector(weights, device="cpu")(image, score_threshold=thresholds[0], iou_threshold=thresholds[1])
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    expected = by_hand(weights, image, *thresholds)
    assert len(expected) > 3
    assert {(label, *(round(value, 2) for value in (score, *box))) for label, score, box in rows} == expected
    assert len(found) == len(expected)


def test_no_detection_is_lost_to_a_limit(tmp_path: Path) -> None:
    # 5 * 5 * 4 * 50 = 5000 classes of boxes, about half of them with a score above 0
    cfg = detector_cfg(classes=90, side=5, num=4)
    weights, image = write_darknet(tmp_path, cfg), image_of((20, 30))
    network = network_from(cfg)
    assert network.grid is not None
    with torch.no_grad():
        parts = network.grid.split(network(torch.from_numpy(stretch_corners(image, (32, 32))).permute(2, 0, 1)[None]))
    found = Detector(weights, device="cpu")(image, score_threshold=0.0, iou_threshold=1.0)
    wanted = (parts.confidence[..., None] * parts.class_probs[..., None, :])[parts.size_wh.abs().amin(dim=-1) > 0]
    assert 4096 < len(found) <= int((wanted > 0).sum())


def test_the_input_size_of_a_cfg_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the cfg's input is 32x32"):
        Detector(write_darknet(tmp_path), device="cpu", input_size=64)


def test_bf16_is_near_and_fp16_needs_cuda(tmp_path: Path) -> None:
    weights, image = write_darknet(tmp_path), image_of((40, 30))
    exact, near = (
        Detector(weights, device="cpu", precision=precision)(image, score_threshold=0.0, iou_threshold=1.0)
        for precision in ("32", "bf16")
    )
    assert len(exact) == len(near) > 0
    assert (exact.scores - near.scores).abs().max() < 0.05 * exact.scores.max()
    assert not torch.equal(exact.scores, near.scores)
    with pytest.raises(ConfigError, match="fp16 needs a CUDA device"):
        Detector(weights, device="cpu", precision="fp16")


def test_an_imported_detector_answers_like_its_files(tmp_path: Path) -> None:
    weights, image = write_darknet(tmp_path), image_of((40, 30))
    imported = import_darknet(DarknetImportConfig(weights=str(weights)))
    assert imported == weights.with_suffix(".safetensors")
    one, two = Detector(weights, device="cpu")(image), Detector(imported, device="cpu")(image)
    assert len(one) > 0
    assert torch.equal(one.boxes, two.boxes)
    assert load_detector(imported)[0].spec.input_hw == (32, 32)


def damage_end(data: bytes) -> bytes:
    return data[:-3]


def damage_length(data: bytes) -> bytes:
    return data + bytes(4)


def damage_number(data: bytes) -> bytes:
    return data[:-4] + b"\x00\x00\xc0\x7f"


@pytest.mark.parametrize("damage", [damage_end, damage_length, damage_number])
def test_damaged_weights_are_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    weights = write_darknet(tmp_path)
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(WeightsError, match=r"small\.weights"):
        open_darknet(weights)


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
