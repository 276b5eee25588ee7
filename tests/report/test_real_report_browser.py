"""The page of a real analysis in a real browser: numbers agree with the files beside it, pictures with their words.

Nothing is made up here but boxes and images: `analyse` measures them, `CasePictures` draws them.
"""

from __future__ import annotations

import base64
import csv
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.report.browser import NEEDS_BROWSER, console, open_browser
from yolo.detection_sets import DetectionSet, ImageTable, Problem, TruthSet
from yolo.evaluation.analysis import analyse
from yolo.images import write_image
from yolo.report.page import ReportContext
from yolo.report.pictures import CasePictures
from yolo.report.report import write_report

pytestmark = NEEDS_BROWSER

NAMES = ("cat", "dog", "owl")
NUM_IMAGES, SIDE = 60, 200
# a plain wrong detection of each kind; the object of image i is the box (40, 40, 100, 100) of class i % 2
OBJECT = (40, 40, 100, 100)
WRONG = {
    "class": (1, OBJECT, 1, 0.99),  # on a dog's image, but see `make_problem`: a cat is there
    "location": (2, (75, 40, 135, 100), 0, 0.98),
    "background": (3, (140, 140, 190, 190), 1, 0.97),
    "duplicate": (4, (42, 42, 102, 102), 0, 0.85),
}


def make_problem(folder: Path) -> Problem:
    """60 images with an object each: 50 found, 8 missed, of two the only detection is wrong; and two errors more."""
    truths = [(*OBJECT, image, image % 2) for image in range(NUM_IMAGES)]
    truths[1] = (*OBJECT, 1, 0)
    missed = {1, 2, *range(50, 58)}
    found = [(*box, image, label, 0.9 - image / 200) for *box, image, label in truths if image not in missed]
    found += [(*box, image, label, score) for image, box, label, score in WRONG.values()]
    rng = np.random.default_rng(0)
    paths = []
    for place in range(NUM_IMAGES):
        paths.append(str(folder / f"photo {place}.png"))
        write_image(Path(paths[-1]), rng.integers(60, 90, (SIDE, SIDE, 3), dtype=np.uint8))
    table = ImageTable([str(place) for place in range(NUM_IMAGES)], paths, np.full((NUM_IMAGES, 2), SIDE, np.int32))
    truth, detected = np.array(truths, float), np.array(found, float)
    return Problem(
        table,
        NAMES,
        TruthSet.from_xyxy(truth[:, :4], truth[:, 5].astype(int), truth[:, 4].astype(int)),
        DetectionSet.from_xyxy(detected[:, :4], detected[:, 6], detected[:, 5].astype(int), detected[:, 4].astype(int)),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("real")
    analysis = analyse(make_problem(path), replicates=40)
    pictures = CasePictures(analysis.matches.problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yolo.report.report.write_plots", lambda folder, analysis: None)  # not on the page
        write_report(path, analysis, ReportContext("cats and dogs", "gridyolo report", pictures=pictures))
    return path


@pytest.fixture(scope="module")
def driver(folder: Path) -> Any:
    yield from open_browser(folder / "report.html")


@pytest.fixture(scope="module")
def metrics(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return read


def test_headline_numbers_are_those_of_the_files(
    driver: webdriver.Chrome, folder: Path, metrics: dict[str, Any]
) -> None:
    cards = driver.find_elements(By.CSS_SELECTOR, "#numbers .numbers > div")
    shown = {
        card.find_element(By.TAG_NAME, "dt").text: card.find_element(By.CSS_SELECTOR, "dd.value").get_attribute("title")
        for card in cards
    }
    named = {"mAP@0.5:0.95": "map_50_95", "mAP@0.5": "map_50", "Precision": "precision", "Recall": "recall", "F1": "f1"}
    assert {key: float(shown[key] or "nan") for key in named} == {key: metrics[name] for key, name in named.items()}
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    with (folder / "per_class.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    for row in driver.find_elements(By.CSS_SELECTOR, "#class-table tbody tr")[:2]:
        name, ap = row.find_element(By.TAG_NAME, "bdi").text, row.find_elements(By.TAG_NAME, "td")[1]
        assert ap.get_attribute("data-value") == rows[name]["ap_50_95"]
        assert re.search(rf"\\| {name} \\| \\d+ \\| {ap.text} \\|", summary)
    assert f"| mAP@0.5 | {metrics['map_50']:.3f} |" in summary


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_the_worst_error_of_each_kind_is_drawn_with_its_words(driver: webdriver.Chrome, kind: str) -> None:
    image, box, label, score = WRONG[kind]
    group = driver.find_element(By.ID, f"gallery-{kind}")
    assert group.find_element(By.TAG_NAME, "h3").text.endswith(" 1")
    (figure,) = group.find_elements(By.TAG_NAME, "figure")
    words = figure.find_element(By.TAG_NAME, "figcaption").text
    assert f"ound {NAMES[label]} {score:.2f}" in words
    assert f"photo {image}.png" in words
    source = figure.find_element(By.TAG_NAME, "img").get_attribute("src") or ""
    data = np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert picture is not None
    blue, green, red = picture.astype(int).transpose(2, 0, 1)
    solid = (red - blue > 90) & (red - green > 30)
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    # the part of the image is chosen by the page: what has to agree is the shape of the box
    width, height = columns[-1] - columns[0], rows[-1] - rows[0]
    assert width / height == pytest.approx((box[2] - box[0]) / (box[3] - box[1]), rel=0.15)
    assert ((blue - red) > 60).any() == (kind != "background")  # the dashed box of the object


def test_missed_objects_and_the_way_out(driver: webdriver.Chrome, metrics: dict[str, Any]) -> None:
    # those of the images 50 to 57; what a wrong class or an inexact box explains is in the note
    assert driver.find_element(By.CSS_SELECTOR, "#gallery-missed h3").text == "Missed 8"
    note = driver.find_element(By.CSS_SELECTOR, "#errors p.small:last-of-type").text
    assert "At the threshold 10 objects are not found" in note
    advice = [item.text for item in driver.find_elements(By.CSS_SELECTOR, "ol.advice h3")]
    assert advice == [one["title"] for one in metrics["advice"]]
    assert "1 class is not measured." in advice


def test_nothing_is_reached_by_mouse_alone_and_nothing_went_wrong(driver: webdriver.Chrome) -> None:
    script = """
      const reachable = 'a[href], button, input, select, summary, [tabindex="0"]';
      return Array.from(document.querySelectorAll('*')).filter((one) =>
        getComputedStyle(one).cursor === 'pointer' && !one.closest(reachable) && !one.closest('label')).length"""
    assert driver.execute_script(script) == 0
    assert console(driver) == []
