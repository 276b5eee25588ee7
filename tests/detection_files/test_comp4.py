from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.coco_oracle import found, random_problem
from tests.reference.slow_voc import found_in_file, objects_of_class, slow_ap, slow_curve
from yolo.detection_files.comp4 import read_comp4, write_comp4
from yolo.detection_sets import coco_image_ids
from yolo.errors import DataError
from yolo.evaluation.evaluator import Evaluator
from yolo.evaluation.voc import VocResult, evaluate_voc
from yolo.structures import Detections, GroundTruth

NAMES = ["cat", "dog"]
SIZES = {"000012": (480, 640), "2007_000027": (375, 500)}
LINE = "000012 0.5 1 2 3 4\n"


def write_files(folder: Path, *contents: str | bytes, prefix: str = "comp4_det_test_") -> None:
    """The files of cat and dog."""
    folder.mkdir(exist_ok=True)
    for name, content in zip(NAMES, contents, strict=True):
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{prefix}{name}.txt").write_bytes(data)


def read(folder: Path, **options: Any) -> dict[str, Detections]:
    return read_comp4(folder, NAMES, sizes=SIZES, **options)


def rows(detections: Detections) -> list[tuple[int, float, list[float]]]:
    """Label, score and box of each."""
    return list(zip(detections.labels.tolist(), detections.scores.tolist(), detections.boxes.tolist(), strict=True))


def evaluate(detections: dict[str, Detections], truths: dict[str, GroundTruth], names: list[str]) -> VocResult:
    evaluator = Evaluator(names)
    for image_id, truth in truths.items():
        evaluator.update(image_id, detections[image_id], truth)
    return evaluate_voc(evaluator.problem(), interpolation="11-point")


def test_one_file_for_each_class_with_pixels_counted_from_one(tmp_path: Path) -> None:
    # the whole image of 3 x 2 pixels is (1, 1, 3, 2) in a VOC file
    detections = {
        "b": found([[0, 0, 3, 2], [0.5, 1.25, 2, 2]], [0.5, 0.75], [0, 1]),
        "a": found([[0, 0, 1, 1]], [0.9], [0]),
    }
    write_comp4(tmp_path / "new", detections, ["cat", "traffic light", "bird"], decimals=2)
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        "comp4_det_test_cat.txt": "b 0.5 1.00 1.00 3.00 2.00\na 0.899999976 1.00 1.00 1.00 1.00\n",
        "comp4_det_test_traffic light.txt": "b 0.75 1.50 2.25 2.00 2.00\n",
        "comp4_det_test_bird.txt": "",
    }


def test_darknets_boxes_are_not_shifted(tmp_path: Path) -> None:
    write_comp4(tmp_path, {"a": found([[0, 0, 3, 2]], [0.5], [0])}, ["cat"], decimals=0, one_based=False)
    assert (tmp_path / "comp4_det_test_cat.txt").read_text() == "a 0.5 0 0 3 2\n"


def test_reading(tmp_path: Path) -> None:
    write_files(tmp_path, "000012 0.5 1 2 3 4\r\n\n2007_000027 -0.125\t5 6 7 8.25", "  000012 0.25 1 1 1 1 \n")
    result = read(tmp_path)
    assert list(result) == list(SIZES)
    assert rows(result["000012"]) == [(0, 0.5, [0, 1, 3, 4]), (1, 0.25, [0, 0, 1, 1])]
    assert rows(result["2007_000027"]) == [(0, -0.125, [4, 5, 7, 8.25])]
    assert [result[image_id].size_hw for image_id in SIZES] == list(SIZES.values())
    assert rows(read(tmp_path, one_based=False)["000012"])[0] == (0, 0.5, [1, 2, 3, 4])


def test_images_on_which_nothing_was_found_are_there(tmp_path: Path) -> None:
    write_files(tmp_path, "", "")
    result = read(tmp_path)
    assert [(image_id, len(one), one.size_hw) for image_id, one in result.items()] == [
        (image_id, 0, size_hw) for image_id, size_hw in SIZES.items()
    ]


def test_no_images_at_all(tmp_path: Path) -> None:
    write_comp4(tmp_path, {}, NAMES)
    assert read_comp4(tmp_path, NAMES, sizes={}) == {}


@pytest.mark.parametrize("prefix", ["comp3_det_test_", "comp4_det_val_", "comp4_run1_det_test_", "comp4_det_trainval_"])
def test_other_prefixes_are_read(tmp_path: Path, prefix: str) -> None:
    write_files(tmp_path, LINE, "", prefix=prefix)
    (tmp_path / "notes.txt").write_text("not a detection file")
    assert len(read(tmp_path)["000012"]) == 1


