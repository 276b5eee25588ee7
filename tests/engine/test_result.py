import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageShow

from yolo import Detection, Result
from yolo.engine.result import StageSeconds
from yolo.errors import ConfigError, DataError, GridYoloError, SaveError
from yolo.formats.csv import DETECTION_COLUMNS
from yolo.images import read_image
from yolo.structures import Detections


def result(**changes: Any) -> Result:
    """Two cats and a dog on a grey image, 200 wide and 100 high."""
    found = Detections(
        boxes=torch.tensor([[10.0, 20.0, 50.0, 80.0], [100.0, 0.0, 200.0, 50.0], [0.25, 0.5, 3.5, 1.1]]),
        scores=torch.tensor([0.9, 0.8, 0.3]),
        labels=torch.tensor([0, 1, 0]),
        size_hw=(100, 200),
    )
    values: dict[str, Any] = {"class_names": ("cat", "dog"), "image": np.full((100, 200, 3), 90, np.uint8)}
    return Result(found, **values | changes)


def test_box_formats_by_hand() -> None:
    one = result()
    assert torch.equal(one.xyxy, one.boxes)
    assert one.xywh[0].tolist() == [10, 20, 40, 60]
    assert one.cxcywh[0].tolist() == [30, 50, 40, 60]
    assert one.xyxy_norm[1].tolist() == [0.5, 0, 1, 0.5]
    assert one.xywh_norm[1].tolist() == [0.5, 0, 0.5, 0.5]
    assert one.cxcywh_norm[1].tolist() == [0.75, 0.25, 0.5, 0.5]


def test_iteration_gives_plain_detections() -> None:
    one = result(track_ids=torch.tensor([7, -1, 3]))
    first, second, _ = one
    assert first == Detection((10.0, 20.0, 50.0, 80.0), first.score, 0, "cat", track_id=7)
    assert first.score == pytest.approx(0.9)
    assert (second.name, second.track_id) == ("dog", None)
    assert [found.name for found in one] == one.names == ["cat", "dog", "cat"]
    assert result()[0].track_id is None


@pytest.mark.parametrize("place", [2, -1, np.int64(2), torch.tensor(2), np.array(2)])
def test_an_integer_gives_a_detection(place: Any) -> None:
    assert result()[place].box == (0.25, 0.5, 3.5, pytest.approx(1.1))


@pytest.mark.parametrize(
    ("index", "scores"),
    [
        (slice(1), [0.9]),
        (slice(None, None, -1), [0.3, 0.8, 0.9]),
        ([True, False, True], [0.9, 0.3]),
        (np.array([False, True, False]), [0.8]),
        (torch.tensor([True, False, False]), [0.9]),
        ([2, 0], [0.3, 0.9]),
        (np.array([1], np.uint8), [0.8]),
        (torch.tensor([-1]), [0.3]),
        ([], []),
    ],
)
def test_slices_masks_and_indices_give_results(index: Any, scores: list[float]) -> None:
    one = result(track_ids=torch.tensor([9, 8, 3]))
    chosen = one[index]
    assert chosen.scores.tolist() == pytest.approx(scores)
    assert chosen.track_ids is not None
    assert chosen.track_ids.tolist() == [{0.9: 9, 0.8: 8, 0.3: 3}[score] for score in scores]
    assert chosen.class_names == one.class_names


@pytest.mark.parametrize("index", [3, -4, [True], [5], [0.5], (0, slice(1)), "cat", [[0]]])
def test_indices_that_there_are_not(index: Any) -> None:
    with pytest.raises(IndexError):
        result()[index]


def test_a_filter_by_class() -> None:
    assert result().of_class("cat").scores.tolist() == pytest.approx([0.9, 0.3])
    assert result().of_class("dog", 0).scores.tolist() == pytest.approx([0.9, 0.8, 0.3])
    assert len(result().of_class()) == 0
    with pytest.raises(ConfigError, match="class 'dogs' is unknown: did you mean dog"):
        result().of_class("dogs")


def test_a_result_shows_what_was_found() -> None:
    assert repr(result(source="a.mp4", frame=3)) == "<Result a.mp4 frame 3, 200x100: 2 cat, 1 dog>"
    assert repr(result()[:0]) == "<Result image, 200x100: nothing>"


@pytest.mark.parametrize("tracks", [None, [4, -1, 0]])
def test_json_is_read_back_exactly(tracks: list[int] | None) -> None:
    one = result(
        source="ä.mp4",
        frame=3,
        time=1 / 3,
        fps=29.97,
        is_live=True,
        category_ids=(7, 90),
        track_ids=None if tracks is None else torch.tensor(tracks),
        seconds=StageSeconds(0.1, 0.2, 0.3),
    )
    again = Result.from_json(one.to_json())
    for name in ("boxes", "scores", "labels"):
        assert torch.equal(getattr(again, name), getattr(one, name))
    for name in ("size_hw", "class_names", "category_ids", "source", "frame", "time", "fps", "is_live", "seconds"):
        assert getattr(again, name) == getattr(one, name), name
    assert (None if again.track_ids is None else again.track_ids.tolist()) == tracks
    assert again.image is None
    assert again.to_dict() == one.to_dict() == json.loads(one.to_json())
    assert "\n" not in one.to_json()
    assert len(Result.from_dict(one[:0].to_dict())) == 0


