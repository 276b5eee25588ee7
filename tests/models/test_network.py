import pytest
import torch

from yolo.errors import ConfigError
from yolo.grid import GridSpec
from yolo.models.backbones import PixelFormat
from yolo.models.fusion import fuse
from yolo.models.network import GridHead, GridNetwork, InputNorm, NetworkSpec, can_train_on_one_image, count_parameters

SMALL = NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=3)


def settle(network: torch.nn.Module) -> None:
    """Give the batch norms statistics that folding would get wrong if it were wrong."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)


@pytest.mark.parametrize("stride", [4, 8, 16, 32, 64])
def test_raw_has_the_side_that_the_stride_gives(stride: int) -> None:
    network = GridNetwork(NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=3, stride=stride)).eval()
    for size in (128, 192, 64 + stride, 5 * stride + 64 // stride * stride):
        raw = network(torch.zeros(2, 3, size, size, dtype=torch.uint8))
        assert raw.shape == (2, size // stride, size // stride, 13)


def test_raw_is_the_same_in_training_and_evaluation_form() -> None:
    network = GridNetwork(SMALL)
    images = torch.zeros(2, 3, 64, 64)
    assert network.train()(images).shape == network.eval()(images).shape


def test_a_size_that_the_stride_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"multiple of the network.s stride"):
        SMALL.grid((330, 330))


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_uint8_and_float_images_in_any_memory_order_mean_the_same(memory: torch.memory_format) -> None:
    images = torch.randint(0, 256, (2, 3, 8, 12), dtype=torch.uint8)
    norm = InputNorm(PixelFormat())
    expected = (images.double() / 255 - norm_mean()) / norm_std()
    for form in (images, images.float() / 255):
        result = norm(form.contiguous(memory_format=memory))
        torch.testing.assert_close(result, expected.float(), atol=1e-5, rtol=1e-5)
        assert result.is_contiguous(memory_format=memory)
    # ImageNet's mean of red becomes 0
    assert norm(torch.full((1, 3, 1, 1), 0.485))[0, 0].item() == pytest.approx(0, abs=1e-6)


def norm_mean() -> torch.Tensor:
    return torch.tensor([0.485, 0.456, 0.406])[:, None, None]


def norm_std() -> torch.Tensor:
    return torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@pytest.mark.parametrize("coding", ["linear", "logistic", "wide"])
def test_the_head_starts_with_graded_boxes_and_little_confidence(coding: str) -> None:
    grid = GridSpec(grid_size=1, boxes_per_cell=3, num_classes=4, coding=coding)  # type: ignore[arg-type]
    head = GridHead((), stride=16, width=8, grid=grid)
    assert head.predict.bias is not None
    assert head.predict.weight.std().item() == pytest.approx(0.01 / (8 / 64) ** 0.5, rel=0.2)
    parts = grid.activate(grid.split(head.predict.bias.detach()))
    assert parts.confidence.tolist() == pytest.approx([0.01] * 3, rel=1e-4)
    assert parts.size_wh.square().mean(dim=1).tolist() == pytest.approx([0.15, 0.3, 0.45], rel=1e-4)
    assert parts.offset_xy.flatten().tolist() == pytest.approx([0.5] * 6)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "resnet18", "mobilenet_v3_small", "efficientnet_b0"])
def test_the_fused_network_answers_the_same(name: str) -> None:
    torch.manual_seed(0)
    network = GridNetwork(NetworkSpec(backbone=name, num_classes=3))
    settle(network)
    network.eval()
    fused = fuse(network)
    images = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(fused(images), network(images), atol=2e-4, rtol=2e-4)
    left = [m for m in fused.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not left, "a batch norm was not folded"
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()), "the original was changed"


def test_the_small_network_is_small() -> None:
    assert count_parameters(GridNetwork(SMALL)) < 200_000


@pytest.mark.parametrize(("stride", "side"), [(16, 32), (16, 64), (64, 64), (64, 128)])
def test_which_networks_cannot_train_on_one_image(stride: int, side: int) -> None:
    network = GridNetwork(NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=1, stride=stride, width=8))
    image = torch.zeros(1, 3, side, side)
    if can_train_on_one_image(network, (side, side)):
        network(image)
    else:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            network(image)
    assert network.eval()(image).shape[0] == 1  # to validate, one image is enough
    assert can_train_on_one_image(network, (side, side)) == ((stride, side) in {(16, 64), (64, 128)})


def test_layers_beyond_the_deepest_stride_are_left_out() -> None:
    whole = GridNetwork(NetworkSpec(backbone="efficientnet_lite0", num_classes=3))
    cut = GridNetwork(NetworkSpec(backbone="efficientnet_lite0", num_classes=3, deepest_stride=16))
    assert [tap.stride for tap in whole.backbone.taps] == [8, 16, 32]
    assert [tap.stride for tap in cut.backbone.taps] == [8, 16]
    assert count_parameters(cut) < count_parameters(whole) / 3


def test_a_rotated_backbone_answers_for_the_upright_image() -> None:
    torch.manual_seed(0)
    network = GridNetwork(NetworkSpec(backbone="efficientnet_lite0", num_classes=1)).eval()
    images = torch.zeros(1, 3, 96, 96)
    images[:, :, :32, :32] = 1  # something in the top left corner
    with torch.no_grad():
        difference = (network(images) - network(torch.zeros(1, 3, 96, 96))).abs().sum(-1)[0]
        fused = fuse(network)(images)
    row, col = divmod(int(difference.argmax()), 6)
    assert row <= 2
    assert col <= 2
    torch.testing.assert_close(fused, network(images), rtol=1e-4, atol=1e-5)
