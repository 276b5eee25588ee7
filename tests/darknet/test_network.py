import json
from dataclasses import replace

import pytest
import torch

from tests.darknet.networks import (
    DETECTION,
    EVERY_LAYER,
    images_for,
    network_of,
    small_network,
    spec_of,
)
from tests.reference.darknet_layout import to_blocks
from yolo.darknet.lookup import NETWORKS, network_cfg
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.darknet.plan import check_trainable
from yolo.errors import ConfigError


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shipped_networks_have_the_published_numbers_of_parameters(name: str) -> None:
    with torch.device("meta"):
        network = DarknetNetwork(DarknetSpec(cfg=network_cfg(name)))
        images = torch.empty(2, *network.in_shape)
        answer = network.eval()(images)
    assert sum(p.numel() for p in network.parameters()) == network.spec.plan.num_parameters
    boxes = 3 if name == "yolov1" else 2
    assert answer.shape == ((2, 1000) if name == "extraction" else (2, 7, 7, 20 + 5 * boxes))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_small_variant_of_each_shipped_network_runs_forward_and_backward(name: str) -> None:
    torch.manual_seed(0)
    network = small_network(name).train()
    raw = network(images_for(network, 2))
    raw.square().sum().backward()
    assert raw.isfinite().all()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all(), key
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in list(network.parameters())[-2:])


def test_the_images_of_a_batch_do_not_see_each_other_in_evaluation() -> None:
    network = network_of(EVERY_LAYER + DETECTION)
    images = images_for(network, 3)
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    assert together.shape == (3, 2, 2, 6)
    torch.testing.assert_close(together, alone)


def test_uint8_images_are_values_from_0_to_255() -> None:
    network = network_of(EVERY_LAYER)
    images = torch.randint(256, (2, *network.in_shape), dtype=torch.uint8)
    assert torch.equal(network(images), network(images.float() / 255))


def test_a_network_without_batch_norm_trains_with_one_image() -> None:
    network = network_of("[conv]\nfilters=4\nsize=3\n[connected]\noutput=24\nactivation=linear\n" + DETECTION).train()
    network(images_for(network, 1)).sum().backward()
    assert not [name for name in network.state_dict() if "norm" in name]


@pytest.mark.parametrize(("side", "boxes", "classes"), [(1, 1, 1), (3, 2, 5), (2, 4, 1), (5, 1, 20)])
def test_any_grid_can_be_answered_with(side: int, boxes: int, classes: int) -> None:
    outputs = side * side * (5 * boxes + classes)
    detection = f"[detection]\nside={side}\nnum={boxes}\nclasses={classes}\ncoords=4\n"
    network = network_of(f"[connected]\noutput={outputs}\nactivation=linear\n{detection}")
    assert network.grid is not None
    raw = network(images_for(network, 2))
    assert raw.shape == (2, side, side, network.grid.depth)
    assert (network.grid.grid_size, network.grid.boxes_per_cell, network.grid.num_classes) == (side, boxes, classes)
    assert network.grid == network.spec.grid((13, 14))
    # darknet's order of the blocks: classes of all cells, confidences of all cells, boxes of all cells
    flat = network.layers[0](images_for(network, 2)).flatten(1)
    assert torch.equal(to_blocks(network.grid, raw), flat)
    assert torch.equal(network.grid.split(raw).class_probs[0].flatten(), flat[0, : side * side * classes])


def test_sqrt_and_softmax_show_in_the_grid() -> None:
    text = "[connected]\noutput=24\n[detection]\nclasses=1\ncoords=4\nnum=1\nside=2\n"
    for sqrt in (0, 1):
        for softmax in (0, 1):
            grid = spec_of(text + f"sqrt={sqrt}\nsoftmax={softmax}\n").grid((13, 14))
            assert (grid.root_sizes, grid.class_softmax, grid.coding) == (bool(sqrt), bool(softmax), "linear")
    # raw is what the network answers before the softmax
    plain, soft = network_of(text), network_of(text + "softmax=1\n")
    images = images_for(plain)
    assert torch.equal(plain(images), soft(images))


