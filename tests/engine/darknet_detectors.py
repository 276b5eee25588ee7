"""Small darknet detectors as files, for the tests of the engine and of the command line."""

from pathlib import Path
from typing import Any

import torch

from tests.darknet.networks import darknet_train_config, detector_cfg
from yolo.config import TrainConfig
from yolo.darknet.load import save_darknet
from yolo.darknet.modules import block_tensors
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.weights import WeightsHeader


def network_from(cfg: str, seed: int = 0) -> DarknetNetwork:
    """A network whose predictors are confident enough to detect something, in evaluation mode."""
    torch.manual_seed(seed)
    network = DarknetNetwork(DarknetSpec(cfg=cfg)).eval()
    with torch.no_grad():
        for layer in network.layers:
            for name, tensor in block_tensors(layer).items():
                if name == "rolling_variance":
                    tensor.uniform_(0.5, 1.5)
                elif name != "weights":
                    tensor.uniform_(0.3, 0.9)
    return network


def write_darknet(
    folder: Path, cfg: str | None = None, *, name: str = "small", header: WeightsHeader | None = None, **options: Any
) -> Path:
    """Write NAME.cfg and NAME.weights; returns the path of the weights. `options` go to `save_darknet`."""
    cfg = detector_cfg() if cfg is None else cfg
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.cfg").write_bytes(cfg.encode())
    path = folder / f"{name}.weights"
    save_darknet(path, network_from(cfg), header or WeightsHeader.new(seen=640), **options)
    return path


def write_cfg(folder: Path, text: str) -> Path:
    """small.cfg with that text."""
    path = folder / "small.cfg"
    path.write_text(text)
    return path


def config_of(cfg: Path, data: Path, runs: Path, **changes: Any) -> TrainConfig:
    """A short training of a cfg on the CPU."""
    values: dict[str, Any] = {"data": str(data), "runs": str(runs), "workers": 0, "device": "cpu", "validations": 1}
    values |= {"report": False, "weights": "none", "freeze": "none"}
    return darknet_train_config(cfg=str(cfg), **(values | changes))


def tiny_config(data: Path, runs: Path, **changes: Any) -> TrainConfig:
    """Two epochs of a network so small that a whole training takes tenths of a second."""
    values: dict[str, Any] = {"epochs": 2, "sampling": "epoch", "validations": 2}
    return config_of(write_cfg(runs, detector_cfg()), data, runs, **(values | changes))
