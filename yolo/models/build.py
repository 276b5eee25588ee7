"""The two kinds of network under one name: what they are built from, building them, and their specs as JSON."""

from __future__ import annotations

from typing import Any

from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.models.network import GridNetwork, NetworkSpec

Spec = NetworkSpec | DarknetSpec
Network = GridNetwork | DarknetNetwork


def build_network(spec: Spec) -> Network:
    """A network with random weights from torch's global generator."""
    return DarknetNetwork(spec) if isinstance(spec, DarknetSpec) else GridNetwork(spec)


def spec_from_dict(values: dict[str, Any]) -> Spec:
    """Inverse of a spec's `to_dict`; TypeError for unknown or missing keys."""
    return DarknetSpec(**values) if "cfg" in values else NetworkSpec(**values)