def test_a_classifier_answers_flat_values() -> None:
    network = network_of("[conv]\nfilters=7\nsize=3\n[avgpool]\n[softmax]\n[cost]\n")
    answer = network(images_for(network, 2))
    assert network.grid is None
    assert answer.shape == (2, 7)
    assert answer.sum(dim=1).tolist() == pytest.approx([1, 1])
    of_vectors = DarknetNetwork(DarknetSpec(cfg="[net]\ninputs=6\n[connected]\noutput=4\n"))
    assert of_vectors(torch.rand(2, 6, 1, 1)).shape == (2, 4)


def test_images_of_another_shape_are_refused() -> None:
    # the average would hide that the pool leaves out what the cfg's input has not
    network = network_of("[maxpool]\nsize=2\nstride=2\n[avgpool]\n")
    for shape in ((1, 3, 26, 28), (1, 1, 13, 14), (1, 3, 14, 13), (3, 13, 14)):
        with pytest.raises(ValueError, match=r"input is \(N, 3, 13, 14\), not \("):
            network(torch.zeros(shape))


def test_the_grid_of_another_input_size_is_refused() -> None:
    spec = spec_of(EVERY_LAYER + DETECTION)
    assert spec.input_hw == (13, 14)
    assert spec.grid((13, 14)).grid_size == 2
    with pytest.raises(ConfigError, match=r"input is 14x13 \(width x height\), not 13x14"):
        spec.grid((14, 13))
    with pytest.raises(ConfigError, match="not a detector"):
        spec_of(EVERY_LAYER).grid((13, 14))


def test_a_spec_of_other_values_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_norm must be standard or darknet, not 'cudnn'"):
        DarknetSpec(cfg="", batch_norm="cudnn")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cfg must be text, not 5"):
        DarknetSpec(cfg=5)  # type: ignore[arg-type]


def test_a_spec_survives_json() -> None:
    spec = spec_of(EVERY_LAYER, batch_norm="darknet")
    assert DarknetSpec(**json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.name == "darknet network of 12 layers"


def test_the_kind_of_batch_norm_makes_no_difference_in_evaluation() -> None:
    network = network_of(EVERY_LAYER)
    other = DarknetNetwork(replace(network.spec, batch_norm="darknet")).eval()
    other.load_state_dict(network.state_dict())
    images = images_for(network)
    assert torch.equal(network(images), other(images))


def test_the_same_seed_gives_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(DarknetNetwork(spec_of(EVERY_LAYER)).state_dict())
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def test_stopbackward_was_ignored_and_the_layers_it_cuts_off_were_trained() -> None:
    stopped = EVERY_LAYER.replace("[local]\nfilters = 3", "[local]\nstopbackward = 1\nfilters = 3")
    plain, network = network_of(EVERY_LAYER).train(), network_of(stopped).train()
    last = next(layer.index for layer in network.spec.plan.layers if layer.stop_backward)
    assert network.spec.plan.unused == ()
    answers = []
    for one in (plain, network):
        torch.manual_seed(0)  # of dropout and crop
        answers.append(one(images_for(one, 4)))
        answers[-1].square().sum().backward()
    assert torch.equal(*answers)
    expected = dict(plain.named_parameters())
    for name, parameter in network.named_parameters():
        if int(name.split(".")[1]) <= last:  # the layer itself gets no gradient either
            assert parameter.grad is None, name
            assert not parameter.requires_grad, name
        else:
            torch.testing.assert_close(parameter.grad, expected[name].grad)
    # statistics follow the images in frozen layers as well
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, dict(plain.named_buffers())[name]), name


@pytest.mark.parametrize("place", ["output = 24", "probability = .25"])
def test_stopbackward_that_leaves_nothing_to_train_is_refused_with_its_line(place: str) -> None:
    plan = spec_of(EVERY_LAYER.replace(place, f"{place}\nstopbackward = 1") + DETECTION).plan
    line = EVERY_LAYER[: EVERY_LAYER.index(place)].count("\n")
    if place == "output = 24":
        with pytest.raises(ConfigError, match=rf"^cfg:{line + 4}: \[connected\] stopbackward=1 leaves nothing"):
            check_trainable(plan)
    else:
        check_trainable(plan)
