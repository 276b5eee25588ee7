from dataclasses import asdict
from typing import Any

import pytest

from tests.darknet.networks import detector_cfg
from tests.reference.golden import golden_npz
from yolo.config import OptimizerConfig, RateConfig, TrainConfig
from yolo.darknet.net_section import learning_rate
from yolo.darknet.plan import plan_network
from yolo.engine.schedule import Schedule
from yolo.errors import ConfigError


def plan(*, epochs: int | None, seconds: float | None, steps_per_epoch: int = 10) -> Schedule:
    return Schedule(steps_per_epoch=steps_per_epoch, epochs=epochs, seconds=seconds, warmup=0.1, final_lr=0.01)


def test_progress_is_the_larger_share() -> None:
    both = plan(epochs=10, seconds=50)
    assert both.progress(20, 5) == pytest.approx(0.2)
    assert both.progress(20, 40) == pytest.approx(0.8)
    assert both.progress(500, 1000) == 1


@pytest.mark.parametrize(("epochs", "seconds"), [(300, None), (None, 300.0), (300, 300.0)])
def test_however_a_run_ends_its_rate_has_risen_and_come_down(epochs: int | None, seconds: float | None) -> None:
    # a step takes a second; with both limits the 300 seconds end it long before the 300000 planned steps
    schedule = plan(epochs=epochs, seconds=seconds, steps_per_epoch=1 if seconds is None else 1000)
    rates = [schedule.lr_factor(step, schedule.progress(step, float(step))) for step in range(301)]
    assert max(rates) == pytest.approx(1, abs=0.02)
    assert rates[-1] == pytest.approx(0.01)
    assert rates[0] < 0.05


@pytest.mark.parametrize(
    ("options", "epochs", "seconds"),
    [({}, 100, None), ({"max_minutes": 2.0}, None, 120.0), ({"max_minutes": 2.0, "epochs": 7}, 7, 120.0)],
)
def test_from_config(options: dict[str, float], epochs: int | None, seconds: float | None) -> None:
    schedule = Schedule.from_config(TrainConfig(data="d", **options), 10)  # type: ignore[arg-type]
    assert (schedule.epochs, schedule.seconds) == (epochs, seconds)


def test_a_long_warm_up_ends_after_500_steps() -> None:
    schedule = plan(epochs=1000, seconds=None, steps_per_epoch=1000)
    factors = [schedule.lr_factor(step, schedule.progress(step, 0)) for step in (0, 249, 498, 499, 10_000)]
    assert factors == pytest.approx([1 / 500, 250 / 500, 499 / 500, 1, 1])


STEPS = {"policy": "steps", "steps": (2, 4), "scales": (10.0, 0.1)}


def darknet_plan(*, seen: int = 0, rate: dict[str, Any] | None = None, **options: Any) -> Schedule:
    optimizer = OptimizerConfig(rate=RateConfig(**(STEPS if rate is None else rate)))
    config = TrainConfig(data="d", batch_size=4, optimizer=optimizer, **options)
    return Schedule.from_config(config, 10, seen=seen)


def factors(schedule: Schedule, count: int) -> list[float]:
    return [schedule.lr_factor(step, schedule.progress(step, 0)) for step in range(count)]


def test_darknet_counts_updates_from_one() -> None:
    # the step at 2 is reached with the second update
    assert factors(darknet_plan(), 5) == pytest.approx([1, 10, 10, 1, 1])


@pytest.mark.parametrize(("seen", "skipped"), [(3, 0), (4, 1), (8, 2), (11, 2), (400, 100)])
def test_images_that_weights_have_seen_go_on_in_the_schedule(seen: int, skipped: int) -> None:
    assert factors(darknet_plan(seen=seen), 5) == factors(darknet_plan(), skipped + 5)[skipped:]


def test_max_batches_counts_the_updates_before() -> None:
    schedule = darknet_plan(max_batches=10, seen=4 * 7)
    assert (schedule.updates, schedule.epochs, schedule.first_update) == (3, None, 7)
    assert [schedule.progress(step, 0) for step in (0, 3, 4)] == [0, 1, 1]


@pytest.mark.parametrize("seen", [40, 41, 2**63])
def test_weights_at_the_end_of_their_training_are_refused_with_the_way_out(seen: int) -> None:
    with pytest.raises(ConfigError, match=rf"seen {seen:,} images.*training ends at 10\..*--clear-seen true"):
        darknet_plan(max_batches=10, seen=seen)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (100, None, None)),
        ({"epochs": 3}, (3, None, None)),
        ({"max_batches": 9}, (None, 9, None)),
        ({"max_batches": 9, "max_minutes": 2.0}, (None, 9, 120.0)),
    ],
)
def test_what_ends_a_darknet_run(options: dict[str, Any], expected: tuple[Any, ...]) -> None:
    schedule = darknet_plan(**options)
    assert (schedule.epochs, schedule.updates, schedule.seconds) == expected


@pytest.mark.parametrize(
    "rate",
    [
        {"policy": "constant"},
        {"policy": "constant", "burn_in": 6, "power": 2.0},
        {"policy": "step", "step": 3, "scale": 0.5},
        {"policy": "exp", "gamma": 0.9},
        {"policy": "poly", "power": 2.0},
        {"policy": "sigmoid", "step": 5, "gamma": 0.3},
    ],
    ids=lambda rate: rate["policy"],
)
def test_every_policy_is_the_one_that_a_cfg_means(rate: dict[str, Any]) -> None:
    net = plan_network(detector_cfg(net=rate | {"learning_rate": 1, "max_batches": 20})).net
    expected = [learning_rate(net.rate, update, max_batches=20) for update in range(1, 16)]
    assert factors(darknet_plan(rate=rate, max_batches=20), 15) == pytest.approx(expected)
    assert len(set(expected)) > 1 or rate == {"policy": "constant"}


def test_random_rates_depend_on_seed_and_step_alone() -> None:
    rate = {"policy": "random", "power": 1.0}
    first = factors(darknet_plan(rate=rate), 50)
    assert first == factors(darknet_plan(rate=rate), 50)
    assert first != factors(darknet_plan(rate=rate, seed=1), 50)
    assert len(set(first)) == 50
    assert 0.3 < sum(first) / 50 < 0.7


def test_rates_equal_darknets() -> None:
    golden = golden_npz("lr_schedule.npz")
    cases = {key.removesuffix("__rate") for key in golden if key.endswith("__rate")}
    compared = 0
    for case in cases:
        text = str(golden[f"{case}__net_section"])
        net = plan_network(detector_cfg().replace("[net]", f"[net]\n{text}", 1)).net
        if net.rate.policy == "random":
            continue
        options = {"max_batches": net.max_batches} if net.max_batches else {}
        schedule = darknet_plan(rate=asdict(net.rate), **options)
        for update, expected in zip(golden[f"{case}__batch_num"].tolist(), golden[f"{case}__rate"], strict=True):
            if update >= 1:
                factor = schedule.lr_factor(update - 1, 0.0)
                assert net.learning_rate * factor == pytest.approx(float(expected), rel=1e-5, abs=1e-12), case
                compared += 1
    assert compared > 20