def test_class_names_with_underscores_are_told_apart(tmp_path: Path) -> None:
    names = ["table", "dining_table", "det_test_table"]
    detections = {"a": found(np.ones((3, 4)), [0.1, 0.2, 0.3], [0, 1, 2])}
    write_comp4(tmp_path, detections, names)
    assert read_comp4(tmp_path, names, sizes={"a": (9, 9)})["a"].labels.tolist() == [0, 1, 2]


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), one_based=st.booleans())
def test_scores_survive_to_the_bit_and_boxes_to_the_decimals(
    seed: int, one_based: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    generator = np.random.default_rng(seed)
    bits = generator.integers(0, 2**32, 300, dtype=np.uint32).view(np.float32)
    scores = np.concatenate((bits[np.isfinite(bits)], generator.random(100, np.float32)))
    boxes = generator.uniform(-20, 4000, (len(scores), 4)).astype(np.float32)
    detections = {"a": found(boxes, scores, np.zeros(len(scores)))}
    folder = tmp_path_factory.mktemp("comp4")
    write_comp4(folder, detections, ["cat"], one_based=one_based)
    result = read_comp4(folder, ["cat"], sizes={"a": (480, 640)}, one_based=one_based)["a"]
    np.testing.assert_array_equal(result.scores.numpy(), scores)
    np.testing.assert_allclose(result.boxes.numpy(), boxes, rtol=0, atol=1e-6)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), coarse=st.booleans())
def test_evaluating_detections_equals_the_devkits_rule_on_their_files(
    seed: int, coarse: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    problem = random_problem(seed, num_images=6, num_classes=2, coarse=coarse)
    # the format has no spaces; eighths of a pixel are written exactly
    numbers = coco_image_ids(problem.truths)
    ids = sorted(numbers, key=numbers.__getitem__)  # the evaluator's order, which decides between equal scores
    truths = {image_id.replace(" ", "_"): problem.truths[image_id] for image_id in ids}
    detections = {
        image_id.replace(" ", "_"): Detections((8 * one.boxes).round() / 8, one.scores, one.labels, one.size_hw)
        for image_id, one in ((image_id, problem.detections[image_id]) for image_id in ids)
    }
    folder = tmp_path_factory.mktemp("comp4")
    write_comp4(folder, detections, problem.class_names)
    direct = evaluate(detections, truths, problem.class_names)
    expected = [
        slow_ap(
            *slow_curve(
                found_in_file(folder / f"comp4_det_test_{name}.txt"),
                objects_of_class(truths, label),
                match_iou=0.5,
                plus_one=True,
                strict=True,
            ),
            interpolation="11-point",
        )
        for label, name in enumerate(problem.class_names)
    ]
    np.testing.assert_allclose(direct.ap_per_class, expected, rtol=0, atol=1e-12)
    again = read_comp4(folder, problem.class_names, sizes=dict.fromkeys(truths, (480, 640)))
    assert str(evaluate(again, truths, problem.class_names).to_dict(curves=True)) == str(direct.to_dict(curves=True))


def test_darknets_file_read_as_the_devkit_takes_it_or_as_the_network_meant_it(tmp_path: Path) -> None:
    # The network found the object exactly: 2 x 2 pixels from (4, 4). Written without the 1, (4, 4, 6, 6) is for the
    # devkit 3 x 3 pixels from (3, 3): an IoU of 4 / 9.
    truth = {"000012": GroundTruth.from_boxes([[4, 4, 6, 6]], [0]), "2007_000027": GroundTruth.empty()}
    write_files(tmp_path, "000012 0.900000 4.000000 4.000000 6.000000 6.000000\n", "")
    assert evaluate(read(tmp_path, one_based=False), truth, NAMES).mean_ap == 1
    assert evaluate(read(tmp_path, one_based=True), truth, NAMES).mean_ap == 0


def test_files_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    write_comp4(tmp_path, {"000012": found([[0, 0, 1, 1]], [0.5], [1])}, NAMES)
    write_comp4(tmp_path, {"000012": found([], [], [])}, NAMES)
    assert len(read(tmp_path)["000012"]) == 0
    assert len(list(tmp_path.iterdir())) == 2


def test_half_precision_detections_are_written(tmp_path: Path) -> None:
    box, score = torch.tensor([[0, 0, 1, 1]], dtype=torch.bfloat16), torch.tensor([0.5], dtype=torch.bfloat16)
    write_comp4(tmp_path, {"000012": Detections(box, score, torch.tensor([1]), (9, 9))}, NAMES)
    assert rows(read(tmp_path)["000012"]) == [(1, 0.5, [0, 0, 1, 1])]


# What cannot be written


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "..\\x", "a\nb", "a:b", "a\0", " cat", "x" * 300, "\ud800"])
def test_a_class_name_that_cannot_be_part_of_a_file_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be part of a file name"):
        write_comp4(tmp_path, {}, ["cat", name])
    with pytest.raises(DataError, match="cannot be part of a file name"):
        read_comp4(tmp_path, ["cat", name], sizes={})
    assert not list(tmp_path.iterdir())


