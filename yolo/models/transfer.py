"""A trained detector's weights into a network with the same architecture, perhaps for other classes.

Everything before the last layer is copied as it is. The last layer answers with box values, which are copied, too, and
with one value per class: those are copied by the name of the class, so that neither the number of classes nor their
order needs to be the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from yolo.darknet.layers import Connected, Layer
from yolo.darknet.network import DarknetNetwork
from yolo.models.network import GridNetwork, Network
from yolo.models.weights import LoadReport, fill


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """The classes of a network found among those of a detector."""

    labels: dict[int, int]  # the network's label -> the detector's, of the classes that both have
    new: tuple[str, ...]  # classes of the network that the detector does not have
    unused: tuple[str, ...]  # classes of the detector that the network does not have

    @classmethod
    def by_name(cls, wanted: Sequence[str], known: Sequence[str]) -> ClassMatch:
        """The classes `wanted` of a network among the `known` ones of a detector, both by label.

        >>> ClassMatch.by_name(["cat", "dog"], ["horse", "dog"])
        ClassMatch(labels={1: 1}, new=('cat',), unused=('horse',))
        """
        place = {name: label for label, name in enumerate(known)}
        return cls(
            labels={label: place[name] for label, name in enumerate(wanted) if name in place},
            new=tuple(name for name in wanted if name not in place),
            unused=tuple(name for name in known if name not in wanted),
        )

    @property
    def keeps_order(self) -> bool:
        """Whether both have the same classes in the same order."""
        return not self.new and not self.unused and all(own == its for own, its in self.labels.items())


def transfer(network: Network, other: Network, classes: ClassMatch) -> LoadReport:
    """Fill a network with the tensors of a trained one.

    Args:
        network: changed in place. What does not fit keeps its values.
        other: where the tensors come from.
        classes: of both.

    Returns:
        What happened to each tensor. Those of a last layer whose classes cannot be matched, because it is not fully
        connected or belongs to another grid, are reported as missing.
    """
    state = other.state_dict()
    if not classes.keeps_order:
        last = {name: state.pop(name) for name in _last_layer(other)}
        if isinstance(network, GridNetwork) and isinstance(other, GridNetwork):
            state |= _matched(network, other, last, classes)
        elif isinstance(network, DarknetNetwork) and isinstance(other, DarknetNetwork):
            state |= _matched_blocks(network, other, last, classes)
    return fill(network, state)


def _last_layer(network: Network) -> list[str]:
    """Names of the tensors of the layer that answers."""
    prefix = "head.predict." if isinstance(network, GridNetwork) else f"layers.{_answering(network).index}."
    return [name for name in network.state_dict() if name.startswith(prefix)]


def _answering(network: DarknetNetwork) -> Layer:
    return [layer for layer in network.spec.plan.layers if layer.num_floats][-1]


def _matched(
    network: GridNetwork, other: GridNetwork, last: Mapping[str, Tensor], classes: ClassMatch
) -> dict[str, Tensor]:
    """The tensors of the last layer, whose first axis is the answer of a cell, for the classes of `network`."""
    # the channels of a cell do not depend on S
    grid, its_grid = (one.spec.grid((one.spec.stride, one.spec.stride)) for one in (network, other))
    if grid.boxes_per_cell != its_grid.boxes_per_cell:
        return {}
    own = network.state_dict()
    return {
        name: grid.with_classes_of(
            own[name].movedim(0, -1), its_grid, theirs.movedim(0, -1), classes.labels
        ).movedim(-1, 0)
        for name, theirs in last.items()
    }  # fmt: skip


def _matched_blocks(
    network: DarknetNetwork, other: DarknetNetwork, last: Mapping[str, Tensor], classes: ClassMatch
) -> dict[str, Tensor]:
    """As `_matched`, where the answer is the flat one of all cells, which only a connected layer gives in any order."""
    own, grid, its_grid = network.state_dict(), network.grid, other.grid
    if grid is None or its_grid is None or not all(isinstance(_answering(one), Connected) for one in (network, other)):
        return {}
    if (grid.grid_size, grid.boxes_per_cell) != (its_grid.grid_size, its_grid.boxes_per_cell):
        return {}
    matched: dict[str, Tensor] = {}
    for name, theirs in last.items():
        if name in own:
            raw, its_raw = grid.from_blocks(own[name].movedim(0, -1)), its_grid.from_blocks(theirs.movedim(0, -1))
            answer = grid.to_blocks(grid.with_classes_of(raw, its_grid, its_raw, classes.labels))
            matched[name] = answer.movedim(-1, 0)
    return matched
