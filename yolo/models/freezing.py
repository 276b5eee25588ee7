"""Parts of a network by name: which parameters they hold, and freezing them.

A part is named by a selector:

    backbone, head   everything of either (the head includes the neck that merges the backbone's maps)
    stage2           the backbone up to and including that top-level stage; also `layer1`, `features.3`
    3                the first three stages of the backbone; the first three layers of a network from a darknet cfg
    head.blocks.*    the parameters whose name matches that pattern (`fnmatch`), and no others

Stages are the backbone's top-level modules that have parameters. The learning rates of layer groups use the same
selectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from yolo.console import listed
from yolo.darknet.modules import BatchNorm
from yolo.darknet.network import DarknetNetwork
from yolo.errors import ConfigError
from yolo.models.network import GridNetwork

NOTHING = "none"

_BODY = "backbone.body."


@dataclass(frozen=True, slots=True)
class Part:
    """What a selector names."""

    text: str  # for people
    parameters: frozenset[str]  # names
    prefixes: tuple[str, ...]  # of the modules that belong to it as a whole, "" for none
    first_layers: int = 0  # of a darknet network


@dataclass(frozen=True, slots=True)
class Frozen:
    """What does not change in a training."""

    summary: str = ""  # a line for people; "" where nothing is frozen
    tensors: frozenset[str] = frozenset()  # names of the parameters, and of the statistics of the batch norms
    norms: tuple[nn.Module, ...] = ()  # batch norms that stay in evaluation mode


def find_part(network: nn.Module, selector: str, *, option: str) -> Part:
    """The part of a network that a selector names, which has at least one parameter.

    Args:
        network: with parameters.
        selector: see the head of this file.
        option: where it comes from, for messages.

    Raises:
        ConfigError: it names nothing; the message lists what there is.
    """
    selector = selector.strip()
    names = [name for name, _ in network.named_parameters()]
    stages = stages_of(network)
    if selector in ("backbone", "head") and isinstance(network, GridNetwork):
        part = _with_prefixes(names, selector, (f"{selector}.",))
    elif selector.isdecimal():
        part = _first(network, names, stages, int(selector))
    elif selector in stages:
        part = _first(network, names, stages, stages.index(selector) + 1)
    else:
        matching = frozenset(name for name in names if fnmatchcase(name, selector))
        part = Part(selector, matching, ())
    if not part.parameters:
        raise ConfigError(f"{option}: {selector!r} matches nothing; {_choices(network, names, stages)}")
    return part


def freeze(network: nn.Module, selectors: str) -> Frozen:
    """Exclude parts of a network from its training: parameters, and the statistics of their batch norms.

    A batch norm is frozen if it is in a module that a selector names, or if patterns match all its parameters. Layers
    that a darknet cfg freezes by `stopbackward` are not meant here: as in darknet, their statistics follow the images.

    Args:
        network: changed in place.
        selectors: separated by commas; "none" freezes nothing.

    Raises:
        ConfigError: a selector that names nothing, or nothing left to train.
    """
    if selectors.strip() in ("", NOTHING):
        return Frozen()
    parts = [find_part(network, selector, option="freeze") for selector in selectors.split(",")]
    names = frozenset[str]().union(*(part.parameters for part in parts))
    prefixes = tuple(prefix for part in parts for prefix in part.prefixes)
    if isinstance(network, DarknetNetwork):
        network.freeze(max(part.first_layers for part in parts))
    for name, parameter in network.named_parameters():
        if name in names:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError(f"freeze: {', '.join(part.text for part in parts)} leaves nothing to train")
    norms, tensors = [], set(names)
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm | BatchNorm):
            own = [f"{name}.{parameter}" for parameter, _ in module.named_parameters()]
            if f"{name}.".startswith(prefixes) or (own and names.issuperset(own)):
                norms.append(module)
                tensors |= {f"{name}.{buffer}" for buffer, _ in module.named_buffers()}
    total = sum(parameter.numel() for parameter in network.parameters())
    count = sum(parameter.numel() for name, parameter in network.named_parameters() if name in names)
    text = ", ".join(part.text for part in parts)
    summary = f"frozen: {count / 1e6:.2f} of {total / 1e6:.2f} M parameters ({text})"
    return Frozen(summary, frozenset(tensors), tuple(norms))


def stages_of(network: nn.Module) -> list[str]:
    """Names of the top-level stages of a backbone, in the order of the data; none for a network from a darknet cfg."""
    if not isinstance(network, GridNetwork):
        return []
    parent: nn.Module = network.backbone.body
    prefix = ""
    while True:
        children = [(name, child) for name, child in parent.named_children() if any(True for _ in child.parameters())]
        if len(children) != 1:  # one alone, such as `features`, only holds the stages
            return [prefix + name for name, _ in children]
        name, parent = children[0]
        prefix += f"{name}."


def _first(network: nn.Module, names: Sequence[str], stages: Sequence[str], count: int) -> Part:
    """The first stages of a backbone, or the first layers of a darknet network."""
    if isinstance(network, DarknetNetwork) and count <= len(network.layers):
        part = _with_prefixes(names, f"layers 0 to {count - 1}", tuple(f"layers.{index}." for index in range(count)))
        return Part(part.text, part.parameters, part.prefixes, first_layers=count)
    if not 0 < count <= len(stages):
        return Part("", frozenset(), ())
    text = f"backbone: {stages[0]}" + (f" to {stages[count - 1]}" if count > 1 else "")
    return _with_prefixes(names, text, tuple(f"{_BODY}{stage}." for stage in stages[:count]))


def _with_prefixes(names: Sequence[str], text: str, prefixes: tuple[str, ...]) -> Part:
    return Part(text, frozenset(name for name in names if name.startswith(prefixes)), prefixes)


def _choices(network: nn.Module, names: Sequence[str], stages: Sequence[str]) -> str:
    """What can be named, for people."""
    pattern = f"or a pattern over parameters such as {names[0]}"
    if isinstance(network, DarknetNetwork):
        return f"name the first layers by their number, 1 to {len(network.layers)}, {pattern}"
    return f"name backbone, head, a stage ({listed(stages, 12)}), a number of stages from 1 to {len(stages)}, {pattern}"