def test_class_names_must_differ_and_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'cat' is there twice"):
        write_comp4(tmp_path, {}, ["cat", "dog", "cat"])
    with pytest.raises(ValueError, match="at least one class"):
        write_comp4(tmp_path, {}, [])


@pytest.mark.parametrize("image_id", ["", "my photo", "a\tb", "a\n", "a\u2028b", "a\u00a0b", "\udcff"])
def test_an_image_id_that_a_line_cannot_hold(tmp_path: Path, image_id: str) -> None:
    with pytest.raises(DataError, match="rename the image"):
        write_comp4(tmp_path, {"a": found([], [], []), image_id: found([], [], [])}, NAMES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("detections", "error", "message"),
    [
        (found([[0, 0, 1, 1]], [0.5], [2]), DataError, "'a': a detection has class 2"),
        (found([[0, 0, 1, 1]], [0.5], [-1]), DataError, "'a': a detection has class -1"),
        (found([[0, 0, 1, np.nan]], [0.5], [0]), ValueError, "'a': .* not finite"),
        (found([[0, 0, 1, 1]], [np.inf], [0]), ValueError, "'a': .* not finite"),
    ],
)
def test_a_bad_detection_leaves_no_file(
    tmp_path: Path, detections: Detections, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        write_comp4(tmp_path, {"a": detections}, NAMES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("decimals", [-1, 16])
def test_decimals_out_of_range(tmp_path: Path, decimals: int) -> None:
    with pytest.raises(ValueError, match="decimals"):
        write_comp4(tmp_path, {}, NAMES, decimals=decimals)


# What cannot be read


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("000012 0.5 1 2 3", "5 instead of 6 fields"),
        ("my photo 0.5 1 2 3 4", "7 instead of 6 fields, .* image ids cannot have spaces"),
        ("000012 0.5 1 2 x 4", "'000012 0.5 1 2 x 4' is not .* with five numbers"),
        ("000012 0.5 1 2 3_0 4", "with five numbers"),
        ("000012 0.5 1 2 3,0 4", "with five numbers"),
        ("000012 0.5 1 2 ٣ 4", "with five numbers"),
        (b"000012 0.5 1 2 \xff\xfe 4", "with five numbers"),
        ("000012 nan 1 2 3 4", "infinite, not a number or too large"),
        ("000012 0.5 1 2 -inf 4", "infinite, not a number or too large"),
        ("000012 0.5 1 2 1e39 4", "infinite, not a number or too large"),
        ("000012 1e999 1 2 3 4", "infinite, not a number or too large"),
        ("000013 0.5 1 2 3 4", "image '000013' is none of the 2 images under evaluation"),
        (b"\xff\xff 0.5 1 2 3 4", "is none of the 2 images"),
        ("0" * 4000 + " 0.5 1 2 3 4", "is none of the 2 images"),
        ("0" * 5000, "is too long"),
        (b"\0" * 10_000, "is too long"),
    ],
)
def test_a_line_that_is_no_detection_is_named(tmp_path: Path, bad: str | bytes, message: str) -> None:
    data = bad if isinstance(bad, bytes) else bad.encode()
    write_files(tmp_path, LINE, LINE.encode() + b"\n" + data + b"\n" + LINE.encode())
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'comp4_det_test_dog.txt'}, line 3: ")
    assert len(str(caught.value)) < 500


def remove(path: Path) -> None:
    path.unlink()


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def add_class(path: Path) -> None:
    path.with_name("comp4_det_test_unicorn.txt").touch()


def add_kind(path: Path) -> None:
    path.with_name("comp3_det_test_cat.txt").touch()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove, "comp4_det_test_dog.txt: is missing; every class needs a file"),
        (replace_by_folder, "comp4_det_test_dog.txt: is not a file"),
        (add_class, "comp4_det_test_unicorn.txt: 'unicorn' is none of the 2 classes"),
        (add_kind, r"several kinds, comp3_det_test_\*.txt, comp4_det_test_\*.txt; keep those of one kind"),
    ],
)
def test_a_folder_that_is_not_one_set_of_files(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    write_files(tmp_path, LINE, LINE)
    spoil(tmp_path / "comp4_det_test_dog.txt")
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_folder_without_detection_files(tmp_path: Path) -> None:
    (tmp_path / "dog.txt").write_text(LINE)
    with pytest.raises(DataError, match=r"has no detection files, such as comp4_det_test_cat\.txt"):
        read(tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        read(tmp_path / "absent")


def test_image_ids_that_are_no_unicode_do_no_harm(tmp_path: Path) -> None:
    write_files(tmp_path, "", "")
    assert len(read_comp4(tmp_path, NAMES, sizes={"\udcff": (1, 1)})["\udcff"]) == 0