@pytest.mark.parametrize(
    "change", [{"detections": 5}, {"class_names": ["cat"]}, {"seconds": {"x": 1}}, {"width": None, "detections": [{}]}]
)
def test_json_of_something_else(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"not the values of Result\.to_dict"):
        Result.from_dict(result().to_dict() | change)
    with pytest.raises(DataError, match="not the JSON"):
        Result.from_json("{")


def test_pictures(tmp_path: Path) -> None:
    one = result()
    picture = one.plot()
    assert picture.shape == (100, 200, 3)
    assert (picture != 90).any()
    assert one.image is not None
    assert (one.image == 90).all()
    path = one.save(tmp_path / "new" / "a.png")
    assert np.array_equal(read_image(path), picture)
    with pytest.raises(SaveError, match=r"a\.xyz: pictures are saved as \.bmp, \.jpeg"):
        one.save(tmp_path / "a.xyz")


def test_a_result_without_its_image_takes_one(tmp_path: Path) -> None:
    bare = result(image=None)
    with pytest.raises(ValueError, match="pass it"):
        bare.plot()
    grey = Image.new("RGB", (200, 100), (90, 90, 90))
    assert np.array_equal(bare.plot(image=grey), result().plot())
    assert len(bare.crop(image=grey)) == 3
    with pytest.raises(ValueError, match=r"must have the size \(100, 200\)"):
        bare.save(tmp_path / "a.png", image=np.zeros((5, 5, 3), np.uint8))


def test_show_needs_a_display_where_programs_need_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(ImageShow, "show", lambda image: pytest.fail("there is nothing to show it on"))
    with pytest.raises(GridYoloError, match=r"result\.save\(path\)"):
        result().show()


def test_show_needs_a_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    shown: list[Any] = []

    def show(image: Any) -> bool:
        shown.append(image)
        return True

    monkeypatch.setattr(ImageShow, "show", show)
    result().show()
    assert shown[0].size == (200, 100)
    monkeypatch.setattr(ImageShow, "show", lambda image: False)
    with pytest.raises(GridYoloError, match=r"result\.save\(path\)"):
        result().show()


def test_crops_by_hand() -> None:
    image = np.arange(100 * 200 * 3, dtype=np.uint32).reshape(100, 200, 3).astype(np.uint8)
    one = result(image=image)
    first, second, tiny = one.crop()
    assert np.array_equal(first, image[20:80, 10:50])
    assert np.array_equal(second, image[0:50, 100:200])
    assert np.array_equal(tiny, image[0:2, 0:4])  # the pixels that 0.25..3.5 and 0.5..1.1 touch
    first[:] = 0
    assert image[20, 10].any()
    # half of 40 x 60 on each side
    assert np.array_equal(one.crop(margin=0.5)[0], image[0:100, 0:70])
    with pytest.raises(ValueError, match="margin"):
        one.crop(margin=-1)


def test_crops_are_saved_by_class(tmp_path: Path) -> None:
    one = result(source="in/a b?.mp4", frame=5, class_names=("c/at", "dog"))
    paths = one.save_crops(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "c_at/a b__000005-1.jpg",
        "dog/a b__000005-2.jpg",
        "c_at/a b__000005-3.jpg",
    ]
    assert read_image(paths[1]).shape == (50, 100, 3)


def test_coco_and_torchmetrics() -> None:
    records = result(category_ids=(7, 90)).to_coco(42)
    assert records[0] == {"image_id": 42, "category_id": 7, "bbox": [10, 20, 40, 60], "score": pytest.approx(0.9)}
    assert [one["category_id"] for one in result().to_coco("a")] == [1, 2, 1]
    assert result().to_torchmetrics().keys() == {"boxes", "scores", "labels"}
    assert json.dumps(records)


@pytest.mark.parametrize("name", ["pandas", "supervision"])
def test_extras_that_are_not_installed_say_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    one, extra = result(), {"pandas": "dataframe"}.get(name, name)
    with pytest.raises(GridYoloError, match=rf"pip install 'gridyolo\[{extra}\]'"):
        one.to_dataframe() if name == "pandas" else one.to_supervision()


def test_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = result(source="a.jpg", track_ids=torch.tensor([7, -1, 3])).to_dataframe()
    assert tuple(frame.columns) == DETECTION_COLUMNS
    assert frame["class"].tolist() == ["cat", "dog", "cat"]
    assert frame[["xmin", "ymin", "xmax", "ymax"]].to_numpy()[0].tolist() == [10, 20, 50, 80]
    assert frame["track_id"].isna().tolist() == [False, True, False]
    assert frame["frame"].isna().all()
    both = pandas.concat([frame, result(frame=3, time=0.5).to_dataframe(), result()[:0].to_dataframe()])
    assert len(both) == 6
    assert both["frame"].dtype == "Int64"


def test_supervision() -> None:
    pytest.importorskip("supervision")
    found = result(track_ids=torch.tensor([7, 1, 3])).to_supervision()
    assert found.xyxy.tolist() == result().boxes.tolist()
    assert found.data["class_name"].tolist() == ["cat", "dog", "cat"]
    assert found.tracker_id.tolist() == [7, 1, 3]
    assert len(result()[:0].to_supervision()) == 0


def test_a_result_moves_to_a_device() -> None:
    moved = result(track_ids=torch.tensor([7, 1, 3])).to("cpu")
    assert moved.boxes.device.type == "cpu"
    assert moved.track_ids is not None
