import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolo.errors import DataError
from yolo.formats.detections_json import DetectionsWriter, entry_of, is_detections_json, load_detections
from yolo.formats.detections_json import read_detections_json as read
from yolo.formats.issues import ReadReport
from yolo.structures import Detections

NAMES = ("cat", "dog")


def found(count: int, seed: int = 0) -> Detections:
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(count, 4, generator=generator) * torch.tensor([300.0, 200, 300, 200])
    scores = torch.rand(count, generator=generator)
    return Detections(boxes, scores, torch.arange(count) % 2, (200, 300))


def write(path: Path, entries: list[dict[str, Any]]) -> Path:
    writer = DetectionsWriter(path, {"class_names": list(NAMES)})
    for entry in entries:
        writer.add(entry)
    writer.close()
    return path


@pytest.mark.parametrize("name", ["detections.json", "detections.jsonl"])
def test_every_bit_comes_back(name: str, tmp_path: Path) -> None:
    many, none = found(500), found(0)
    entries = [entry_of(one, NAMES, about={"source": f"{place}.jpg"}) for place, one in enumerate((many, none))]
    path = write(tmp_path / name, [entries[0], {"source": "bad.jpg", "error": "is empty"}, entries[1]])
    assert is_detections_json(path)
    report = ReadReport()
    raw = read(path, report)
    assert raw.images == ["0.jpg", "1.jpg"]
    assert np.array_equal(raw.boxes, many.boxes.numpy().astype(np.float64))
    assert np.array_equal(raw.scores, many.scores.numpy().astype(np.float64))
    assert [raw.classes[code] for code in raw.class_codes] == [NAMES[label] for label in many.labels]
    assert [(one.kind, one.count) for one in report.warnings()] == [("image_unreadable", 1)]
    assert raw.place(499) == "image '0.jpg', detection 499"
    assert load_detections(path).header["class_names"] == ["cat", "dog"]


def test_an_entry_has_what_is_known() -> None:
    one = Detections(torch.tensor([[0.1, 2, 30, 40]]), torch.tensor([1 / 3]), torch.tensor([1]), (50, 60))
    entry = entry_of(one, NAMES, category_ids=(7, 90), track_ids=[4], about={"source": "v.mp4", "frame": 2})
    assert (entry["source"], entry["frame"], entry["width"], entry["height"]) == ("v.mp4", 2, 60, 50)
    (detection,) = entry["detections"]
    assert {key: detection[key] for key in ("class", "label", "category_id", "track_id")} == {
        "class": "dog", "label": 1, "category_id": 90, "track_id": 4,
    }  # fmt: skip
    assert "track_id" not in entry_of(one, NAMES, track_ids=[-1], about={})["detections"][0]


def test_float32_is_written_short(tmp_path: Path) -> None:
    one = Detections(torch.tensor([[0.1, 2, 30, 40]]), torch.tensor([1 / 3]), torch.tensor([1]), (50, 60))
    text = write(tmp_path / "detections.json", [entry_of(one, NAMES, about={})]).read_text()
    assert '"score":0.33333334,"box":[0.1,2.0,30.0,40.0]' in text


def test_frames_have_the_name_of_their_video(tmp_path: Path) -> None:
    entries = [entry_of(found(1), NAMES, about={"source": "a/v.1.mp4", "frame": frame}) for frame in (0, 12)]
    raw = read(write(tmp_path / "detections.jsonl", entries), ReadReport())
    assert raw.images == ["a/v.1_000000", "a/v.1_000012"]


def test_a_stream_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    path = write(tmp_path / "detections.jsonl", [entry_of(found(2), NAMES, about={"source": "a.jpg"})] * 1)
    with path.open("a") as file:
        file.write('{"source": "b.jpg", "detec')
    report = ReadReport()
    assert read(path, report).images == ["a.jpg"]
    assert [one.kind for one in report.warnings()] == ["cut_off"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "has the version 2, and this gridyolo reads 1; update gridyolo"),
        ({"format": "other"}, "does not begin with the format 'gridyolo-detections'"),
        ({"images": 3}, "has no list 'images'"),
        ({"images": [3]}, "image 0 is 3, expected source and detections, or an error"),
        ({"images": [{"source": "a", "detections": [{"box": [1, 2, 3], "score": 1}]}]}, "image 'a', detection 0: box"),
        ({"images": [{"source": "a", "detections": [{"box": [1, 2, 3, 4]}]}]}, "score is None, expected a number"),
        ({"images": [{"source": "a", "detections": []}] * 2}, "has the image 'a' twice"),
    ],
)
def test_what_is_no_such_file_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"format": "gridyolo-detections", "version": 1, "images": []} | change))
    with pytest.raises(DataError, match=message):
        read(path, ReadReport())


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"format": "gridyolo-detections", "version": 1}\n{"a\n{}\n')
    with pytest.raises(DataError, match="line 2: is not JSON"):
        read(path, ReadReport())
