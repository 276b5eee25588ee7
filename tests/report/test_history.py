import csv
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.report.made_analysis import PICTURE, make_analysis, make_context
from tests.report.parsed_page import ParsedPage
from yolo.images import read_image
from yolo.report.advice import make_advice
from yolo.report.history import TrainingHistory, main_panels, plot_history, read_history, term_panels
from yolo.report.report import render_report

TERMS = ("coord_xy", "coord_wh", "conf_obj", "conf_noobj", "class_prob")


def make_rows(epochs: int, *, every: int = 2) -> list[dict[str, float]]:
    """A training whose train loss of epoch e is 5 * 10 / e; validated every second epoch with twice that."""
    rows = []
    for epoch in range(1, epochs + 1):
        row = {"epoch": float(epoch), "lr/pg0": 0.002 * (1 - epoch / epochs), "grad_norm": 4.0 + epoch}
        row |= {f"train/{term}_loss": 10 / epoch for term in TERMS}
        if epoch % every == 0:
            row |= {f"val/{term}_loss": 20 / epoch for term in TERMS}
            row |= {"metrics/mAP50": epoch / (epochs + 1), "metrics/mAP50-95": epoch / (2 * epochs + 2)}
        rows.append(row)
    return rows


def write_rows(path: Path, rows: list[dict[str, float]]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def history_of(tmp_path: Path, rows: list[dict[str, float]]) -> TrainingHistory:
    return read_history(write_rows(tmp_path / "results.csv", rows), best_epoch=4)


def test_the_loss_is_the_sum_of_its_terms_where_all_are_known(tmp_path: Path) -> None:
    rows = make_rows(4)
    rows[2]["train/class_prob_loss"] = math.nan  # every step of the epoch was skipped
    history = history_of(tmp_path, rows)
    assert history.column("train/loss") == ([1, 2, 4], [50, 25, 12.5])
    assert history.column("val/loss") == ([2, 4], [50, 25])
    assert history.table[1] == [2, 25, 50, 0.4, 0.2, 0.001, 6]
    assert history.table[0] == [1, 50, None, None, None, 0.0015, 5]


def test_panels_show_what_is_known_within_their_axes(tmp_path: Path) -> None:
    history = history_of(tmp_path, make_rows(9))
    panels = [*main_panels(history), *term_panels(history)]
    assert [panel.title.split(":")[0] for panel in panels] == [
        "Loss", "mAP on val", "Learning rate", "Gradient norm", "Centre", "Size", "Objects", "Background", "Class",
    ]  # fmt: skip
    for panel in panels:
        assert 3 <= len(panel.ticks) <= 8
        assert all(0 <= panel.height(tick) <= 1 + 1e-9 for tick in panel.ticks)
        assert all(tick == int(tick) and 1 <= tick <= 9 for tick in panel.epoch_ticks)
        for curve in panel.curves:
            points = panel.points(curve, 100, 50)
            assert all(0 <= point.x <= 100 and 0 <= point.y <= 50 for point in points)
    loss, precision = panels[:2]
    assert loss.is_log
    assert (precision.low, precision.high) == (0, 1)
    assert precision.points(precision.curves[0], 100, 50)[-1] == (87.5, 10.0, 8, 0.8)  # epoch 8 of 1 to 9


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 40, 1000])
def test_every_length_has_axes(epochs: int, tmp_path: Path) -> None:
    history = history_of(tmp_path, make_rows(epochs, every=1))
    for panel in main_panels(history):
        assert panel.epoch_ticks
        assert panel.ticks
        assert len(panel.points(panel.curves[0], 300, 200)) == min(epochs, 300)
    assert len(history.table) == min(epochs, 100)
    assert history.table[-1][0] == epochs


def test_older_files_and_odd_numbers_give_fewer_curves_and_no_error(tmp_path: Path) -> None:
    old = [{name: value for name, value in row.items() if name[:3] not in ("val", "gra")} for row in make_rows(3)]
    assert [panel.title for panel in main_panels(history_of(tmp_path, old))] == ["Loss", "mAP on val", "Learning rate"]
    nothing = [{"epoch": 1.0, "train/coord_xy_loss": math.nan, "metrics/mAP50": math.nan}]
    assert main_panels(history_of(tmp_path, nothing)) == term_panels(history_of(tmp_path, nothing)) == []
    plot_history(history_of(tmp_path, nothing), tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    zero = [row | {"train/class_prob_loss": 0.0} for row in make_rows(3)]
    assert not term_panels(history_of(tmp_path, zero))[-1].is_log
    assert read_history(tmp_path / "missing.csv").rows == ()


def test_damage_is_left_out(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "results.csv", make_rows(3))
    path.write_bytes(path.read_bytes().replace(b"\r\n2.0,", b"\r\ntwo,") + b"4.0,0.1,x\xff,,,,,,,,,,,,,,,,,9\r\n\0\0\0")
    history = read_history(path)
    assert [row["epoch"] for row in history.rows] == [1, 3, 4]
    assert history.rows[-1] == {"epoch": 4, "lr/pg0": 0.1}
    assert main_panels(history)


def test_groups_of_layers_have_a_curve_each(tmp_path: Path) -> None:
    rows = [row | {"lr/backbone": row["lr/pg0"] / 10} for row in make_rows(3)]
    panel = next(one for one in main_panels(history_of(tmp_path, rows)) if one.title == "Learning rate")
    assert [curve.name for curve in panel.curves] == ["backbone", "pg0"]


@pytest.mark.parametrize("epochs", [1, 20])
def test_the_picture(epochs: int, tmp_path: Path) -> None:
    plot_history(history_of(tmp_path, make_rows(epochs, every=1)), tmp_path / "results.png")
    picture = read_image(tmp_path / "results.png")
    assert 600 < picture.shape[0] < picture.shape[1] < 2000
    coloured = np.ptp(picture.astype(int), axis=2) > 60
    assert coloured.sum() > 50  # lines


def page_of(history: TrainingHistory | None) -> str:
    analysis = make_analysis(("cat", "dog", "none"), num_images=20)
    context = replace(make_context(), history=history, first_batch=None if history is None else PICTURE)
    return render_report(analysis, context, make_advice(analysis, context.warnings))


def test_the_page_draws_the_same_curves(tmp_path: Path) -> None:
    history = replace(
        history_of(tmp_path, make_rows(6)), seconds={"training steps": 30.0, "report": 10.0}, hint="try <b>"
    )
    text = page_of(history)
    page = ParsedPage(text)
    section = text[text.index('<section id="training"') : text.index('<section id="data"')]
    charts = re.findall(r'role="img" aria-label="(.*?)"', section)
    assert charts[0] == "Loss by epoch: train from 50 to 8.33, val from 50 to 16.7"
    assert len(charts) == 9
    assert section.count("<polyline") == 16
    assert "epoch 4: 0.5714</title>" in section
    assert section.count("best weights: epoch 4</title>") == 1
    for shown in ("Where the time went", "75 %", "6 epochs as a table", "try <b>"):
        assert any(shown in one for one in page.texts), shown
    assert ("a", {"href": "#training"}) in page.elements
    assert PICTURE.source in section


def test_pages_of_other_evaluations_have_no_such_section() -> None:
    text = page_of(None)
    assert 'id="training"' not in text
    assert "#training" not in text


def test_a_long_training_adds_little_to_the_page(tmp_path: Path) -> None:
    short, long = (len(page_of(history_of(tmp_path, make_rows(epochs, every=1)))) for epochs in (10, 3000))
    assert long - short < 150_000
