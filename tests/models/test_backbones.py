import warnings

import pytest
import torch

from yolo.errors import ConfigError
from yolo.models.backbones import Backbone, build_classifier, find_taps


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("shufflenet_v2_x0_5", {4: 24, 8: 48, 16: 96, 32: 192}),
        ("resnet18", {4: 64, 8: 128, 16: 256, 32: 512}),
        ("mobilenet_v3_small", {4: 72, 8: 96, 16: 288, 32: 96}),
        ("efficientnet_b0", {4: 144, 8: 240, 16: 672, 32: 320}),
        ("regnet_y_400mf", {4: 48, 8: 104, 16: 208, 32: 440}),
        ("convnext_tiny", {4: 96, 8: 192, 16: 384, 32: 768}),
    ],
)
def test_the_families_of_torchvision_have_a_map_at_every_stride(name: str, channels: dict[int, int]) -> None:
    backbone = Backbone(name, lowest_stride=4, highest_stride=32).eval()
    assert {tap.stride: tap.channels for tap in backbone.taps} == channels
    maps = backbone(torch.zeros(1, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(1, channels[side], 64 // side, 96 // side) for side in (4, 8, 16, 32)]


def test_layers_beyond_the_highest_stride_are_cut_off() -> None:
    whole = sum(p.numel() for p in Backbone("resnet18", lowest_stride=8, highest_stride=32).parameters())
    cut = sum(p.numel() for p in Backbone("resnet18", lowest_stride=8, highest_stride=16).parameters())
    assert cut < whole / 3


def test_the_state_dict_keeps_torchvisions_names() -> None:
    own = Backbone("shufflenet_v2_x0_5", lowest_stride=8, highest_stride=32).body.state_dict()
    assert set(own) < set(build_classifier("shufflenet_v2_x0_5").state_dict())
    assert not any(name.startswith(("conv5", "fc")) for name in own)


def test_an_unknown_name_brings_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"did you mean.*resnet18"):
        build_classifier("resnet_18")


@pytest.mark.parametrize("name", ["vit_b_16", "maxvit_t"])
def test_networks_of_one_image_size_are_refused(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="any size"):  # shapes alone, and no large weights
        find_taps(build_classifier(name))
    assert capfd.readouterr().err == ""


def test_no_announcement_of_torchvision_is_seen() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        build_classifier("googlenet")
    assert not seen


def test_a_network_without_the_stride_is_refused() -> None:
    with pytest.raises(ConfigError, match="alexnet"):
        Backbone("alexnet", lowest_stride=8, highest_stride=32)


def test_shuffles_are_torchs_own_and_answer_the_same() -> None:
    torch.manual_seed(0)
    classifier = build_classifier("shufflenet_v2_x0_5").eval()
    images = torch.randn(1, 3, 64, 64)
    wanted = classifier.stage4(classifier.stage3(classifier.stage2(classifier.maxpool(classifier.conv1(images)))))  # type: ignore[operator]
    backbone = Backbone("shufflenet_v2_x0_5", lowest_stride=8, highest_stride=32)
    backbone.body.load_state_dict(classifier.state_dict(), strict=False)
    for form in (backbone.eval(), backbone.train().eval()):
        assert "channel_shuffle" in backbone.body.code
        torch.testing.assert_close(form(images)[-1], wanted)
    shuffles = [node for node in backbone.body.graph.nodes if node.target is torch.nn.functional.channel_shuffle]
    assert len(shuffles) == 16
    assert not [node for node in backbone.body.graph.nodes if node.target is torch.transpose]


def test_a_fresh_network_in_training_runs_the_shuffles_that_keep_the_memory_order() -> None:
    """What runs is the generated code; changing the graph alone left torchvision's own shuffle in it."""
    backbone = Backbone("shufflenet_v2_x0_5", lowest_stride=8, highest_stride=32)
    assert backbone.training
    assert backbone.body.code.count("channel_shuffle(") == 16
    assert "transpose(" not in backbone.body.code
    images = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    backbone.to(memory_format=torch.channels_last)
    assert all(answer.is_contiguous(memory_format=torch.channels_last) for answer in backbone(images))
