"""The files of `gridyolo compare`, from comparisons made by hand; test_compare_browser.py opens the page."""

import csv
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.made_analysis import HOSTILE_NAMES
from tests.report.made_comparison import main_difference, make_comparison, make_difference, make_problems
from tests.report.parsed_page import ParsedPage
from yolo.detection_sets import TruthSet
from yolo.evaluation.bootstrap import Interval
from yolo.evaluation.comparison import Difference, ImageChange
from yolo.formats.issues import InputWarning
from yolo.report.compare import Sides, write_comparison
from yolo.report.page import CasePicture, ReportContext

NAN = math.nan
SIDES = ("first", "second")


class Drawn:
    """The same picture of A and of B for every change but one."""

    def __init__(self, picture: CasePicture, notes: tuple[str, ...], none_for: int | None = None) -> None:
        self.picture, self.notes, self.none_for, self.asked = picture, notes, none_for, list[int]()

    def __call__(self, change: ImageChange) -> tuple[CasePicture | None, CasePicture | None]:
        self.asked.append(change.change)
        return (None, None) if change.change == self.none_for else (self.picture, self.picture)


def write(folder: Path, comparison: Any = None, **options: Any) -> Path:
    names = options.pop("class_names", ("cat", "dog", "bird"))
    comparison = comparison or make_comparison(class_names=names)
    problems = make_problems(class_names=names, num_images=comparison.num_images)
    pictures, sides = options.pop("pictures", None), options.pop("names", SIDES)
    context = ReportContext(**{"title": "a against b", "command": "gridyolo compare a b"} | options)
    return write_comparison(folder, Sides(comparison, *problems, sides), context, pictures=pictures)


def page_of(folder: Path, comparison: Any = None, **options: Any) -> ParsedPage:
    return ParsedPage(write(folder, comparison, **options).read_text(encoding="utf-8"))


def test_the_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "compare.html", "compare.json", "per_class.csv", "images.csv", "summary.md"
    }  # fmt: skip
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'; img-src data:;")
    assert not page.all("link")
    assert not any("src" in script for script in page.all("script"))
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert not re.search(r"(https?:)?//[a-z]", re.sub(r"^\s*//.*$", "", text, flags=re.M))
    anchors = {str(link["href"])[1:] for link in page.all("a")}
    assert anchors <= {str(attributes.get("id")) for _, attributes in page.elements}


