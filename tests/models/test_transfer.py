import pytest
import torch

from tests.darknet.networks import BODY, detector_cfg
from yolo.darknet.network import DarknetNetwork, DarknetSpec
from yolo.models.network import GridNetwork, Network, NetworkSpec
from yolo.models.transfer import ClassMatch, transfer

LOCAL = BODY + "[local]\nfilters=3\nsize=3\npad=1\nactivation=leaky\n\n"


def grid_network(num_classes: int, seed: int) -> GridNetwork:
    torch.manual_seed(seed)
    network = GridNetwork(NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=num_classes)).eval()
    torch.nn.init.normal_(network.head.predict.bias)  # type: ignore[arg-type]
    return network


def darknet_network(num_classes: int, seed: int) -> DarknetNetwork:
    torch.manual_seed(seed)
    network = DarknetNetwork(DarknetSpec(cfg=detector_cfg(classes=num_classes))).eval()
    torch.nn.init.normal_(next(tensor for name, tensor in network.named_parameters() if name == "layers.3.biases"))
    return network


def parts_of(network: Network) -> dict[str, torch.Tensor]:
    """What a network answers to an image, by part."""
    size = (32, 32) if isinstance(network, DarknetNetwork) else (64, 64)
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return network.spec.grid(size).split(network(image))._asdict()


for_both = pytest.mark.parametrize("make", [grid_network, darknet_network], ids=["grid", "darknet"])


@for_both
def test_equal_classes_in_another_order_are_the_same_detector(make) -> None:  # type: ignore[no-untyped-def]
    other, network = make(3, 0), make(3, 1)
    report = transfer(network, other, ClassMatch.by_name(["c", "a", "b"], ["a", "b", "c"]))
    assert (report.missing, report.unexpected, report.misshapen) == ((), (), ())
    was, now = parts_of(other), parts_of(network)
    torch.testing.assert_close(now["class_probs"], was["class_probs"][..., [2, 0, 1]])
    for name in ("offset_xy", "size_wh", "confidence"):
        torch.testing.assert_close(now[name], was[name])


@for_both
def test_new_classes_keep_their_values_and_unused_ones_are_left_out(make) -> None:  # type: ignore[no-untyped-def]
    other, network = make(3, 0), make(2, 1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    classes = ClassMatch.by_name(["new", "b"], ["a", "b", "c"])
    assert (classes.labels, classes.new, classes.unused) == ({1: 1}, ("new",), ("a", "c"))
    report = transfer(network, other, classes)
    assert len(report.loaded) == len(network.state_dict())
    was, now = parts_of(other), parts_of(network)
    torch.testing.assert_close(now["class_probs"][..., 1], was["class_probs"][..., 1])
    torch.testing.assert_close(now["confidence"], was["confidence"])
    # with the old weights of the last layer alone, the new class answers as before
    network.load_state_dict(
        network.state_dict()
        | {name: before[name] for name in before if name.startswith(("head.predict.", "layers.3."))}
    )
    torch.testing.assert_close(now["class_probs"][..., 0], parts_of(network)["class_probs"][..., 0])


def test_the_same_classes_in_the_same_order_fit_any_last_layer() -> None:
    spec = DarknetSpec(cfg=detector_cfg().replace("[connected]\noutput=48", LOCAL_OUTPUT))
    other, network = DarknetNetwork(spec), DarknetNetwork(spec)
    report = transfer(network, other, ClassMatch.by_name(["a", "b"], ["a", "b"]))
    assert report.missing == ()
    # other classes of a local layer cannot be told apart: the layer keeps its own
    before = network.state_dict()["layers.3.weights"].clone()
    report = transfer(network, DarknetNetwork(spec), ClassMatch.by_name(["b", "a"], ["a", "b"]))
    assert set(report.missing) == {"layers.3.weights", "layers.3.biases"}
    assert torch.equal(network.state_dict()["layers.3.weights"], before)


# 2 x 2 cells of 12 values, from the map of 4 x 4 x 3
LOCAL_OUTPUT = "[local]\nfilters=12\nsize=2\nstride=2"


def test_predictors_of_another_grid_are_left_out() -> None:
    other = DarknetNetwork(DarknetSpec(cfg=detector_cfg(num=3)))
    network = DarknetNetwork(DarknetSpec(cfg=detector_cfg(num=2, classes=3)))
    report = transfer(network, other, ClassMatch.by_name(["a", "b", "c"], ["a", "b"]))
    assert set(report.missing) == {"layers.3.weights", "layers.3.biases"}
    grid, wide = grid_network(2, 0), GridNetwork(
        NetworkSpec(backbone="shufflenet_v2_x0_5", num_classes=3, boxes_per_cell=3)
    )  # fmt: skip
    report = transfer(wide, grid, ClassMatch.by_name(["a", "b", "c"], ["a", "b"]))
    assert set(report.missing) == {"head.predict.weight", "head.predict.bias"}
