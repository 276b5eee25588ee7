from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.reference.coco_oracle import Problem, random_problem
from yolo.evaluation import EvaluationResult, Evaluator
from yolo.images import read_image
from yolo.report.plots import plot_confusion, plot_curves
from yolo.structures import Detections, GroundTruth


def check_picture(path: Path) -> None:
    height, width, _ = read_image(path).shape
    assert 300 < height < 5000
    assert 300 < width < 5000
    assert np.unique(read_image(path)).size > 10  # something is drawn


def draw_all(result: EvaluationResult, folder: Path) -> None:
    plot_curves(result, folder)
    plot_confusion(result, folder / "counts.png", normalise=False)
    plot_confusion(result, folder / "shares.png", normalise=True)
    names = {"PR_curve.png", "F1_curve.png", "P_curve.png", "R_curve.png", "counts.png", "shares.png"}
    assert {path.name for path in folder.iterdir()} == names  # no temporary file is left
    for path in folder.iterdir():
        check_picture(path)


@pytest.mark.parametrize("num_classes", [1, 80])
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


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn, in place of files."""
    drawn: list[Any] = []
    monkeypatch.setattr("yolo.report.plots._save", lambda figure, path: drawn.append(figure))
    return drawn


@pytest.mark.parametrize(("num_classes", "entries"), [(12, 13), (13, 2)])
def test_many_classes_share_one_entry_of_the_legend(num_classes: int, entries: int, figures: list[Any]) -> None:
    problem = random_problem(4, num_images=60, num_classes=num_classes, coarse=False)
    plot_curves(problem.evaluate(), Path())
    assert [len(figure.axes[0].get_legend().get_texts()) for figure in figures] == [entries] * 4


@pytest.mark.parametrize(
    ("num_classes", "counts", "names"), [(20, True, True), (21, False, True), (239, False, True), (300, False, False)]
)
def test_large_matrices_have_no_counts_and_then_no_names(
    num_classes: int, counts: bool, names: bool, figures: list[Any]
) -> None:
    plot_confusion(Problem({}, {}, num_classes).evaluate(), Path(), normalise=False)
    axes = figures[0].axes[0]
    assert bool(axes.texts) is counts
    assert bool(axes.get_yticklabels()) is names
