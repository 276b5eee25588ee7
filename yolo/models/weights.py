"""Weights into and out of networks, with a report of every tensor that did not fit.

A published file is `*.safetensors`: tensors, and in its header one JSON string with all that is needed to predict.
Nothing in it can execute. From one detector to another, whose classes may differ: `transfer`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from yolo.errors import WeightsError, printable_text
from yolo.files import atomic_write
from yolo.models.backbones import Backbone
from yolo.models.pretrained import published_state
from yolo.weights_header import METADATA_KEY


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What happened to each tensor of a partial load, by name."""

    loaded: tuple[str, ...]  # taken from the file
    missing: tuple[str, ...]  # of the network, not in the file; they keep their initial values
    unexpected: tuple[str, ...]  # of the file, not in the network
    misshapen: tuple[str, ...]  # in both, in different shapes; the network keeps its own

    def summary_lines(self) -> list[str]:
        """One line on what was loaded and one for each kind of mismatch."""
        lines = [f"loaded {len(self.loaded)} tensors"]
        for kind in ("missing", "unexpected", "misshapen"):
            names = getattr(self, kind)
            if names:
                shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
                lines.append(f"{len(names)} {kind}: {shown}")
        return lines


def load_backbone_weights(backbone: Backbone, source: str) -> LoadReport:
    """Fill a backbone from a local file or from published weights.

    Args:
        backbone: changed in place.
        source: path of a `.safetensors` or `.pth` file of a state dict with the classifier's names; or the name of
            published weights, such as `DEFAULT`, which may be downloaded, see `published_state`.

    Raises:
        WeightsError: no such file or name, a damaged file, no network, or a file of another network.
    """
    if Path(source).suffix or Path(source).exists():
        state = read_state_dict(Path(source))
    else:
        whole, own = published_state(backbone.name, source), backbone.body.state_dict()
        state = {name: value for name, value in whole.items() if name in own}  # the classifier's end is not needed
    before = {name: value.clone() for name, value in backbone.body.state_dict().items()}
    report = fill(backbone.body, state)
    if report.misshapen or 2 * len(report.loaded) < len(before):
        backbone.body.load_state_dict(before)
        raise WeightsError(
            f"{source}: is not of the backbone {backbone.name}: {len(report.loaded)} of {len(before)} tensors fit, "
            f"{len(report.misshapen)} have another shape; the file holds e.g. {next(iter(state), 'nothing')!r}, "
            f"expected e.g. {next(iter(before))!r}. Name the backbone the file was made for with --backbone"
        )
    return report


def fill(module: nn.Module, state: Mapping[str, Tensor]) -> LoadReport:
    """Copy every tensor whose name and shape fit into `module`; report the rest."""
    own = module.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    module.load_state_dict(fitting, strict=False)
    return LoadReport(
        loaded=tuple(fitting),
        missing=tuple(name for name in own if name not in state),
        unexpected=tuple(name for name in state if name not in own),
        misshapen=tuple(name for name in state if name in own and name not in fitting),
    )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a `.safetensors` file, or a `.pth` file that holds tensors only."""
    _require_file(path)
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(path)
            return tensors
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        raise WeightsError(f"{path}: is damaged or no weights file ({error})") from error
    except Exception as error:  # the unpickler raises whatever the bytes tell it to
        if not _is_torchs(path):
            raise WeightsError(
                f"{path}: is not a weights file: neither safetensors nor a state dict of torch.save (.pth)"
            ) from error
        raise WeightsError(f"{path}: cannot be loaded safely ({type(error).__name__}: {error})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: does not hold a plain state dict of tensors")
    return dict(state)


def save_weights(path: Path, network: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write a network's tensors and its metadata, atomically."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    header = {METADATA_KEY: printable_text(json.dumps(metadata, ensure_ascii=False, allow_nan=False))}
    with atomic_write(path, errors=(SafetensorError,)) as temporary:
        save_file(tensors, temporary, metadata=header)


def _is_torchs(path: Path) -> bool:
    """Whether a file begins as those of torch.save do: a zip archive, or a pickle of earlier versions."""
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