def test_headline_classes_and_counts_are_on_the_page(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    text = " ".join(page.text.split())
    assert "mAP@0.5:0.95 average precision, mean over IoU 0.5 to 0.95 and classes" in text
    assert "0.4000.450 +0.050 +0.010 to +0.090" in text
    assert "3 better" in text
    assert "5 no change" in text
    assert "2 worse" in text
    assert "A at 0.300, B at 0.400" in text
    assert "2,000 times" in text
    # the largest gain first, classes without objects last
    rows = re.findall(r'class-name"><bdi>(\w+)', (tmp_path / "compare.html").read_text(encoding="utf-8"))
    assert rows[:3] == ["dog", "cat", "bird"]


def test_charts_share_a_scale_around_zero(tmp_path: Path) -> None:
    write(tmp_path, make_comparison(main=main_difference(0.05, -0.1, 0.2, 0.4)))
    first = re.findall(
        r'M([\d.]+) 9H([\d.]+)M.*?cx="([\d.]+)"', (tmp_path / "compare.html").read_text(encoding="utf-8")
    )[0]
    # 0.2 is the farthest of all headline numbers: 60 pixels right of the middle at 65
    assert [float(value) for value in first] == [35, 125, 80]


def test_charts_are_scaled_by_the_farthest_loss_too(tmp_path: Path) -> None:
    write(tmp_path, make_comparison(main=main_difference(-0.1, -0.2, 0.05, 0.4)))
    assert re.findall(r'M([\d.]+) 9H([\d.]+)', (tmp_path / "compare.html").read_text(encoding="utf-8"))[0] == (
        "5.00", "80.00"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("last_image", "copies", "few"),
    [(9, 1, False), (8, 2, True), (9, 0, True)],  # 10 images with 20 objects; 9 with 36; 10 with 10
)
def test_classes_on_few_images_are_not_called_better(tmp_path: Path, last_image: int, copies: int, few: bool) -> None:
    first, second = make_problems(class_names=("cat", "dog", "bird"), num_images=10)
    places = np.flatnonzero(first.truths.image_index <= last_image)
    places = np.tile(places, copies) if copies else places[::2]
    pair = [replace(one, truths=one.truths[places]) for one in (first, second)]
    sides = Sides(make_comparison(), pair[0], pair[1], SIDES)
    text = write_comparison(tmp_path, sides, ReportContext("a", "")).read_text(encoding="utf-8")
    assert (">too few</span>" in text) is few
    assert [one["few"] for one in json.loads((tmp_path / "compare.json").read_text())["per_class"]] == [few] * 3


def test_classes_are_judged_by_the_adjusted_p(tmp_path: Path) -> None:
    classes = [make_difference(name, 0.1, p_adjusted=p) for name, p in (("cat", 0.04), ("dog", 0.3), ("bird", 0.3))]
    write(tmp_path, make_comparison(classes=classes))
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    found = re.findall(r'class-name"><bdi>(\w+).*?<span class="tag (\w+)">(\w+)<', text, flags=re.S)
    assert found[:3] == [("cat", "good", "better"), ("dog", "warning", "borderline"), ("bird", "warning", "borderline")]


def test_nothing_to_measure_is_a_dash(tmp_path: Path) -> None:
    nothing = Difference("map_50_95", NAN, NAN, Interval(NAN, NAN), NAN, NAN)
    page = page_of(tmp_path, make_comparison(main=nothing, classes=(nothing,) * 3, images=()))
    assert "nan" not in page.text.lower()
    data = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    assert data["headline"]["map_50_95"] == dict.fromkeys(
        ("a", "b", "difference", "low", "high", "p", "p_adjusted")
    )  # fmt: skip
    with (tmp_path / "per_class.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["ap_50_95_a"] == ""


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    names = HOSTILE_NAMES
    evil = '<script>alert("x")</script>'
    page = page_of(
        tmp_path,
        class_names=names,
        comparison=make_comparison(class_names=names),
        title=evil,
        command=f"gridyolo compare '{evil}'",
        names=(evil, "\u202eright to left 🐈"),
        warnings=(InputWarning(evil, 2, evil, (evil, '" onload="x')),),
        configuration={evil: evil, "nested": {"a": [evil]}},
        environment={"python": evil},
        pictures=Drawn(CasePicture("data:,", 3, 2, f'" onerror="x{evil}', evil), (evil,)),
    )
    assert len(page.all("script")) == 1
    assert {tag for tag, _ in page.elements}.isdisjoint({"img src=x", "iframe", "object"})
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {str(image["src"]) for image in page.all("img")} == {"data:,"}
    for name in names:
        assert name in page.text
    assert "49" not in [part.strip() for part in page.text.split()]  # {{ 7 * 7 }} is not computed
    assert "\u2068\u202eright to left 🐈\u2069" in page.text  # in the verdict, and kept from turning it round
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "<script" not in summary.replace(r"\<script", "")
    assert json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))["names"]["a"] == evil


def test_names_cannot_command_a_terminal(tmp_path: Path) -> None:
    awkward = "\x1b[31mred\x07"
    write(tmp_path, make_comparison(class_names=(awkward, "dog")), class_names=(awkward, "dog"), names=(awkward, "b"))
    for path in tmp_path.iterdir():
        assert not set(path.read_text(encoding="utf-8")) & {"\x1b", "\x07"}, path.name


