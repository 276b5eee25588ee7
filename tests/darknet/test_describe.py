from pathlib import Path

import pytest

from tests.darknet.networks import HEADERS, IMAGE, detector_cfg, plan_of
from tests.engine.darknet_detectors import write_cfg, write_darknet
from yolo.config import DarknetShowConfig
from yolo.darknet.describe import describe, show
from yolo.darknet.lookup import NETWORKS
from yolo.darknet.plan import NetworkPlan
from yolo.darknet.weights import WeightsHeader


def plan(layers: str, net: str = IMAGE) -> NetworkPlan:
    return plan_of(layers, net)


def test_the_table_for_people() -> None:
    made = plan("[conv]\nfilters=16\nsize=3\npad=1\nactivation=leaky\n[max]\nstride=2\n[connected]\noutput=54\n"
                "[activation]\nactivation=relu\n[detection]\nside=3\ncoords=4\n")  # fmt: skip
    assert describe(made) == [
        "   layer          filters  size/stride        input           output  parameters  GFLOP",
        "0  convolutional       16  3 x 3 / 1     10 x 8 x 3  ->  10 x 8 x 16         448  0.000",
        "1  maxpool                 2 x 2 / 2    10 x 8 x 16  ->   5 x 4 x 16",
        "2  connected           54                5 x 4 x 16  ->   1 x 1 x 54      17,334  0.000",
        "3  activation              relu          1 x 1 x 54  ->   1 x 1 x 54",
        "4  detection                             1 x 1 x 54  ->   1 x 1 x 54",
        "5 layers, 17,782 parameters, 0.000 GFLOP per image, 17,782 floats in a weights file",
    ]
    assert made.detection is made.layers[-1]
    assert "5 x 4" in describe(plan("[crop]\ncrop_width=5\ncrop_height=4\n"))[1]


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
