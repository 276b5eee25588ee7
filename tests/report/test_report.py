"""The report without a browser: its files, what is in them, hostile names, nothing to show."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from tests.report.made_analysis import HOSTILE_NAMES, PICTURE, PIXEL, make_analysis, make_context, make_problem
from tests.report.parsed_page import ParsedPage
from yolo.evaluation.analysis import Analysis, analyse
from yolo.evaluation.errors import ERROR_KINDS
from yolo.evaluation.result import EvaluationResult
from yolo.formats.issues import InputWarning
from yolo.report.advice import make_advice
from yolo.report.files import make_summary, write_errors
from yolo.report.page import CasePicture, ReportContext
from yolo.report.report import draw_galleries, payload, render_report, write_report


@pytest.fixture(autouse=True, scope="module")
def _no_plots() -> Iterator[None]:
    """They take seconds, and have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yolo.report.report.write_plots", lambda folder, analysis: None)
        yield


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return make_analysis(HOSTILE_NAMES, num_images=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, analysis: Analysis) -> Path:
    path = tmp_path_factory.mktemp("report") / "new"
    assert write_report(path, analysis, make_context()) == path / "report.html"
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> ParsedPage:
    return ParsedPage((folder / "report.html").read_text(encoding="utf-8"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_files_are_there_and_nothing_else(folder: Path) -> None:
    files = {"report.html", "metrics.json", "per_class.csv", "errors.csv", "summary.md"}
    assert {path.name for path in folder.iterdir()} == files


def test_the_page_loads_nothing(page: ParsedPage) -> None:
    sources = [attributes["src"] for _, attributes in page.elements if "src" in attributes]
    assert sources
    assert set(sources) == {PIXEL}
    assert not [tag for tag, _ in page.elements if tag in ("link", "iframe", "object", "embed", "base")]
    references = [str(attributes["href"]) for _, attributes in page.elements if "href" in attributes]
    assert all(reference.startswith("#") for reference in references)
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {reference[1:] for reference in references} <= ids
    policy = [attributes for tag, attributes in page.elements if tag == "meta" and "http-equiv" in attributes]
    assert str(policy[0]["content"]).startswith("default-src 'none'; img-src data:;")


def test_names_of_classes_files_and_warnings_are_text(page: ParsedPage) -> None:
    for name in HOSTILE_NAMES:
        assert page.texts.count(name) >= 1, name
    assert "<i>1.jpg</i>" in page.texts
    assert not [tag for tag, _ in page.elements if tag == "i" and "1.jpg" in tag]
    assert {key for _, attributes in page.elements for key in attributes if key.startswith("on")} == set()
    assert 'a "cat" & <dog>' in [attributes.get("alt") for _, attributes in page.elements]


def test_without_scripts_the_numbers_are_there(page: ParsedPage, analysis: Analysis) -> None:
    assert f"{analysis.result.map_50_95:.3f}" in page.texts
    for one in analysis.result.per_class[:-1]:
        assert f"{one.ap_50:.3f}" in page.texts
    assert page.elements.count(("td", {"class": "number", "data-value": "", "title": "no objects of this class"})) >= 6


def test_numbers_of_the_page_are_those_of_the_files(folder: Path, analysis: Analysis) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    shown = dict(re.findall(r'<dt title="[^"]*">(.*?)</dt>\s*<dd class="value" title="(.*?)">', text))
    for label, name in (("mAP@0.5:0.95", "map_50_95"), ("mAP@0.5", "map_50"), ("Precision", "precision"), ("F1", "f1")):
        assert float(shown[label]) == metrics[name]
    classes = re.findall(r'<tr data-class="\d+">\n.*?data-value="(\d+)".*?data-value="([\d.]*)"', text, re.DOTALL)
    rows = rows_of(folder / "per_class.csv")
    assert classes == [(row["instances"], row["ap_50_95"]) for row in rows]
    titles = [unescape(title) for title in re.findall(r'<h3 dir="auto">(.*?)</h3>', text)]
    assert titles == [one["title"] for one in metrics["advice"]]
    matrix = analysis.result.confusion_matrix[:-1]
    not_found = int(matrix.sum() - matrix.trace())
    assert f"At the threshold {not_found} objects are not found" in text


def test_the_data_of_the_scripts_are_those_of_metrics_json(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    block = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', text, re.DOTALL)
    assert block
    data = json.loads(block[1])
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    for key in ("true_positives", "false_positives", "confusion_matrix", "score_threshold", "map_50"):
        assert data[key] == metrics[key]
    assert data["names"] == list(HOSTILE_NAMES)
    assert data["precision_curves"][-1] == [None] * 101


def test_metrics_json_holds_the_result_and_the_sections(folder: Path, analysis: Analysis) -> None:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    again = EvaluationResult.from_dict(metrics)
    assert again.to_dict() == analysis.result.to_dict()
    assert metrics["errors"]["counts"] == analysis.errors.counts
    assert "kind" not in metrics["errors"]
    assert metrics["intervals"]["class_ap_50"][-1] == [None, None]
    assert metrics["breakdowns"][0]["bins"][-1]["high"] is None
    assert metrics["configuration"] == {"input_size": 448, "classes": None, "scales": [0.5, None]}
    assert metrics["remarks"][0]["count"] == 12
    assert metrics["num_suspects"] == len(metrics["suspects"]) == len(analysis.label_errors)
    assert metrics["voc"]["ap_per_class"] == [0.25, None]
    assert metrics["advice"][0]["anchor"] == "warnings"


def test_per_class_csv_has_todays_columns_first(folder: Path, analysis: Analysis) -> None:
    rows = rows_of(folder / "per_class.csv")
    columns = list(rows[0])
    assert columns[:11] == ["name", "images", "instances", "detections", "ap_50", "ap_75", "ap_50_95", "precision",
                            "recall", "f1", "best_threshold"]  # fmt: skip
    assert rows[2]["name"] == "'" + HOSTILE_NAMES[2]  # no formula
    assert rows[0]["name"] == HOSTILE_NAMES[0]
    assert float(rows[1]["ap_50"]) == analysis.result.per_class[1].ap_50
    assert rows[-1]["ap_50"] == rows[-1]["ap_50_95_low"] == rows[-1]["missed_ap_cost"] == ""
    for kind in ERROR_KINDS:
        assert sum(int(row[f"{kind}_errors"]) for row in rows) == analysis.errors.class_counts[kind].sum()


def test_errors_csv_has_every_error_at_the_threshold(folder: Path, analysis: Analysis) -> None:
    rows = rows_of(folder / "errors.csv")
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    detections, threshold = analysis.matches.problem.detections, analysis.errors.score_threshold
    for place, kind in enumerate(ERROR_KINDS[:5]):
        own = [row for row in rows if row["kind"] == kind]
        found = np.flatnonzero((analysis.errors.kind == place) & (detections.scores >= threshold))
        assert len(own) == len(found) > 0
        assert sorted(float(row["score"]) for row in own) == sorted(detections.scores[found].tolist())
    row = next(row for row in rows if row["kind"] == "missed")
    assert row["class"] == row["score"] == row["x1"] == ""
    assert float(row["object_x2"]) > float(row["object_x1"])
    assert sum(row["kind"].startswith("suspect:") for row in rows) == len(analysis.label_errors)
    assert metrics["errors_csv"]["errors"] + metrics["errors_csv"]["suspects"] == len(rows)


def test_errors_csv_is_bounded_and_says_so(tmp_path: Path, analysis: Analysis) -> None:
    counts = write_errors(tmp_path / "errors.csv", analysis, max_rows=20)
    rows = [row for row in rows_of(tmp_path / "errors.csv") if not row["kind"].startswith("suspect:")]
    assert (counts["written"], len(rows)) == (20, 20)
    assert counts["errors"] > 20
    detections = analysis.matches.problem.detections
    wrong = np.sort(detections.scores[(analysis.errors.kind >= 0)])[::-1][:20]
    assert sorted((float(row["score"]) for row in rows), reverse=True) == wrong.tolist()


def test_errors_csv_has_a_hundred_thousand_rows_at_most() -> None:
    assert signature(write_errors).parameters["max_rows"].default == 100_000


def test_the_summary_is_markdown_whose_names_do_nothing(folder: Path, analysis: Analysis) -> None:
    text = (folder / "summary.md").read_text(encoding="utf-8")
    assert f"| mAP@0.5:0.95 | {analysis.result.map_50_95:.3f} |" in text
    assert r"\<script\>alert\(1\)\</script\>" in text
    assert r"ünï\|code\`\_\*" in text
    assert "<script>" not in text
    table = text.split("### Classes")[1].strip().splitlines()
    assert len(table) == 2 + len(HOSTILE_NAMES)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {8}


def test_the_summary_keeps_the_largest_classes() -> None:
    made = make_analysis(tuple(f"class {index}" for index in range(90)), num_images=60)
    text = make_summary(made, ReportContext("t", "c"), make_advice(made))
    lines = [line for line in text.split("### Classes")[1].splitlines() if line.startswith("| class ")]
    assert len(lines) == 81
    assert "10 classes with fewer objects are left out" in text


def test_pictures_stop_at_the_limit_and_kinds_take_turns(analysis: Analysis) -> None:
    drawn = draw_galleries(analysis, make_context(), max_bytes=20 * len(PIXEL))
    counts = [len(group["drawn"]) for group in drawn["gallery"].values()] + [len(drawn["label_errors"]["drawn"])]
    assert sum(counts) == 20
    assert min(counts) >= 1
    for kind, group in drawn["gallery"].items():
        assert len(group["drawn"]) + len(group["undrawn"]) == len(analysis.examples[kind])
    assert "could not be read, or the room" in drawn["reason"]


def test_pictures_of_a_page_are_limited_by_their_size(analysis: Analysis) -> None:
    picture = CasePicture("x" * 1_990_000, 1, 1, "", "")
    drawn = draw_galleries(analysis, replace(make_context(), pictures=lambda case: picture))
    assert sum(len(group["drawn"]) for group in drawn["gallery"].values()) == 4  # in 8 MB


def test_long_lists_of_the_page_are_folded_or_cut(analysis: Analysis) -> None:
    many = make_analysis(tuple(f"c{place}" for place in range(15)), num_images=200)
    assert len(many.label_errors) > 60
    context = replace(make_context(), pictures=lambda case: PICTURE)
    text = render_report(many, context, ())
    assert "<summary>16 more pictures</summary>" in text  # of the 24 of a kind
    assert "<summary>52 more pictures</summary>" in text  # of the first 60 label errors
    assert len(re.findall(r"<li>[^\n]* as [^\n]*%\)</li>", text)) == 12
    assert [one.count("<dt ") for one in re.findall(r'<dl class="numbers.*?</dl>', text, re.DOTALL)][:2] == [5, 10]
    assert "The first 50 of 60; errors.csv has the others." in render_report(many, ReportContext("", ""), ())
    assert len(analysis.result.per_class) == 9
    assert len(payload(analysis)["chosen"]) == 2
    assert payload(make_analysis(tuple("abcdefgh")))["chosen"] == [0, 1, 2, 3, 4, 5, 6]


def test_scores_that_are_right_lie_on_the_diagonal(analysis: Analysis) -> None:
    right = replace(analysis.calibration, precision=analysis.calibration.mean_score)
    text = render_report(replace(analysis, calibration=right), ReportContext("", ""), ())
    assert '<line class="ideal" x1="50" y1="230" x2="330" y2="10"/>' in text
    dots = re.findall(r'<circle class="reliability" cx="([\d.]+)" cy="([\d.]+)"', text)
    assert len(dots) > 5
    for x, y in dots:
        assert (float(x) - 50) / 280 == pytest.approx((230 - float(y)) / 220, abs=1e-3)
    bars = [tuple(map(float, bar)) for bar in re.findall(
        r'<rect class="histogram" x="([\d.]+)" width="([\d.]+)" y="([\d.]+)" height="([\d.]+)"', text
    )]  # fmt: skip
    assert max(height for _, _, _, height in bars) == 50
    assert {round(top + height) for _, _, top, height in bars} == {310}


def test_without_images_the_cases_are_listed(analysis: Analysis) -> None:
    text = render_report(analysis, ReportContext("title", "command"), make_advice(analysis))
    page = ParsedPage(text)
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert page.texts.count("No pictures, because no images were at hand.") == 7
    assert analysis.matches.problem.images.paths[analysis.examples["class"][0].image] in page.texts


@pytest.mark.parametrize("what", ["no detections", "no objects", "no images"])
def test_a_report_of_nothing_is_a_report(tmp_path: Path, what: str) -> None:
    problem = make_problem(("cat", "dog"), num_images=5)
    if what != "no objects":
        problem = replace(problem, detections=problem.detections[:0])
    if what != "no detections":
        problem = replace(problem, truths=problem.truths[:0])
    analysis = analyse(problem, replicates=0)
    path = write_report(tmp_path, analysis, ReportContext("nothing", ""))
    texts = ParsedPage(path.read_text(encoding="utf-8")).texts
    wanted = {"no detections": "The detector found nothing at all."}
    assert wanted.get(what, "There are no objects to be found.") in texts
    assert json.loads((tmp_path / "metrics.json").read_text())["intervals"] is None


def test_awkward_names_end_nothing_and_cannot_command_a_terminal(tmp_path: Path) -> None:
    awkward = "b\udcffd\x1b[31m\x9b"
    context = ReportContext(awkward, awkward, (awkward,), (InputWarning(awkward, 1, awkward),), {awkward: awkward})
    write_report(tmp_path, make_analysis(("cat", awkward, "x"), num_images=8), context)
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "b%FFd%1B[31m%C2%9B" in text.replace("\\", "")
        assert not set(text) & {"\x1b", "\x9b"}