def test_csv_cells_are_no_formulas(tmp_path: Path) -> None:
    names = ("=1+1", "+a", "-b", "@c", "\td", "plain, with comma")
    write(tmp_path, make_comparison(class_names=names), class_names=names)
    with (tmp_path / "per_class.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["'=1+1", "'+a", "'-b", "'@c", "%09d", "plain, with comma"]
    assert float(rows[0]["ap_50_95_difference"]) == pytest.approx(0.05)  # numbers keep their sign as they are
    with (tmp_path / "images.csv").open(encoding="utf-8", newline="") as file:
        images = list(csv.DictReader(file))
    assert [(row["image_id"], row["found_a"], row["found_b"], row["change"]) for row in images] == [
        ("'=0", "1", "3", "2"), ("'=1", "1", "2", "1"), ("'=2", "1", "2", "1"), ("'=3", "2", "1", "-1"),
        ("'=4", "3", "1", "-2"),
    ]  # fmt: skip


def test_json_has_all_of_it(tmp_path: Path) -> None:
    changes = make_comparison().images
    made = make_comparison(images=(replace(changes[0], wrong=(7, 8)), *changes[1:]))
    write(tmp_path, made, configuration={"level": 0.95, "path": Path("x"), "bad": NAN, "np": np.float64(0.5)})
    data = json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))
    assert list(data["headline"]) == [one.name for one in made.headline]
    main, stated = made.headline[0], data["headline"]["map_50_95"]
    assert (stated["a"], stated["b"], stated["low"], stated["high"]) == (main.a, main.b, *main.interval)
    assert data["per_class"][1]["ap_50_95"]["b"] == made.class_ap_50_95[1].b
    assert data["per_class"][1]["ap_50"]["p_adjusted"] == made.class_ap_50[1].p_adjusted
    assert [one["change"] for one in data["images"]] == [2, 1, 1, -1, -2]
    assert data["images"][0] == {
        "image_id": "=0", "objects": 9, "found": {"a": 1, "b": 3}, "wrong": {"a": 7, "b": 8}, "change": 2
    }  # fmt: skip
    assert (data["num_better"], data["num_worse"], data["num_images"]) == (3, 2, 10)
    assert data["bootstrap"] == {"level": 0.95, "replicates": 2000, "seed": 0}
    assert data["configuration"] == {"level": 0.95, "path": "x", "bad": None, "np": 0.5}
    assert data["score_thresholds"] == {"a": 0.3, "b": 0.4}


def test_crowd_and_difficult_objects_are_not_counted() -> None:
    problem, other = make_problems(class_names=("cat", "dog"), num_images=2)
    truths = TruthSet.from_xyxy([[0, 0, 9, 9]] * 4, [0, 0, 0, 1], [0] * 4, iscrowd=[1, 0, 0, 0], difficult=[0, 1, 0, 0])
    problem = type(problem)(problem.images, problem.class_names, truths, problem.detections)
    assert Sides(make_comparison(), problem, other, SIDES).instances.tolist() == [1, 1]


def test_the_most_changed_images_are_shown_with_their_pictures(tmp_path: Path) -> None:
    drawn = Drawn(CasePicture("data:,", 3, 2, "alt", "caption"), ("A note.",), none_for=1)
    changes = [5, 4, *[1] * 12, *[-1] * 12, -7]
    page = page_of(tmp_path, make_comparison(changes=changes), pictures=drawn)
    assert drawn.asked == [5, 4, *[1] * 10, -7, *[-1] * 11]  # 12 of each, the worst loss first
    assert len(page.all("article")) == 24
    assert len(page.all("img")) == 2 * (2 + 12)
    assert all(image["alt"] == "alt" and image["width"] == "3" for image in page.all("img"))
    text = " ".join(page.text.split())
    assert "Better with B (the 12 that changed most, of 14)" in text
    assert "Worse with B (the 12 that changed most, of 13)" in text
    assert text.count(" 8 more ") == 2  # 4 of each are not folded
    assert "A note." in text
    assert "found 1 → 6; wrong 0 → 0" in text.replace("\u00a0", " ")


def test_without_changes_nor_pictures_the_page_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_comparison(changes=[]))
    assert not page.all("article")
    assert "10 no change" in " ".join(page.text.split())
    assert "dashed blue" not in page.text


def test_warnings_stand_on_top(tmp_path: Path) -> None:
    warning = InputWarning("nan_score", 1234, "detections were dropped.", ("a.jpg", "b.jpg"))
    page = page_of(tmp_path, warnings=(warning,))
    text = " ".join(page.text.split())
    assert "1,234 × detections were dropped. Examples a.jpgb.jpg" in text
    assert text.index("1,234 ×") < text.index("Numbers Precision")
    assert "1,234 x nan\\_score: detections were dropped" in (tmp_path / "summary.md").read_text(encoding="utf-8")
