import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from yolo.errors import WeightsError
from yolo.models.backbones import Backbone, build_classifier
from yolo.models.weights import (
    LoadReport,
    fill,
    load_backbone_weights,
    read_state_dict,
)

NAME = "shufflenet_v2_x0_5"
SHARED = Path(__file__).parents[3] / "shared" / "weights" / "shufflenet_v2_x0_5-imagenet.safetensors"


@pytest.fixture
def backbone() -> Backbone:
    return Backbone(NAME, lowest_stride=8, highest_stride=32)


def test_a_whole_classifier_fills_the_backbone_and_the_rest_is_reported(tmp_path: Path, backbone: Backbone) -> None:
    torch.save(build_classifier(NAME).state_dict(), tmp_path / "net.pth")
    report = load_backbone_weights(backbone, str(tmp_path / "net.pth"))
    assert report.missing == ()
    assert {name.split(".")[0] for name in report.unexpected} == {"conv5", "fc"}
    assert "unexpected" in " ".join(report.summary_lines())


def test_missing_and_misshapen_tensors_are_reported_and_left_alone(backbone: Backbone) -> None:
    state = {name: torch.zeros_like(value) for name, value in backbone.body.state_dict().items()}
    first, second = list(state)[:2]
    del state[first]
    state[second] = torch.zeros(1, 2, 3)
    before = backbone.body.state_dict()[second].clone()
    report = fill(backbone.body, state)
    assert report.missing == (first,)
    assert report.misshapen == (second,)
    assert torch.equal(backbone.body.state_dict()[second], before)


def test_a_file_of_another_network_is_an_error_with_names_of_both(tmp_path: Path, backbone: Backbone) -> None:
    save_file({"layer1.0.conv1.weight": torch.zeros(3)}, tmp_path / "resnet.safetensors")
    with pytest.raises(WeightsError, match=r"is not of the backbone.*layer1.0.conv1.weight.*expected"):
        load_backbone_weights(backbone, str(tmp_path / "resnet.safetensors"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_damaged_and_missing_files_name_the_path(tmp_path: Path, suffix: str, backbone: Backbone) -> None:
    path = tmp_path / f"bad{suffix}"
    with pytest.raises(WeightsError, match="no such weights file"):
        load_backbone_weights(backbone, str(path))
    path.write_bytes(b"\x00\x01 nonsense")
    with pytest.raises(WeightsError, match="bad"):
        load_backbone_weights(backbone, str(path))


def test_a_pickle_that_would_execute_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"x": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="evil"):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "executed").exists()


def test_an_unknown_weights_name_lists_the_known_ones(backbone: Backbone) -> None:
    with pytest.raises(WeightsError, match="IMAGENET1K_V1"):
        load_backbone_weights(backbone, "IMAGENET_V9")


def test_an_image_is_no_weights_file(tmp_path: Path, backbone: Backbone) -> None:
    for name in ("photo.jpg", "photo.pth"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 20)
        with pytest.raises(WeightsError, match=rf"{name}: is not a weights file: neither safetensors nor"):
            load_backbone_weights(backbone, str(tmp_path / name))


def test_a_file_that_is_cut_off_names_itself(tmp_path: Path, backbone: Backbone) -> None:
    state = backbone.body.state_dict()
    torch.save(state, tmp_path / "net.pth")
    save_file(state, tmp_path / "net.safetensors")
    for name in ("net.pth", "net.safetensors"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(WeightsError, match=rf"{name}: is damaged"):
            load_backbone_weights(backbone, str(path))


@pytest.fixture
def weights_server(tmp_path: Path) -> Iterator[str]:
    """A server on this machine that has the classifier's file."""
    torch.save(build_classifier(NAME).state_dict(), tmp_path / "net.pth")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_torchvisions_weights_are_downloaded_when_named(
    weights_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: Backbone
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    chosen = torchvision.models.get_model_weights(NAME)["DEFAULT"]
    monkeypatch.setattr(type(chosen), "url", weights_server + "net.pth", raising=False)
    report = load_backbone_weights(backbone, "DEFAULT")
    assert report.missing == ()
    assert (tmp_path / "home" / "hub" / "checkpoints" / "net.pth").is_file()


def test_without_a_network_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: Backbone
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(WeightsError, match=r"could not be downloaded.*--weights none"):
        load_backbone_weights(backbone, "DEFAULT")


@pytest.mark.skipif(not SHARED.exists(), reason="the ImageNet backbone file is not on this machine")
def test_the_real_imagenet_backbone_fits_completely(backbone: Backbone) -> None:
    report = load_backbone_weights(backbone, str(SHARED))
    assert len(report.loaded) == len(backbone.body.state_dict())
    assert report.missing == report.unexpected == report.misshapen == ()


def test_a_larger_sister_is_an_error_and_changes_nothing(tmp_path: Path, backbone: Backbone) -> None:
    torch.save(build_classifier("shufflenet_v2_x1_0").state_dict(), tmp_path / "sister.pth")
    before = {name: value.clone() for name, value in backbone.body.state_dict().items()}
    with pytest.raises(WeightsError, match="another shape"):
        load_backbone_weights(backbone, str(tmp_path / "sister.pth"))
    assert all(torch.equal(value, before[name]) for name, value in backbone.body.state_dict().items())


def test_a_file_with_less_than_half_of_a_backbone_is_of_another(tmp_path: Path, backbone: Backbone) -> None:
    state = list(backbone.body.state_dict().items())
    save_file(dict(state[: len(state) // 2]), tmp_path / "half.safetensors")
    assert len(load_backbone_weights(backbone, str(tmp_path / "half.safetensors")).loaded) == len(state) // 2
    save_file(dict(state[: len(state) // 2 - 1]), tmp_path / "less.safetensors")
    with pytest.raises(WeightsError, match="is not of the backbone"):
        load_backbone_weights(backbone, str(tmp_path / "less.safetensors"))


def test_a_report_names_four_tensors_of_a_kind() -> None:
    report = LoadReport(loaded=("a",), missing=tuple("bcdef"), unexpected=tuple("ghij"), misshapen=())
    assert report.summary_lines() == ["loaded 1 tensors", "5 missing: b, c, d, e, ...", "4 unexpected: g, h, i, j"]
