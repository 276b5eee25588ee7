import contextlib
import io
import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.input_files import annotation, coco_truth, detection, kinds, put, put_image, voc_xml
from tests.reference.coco_oracle import COCO_NUMBERS
from yolo.engine.detection_files import read_detections, read_problem
from yolo.engine.ground_truth_files import read_ground_truth
from yolo.errors import ConfigError, DataError
from yolo.evaluation.summary import summarise
from yolo.formats.coco_results import write_predictions
from yolo.structures import Detections

BOX = [1, 2, 30, 40]


def pycocotools_numbers(truth: Path, found: Path) -> dict[str, float]:
    """The twelve numbers that pycocotools gives for the files."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        oracle = COCO(str(truth))
        run = COCOeval(oracle, oracle.loadRes(str(found)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {
        name: math.nan if value == -1 else float(value)
        for name, value in zip(COCO_NUMBERS, run.stats.tolist(), strict=True)
    }


def random_files(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Annotations and results that are hard to get right.

    Ids in no order and with gaps, equal scores through images, sums that are not what they look like in floats,
    boxes on a threshold, crowds, areas that are not the box's, annotations and `ignore` that take no part.
    """
    generator = np.random.default_rng(seed)
    images = generator.permutation(40)[:6].tolist()
    categories = {int(one): f"class {one}" for one in generator.permutation(9)[:3]}
    places, sizes = [0.1 + 0.2, 8.0, 16.1, 1 / 3], [32.0, 16.0, 0.1 + 0.7, 96.0, 64.3]

    def box() -> list[float]:
        return [*generator.choice(places, 2).tolist(), *generator.choice(sizes, 2).tolist()]

    def near(one: list[float]) -> list[float]:
        return [side + float(generator.choice([0, 0, 8, 0.1, -1 / 3])) for side in one]

    annotations = [
        annotation(
            number,
            int(generator.choice(images)),
            int(generator.choice(list(categories))) if generator.random() < 0.9 else 77,
            box(),
            iscrowd=int(generator.random() < 0.2),
            area=float(generator.choice([1024, 1023.9, 9216, 50, 1e4])),
            ignore=int(generator.random() < 0.2),
        )
        for number in range(1, 25)
    ]
    found = []
    for _ in range(60):
        source = annotations[int(generator.integers(len(annotations)))]
        category = source["category_id"] if source["category_id"] != 77 else next(iter(categories))
        score = float(generator.choice([0.1, 0.2, 0.1 + 0.2, 0.3, 1 / 3, 0.9]))
        found.append(detection(source["image_id"], category, near(source["bbox"]), score))
    return coco_truth(annotations, images=images, categories=categories), found


