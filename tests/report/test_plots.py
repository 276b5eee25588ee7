from pathlib import Path

import numpy as np
import pytest
import torch

from tests.reference.coco_oracle import Problem, random_problem
from yolo.evaluation import EvaluationResult, Evaluator
from yolo.images import read_image
from yolo.report.plots import MAX_LEGEND_CLASSES, plot_confusion, plot_f1_curves, plot_pr_curves
from yolo.structures import Detections, GroundTruth


def check_picture(path: Path) -> None:
    height, width, _ = read_image(path).shape
    assert 300 < height < 5000
    assert 300 < width < 5000
    assert np.unique(read_image(path)).size > 10  # something is drawn
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # no temporary file is left


def draw_all(result: EvaluationResult, folder: Path) -> None:
    plot_pr_curves(result, folder / "pr" / "curves.png")
    plot_f1_curves(result, folder / "f1" / "curves.png")
    plot_confusion(result, folder / "counts" / "matrix.png", normalise=False)
    plot_confusion(result, folder / "shares" / "matrix.png", normalise=True)
    for path in folder.glob("*/*.png"):
        check_picture(path)
    assert len(list(folder.glob("*/*.png"))) == 4


@pytest.mark.parametrize("num_classes", [1, MAX_LEGEND_CLASSES, 80])
def test_few_and_many_classes(num_classes: int, tmp_path: Path) -> None:
    problem = random_problem(4, num_images=20, num_classes=num_classes, coarse=False)
    draw_all(problem.evaluate(), tmp_path)


def test_nothing_evaluated(tmp_path: Path) -> None:
    draw_all(Evaluator(["cat", "dog"]).compute(), tmp_path)


def test_awkward_class_names(tmp_path: Path) -> None:
    # a formula to matplotlib, a name it would keep out of legends, and one that is far too long
    names = ["$5_{bill", "a$b_$", "_hidden", "a name that goes on and on and on and on"]
    problem = random_problem(4, num_images=8, num_classes=len(names), coarse=False)
    evaluator = Evaluator(names)
    for image_id, truth in problem.truths.items():
        evaluator.update(image_id, problem.detections[image_id], truth)
    draw_all(evaluator.compute(), tmp_path)


def test_hundreds_of_classes_do_not_make_a_huge_picture(tmp_path: Path) -> None:
    empty = Problem({}, {}, 400)
    plot_confusion(empty.evaluate(), tmp_path / "matrix.png", normalise=True)
    check_picture(tmp_path / "matrix.png")


def test_scores_far_above_one_as_the_linear_coding_may_give(tmp_path: Path) -> None:
    evaluator = Evaluator(["cat"])
    box = torch.tensor([[0.0, 0, 10, 10]])
    found = Detections(box, torch.tensor([1e8]), torch.tensor([0]), (20, 20))
    evaluator.update("image", found, GroundTruth.from_boxes(box.numpy(), [0]))
    draw_all(evaluator.compute(), tmp_path)
