import csv
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from yolo.config import PredictConfig
from yolo.config.predict import SAVE_FORMATS
from yolo.engine.detection_files import read_detections
from yolo.engine.ground_truth_files import GroundTruthFiles, read_ground_truth
from yolo.engine.output_names import OutputNames
from yolo.engine.prediction_files import PredictionFiles, RunHeader, describe, settings_to_json
from yolo.engine.result import Result
from yolo.errors import ConfigError, SaveError, printable
from yolo.files import write_json
from yolo.formats.csv import load_csv
from yolo.formats.detections_json import numbered_frame
from yolo.formats.issues import ReadReport
from yolo.formats.named_boxes import list_named, names_in_file, read_named
from yolo.formats.paths import ImageSizes
from yolo.formats.voc import parse_annotation, sides_of
from yolo.images import read_image, write_image
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.postprocess.tiles import Tiling
from yolo.structures import Detections

SIZE_HW = (90, 120)
HOSTILE = '<b>"&\u202eevil/..'
NAMES = ("cat", HOSTILE, "dog")


def detections(count: int, seed: int) -> Detections:
    """Some at the border, by falling score."""
    generator = np.random.default_rng(seed)
    low = generator.uniform(0, [90, 60], (count, 2))
    boxes = np.concatenate([low, low + generator.uniform(2, 30, (count, 2))], axis=1).astype(np.float32)
    boxes[:2, 0], boxes[:2, 3] = 0, 90
    scores = np.sort(generator.uniform(0.2, 1, count).astype(np.float32))[::-1].copy()
    labels = torch.from_numpy(generator.integers(0, 3, count))
    return Detections(torch.from_numpy(boxes), torch.from_numpy(scores), labels, SIZE_HW)


def shown(names: Iterable[str]) -> list[str]:
    return list(map(printable, names))


