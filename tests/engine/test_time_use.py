from typing import Any

import pytest

from yolo.config import AugmentConfig, ModelConfig, TrainConfig
from yolo.engine.time_use import describe_time, loading_hint

SLOW = {"steps": 60.0, "images": 30.0, "validation": 10.0}


def hint(seconds: dict[str, float] = SLOW, *, num_images: int = 100, device: str = "cuda", **options: Any) -> str:
    config = TrainConfig(data="d", **options)
    return loading_hint(seconds, config, num_images=num_images, input_hw=(320, 320), device_type=device)


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("yolo.engine.time_use", "yolo.data.loader"):
        monkeypatch.setattr(f"{place}.available_cores", lambda: 8)


def test_stages_stand_in_one_order_and_those_without_time_are_left_out() -> None:
    told = describe_time({"report": 2.0, "steps": 150.0, "images": 0.0, "validation": 48.0})
    assert told == "time: 3:20, of which 75 % training steps, 24 % validation, 1 % writing results"
    assert describe_time({}) == "time: none"


@pytest.mark.parametrize(
    "seconds", [{"steps": 80.0, "images": 20.0}, {"steps": 4.0, "images": 4.0}, {"steps": 9.0}, {}]
)
def test_little_waiting_in_share_or_in_seconds_needs_no_hint(seconds: dict[str, float]) -> None:
    assert hint(seconds) == ""


def test_only_options_that_apply_are_named() -> None:
    start = "loading images limits the speed: try "
    assert hint(cache="none", workers=8) == f"{start}--cache ram or a smaller --input-size"
    assert hint(cache="ram", workers=8) == f"{start}a smaller --input-size"
    assert hint(cache="ram", workers=2) == f"{start}--workers 8 or a smaller --input-size"
    # 8000 images of 320 x 320 x 3 bytes are 2458 MB, and three quarters of the cache are theirs
    assert hint(num_images=8000, workers=8) == f"{start}--cache-mb 3278, --cache disk or a smaller --input-size"
    assert hint(num_images=8000, workers=8, cache_mb=3278) == f"{start}a smaller --input-size"
    assert hint(num_images=8000, workers=8, cache="disk") == f"{start}a smaller --input-size"
    pipeline = AugmentConfig(pipeline="own.yaml")
    assert hint(workers=8, augment=pipeline) == f"{start}a cheaper pipeline in --augment or a smaller --input-size"


def test_beside_a_network_on_the_cpu_more_workers_than_by_default_do_not_help() -> None:
    assert "--workers 2" in hint(workers=0, device="cpu")
    assert "--workers" not in hint(workers=None, device="cpu")


def test_a_run_that_keeps_no_placed_images_has_no_use_for_a_cache() -> None:
    darknet = AugmentConfig(style="darknet", mosaic=0, scale=0, translate=0)
    stretched = ModelConfig(resize="stretch_corners")
    assert "--cache" not in hint(workers=8, cache="none", augment=darknet, model=stretched)
