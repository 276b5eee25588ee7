import math

import numpy as np
import pytest

from tests.darknet.networks import IMAGE, plan_of
from tests.reference.golden import golden_npz
from yolo.config import RateConfig
from yolo.darknet.net_section import NetOptions, learning_rate
from yolo.darknet.plan import plan_network
from yolo.errors import ConfigError


def test_net_defaults() -> None:
    net = plan_of("[max]\n", IMAGE).net
    assert (net.batch, net.subdivisions, net.sub_batch) == (1, 1, 1)
    assert (net.learning_rate, net.momentum, net.decay) == (0.001, 0.9, 0.0001)
    assert (net.rate, net.max_batches) == (RateConfig(policy="constant", power=4), 0)
    assert (net.saturation, net.exposure, net.hue, net.inputs) == (1, 1, 0, 240)


def test_sub_batches_divide_without_remainder_and_batch_stays_as_written() -> None:
    net = plan_of("[max]\n", IMAGE + "batch=10\nsubdivisions=4\n").net
    assert (net.batch, net.sub_batch) == (10, 2)


def test_more_scales_than_steps_are_not_read() -> None:
    net = plan_of("[max]\n", IMAGE + "policy=steps\nsteps=1,2\nscales=.1,.2,.3\n").net
    assert (net.rate.steps, net.rate.scales) == ((1, 2), (0.1, 0.2))


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
        plan_of("[connected]\n", net)


LAYER = "\n[connected]\n"


def net_of(section: str) -> NetOptions:
    return plan_network(f"[net]\ninputs=1\n{section}{LAYER}").net


def rate_of(net: NetOptions, batch_number: int, *, uniform: float = 1.0) -> float:
    return learning_rate(net.rate, batch_number, base=net.learning_rate, max_batches=net.max_batches, uniform=uniform)


@pytest.mark.parametrize("name", ["yolov1", "paper", "extraction", "burnin", "constant"])
def test_rates_are_those_of_darknet(name: str) -> None:
    golden = golden_npz("lr_schedule.npz")
    net = net_of(str(golden[f"{name}__net_section"]))
    rates = [rate_of(net, int(number)) for number in golden[f"{name}__batch_num"]]
    np.testing.assert_allclose(rates, golden[f"{name}__rate"], rtol=1e-5, atol=0)


def test_a_step_counts_from_its_own_batch_on() -> None:
    net = net_of("learning_rate=1\npolicy=steps\nsteps=10,20\nscales=.5,.1\n")
    assert [rate_of(net, n) for n in (0, 9, 10, 19)] == [1, 1, 0.5, 0.5]
    assert rate_of(net, 20) == pytest.approx(0.05)


def test_steps_that_do_not_rise_end_at_the_first_one_still_to_come() -> None:
    # at batch 15 the first step, 20, is still to come: darknet does not look at the second one
    net = net_of("learning_rate=1\npolicy=steps\nsteps=20,10\nscales=.5,.1\n")
    assert rate_of(net, 15) == 1


def test_step_multiplies_once_every_step_batches() -> None:
    net = net_of("learning_rate=1\npolicy=step\nstep=10\nscale=.5\n")
    assert [rate_of(net, n) for n in (9, 10, 29, 30)] == [1, 0.5, 0.25, 0.125]


def test_exp_poly_and_sigmoid_by_hand() -> None:
    assert rate_of(net_of("learning_rate=2\npolicy=exp\ngamma=.5\n"), 3) == 0.25
    poly = net_of("learning_rate=2\npolicy=poly\npower=2\nmax_batches=10\n")
    assert [rate_of(poly, n) for n in (0, 5, 10)] == [2, 0.5, 0]
    sigmoid = net_of("learning_rate=2\npolicy=sigmoid\ngamma=.1\nstep=100\n")
    assert rate_of(sigmoid, 100) == 1
    assert rate_of(sigmoid, 110) == pytest.approx(2 / (1 + math.e))
    assert rate_of(sigmoid, 90) == pytest.approx(2 / (1 + 1 / math.e))


def test_a_sigmoid_far_from_its_middle_does_not_overflow() -> None:
    sigmoid = net_of("learning_rate=2\npolicy=sigmoid\ngamma=1000\nstep=1000000\n")
    assert rate_of(sigmoid, 0) == 2
    assert rate_of(sigmoid, 2_000_000) == 0


def test_random_takes_the_draw_it_is_given() -> None:
    net = net_of("learning_rate=2\npolicy=random\npower=2\n")
    assert rate_of(net, 7, uniform=0.5) == 0.5


def test_burn_in_rises_with_the_fourth_power_before_any_policy() -> None:
    net = net_of("learning_rate=1\nburn_in=10\npolicy=step\nstep=1\nscale=.5\n")
    assert rate_of(net, 5) == 0.5**4
    assert rate_of(net, 10) == 0.5**10


def test_an_unknown_policy_is_constant_and_noted() -> None:
    plan = plan_network(f"[net]\ninputs=1\nlearning_rate=.5\npolicy=cosine\nsteps=1\nscales=.1{LAYER}")
    assert rate_of(plan.net, 100) == 0.5
    assert plan.unused[0] == "line 4: unknown policy 'cosine' in [net]: the learning rate stays constant"


@pytest.mark.parametrize(
    ("section", "batch_number"),
    [
        ("policy=poly\n", 1),  # without max_batches: division by zero
        ("policy=poly\nmax_batches=10\npower=.5\n", 20),  # a root of a negative number
        ("policy=exp\ngamma=1000\n", 10_000),  # too large for a float
        ("policy=random\npower=-1\n", 1),  # 0 to a negative power
        ("policy=steps\nsteps=1,1,1,1,1,1,1,1,1\nscales=" + ",".join(["1e38"] * 9) + "\n", 10**6),
    ],
)
def test_a_schedule_without_a_finite_rate_is_an_error_that_names_it(section: str, batch_number: int) -> None:
    net = net_of(section)
    with pytest.raises(ConfigError, match=f"policy={net.rate.policy} .* no finite rate for batch {batch_number}"):
        rate_of(net, batch_number, uniform=0.0)