@given(seed=st.integers(0, 2**32 - 1))
def test_the_numbers_are_those_of_pycocotools_on_the_same_files(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("coco")
    truth, found = random_files(seed)
    paths = put(folder / "gt.json", truth), put(folder / "dt.json", found)
    problem, _, _ = read_problem(*paths)
    result = summarise(problem)
    expected = pycocotools_numbers(*paths)
    ours = {name: getattr(result, name) for name in COCO_NUMBERS}
    np.testing.assert_allclose(list(ours.values()), list(expected.values()), rtol=0, atol=1e-12)


def test_our_own_predictions_are_read_back_from_their_run_folder(tmp_path: Path) -> None:
    import torch

    found = Detections(torch.tensor([[1.0, 2, 31, 42]]), torch.tensor([0.9]), torch.tensor([1]), (100, 200))
    (tmp_path / "run").mkdir()
    write_predictions(tmp_path / "run" / "predictions.json", {"000012": found})
    put(tmp_path / "voc" / "Annotations" / "000012.xml", voc_xml([("cat", [2, 3, 31, 42]), ("dog", [2, 3, 31, 42])]))
    problem, _, result = read_problem(tmp_path / "voc", tmp_path / "run")
    assert result.format == "coco"
    assert problem.detections.boxes.tolist() == [[1, 2, 31, 42]]
    assert problem.detections.labels.tolist() == [1]


def every_format(folder: Path) -> dict[str, tuple[Path, Path]]:
    """One object found exactly, in all formats."""
    put_image(folder / "yolo" / "images" / "a.png")
    truth = coco_truth([annotation(1, 1, 1, [50, 25, 100, 50])])
    truth["images"][0]["file_name"] = "a.png"
    return {
        "coco": (put(folder / "gt.json", truth), put(folder / "dt.json", [detection("a", 1, [50, 25, 100, 50])])),
        "comp4": (
            put(folder / "voc" / "Annotations" / "a.xml", voc_xml([("cat", [51, 26, 150, 75])])).parent,
            put(folder / "comp4" / "comp4_det_test_cat.txt", "a 0.5 51 26 150 75\n").parent,
        ),
        "yolo": (
            put(folder / "yolo" / "labels" / "a.txt", "0 .5 .5 .5 .5\n").parent,
            put(folder / "txt" / "a.txt", "0 .5 .5 .5 .5 .5\n").parent,
        ),
    }


def test_any_ground_truth_goes_with_any_detections(tmp_path: Path) -> None:
    paths = every_format(tmp_path)
    put(tmp_path / "yolo" / "classes.txt", "cat\n")
    for truth_form, (truth, _) in paths.items():
        for form, (_, found) in paths.items():
            result = read_detections(found, gt := read_ground_truth(truth))
            assert result.format == form
            assert result.detections.boxes.tolist() == gt.truths.boxes.tolist() == [[50, 25, 150, 75]], (
                truth_form,
                form,
            )
            assert result.detections.image_index.tolist() == [0]


def test_a_folder_that_could_be_two_things(tmp_path: Path) -> None:
    truth = read_ground_truth(every_format(tmp_path)["coco"][0])
    put(tmp_path / "comp4" / "a.txt", "0 .5 .5 .5 .5 .5\n")
    with pytest.raises(DataError, match="has comp4 files and other text files; say which are meant"):
        read_detections(tmp_path / "comp4", truth)
    assert read_detections(tmp_path / "comp4", truth, format="comp4").format == "comp4"


def test_what_is_no_detections_is_refused(tmp_path: Path) -> None:
    truth = read_ground_truth(every_format(tmp_path)["coco"][0])
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "absent", "there is no such file or folder of detections"),
        (tmp_path / "empty", "no detections are recognised in this folder; expected detections.json"),
        (put(tmp_path / "x.csv", "a"), "is not a known kind of detections; expected detections.json"),
    ):
        with pytest.raises(DataError, match=message):
            read_detections(path, truth)
    with pytest.raises(DataError, match="is a file, but comp4 detections are a folder"):
        read_detections(tmp_path / "dt.json", truth, format="comp4")
    with pytest.raises(ConfigError, match="format is 'voc', expected auto, gridyolo, coco, comp4, yolo"):
        read_detections(tmp_path / "dt.json", truth, format="voc")  # type: ignore[arg-type]


def test_what_is_no_ground_truth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "absent", "there is no such file or folder of ground truth"),
        (tmp_path / "empty", "no dataset is recognised here"),
        (put(tmp_path / "x.md", "a"), "is not a known kind of ground truth; expected an annotation file"),
    ):
        with pytest.raises(DataError, match=message):
            read_ground_truth(path)


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "b.json")
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    with pytest.raises(DataError, match="there is no such file"):
        read_ground_truth(tmp_path / "a.json")
    truth = read_ground_truth(every_format(tmp_path)["coco"][0])
    (tmp_path / "txt" / "b.txt").symlink_to(tmp_path / "txt" / "b.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_detections(tmp_path / "txt", truth)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gt.json")
    with pytest.raises(DataError, match="there is no such file"):
        read_ground_truth(tmp_path / "gt.json")


