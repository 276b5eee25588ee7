from pathlib import Path

import pytest

from tests.darknet.networks import HEADERS, detector_cfg
from tests.engine.darknet_detectors import write_cfg, write_darknet
from yolo.config import DarknetShowConfig
from yolo.darknet.plan import NETWORKS
from yolo.darknet.weights import WeightsHeader
from yolo.engine.darknet import show


@pytest.mark.parametrize("name", NETWORKS)
def test_every_shipped_network_can_be_shown(name: str) -> None:
    description = show(DarknetShowConfig(cfg=name))
    assert "GFLOP per image" in description.table[-1]
    assert description.weights == []


def test_show_tells_what_a_weights_file_holds(tmp_path: Path) -> None:
    weights = write_darknet(tmp_path, header=WeightsHeader.new(seen=6400))
    (header, covers) = show(DarknetShowConfig(weights=str(weights))).weights
    assert header.endswith("small.weights: header of the form 'current', version 0.2.0, 6,400 images seen")
    assert covers == "it holds the whole network"
    partial = write_darknet(tmp_path, name="part", upto=2)
    assert "the first 2 of 5 layers" in show(DarknetShowConfig(weights=str(partial))).weights[-1]
    old = write_darknet(tmp_path, name="old", header=HEADERS[2])
    assert "learning rate 0.001, momentum 0.9, decay 0.0005" in show(DarknetShowConfig(weights=str(old))).weights
    cfg = write_cfg(tmp_path, detector_cfg(body="[conv]\nfilters=3\nsize=3\nstride=8\npad=1\nfoo=1\n"))
    assert "unused key 'foo'" in show(DarknetShowConfig(cfg=str(cfg))).notes[0]
