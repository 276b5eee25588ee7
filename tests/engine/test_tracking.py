"""Ids of constructed detections; the package is an extra."""

from collections.abc import Iterator

import pytest
import torch

from yolo.config import PredictConfig
from yolo.engine.result import Result
from yolo.engine.tracking import Tracking
from yolo.errors import ConfigError
from yolo.media.items import Unreadable
from yolo.structures import Detections


def result(*boxes: tuple[float, float, float, float], frame: int | None, source: str = "a.mp4") -> Result:
    found = Detections(
        torch.tensor(boxes).reshape(-1, 4), torch.full((len(boxes),), 0.4), torch.zeros(len(boxes)).long(), (100, 400)
    )
    time = None if frame is None else frame / 10
    return Result(found, class_names=("cell",), source=source, frame=frame, time=time, fps=10.0)


def moving(frame: int, source: str = "a.mp4") -> Result:
    """One object that goes right, one that goes left; their order changes from frame to frame."""
    boxes = [(10.0 + 8 * frame, 10, 50.0 + 8 * frame, 40), (300.0 - 8 * frame, 60, 340.0 - 8 * frame, 90)]
    return result(*(boxes if frame % 2 else boxes[::-1]), frame=frame, source=source)


def ids(outcomes: Iterator[Result | Unreadable]) -> list[list[int]]:
    return [one.track_ids.tolist() for one in outcomes if isinstance(one, Result) and one.track_ids is not None]


def test_ids_stay_with_their_objects_and_streams_do_not_share_them() -> None:
    pytest.importorskip("trackers")
    frames = [moving(frame, source) for frame in range(6) for source in ("a.mp4", "b.mp4")]
    tracking = Tracking()
    found = ids(tracking.follow(iter(frames)))
    assert found[:2] == [[-1, -1], [-1, -1]]
    for of_source in (found[2::2], found[3::2]):
        assert sorted(of_source[0]) == [1, 2]
        assert all(
            one == (of_source[0] if place % 2 == 0 else of_source[0][::-1]) for place, one in enumerate(of_source)
        )
    assert [counts.to_dict()["objects"] for counts in tracking.counts] == [{"cell": 2}, {"cell": 2}]


def test_a_video_that_begins_again_has_new_tracks_and_gaps_keep_the_old() -> None:
    pytest.importorskip("trackers")
    # every third frame: 24 pixels a step, as the times say; then the video once more
    frames = [moving(frame) for frame in (0, 3, 6, 9)]
    tracking = Tracking()
    found = ids(tracking.follow(iter([*frames, *frames])))
    assert [sorted(one) for one in found] == [[-1, -1], [1, 2], [1, 2], [1, 2]] * 2
    assert len(tracking.counts) == 2


def test_nothing_found_and_images_among_videos() -> None:
    pytest.importorskip("trackers")
    outcomes: list[Result | Unreadable] = [
        result(frame=0),
        Unreadable("x.jpg", "broken"),
        result((1, 1, 9, 9), frame=None),
        result(frame=1),
    ]
    followed = list(Tracking().follow(iter(outcomes)))
    assert followed[1] == outcomes[1]
    assert [None if one.track_ids is None else len(one) for one in followed if isinstance(one, Result)] == [0, None, 0]


def test_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"photo.jpg is an image: give a video"):
        Tracking().check(result((1, 1, 9, 9), frame=None, source="photo.jpg"))
    Tracking().check(result(frame=0))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.engine.tracking.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'gridyolo\[track\]'"):
        Tracking.of_options("", "")


def test_counting_needs_tracking() -> None:
    with pytest.raises(ConfigError, match="--line counts tracked objects: add --track"):
        PredictConfig(weights="w", source="v.mp4", line="0,0,1,1")
