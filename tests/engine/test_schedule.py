import pytest

from yolo.config import TrainConfig
from yolo.engine.schedule import Schedule


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
