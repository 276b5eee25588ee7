"""The contact sheet: what is in the page, and what it does in a real browser with the network off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.report.browser import NEEDS_BROWSER, console, open_browser
from yolo.images import write_image
from yolo.report.contact_sheet import SheetImage, write_contact_sheet

HARM = "</script><script>window.harmed = 1</script><img src=x onerror=window.harmed=1>"
NAMES = ("cat", HARM, "\u202edog")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sheet")
    for name in ("a #1.jpg", "thumbnails/a.jpg"):
        write_image(folder / name, np.full((30, 40, 3), 120, np.uint8))
    counts: list[Counter[int]] = [Counter({0: 3}), Counter({1: 1, 2: 2}), Counter(), Counter({0: 1, 2: 9})]
    images = [
        SheetImage(name, "a #1.jpg", "thumbnails/a.jpg", (40, 30), own, best_score=place / 4)
        for place, (name, own) in enumerate(zip(("10.jpg", f"{HARM}.jpg", "9.jpg", "b.jpg"), counts, strict=True))
    ]
    images.append(SheetImage("v.mp4", "v.mp4", "", (1, 1), Counter({2: 500}), best_score=0.9, is_video=True))
    path = folder / "index.html"
    bad = {f"{HARM}.png": "is empty"}
    write_contact_sheet(path, images, bad, title=HARM, class_names=NAMES, weights=HARM)
    return path


def test_names_are_text_and_links_are_escaped(page: Path) -> None:
    text = page.read_text("utf-8")
    assert HARM not in text
    assert text.count('href="a%20%231.jpg"') == 4
    assert text.count('loading="lazy"') == 4
    assert "5 pictures, 516 detections; 1 file could not be read" in text


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[webdriver.Chrome]:
    yield from open_browser(page)


def shown(browser: webdriver.Chrome) -> list[int]:
    """Places of the pictures that are to be seen, in their order."""
    found = browser.execute_script(
        "return [...document.querySelectorAll('.shot')].map((shot) => shot.querySelector('.what').textContent)"
    )
    names = ["10.jpg", f"{HARM}.jpg", "9.jpg", "b.jpg", "v.mp4"]
    return [names.index(name) for name in found]


def choose(browser: webdriver.Chrome, **values: str) -> list[int]:
    """Set the fields of the form, others to nothing."""
    browser.execute_script(
        """const form = document.querySelector(".controls");
        form.reset();
        for (const [key, value] of Object.entries(arguments[0])) form.elements[key].value = value;
        form.dispatchEvent(new Event("input"));""",
        values,
    )
    return shown(browser)


@NEEDS_BROWSER
def test_pictures_are_filtered_sorted_and_enlarged(browser: webdriver.Chrome) -> None:
    assert browser.execute_script("return window.harmed") is None
    assert shown(browser) == [0, 1, 2, 3, 4]
    assert choose(browser, label="0") == [0, 3]
    assert choose(browser, label="0", least="0", most="0") == [1, 2, 4]
    assert choose(browser, least="1", most="9") == [0, 1]
    assert choose(browser, order="most") == [4, 3, 0, 1, 2]
    assert choose(browser, order="fewest", label="2") == [1, 3, 4]
    assert choose(browser, order="name", text=".JPG") == [1, 2, 0, 3]  # 9 before 10
    assert choose(browser, order="worst") == [0, 1, 2, 3, 4]
    assert choose(browser, text="no such name") == []
    assert choose(browser) == [0, 1, 2, 3, 4]
    browser.find_element("css selector", ".shot a").click()
    stage = "const large = document.querySelector('.stage > *'); return large && large.localName"
    assert browser.execute_script(stage) == "img"
    loaded = "return document.querySelector('.stage img').decode().then(() => true, () => false)"
    assert browser.execute_script(loaded) is True
    keys = [Keys.ARROW_LEFT, *[Keys.ARROW_RIGHT] * 4]  # before the first there is nothing
    ActionChains(browser).send_keys(*keys).perform()
    assert browser.execute_script(stage) == "video"
    browser.find_element("css selector", ".viewer .close").click()
    focus = "return document.activeElement.getAttribute('href')"
    assert browser.execute_script(focus) == "v.mp4"
    assert [line for line in console(browser) if "v.mp4" not in line] == []
