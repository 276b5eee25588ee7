"""The page of `gridyolo compare` in a real browser, with the network off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver

from tests.report.browser import NEEDS_BROWSER, console, open_browser
from tests.report.made_analysis import HOSTILE_NAMES
from tests.report.made_comparison import make_comparison, make_problems
from yolo.detection_sets import EvaluationData, ImageTable
from yolo.evaluation.matching import match
from yolo.formats.issues import InputWarning
from yolo.report.compare import Sides, write_comparison
from yolo.report.page import ReportContext
from yolo.report.pictures import ChangePictures

pytestmark = NEEDS_BROWSER

LONG_NAME = "a_class_whose_name_has_no_place_to_break_and_goes_on_" * 3
NAMES = (*HOSTILE_NAMES, LONG_NAME, "cat")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hostile and long names everywhere, pictures on some images."""
    folder = tmp_path_factory.mktemp("compare")
    comparison = make_comparison(class_names=NAMES, changes=[5, 4, 3, 3, 3, 3, -4])
    Image.fromarray(np.full((300, 400, 3), 120, np.uint8)).save(folder / "a.jpg")
    problems = []
    for problem in make_problems(class_names=NAMES, num_images=10):
        paths = [str(folder / "a.jpg")] * 9 + [""]
        images = ImageTable(problem.images.image_ids, paths, problem.images.sizes_hw)
        problems.append(EvaluationData(images, problem.class_names, problem.truths, problem.detections))
    context = ReportContext(
        title=LONG_NAME,
        command=f"gridyolo compare {LONG_NAME} b",
        warnings=(InputWarning("kind", 2, LONG_NAME, (LONG_NAME,)),),
        configuration={LONG_NAME: LONG_NAME},
        environment={"python": "3"},
    )
    sides = Sides(comparison, problems[0], problems[1], (LONG_NAME, "</script><script>window.harmed = 1</script>"))
    pictures = ChangePictures(match(problems[0]), match(problems[1]), (0.3, 0.4))
    return write_comparison(folder, sides, context, pictures=pictures)


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[webdriver.Chrome]:
    yield from open_browser(page)


def open_page(browser: webdriver.Chrome, page: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


def column(browser: webdriver.Chrome, place: int) -> list[str]:
    script = (
        "return [...document.querySelectorAll('#class-table tbody tr')].filter(r => !r.hidden).map(r => r.cells[%d].%s)"
    )
    return list(browser.execute_script(script % (place, "textContent" if place == 0 else "dataset.value")))


def test_it_loads_quietly_and_harmlessly(browser: webdriver.Chrome, page: Path) -> None:
    open_page(browser, page, 1280)
    assert console(browser) == []
    assert browser.execute_script("return window.harmed === undefined")
    assert browser.execute_script("return [...document.images].length") == 2 * 7
    assert browser.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert sorted(text.strip() for text in column(browser, 0)) == sorted(NAMES)


def test_the_class_table_sorts_and_filters(browser: webdriver.Chrome, page: Path) -> None:
    open_page(browser, page, 1280)
    gains = [float(value) for value in column(browser, 3)]
    assert gains == sorted(gains, reverse=True)
    heading = browser.find_element("css selector", "#class-table th:nth-child(4)")
    heading.find_element("css selector", "button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(value) for value in column(browser, 3)] == sorted(gains)
    browser.find_element("css selector", "#classes input[type=search]").send_keys("CAT")
    assert [text.strip() for text in column(browser, 0)] == ["cat"]


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_screen(browser: webdriver.Chrome, page: Path, width: int) -> None:
    open_page(browser, page, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    # folded parts too
    browser.execute_script("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_it_fits_on_paper(browser: webdriver.Chrome, page: Path) -> None:
    # A4 without its margins of 14 mm is 688 pixels wide
    open_page(browser, page, 688)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script("return [...document.querySelectorAll('details')].every(item => item.open)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 688
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
