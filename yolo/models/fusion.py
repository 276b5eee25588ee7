"""The inference copy of a network: batch norms folded into convolutions, channels-last memory, any float type."""

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, symbolic_trace
from torch.nn.utils.fusion import fuse_conv_bn_eval

from yolo.darknet.inference import DarknetInference
from yolo.darknet.network import DarknetNetwork
from yolo.models.network import GridNetwork, InputNorm, Network


class InferenceNetwork(nn.Module):
    """What `fuse` returns: the same function as the network in evaluation mode, faster, not trainable.

    Answers equal the plain network's to rounding. The original is not changed.
    """

    def __init__(self, network: GridNetwork) -> None:
        super().__init__()
        network = copy.deepcopy(network).eval()
        self.spec = network.spec
        self.normalise: InputNorm = network.normalise
        # normalisation looks at the type of its input, which cannot be traced
        traced = symbolic_trace(_BackboneAndHead(network))
        self.body = _fold_batch_norms(traced).to(memory_format=torch.channels_last)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), uint8 or float 0..1, to raw (N, S, S, D) in the network's float type."""
        images = images.contiguous(memory_format=torch.channels_last)
        raw: Tensor = self.body(self.normalise(images))
        return raw


def fuse(
    network: Network,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    release: bool = False,
) -> InferenceNetwork | DarknetInference:
    """The fused, channels-last copy of a network for inference.

    Args:
        network: on the CPU; not changed unless `release`.
        device: where the copy will run.
        dtype: of its weights and arithmetic: float32, bfloat16 or float16.
        release: `network` is not needed any more; one of darknet, which may be large, is emptied layer by layer.
    """
    if isinstance(network, DarknetNetwork):
        return DarknetInference(network, torch.device(device), dtype, release=release)
    return InferenceNetwork(network).to(device=device, dtype=dtype)


class _BackboneAndHead(nn.Module):
    def __init__(self, network: GridNetwork) -> None:
        super().__init__()
        self.backbone, self.head = network.backbone, network.head

    def forward(self, normalised: Tensor) -> Any:
        return self.head(self.backbone(normalised), normalised)


def _fold_batch_norms(traced: GraphModule) -> GraphModule:
    """Replace every batch norm that alone follows a convolution by that convolution with other weights."""
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) > 1:
            continue
        conv = modules[before.target]
        if isinstance(conv, nn.Conv2d):
            fused = fuse_conv_bn_eval(conv, cast(nn.BatchNorm2d, modules[node.target]))
            parent, _, name = before.target.rpartition(".")
            setattr(modules[parent], name, fused)
            modules[before.target] = fused
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
    traced.graph.lint()
    traced.recompile()
    traced.delete_all_unused_submodules()
    return traced
