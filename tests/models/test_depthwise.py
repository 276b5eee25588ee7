import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from yolo.models.backbones import Backbone
from yolo.models.depthwise import depthwise_conv


@pytest.mark.parametrize("stride", [1, 2])
def test_in_bfloat16_results_are_torchs_and_gradients_are_float32s(stride: int) -> None:
    torch.manual_seed(0)
    maps, weight = torch.randn(2, 8, 12, 10, requires_grad=True), torch.randn(8, 1, 5, 5, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        result = depthwise_conv(maps, weight, (stride, stride), (2, 2))
    gradient = torch.randn(result.shape).bfloat16()
    result.backward(gradient)
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, F.conv2d(maps.bfloat16(), weight.bfloat16(), None, stride, 2, groups=8))
    # of the rounded maps and the rounded incoming gradient; torch's own are further away
    rounded, exact_weight = maps.detach().bfloat16().float().requires_grad_(), weight.detach().clone().requires_grad_()
    F.conv2d(rounded, exact_weight, None, stride, 2, groups=8).backward(gradient.float())
    assert rounded.grad is not None
    assert maps.grad is not None
    assert torch.equal(maps.grad, rounded.grad.bfloat16().float())
    assert weight.grad is not None
    assert exact_weight.grad is not None
    assert torch.equal(weight.grad, exact_weight.grad)


def test_outside_of_autocast_it_is_torchs_convolution() -> None:
    maps, weight = torch.randn(2, 8, 12, 10), torch.randn(8, 1, 5, 5)
    assert torch.equal(depthwise_conv(maps, weight, (2, 2), (2, 2)), F.conv2d(maps, weight, None, 2, 2, groups=8))


def test_frozen_maps_and_frozen_weights_get_no_gradient() -> None:
    maps, weight = torch.randn(1, 4, 8, 8), torch.randn(4, 1, 3, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        depthwise_conv(maps, weight, (2, 2), (1, 1)).float().sum().backward()
    assert weight.grad is not None
    assert maps.grad is None
    maps.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        depthwise_conv(maps, weight.detach(), (2, 2), (1, 1)).float().sum().backward()
    assert maps.grad is not None


@pytest.mark.parametrize(("name", "replaced"), [("efficientnet_lite0", 11), ("shufflenet_v2_x0_5", 6), ("resnet18", 0)])
def test_strided_and_large_depthwise_layers_are_replaced_in_training(name: str, replaced: int) -> None:
    backbone = Backbone(name, lowest_stride=8, highest_stride=32)
    train = [node for node in backbone.body.train_graph.nodes if node.target is depthwise_conv]
    assert len(train) == replaced
    assert not [node for node in backbone.body.eval_graph.nodes if node.target is depthwise_conv]
    layers = [layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d) and layer.groups > 1]
    assert len([layer for layer in layers if layer.stride == (2, 2) or layer.kernel_size == (5, 5)]) == replaced
    # a copy, such as the moving average, has its tensors in the same order
    assert list(copy.deepcopy(backbone).state_dict()) == list(backbone.state_dict())
