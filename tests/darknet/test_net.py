import pytest

from tests.darknet.networks import IMAGE, plan_of
from yolo.darknet.plan import NetworkPlan, plan_network
from yolo.errors import ConfigError


def plan(layers: str, net: str = IMAGE) -> NetworkPlan:
    return plan_of(layers, net)


def test_net_defaults() -> None:
    net = plan("[max]\n").net
    assert (net.batch, net.subdivisions, net.sub_batch) == (1, 1, 1)
    assert (net.learning_rate, net.momentum, net.decay) == (0.001, 0.9, 0.0001)
    assert (net.policy, net.burn_in, net.power, net.max_batches) == ("constant", 0, 4, 0)
    assert (net.saturation, net.exposure, net.hue, net.angle, net.aspect) == (1, 1, 0, 0, 1)
    assert (net.max_crop, net.min_crop, net.inputs) == (20, 10, 240)


def test_sub_batches_divide_without_remainder_and_batch_stays_as_written() -> None:
    net = plan("[max]\n", IMAGE + "batch=10\nsubdivisions=4\n").net
    assert (net.batch, net.sub_batch) == (10, 2)


def test_another_input_size_replaces_that_of_the_cfg() -> None:
    made = plan_network(IMAGE + "[conv]\n", input_size=(6, 7))
    assert made.in_shape == (3, 6, 7)
    assert (made.net.height, made.net.width, made.net.max_crop) == (6, 7, 14)
    with pytest.raises(ConfigError, match="at least 1 x 1"):
        plan_network(IMAGE + "[conv]\n", input_size=(0, 7))


def test_more_scales_than_steps_are_not_read() -> None:
    net = plan("[max]\n", IMAGE + "policy=steps\nsteps=1,2\nscales=.1,.2,.3\n").net
    assert (net.steps, net.scales) == ((1, 2), (0.1, 0.2))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("[net]\n", r"a\.cfg:1: \[net\] the input is missing"),
        ("[net]\nwidth=4\nheight=4\n", r"a\.cfg:1: \[net\] the input is missing"),
        ("[net]\nwidth=-4\nheight=4\nchannels=3\n", r"a\.cfg:2: .* width must be at least 0"),
        (IMAGE + "inputs=7\n", r"a\.cfg:5: .* inputs=7 contradicts 10 x 8 x 3 = 240"),
        ("[net]\nwidth=70000\nheight=70000\nchannels=1\n", r"a\.cfg:1: .* the input 70000 x 70000 x 1 has more than"),
        (IMAGE + "batch=0\n", r"a\.cfg:5: .* batch must be at least 1"),
        (IMAGE + "subdivisions=0\n", r"a\.cfg:5: .* subdivisions must be at least 1"),
        (IMAGE + "batch=4\nsubdivisions=8\n", r"a\.cfg:6: .* subdivisions=8 leaves no image of batch=4"),
        (IMAGE + "burn_in=-1\n", r"a\.cfg:5: .* burn_in must be at least 0"),
        (IMAGE + "learning_rate=nan\n", r"a\.cfg:5: .* learning_rate='nan' is not a finite decimal number"),
        (IMAGE + "policy=step\nstep=0\n", r"a\.cfg:6: .* step must be at least 1"),
        (IMAGE + "policy=steps\nsteps=1\n", r"a\.cfg:1: .* policy=steps needs steps and as many scales"),
        (IMAGE + "policy=steps\nsteps=1,2\nscales=.1\n", r"a\.cfg:7: .* there are 2 steps and 1 scales"),
        (IMAGE + "policy=steps\nsteps=5,-1\nscales=1,1\n", r"a\.cfg:6: .* steps must not be negative, not -1"),
    ],
)
def test_hostile_net_sections_are_refused_with_their_line(net: str, message: str) -> None:
    with pytest.raises(ConfigError, match="^" + message):
        plan("[connected]\n", net)
