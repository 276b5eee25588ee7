import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from tests.engine.runs import rows_of
from yolo.config import DemoConfig
from yolo.engine.demo import demo


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, no_plots: None) -> None:
    monkeypatch.setattr("yolo.engine.demo._INPUT_SIZE", 64)
    monkeypatch.setattr("yolo.engine.demo._IMAGE_SIZE_HW", (64, 64))


def test_the_demo_does_a_fixed_amount_of_work_and_says_before_how_long_it_takes(tmp_path: Path) -> None:
    console = Console(record=True, width=500, file=io.StringIO())
    outcome = demo(DemoConfig(images=20, epochs=1, seed=3, runs=str(tmp_path)), console)
    text = console.export_text()
    assert "training for 1 epoch takes about 1 minute on 2 CPU cores" in text
    assert text.index("takes about") < text.index("img/s")
    # nothing of it depends on the clock, all of it on the seed
    options = yaml.safe_load((outcome.training.folder / "config.yaml").read_text())
    assert (options["epochs"], options["max_minutes"], options["seed"]) == (1, None, 3)
    assert len(rows_of(outcome.training.folder)) == 1
    shown = {what: path for what, path in outcome.look_at.items() if what != "training curves"}
    assert [what for what, path in shown.items() if not path.exists()] == []
    assert outcome.look_at["the trained detector"] == outcome.training.best


@pytest.mark.parametrize(("images", "epochs", "told"), [(800, 20, "3 minutes"), (800, 1, "1 minute"), (8000, 20, "28")])
def test_the_time_follows_the_work(
    images: int, epochs: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    def stop(*arguments: object, **keywords: object) -> None:
        raise StoppedError

    monkeypatch.setattr("yolo.engine.demo._IMAGES_PER_SECOND", 95)
    monkeypatch.setattr("yolo.engine.demo.make_synthetic_dataset", lambda *arguments, **keywords: tmp_path)
    monkeypatch.setattr("yolo.engine.demo.train", stop)
    console = Console(record=True, width=500, file=io.StringIO())
    with pytest.raises(StoppedError):
        demo(DemoConfig(images=images, epochs=epochs, runs=str(tmp_path)), console)
    assert f"takes about {told}" in console.export_text()