def test_files_are_not_changed(tmp_path: Path) -> None:
    every_format(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for truth, found in every_format(tmp_path).values():
        read_problem(truth, found)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_many_detections_of_one_image_are_read(tmp_path: Path) -> None:
    rows = json.dumps([detection(1, 1, BOX, 0.5)])[1:-1]
    path = put(tmp_path / "dt.json", "[" + ",".join([rows] * 50_000) + "]")
    result = read_detections(path, read_ground_truth(put(tmp_path / "gt.json", coco_truth())))
    assert len(result.detections) == 50_000
    remarks = {remark.kind: remark for remark in result.warnings}
    assert remarks["beyond_detection_limit"].count == 49_900
    assert remarks["beyond_detection_limit"].examples == ("image 1, cat: 50,000 detections",)
    assert remarks["repeated_detection"].count == 49_999


def named_truth(names: dict[str, int], files: dict[int, str]) -> dict[str, Any]:
    """A COCO file with one object: ids by class name, files by image id."""
    first = next(iter(files))
    content = coco_truth(
        [annotation(1, first, 1, [1, 2, 9, 9])],
        images=list(files),
        categories={own: name for name, own in names.items()},
    )
    for record in content["images"]:
        record["file_name"] = files[record["id"]]
    return content


def put_run(folder: Path, *, name: str = "ground_truth.json") -> Path:
    """What `val` leaves: two images, dog before cat, ids that say nothing elsewhere."""
    truth = named_truth({"dog": 1, "cat": 2}, {70: "b.jpg", 71: "a.jpg"})
    put(folder / name, truth)
    found = [detection(70, 1, [1, 2, 9, 9], 0.9), detection(71, 2, [5, 6, 7, 8], 0.8)]
    return put(folder / "predictions.json", found).parent


@pytest.mark.parametrize("name", ["ground_truth.json", "images.json"])
def test_ids_of_a_run_mean_what_the_file_beside_them_says(tmp_path: Path, name: str) -> None:
    run = put_run(tmp_path / "run", name=name)
    voc = tmp_path / "voc" / "Annotations"
    put(voc / "a.xml", voc_xml([("cat", (6, 7, 12, 14))]))
    put(voc / "b.xml", voc_xml([("dog", (2, 3, 10, 11))]))
    # other ids for the same files, in another order, one of them the id of the other image
    coco = put(tmp_path / "other.json", named_truth({"cat": 1, "dog": 2}, {70: "a.jpg", 9: "b.jpg"}))
    for truth in (tmp_path / "voc", coco):
        _, ground_truth, found = read_problem(truth, run)
        names = [Path(name).stem for name in ground_truth.file_names]
        rows = [
            (names[image], ground_truth.class_names[label], box)
            for image, label, box in zip(
                found.detections.image_index.tolist(),
                found.detections.labels.tolist(),
                found.detections.boxes.tolist(),
                strict=True,
            )
        ]
        assert sorted(rows) == [("a", "cat", [5, 6, 12, 14]), ("b", "dog", [1, 2, 10, 11])]
        assert found.warnings == ()


def test_without_a_common_name_ids_are_ids(tmp_path: Path) -> None:
    run = put_run(tmp_path / "run")
    truth = put(tmp_path / "truth.json", named_truth({"Hund": 1, "Katze": 2}, {70: "x.jpg", 71: "y.jpg"}))
    _, ground_truth, found = read_problem(truth, run)
    assert found.detections.image_index.tolist() == [0, 1]
    assert [ground_truth.class_names[label] for label in found.detections.labels] == ["Hund", "Katze"]


def test_a_damaged_file_beside_the_results_is_an_error(tmp_path: Path) -> None:
    run = put_run(tmp_path / "run")
    truth = put(tmp_path / "truth.json", named_truth({"dog": 1}, {70: "b.jpg"}))
    (tmp_path / "run" / "ground_truth.json").write_text('{"images": [')
    with pytest.raises(DataError, match=r"ground_truth\.json: is not JSON: it ends before it is complete"):
        read_problem(truth, run)


def test_a_detection_on_an_image_with_a_damaged_annotation_is_told_with_its_cause(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_image(tmp_path / "JPEGImages" / f"{name}.jpg")
        put(tmp_path / "Annotations" / f"{name}.xml", voc_xml([("cat", [1, 1, 9, 9])]))
    damaged = put(tmp_path / "Annotations" / "b.xml", "<annotation><object>")
    lines = "".join(f"{name} 0.9 1 1 9 9\n" for name in ("a", "b", "c"))
    detections = put(tmp_path / "dt" / "comp4_det_test_cat.txt", lines).parent
    problem, _, found = read_problem(tmp_path, detections)
    remarks = kinds(found.warnings)
    assert len(problem.detections) == 1
    assert remarks["image_left_out"].examples == (f"{detections}/comp4_det_test_cat.txt, line 2: {damaged}",)
    assert remarks["unknown_image"].count == 1


def test_comp4_names_files_so_there_is_nothing_to_say_of_it(tmp_path: Path) -> None:
    truth = coco_truth([annotation(1, 1, 1, [1, 1, 9, 9])], images=[1])
    truth["images"][0]["file_name"] = "a.jpg"
    detections = put(tmp_path / "dt" / "comp4_det_test_cat.txt", "a 0.9 2 2 10 10\n").parent
    problem, _, found = read_problem(put(tmp_path / "gt.json", truth), detections)
    assert len(problem.detections) == 1
    assert "matched_by_name" not in kinds(found.warnings)
