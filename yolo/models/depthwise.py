"""Depthwise convolutions in bfloat16 on the CPU, whose gradients are computed in float32.

oneDNN has fast kernels for the forward pass of these layers in bfloat16, but not for the gradients of strided ones and
of large kernels, which take several times as long as in float32 (tools/bench_step.py measures whole steps).
Outside of autocast, and on other devices, nothing changes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx import Graph


class _MixedDepthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        rounded = maps.bfloat16()
        ctx.save_for_backward(rounded, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(rounded, weight.bfloat16(), None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        for_maps, for_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0].float(),
            maps.float(),
            weight,
            None,
            ctx.stride,
            ctx.padding,
            [1, 1],
            False,
            [0, 0],
            len(weight),
            [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False],
        )
        return None if for_maps is None else for_maps.bfloat16(), for_weight, None, None


def depthwise_conv(maps: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Depthwise convolution of maps (N, C, H, W) with kernels (C, 1, k, k), without bias."""
    if maps.device.type == "cpu" and torch.is_autocast_enabled("cpu") and torch.is_grad_enabled():
        mixed: Tensor = _MixedDepthwise.apply(maps, weight, stride, padding)
        return mixed
    return F.conv2d(maps, weight, None, stride, padding, groups=len(weight))


def use_mixed_depthwise(graph: Graph, modules: dict[str, nn.Module]) -> None:
    """Let the graph of a network with those modules, by name, compute its depthwise convolutions with `depthwise_conv`.

    Those of stride 1 with kernels of 3x3 keep torch's, which is as fast.
    """
    for node in list(graph.nodes):
        conv = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or not _has_slow_gradients(conv):
            continue
        with graph.inserting_before(node):
            weight = graph.get_attr(f"{node.target}.weight")
            arguments = (node.args[0], weight, conv.stride, conv.padding)
            mixed = graph.call_function(depthwise_conv, arguments)
        node.replace_all_uses_with(mixed)
        graph.erase_node(node)
    graph.lint()


def _has_slow_gradients(conv: nn.Conv2d) -> bool:
    is_depthwise = conv.groups == conv.in_channels == conv.out_channels > 1 and conv.bias is None
    is_plain = conv.dilation == (1, 1) and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    return is_depthwise and is_plain and (conv.stride != (1, 1) or conv.kernel_size[0] > 3)
