import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.slow_darknet_layers import slow_activation
from yolo.darknet import options
from yolo.models.activations import ACTIVATIONS

E = math.exp(1)

# (name, x, y): both sides of every bend, by hand
POINTS = [
    ("elu", 2.0, 2.0),
    ("elu", -1.0, 1 / E - 1),
    ("hardtan", 0.3, 0.3),
    ("hardtan", 5.0, 1.0),
    ("hardtan", -5.0, -1.0),
    ("leaky", 3.0, 3.0),
    ("leaky", -3.0, -0.3),
    ("lhtan", 0.5, 0.5),
    ("lhtan", -2.0, -0.002),
    ("lhtan", 3.0, 1.002),
    ("linear", -7.5, -7.5),
    ("logistic", 0.0, 0.5),
    ("logistic", 1.0, E / (E + 1)),
    ("loggy", 0.0, 0.0),
    ("loggy", 1.0, (E - 1) / (E + 1)),
    ("plse", 0.0, 0.5),
    ("plse", 4.0, 1.0),
    ("plse", 6.0, 1.02),
    ("plse", -6.0, -0.02),
    ("ramp", 2.0, 2.2),
    ("ramp", -2.0, -0.2),
    ("relie", 2.0, 2.0),
    ("relie", -2.0, -0.02),
    ("relu", 2.0, 2.0),
    ("relu", -2.0, 0.0),
    ("selu", 2.0, 2.1014),
    ("selu", -1.0, 1.0507 * 1.6732 * (1 / E - 1)),
    ("stair", 0.5, 0.0),
    ("stair", 1.25, 0.25),
    ("stair", 2.9, 1.0),
    ("stair", 3.5, 1.5),
    ("stair", -0.5, -0.5),
    ("stair", -1.5, -1.0),
    ("tanh", 1.0, (E**2 - 1) / (E**2 + 1)),
]
BENDS = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)


@pytest.mark.parametrize(("name", "x", "y"), POINTS)
def test_values_computed_by_hand(name: str, x: float, y: float) -> None:
    answer = ACTIVATIONS[name](torch.tensor([x], dtype=torch.float64))
    assert answer.item() == pytest.approx(y, rel=1e-12)
    assert slow_activation(name, x) == pytest.approx(y, rel=1e-12)


def test_every_activation_that_a_cfg_may_name_is_here_and_tested() -> None:
    assert set(ACTIVATIONS) == set(options.ACTIVATIONS) == {name for name, _, _ in POINTS}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@given(x=st.floats(-12, 12))
def test_values_equal_the_formulas_everywhere(name: str, x: float) -> None:
    answer = ACTIVATIONS[name](torch.tensor(x, dtype=torch.float64)).item()
    assert answer == pytest.approx(slow_activation(name, x), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gradients_are_the_slopes_of_the_formulas(name: str) -> None:
    # halfway between the bends
    x = torch.arange(-6, 6, 0.5, dtype=torch.float64)[1::2].requires_grad_()
    ACTIVATIONS[name](x).sum().backward()
    assert x.grad is not None
    step = 1e-5
    slopes = [(slow_activation(name, v + step) - slow_activation(name, v - step)) / (2 * step) for v in x.tolist()]
    assert x.grad.tolist() == pytest.approx(slopes, abs=1e-8)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gradients_are_finite_at_bends_and_far_out(name: str) -> None:
    x = torch.tensor([*BENDS, -1e4, 1e4], requires_grad=True)
    y = ACTIVATIONS[name](x)
    y.sum().backward()
    assert x.grad is not None
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_the_input_is_not_changed(name: str) -> None:
    x = torch.linspace(-3, 3, 7)
    ACTIVATIONS[name](x)
    assert torch.equal(x, torch.linspace(-3, 3, 7))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_empty_input_gives_empty_output(name: str) -> None:
    assert ACTIVATIONS[name](torch.empty(0, 4)).shape == (0, 4)