def add(files: PredictionFiles, result: Result, source: Path = Path()) -> None:
    name = OutputNames(str(source)).of_file(result.source, result.frame)
    files.add(result, name if result.frame is None else numbered_frame(name, result.frame), None)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "images"
    for name in ("7.jpg", "12.jpg", "sub/00012.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, np.full((*SIZE_HW, 3), 90, np.uint8))
    return folder


@pytest.fixture(scope="module")
def results(photos: Path) -> list[Result]:
    image = np.random.default_rng(0).integers(0, 255, (*SIZE_HW, 3), np.uint8)
    return [
        Result(detections(count, seed), NAMES, image=image, source=str(photos / name))
        for seed, (name, count) in enumerate({"7.jpg": 9, "12.jpg": 0, "sub/00012.png": 5}.items())
    ]


@pytest.fixture(scope="module")
def folder(photos: Path, results: list[Result]) -> Path:
    """A run folder with every format."""
    folder = photos.parent / "run"
    header = RunHeader(str(photos), "w.safetensors", NAMES)
    files = PredictionFiles(folder, SAVE_FORMATS, header)
    for result in results:
        add(files, result, photos)
    files.add_unreadable(f"{HOSTILE}.jpg", f"{HOSTILE}.jpg: the file is empty")
    files.close()
    lines = files.summary()
    assert [line.split(":")[0] for line in lines] == [
        "detections.json", "detections.jsonl", "coco/predictions.json, images.json", "labels/", "Annotations/",
        "detections.csv", "crops/", "labelstudio/tasks.json, config.xml", "cvat/annotations.xml, labels.json",
        "index.html",
    ]  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def truth(photos: Path, folder: Path) -> GroundTruthFiles:
    """A dataset of the images with the ids of COCO: numbers that are no names."""
    files = {70: "7.jpg", 71: "12.jpg", 72: "sub/00012.png"}
    images = [{"id": key, "file_name": name, "width": 120, "height": 90} for key, name in files.items()]
    content = {
        "images": images,
        "annotations": [
            {"id": 1, "image_id": 70, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
        ],
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(NAMES)],
    }
    write_json(photos.parent / "truth.json", content)
    return read_ground_truth(photos.parent / "truth.json", images=photos)


@pytest.mark.parametrize(
    ("name", "form", "tolerance"),
    [
        ("", "gridyolo", 0),
        ("detections.json", "gridyolo", 0),
        ("detections.jsonl", "gridyolo", 0),
        ("coco", "coco", 2e-5),  # left, top, width, height: corners are sums
        ("labels", "yolo", 1e-4),
    ],
)
def test_report_and_compare_read_the_same_boxes(
    name: str, form: str, tolerance: float, folder: Path, truth: GroundTruthFiles, results: list[Result]
) -> None:
    found = read_detections(folder / name, truth)
    assert found.format == form
    wanted = [result.detections for result in results]
    expected = np.concatenate([one.boxes.numpy() for one in wanted]).astype(np.float64)
    np.testing.assert_allclose(found.detections.boxes, expected, rtol=0, atol=tolerance)
    assert np.array_equal(found.detections.scores.astype(np.float32), np.concatenate([one.scores for one in wanted]))
    assert found.detections.labels.tolist() == torch.cat([one.labels for one in wanted]).tolist()
    assert found.detections.image_index.tolist() == [0] * 9 + [2] * 5


def test_pycocotools_loads_the_results(folder: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    run = coco.COCO(folder / "coco" / "images.json").loadRes(str(folder / "coco" / "predictions.json"))
    assert len(run.anns) == 14
    assert {image["file_name"]: image["id"] for image in run.imgs.values()} == {
        "7.jpg": "7", "12.jpg": "12", "sub/00012.png": "sub/00012",
    }  # fmt: skip


def test_images_that_are_numbers_have_them_as_ids(tmp_path: Path, results: list[Result]) -> None:
    header = RunHeader("", "w", NAMES, category_ids=(5, 6, 90))
    files = PredictionFiles(tmp_path, ["coco"], header)
    for result in results[:2]:
        add(files, Result(result.detections, NAMES, source=f"0000{Path(result.source or '').name}"))
    read = json.loads((tmp_path / "coco" / "predictions.json").read_text())
    assert {one["image_id"] for one in read} == {7}
    assert {one["category_id"] for one in read} <= {5, 6, 90}
    assert [one["id"] for one in json.loads((tmp_path / "coco" / "images.json").read_text())["images"]] == [7, 12]
    files.close()


def test_voc_and_csv_read_by_their_readers(folder: Path, photos: Path, results: list[Result]) -> None:
    boxes = results[0].boxes.numpy()
    items = list(parse_annotation(folder / "Annotations" / "7.xml").iterfind("object"))
    corners = np.array([sides_of(item)[0] for item in items], np.float32) - np.array([1, 1, 0, 0], np.float32)
    np.testing.assert_allclose(corners, boxes, rtol=0, atol=1e-4)
    assert [item.findtext("name") for item in items] == shown(results[0].names)
    assert (folder / "Annotations" / "sub" / "00012.xml").is_file()

    file = load_csv(folder / "detections.csv")
    source = read_named(file, list_named(file, photos), sizes=ImageSizes(ReadReport(), "stated"))
    read = source.objects.boxes
    expected = np.concatenate([result.boxes.numpy() for result in results])
    assert np.array_equal(read.astype(np.float32), expected)
    assert set(names_in_file(file)) == set(shown(name for result in results for name in result.names))
    with (folder / "detections.csv").open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert [np.float32(row["score"]) for row in rows[:9]] == results[0].scores.tolist()


def test_crops_are_the_pixels_of_the_boxes(folder: Path, results: list[Result]) -> None:
    assert len(list((folder / "crops").rglob("*.jpg"))) == 14
    label = int(results[0].labels[0])
    x1, y1, x2, y2 = results[0].boxes[0].tolist()
    own = {"cat": "cat", "dog": "dog"}.get(NAMES[label], "_b__&\u202eevil_")
    crop = read_image(folder / "crops" / own / "7-1.jpg")
    assert crop.shape[:2] == (np.ceil(y2) - np.floor(y1), np.ceil(x2) - np.floor(x1))


def test_a_box_without_a_pixel_is_left_out_and_counted(tmp_path: Path) -> None:
    boxes = torch.tensor([[5.0, 5, 5, 9], [200, 5, 210, 9], [1, 1, 3, 3]])
    found = Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.zeros(3, dtype=torch.int64), SIZE_HW)
    files = PredictionFiles(tmp_path, ["crops"], RunHeader("", "w", NAMES))
    add(files, Result(found, NAMES, image=np.zeros((*SIZE_HW, 3), np.uint8), source="a.jpg"))
    assert files.summary() == ["crops/: 1 crop; 2 boxes without a pixel of the image left out"]
    assert [path.name for path in (tmp_path / "crops" / "cat").iterdir()] == ["a-3.jpg"]
    files.close()


def test_label_studio_has_the_boxes_in_percent(folder: Path, photos: Path, results: list[Result]) -> None:
    tasks = json.loads((folder / "labelstudio" / "tasks.json").read_text("utf-8"))
    assert [unquote(task["data"]["image"]) for task in tasks] == [
        f"/data/local-files/?d={str(result.source).lstrip('/')}" for result in results
    ]
    config = ElementTree.fromstring((folder / "labelstudio" / "config.xml").read_text("utf-8"))
    assert [label.get("value") for label in config.iter("Label")] == shown(NAMES)
    (control,) = config.iter("RectangleLabels")
    items = tasks[0]["predictions"][0]["result"]
    assert {(one["from_name"], one["to_name"]) for one in items} == {(control.get("name"), control.get("toName"))}
    boxes = [[one["value"][key] for key in ("x", "y", "width", "height")] for one in items]
    corners = np.array(boxes) * [1.2, 0.9, 1.2, 0.9]
    corners[:, 2:] += corners[:, :2]
    np.testing.assert_allclose(corners, results[0].boxes.numpy(), rtol=0, atol=1e-5)


def test_cvat_has_names_sizes_and_boxes(folder: Path, results: list[Result]) -> None:
    root = ElementTree.fromstring((folder / "cvat" / "annotations.xml").read_text("utf-8"))
    images = root.findall("image")
    assert [one.get("name") for one in images] == ["7.jpg", "12.jpg", "sub/00012.png"]
    assert [one.get("id") for one in images] == ["0", "1", "2"]
    boxes = [[box.get(key) for key in ("xtl", "ytl", "xbr", "ybr")] for box in images[0].findall("box")]
    assert np.array_equal(np.array(boxes, np.float32), results[0].boxes.numpy())
    assert [box.get("label") for box in images[0].findall("box")] == shown(results[0].names)


def test_frames_are_named_in_every_format(tmp_path: Path) -> None:
    formats = [name for name in SAVE_FORMATS if name != "json"]
    files = PredictionFiles(tmp_path, ["json", *formats], RunHeader("v.mp4", "w", NAMES), is_stream=True)
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    for frame in (0, 3):
        add(files, Result(detections(2, frame), NAMES, image=image, source="v.mp4", frame=frame, time=frame / 7))
    files.close()
    lines = (tmp_path / "detections.jsonl").read_text().splitlines()
    assert [json.loads(line).get("time") for line in lines] == [None, 0.0, 0.428571]
    assert not (tmp_path / "detections.json").exists()
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == [
        "classes.txt", "v_000000.txt", "v_000003.txt",
    ]  # fmt: skip
    root = ElementTree.fromstring((tmp_path / "cvat" / "annotations.xml").read_text())
    assert [(one.get("id"), one.get("name")) for one in root.findall("image")] == [
        ("0", "frame_000000"), ("3", "frame_000003"),
    ]  # fmt: skip
    assert json.loads((tmp_path / "labelstudio" / "tasks.json").read_text()) == []
    assert (tmp_path / "index.html").read_text().count('class="shot"') == 1


def test_names_that_are_no_utf8_are_written_as_their_bytes(tmp_path: Path) -> None:
    files = PredictionFiles(tmp_path, SAVE_FORMATS, RunHeader("caf\udce9", "w\udce9", NAMES))
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    add(files, Result(detections(2, 0), NAMES, image=image, source="caf\udce9.jpg"))
    files.add_unreadable("caf\udce9.png", "caf\udce9.png: the file is empty")
    files.close()
    entries = json.loads((tmp_path / "detections.json").read_text())["images"]
    assert [entry["source"] for entry in entries] == ["caf%E9.jpg", "caf%E9.png"]
    assert (tmp_path / "labels" / "caf%E9.txt").is_file()


def test_the_files_of_a_run_that_was_killed_are_complete(tmp_path: Path, results: list[Result]) -> None:
    """Nothing is closed here: this is what other programs see at any time."""
    files = PredictionFiles(tmp_path, ["json", "coco", "csv", "cvat", "labelstudio"], RunHeader("", "w", NAMES))
    for result in results[:2]:
        add(files, result)
    assert len(json.loads((tmp_path / "detections.json").read_text())["images"]) == 2
    for name in ("coco/predictions.json", "coco/images.json", "labelstudio/tasks.json"):
        json.loads((tmp_path / name).read_text())
    ElementTree.fromstring((tmp_path / "cvat" / "annotations.xml").read_text())
    files.close()


def test_a_run_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match=r"detections\.json: could not be saved"):
        PredictionFiles(tmp_path / "file", ["json"], RunHeader("", "w", NAMES))


