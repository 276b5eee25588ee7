from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reference.coco_oracle import EvaluationData, random_problem
from tests.report.made_analysis import make_analysis, make_problem
from yolo.evaluation.analysis import analyse
from yolo.images import read_image
from yolo.report.plots import plot_confusion, plot_curves, write_plots

CURVES = ["Precision and recall", "F1 by", "Precision by", "Recall by"]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn, in place of files."""
    drawn: list[Any] = []
    monkeypatch.setattr("yolo.report.plots._save", lambda figure, path: drawn.append(figure))
    return drawn


def test_all_plots_with_awkward_class_names(tmp_path: Path) -> None:
    # a formula to matplotlib, names it would keep out of legends or cannot encode, and one that is far too long
    names = ("$5_{bill", "a$b_$", "_hidden", "b\udcffd", "a name that goes on and on and on and on", "none")
    write_plots(tmp_path, make_analysis(names, num_images=20))
    pictures = {path.name: read_image(path) for path in tmp_path.iterdir()}
    assert set(pictures) == {
        "PR_curve.png", "F1_curve.png", "P_curve.png", "R_curve.png", "confusion_matrix.png",
        "confusion_matrix_normalized.png", "errors.png", "calibration.png", "sizes.png",
    }  # fmt: skip
    for picture in pictures.values():
        assert 600 < min(picture.shape[:2]) <= max(picture.shape[:2]) < 1600
        assert np.unique(picture).size > 10  # something is drawn


def test_nothing_to_draw_is_said(figures: list[Any]) -> None:
    problem = make_problem(("cat", "dog"), num_images=5)
    nothing = analyse(replace(problem, truths=problem.truths[:0], detections=problem.detections[:0]), replicates=0)
    write_plots(Path(), nothing)
    assert len(figures) == 9
    for figure in figures[:4]:
        assert [text.get_text() for text in figure.axes[0].texts] == ["no objects"]
    assert all("no detections" in figure.axes[0].get_title() for figure in figures[4:6])
    assert {text.get_text() for text in figures[-1].axes[0].texts} == {"–"}


def test_a_threshold_far_above_one_as_the_linear_coding_may_give_is_only_named(figures: list[Any]) -> None:
    result = make_analysis(("cat", "none"), num_images=5).result
    plot_curves(replace(result, score_threshold=1e8), Path())
    plot_curves(replace(result, score_threshold=0.5), Path())
    marks = [len(figure.axes[0].lines) for figure in figures]
    assert marks == [2, 2, 2, 2, 2, 4, 4, 4]  # a class and the mean; a line and a dot at the threshold
    assert [figure.axes[0].get_title(loc="left").split(",")[0].split(" score")[0] for figure in figures] == 2 * CURVES
    assert figures[1].axes[0].get_legend().get_title().get_text() == "F1 at 100000000.000"


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
    plot_confusion(EvaluationData({}, {}, num_classes).evaluate(), Path(), normalise=False)
    axes = figures[0].axes[0]
    assert bool(axes.texts) is counts
    assert bool(axes.get_yticklabels()) is names
    assert (figures[0].get_size_inches() < 30).all()


def test_counts_in_dark_cells_are_white_and_long_names_cut(figures: list[Any]) -> None:
    result = make_analysis(("c" * 23, "d" * 22, "none"), num_images=5).result
    # of 1,000 the root is at 0.55 for 302
    matrix = np.array([[1000, 303, 0, 0], [301, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    plot_confusion(replace(result, confusion_matrix=matrix), Path(), normalise=False)
    plot_confusion(replace(result, confusion_matrix=matrix), Path(), normalise=True)
    labels = [label.get_text() for label in figures[0].axes[0].get_yticklabels()]
    assert labels == ["c" * 21 + "…", "d" * 22, "none", "background"]
    texts = [{text.get_text(): text.get_color() for text in figure.axes[0].texts} for figure in figures]
    assert texts[0] == {"1000": "white", "303": "white", "301": "#1a1a1a", "": "#1a1a1a"}
    assert set(texts[1]) == {"0.77", "0.23", "1.00", ""}
