"""The files of `gridyolo compare`, from comparisons made by hand; test_compare_browser.py opens the page."""

import csv
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.made_comparison import HOSTILE_NAMES, make_comparison, make_difference, make_problems
from yolo.detection_sets import TruthSet
from yolo.evaluation.bootstrap import Interval
from yolo.evaluation.comparison import Difference
from yolo.report.compare import CompareContext, Sides, make_verdict, outcome, p_value, signed, write_comparison
from yolo.report.context import ReportRemark
from yolo.report.pictures import CasePicture

NAN = math.nan
SIDES = ("first", "second")


class Elements(HTMLParser):
    """The elements of a page, with their attributes, and its text outside of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._silent = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._silent = tag if tag in ("style", "script") else self._silent

    def handle_endtag(self, tag: str) -> None:
        self._silent = "" if tag == self._silent else self._silent

    def handle_data(self, data: str) -> None:
        self.text += "" if self._silent else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def write(folder: Path, comparison: Any = None, **options: Any) -> Path:
    names = options.pop("class_names", ("cat", "dog", "bird"))
    comparison = comparison or make_comparison(class_names=names)
    problems = make_problems(class_names=names, num_images=comparison.num_images)
    context = CompareContext(**{"title": "a against b", "command": "gridyolo compare a b", "names": SIDES} | options)
    return write_comparison(folder, comparison, *problems, context)


def page_of(folder: Path, comparison: Any = None, **options: Any) -> Elements:
    return Elements(write(folder, comparison, **options).read_text(encoding="utf-8"))


def difference(gain: float, low: float, high: float, p: float, adjusted: float | None = None) -> Difference:
    return Difference("map_50_95", 0.4, 0.4 + gain, Interval(low, high), p, p if adjusted is None else adjusted)


@pytest.mark.parametrize(
    ("made", "plain", "adjusted"),
    [
        (difference(0.03, 0.01, 0.05, 0.002), "better", "better"),
        (difference(-0.03, -0.05, -0.01, 0.002), "worse", "worse"),
        (difference(0.03, 0.01, 0.05, 0.002, 0.2), "better", "borderline"),
        (difference(0.03, -0.01, 0.07, 0.2), "unclear", "unclear"),
        (difference(0.03, -0.001, 0.07, 0.049), "borderline", "unclear"),
        (difference(0.03, 0.001, 0.07, 0.051), "borderline", "unclear"),
        # an interval on the other side of 0 than the difference supports nothing
        (difference(-0.01, 0.001, 0.07, 0.01), "borderline", "unclear"),
        (difference(0.0, 0.0, 0.0, 1.0), "unclear", "unclear"),
        (difference(NAN, NAN, NAN, NAN), "none", "none"),
        (difference(0.1, NAN, NAN, NAN), "none", "none"),
    ],
)
def test_better_is_said_with_care(made: Difference, plain: str, adjusted: str) -> None:
    assert outcome(made, 0.95) == plain
    assert outcome(made, 0.95, adjusted=True) == adjusted


def test_the_level_decides() -> None:
    made = difference(0.03, 0.01, 0.05, 0.02)
    assert (outcome(made, 0.95), outcome(made, 0.99)) == ("better", "borderline")


def verdict_of(main: Difference, **options: Any) -> tuple[str, str, str]:
    verdict = make_verdict(make_comparison(main=main, **options), SIDES)
    return verdict.level, verdict.headline.replace("\u00a0", " "), " ".join(verdict.lines)


def test_the_verdict_in_words() -> None:
    level, headline, lines = verdict_of(difference(0.031, 0.012, 0.05, 0.002))
    assert level == "good"
    assert headline == "second is better than first: mAP@0.5:0.95 +0.031 (95 % interval +0.012 to +0.050, p = 0.002)."
    assert "is 0.400 with first and 0.431 with second" in lines
    assert "Of 10 images second does better on 3, worse on 2 and as well as first on 5." in lines

    level, headline, _ = verdict_of(difference(-0.031, -0.05, -0.012, 0.0))
    assert level == "warning"
    assert headline == "second is worse than first: mAP@0.5:0.95 −0.031 (95 % interval −0.050 to −0.012, p < 0.001)."

    level, headline, lines = verdict_of(difference(0.01, -0.02, 0.04, 0.5))
    assert level == "note"
    assert headline.startswith("No difference that could not be chance: mAP@0.5:0.95 +0.010")
    assert "does not prove the two equal" in lines

    level, headline, lines = verdict_of(difference(0.03, 0.001, 0.07, 0.06))
    assert (level, headline[:34]) == ("note", "A difference that may be chance: m")
    assert "do not agree" in lines

    level, headline, lines = verdict_of(difference(0.0, 0.0, 0.0, 1.0), images=())
    assert headline == "No difference: mAP@0.5:0.95 is 0.400 with both, and no image changed."

    level, headline, _ = verdict_of(Difference("map_50_95", NAN, NAN, Interval(NAN, NAN), NAN, NAN))
    assert (level, headline) == ("warning", "Nothing can be said: there is no mAP to compare.")


def test_classes_in_the_verdict_go_by_the_adjusted_p() -> None:
    clear, loss = make_difference("cat", 0.2, p_adjusted=0.01), make_difference("dog", -0.2, p_adjusted=0.04)
    chance = make_difference("bird", 0.2, p_adjusted=0.06)
    nothing = Difference("fish", NAN, NAN, Interval(NAN, NAN), NAN, NAN)

    def told(*classes: Difference) -> str:
        return make_verdict(make_comparison(classes=classes), SIDES).lines[-1]

    assert told(clear, loss, chance, nothing) == (
        "second is better in 1 class (cat), and worse in 1 class (dog) (p-values adjusted for 3 classes)."
    )
    assert told(chance, chance, nothing).startswith("No single one of the 2 classes differs")
    verdict = make_verdict(make_comparison(classes=(clear, loss)), SIDES, [True, False])
    assert verdict.lines[-1] == (
        "second is worse in 1 class (dog) (p-values adjusted for 2 classes). 1 of them is on too few images to say."
    )
    # with one class there is nothing to adjust, and the headline has said it
    assert "class" not in told(clear, nothing)
    many = [make_difference(f"c{place}", 0.1 + place / 100, p_adjusted=0.01) for place in range(8)]
    assert "8 classes (c7, c6, c5, c4, c3, ...)" in told(*many)


def test_numbers_in_words() -> None:
    assert p_value(0.0005, 5000) == "< 0.001"
    assert p_value(0.001, 5000) == "0.001"
    assert p_value(0.001, 200) == "< 0.005"
    assert signed(-0.0004) == "0.000"
    assert signed(-0.0006) == "−0.001"


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
    assert anchors <= {str(attributes.get("id")) for _, attributes in page.found}


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
    write(tmp_path, make_comparison(main=difference(0.05, -0.1, 0.2, 0.4)))
    first = re.findall(
        r'M([\d.]+) 9H([\d.]+)M.*?cx="([\d.]+)"', (tmp_path / "compare.html").read_text(encoding="utf-8")
    )[0]
    # 0.2 is the farthest of all headline numbers: 60 pixels right of the middle at 65
    assert [float(value) for value in first] == [35, 125, 80]


def test_charts_are_scaled_by_the_farthest_loss_too(tmp_path: Path) -> None:
    write(tmp_path, make_comparison(main=difference(-0.1, -0.2, 0.05, 0.4)))
    assert re.findall(r'M([\d.]+) 9H([\d.]+)', (tmp_path / "compare.html").read_text(encoding="utf-8"))[0] == (
        "5.00", "80.00"
    )  # fmt: skip


def test_other_numbers_that_differ_are_in_the_verdict() -> None:
    made = make_comparison(main=difference(0.01, -0.01, 0.03, 0.4))
    others = (make_difference("map_50", 0.1), make_difference("map_75", -0.1), make_difference("f1", 0.1, p=0.2))
    lines = make_verdict(replace(made, headline=(made.headline[0], *others)), SIDES).lines
    assert lines[1] == (
        "Each for itself, other numbers do differ by more than chance may explain: better in mAP@0.5 (+0.100); "
        "worse in mAP@0.75 (\u22120.100)."
    )
    # of a detector that is better only what is worse has to be said
    better = replace(made, headline=(make_difference("map_50_95", 0.1), *others))
    assert make_verdict(better, SIDES).lines[1].endswith("explain: worse in mAP@0.75 (\u22120.100).")


@pytest.mark.parametrize(
    ("last_image", "copies", "few"),
    [(9, 1, False), (8, 2, True), (9, 0, True)],  # 10 images with 20 objects; 9 with 36; 10 with 10
)
def test_classes_on_few_images_are_not_called_better(tmp_path: Path, last_image: int, copies: int, few: bool) -> None:
    first, second = make_problems(class_names=("cat", "dog", "bird"), num_images=10)
    places = np.flatnonzero(first.truths.image_index <= last_image)
    places = np.tile(places, copies) if copies else places[::2]
    pair = [replace(one, truths=one.truths[places]) for one in (first, second)]
    context = CompareContext(title="a", command="", names=SIDES)
    text = write_comparison(tmp_path, make_comparison(), pair[0], pair[1], context).read_text(encoding="utf-8")
    assert (">too few</span>" in text) is few
    assert [one["few"] for one in json.loads((tmp_path / "compare.json").read_text())["per_class"]] == [few] * 3


def test_classes_are_judged_by_the_adjusted_p(tmp_path: Path) -> None:
    classes = [make_difference(name, 0.1, p_adjusted=p) for name, p in (("cat", 0.04), ("dog", 0.3), ("bird", 0.3))]
    write(tmp_path, make_comparison(classes=classes))
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    told = re.findall(r'class-name"><bdi>(\w+).*?<span class="tag (\w+)">(\w+)<', text, flags=re.S)
    assert told[:3] == [("cat", "good", "better"), ("dog", "warning", "borderline"), ("bird", "warning", "borderline")]


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
        remarks=(ReportRemark(evil, 2, evil, (evil, '" onload="x')),),
        configuration={evil: evil, "nested": {"a": [evil]}},
        environment={"python": evil},
        pictures=lambda change: (CasePicture("data:,", 3, 2, f'" onerror="x{evil}', evil),) * 2,
        picture_notes=lambda: [evil],
    )
    assert len(page.all("script")) == 1
    assert {tag for tag, _ in page.found}.isdisjoint({"img src=x", "iframe", "object"})
    assert not any(name.startswith("on") for _, attributes in page.found for name in attributes)
    assert {str(image["src"]) for image in page.all("img")} == {"data:,"}
    for name in names:
        assert name in page.text
    assert "49" not in [part.strip() for part in page.text.split()]  # {{ 7 * 7 }} is not computed
    assert "\u2068\u202eright to left 🐈\u2069" in page.text  # in the verdict, and kept from turning it round
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "<script" not in summary.replace(r"\<script", "")
    assert json.loads((tmp_path / "compare.json").read_text(encoding="utf-8"))["names"]["a"] == evil


def test_csv_cells_are_no_formulas(tmp_path: Path) -> None:
    names = ("=1+1", "+a", "-b", "@c", "\td", "plain, with comma")
    write(tmp_path, make_comparison(class_names=names), class_names=names)
    with (tmp_path / "per_class.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["'=1+1", "'+a", "'-b", "'@c", "'\td", "plain, with comma"]
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
    asked: list[int] = []

    def pictures(change: Any) -> Any:
        asked.append(change.change)
        return (None, None) if change.change == 1 else (CasePicture("data:,", 3, 2, "alt", "caption"),) * 2

    changes = [5, 4, *[1] * 12, *[-1] * 12, -7]
    page = page_of(tmp_path, make_comparison(changes=changes), pictures=pictures, picture_notes=lambda: ["A note."])
    assert asked == [5, 4, *[1] * 10, -7, *[-1] * 11]  # 12 of each, the worst loss first
    assert len(page.all("article")) == 24
    assert len(page.all("img")) == 2 * (2 + 12)
    assert all(image["alt"] == "alt" and image["width"] == "3" for image in page.all("img"))
    text = " ".join(page.text.split())
    assert "Better with B (the 12 that changed most, of 14)" in text
    assert "Worse with B (the 12 that changed most, of 13)" in text
    assert "A note." in text
    assert "found 1 → 6; wrong 0 → 0" in text.replace("\u00a0", " ")


def test_without_changes_nor_pictures_the_page_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_comparison(changes=[]))
    assert not page.all("article")
    assert "10 no change" in " ".join(page.text.split())
    assert "dashed blue" not in page.text


def test_remarks_stand_on_top(tmp_path: Path) -> None:
    remark = ReportRemark("nan_score", 1234, "detections were dropped.", ("a.jpg", "b.jpg"))
    page = page_of(tmp_path, remarks=(remark,))
    text = " ".join(page.text.split())
    assert "1,234 × detections were dropped. Such as: a.jpg; b.jpg" in text
    assert text.index("1,234 ×") < text.index("Numbers Precision")
    assert "1,234 x nan\\_score: detections were dropped" in (tmp_path / "summary.md").read_text(encoding="utf-8")