def test_formats_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"--save coco,crop: 'crop' is not one of json, .*; did you mean crops\?"):
        PredictConfig(weights="w", source="s", save="coco,crop")


def test_category_ids_of_a_coco_dataset_come_with_the_labels() -> None:
    found = Detections(torch.zeros(1, 4), torch.ones(1), torch.tensor([1]), (4, 4))
    entry = describe(Result(found, class_names=("red", "blue"), category_ids=(7, 90), source="a.jpg"), "b.jpg")
    assert entry["picture"] == "b.jpg"
    (detection,) = entry["detections"]
    assert (detection["class"], detection["label"], detection["category_id"]) == ("blue", 1, 90)


def test_settings_of_detections_json() -> None:
    settings = PostprocessSettings(
        score_threshold=0.25,
        iou_threshold=0.5,
        max_detections=300,
        class_thresholds=(0.5, 0.75),
        classes=(1,),
        tiling=Tiling(64, 0.25),
    )
    assert settings_to_json(settings) == {
        "score_threshold": 0.25,
        "iou_threshold": 0.5,
        "max_detections": 300,
        "class_thresholds": [0.5, 0.75],
        "classes": [1],
        "class_agnostic": False,
        "tiling": {"size": 64, "overlap": 0.25},
    }


def test_the_page_shows_frames_as_a_video_whatever_its_suffix(tmp_path: Path) -> None:
    image = np.zeros((*SIZE_HW, 3), np.uint8)
    (tmp_path / "v.m4v").touch()
    files = PredictionFiles(tmp_path, ["html"], RunHeader("v.m4v", "w", NAMES))
    for source, frame in ((str(tmp_path / "v.m4v"), 0), ("0", 0), ("a.jpg", None)):
        add(files, Result(detections(2, 0), NAMES, image=image, source=source, frame=frame))
    files.close()
    text = (tmp_path / "index.html").read_text()
    assert [("data-video" in shot) for shot in text.split('class="shot"')[1:]] == [True, False, False]
