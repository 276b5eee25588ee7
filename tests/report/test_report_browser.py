"""The report in a real browser, without a network: it loads, sorts, filters, moves numbers, and runs nobody's text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.report.browser import NEEDS_BROWSER, console, log, open_browser
from tests.report.made_analysis import HOSTILE_NAMES, make_analysis, make_context
from yolo.evaluation.result import EvaluationResult
from yolo.report.report import write_report

pytestmark = NEEDS_BROWSER

# hostile, and two that computers and people sort differently; of so many the best and the worst stand out at first
NAMES = (*HOSTILE_NAMES[:-1], "Class 10", "class 9", HOSTILE_NAMES[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yolo.report.report.write_plots", lambda folder, analysis: None)  # not on the page
        write_report(path, make_analysis(NAMES, num_images=60), make_context(title='<img src=x onerror="alert(3)">'))
    return path


@pytest.fixture(scope="module")
def driver(folder: Path) -> Iterator[webdriver.Chrome]:
    yield from open_browser(folder / "report.html")


@pytest.fixture(scope="module")
def result(folder: Path) -> EvaluationResult:
    return EvaluationResult.from_dict(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))


def test_it_loads_without_a_network_or_a_console_message(driver: webdriver.Chrome, folder: Path) -> None:
    assert console(driver) == []
    messages = [json.loads(entry["message"])["message"] for entry in log(driver, "performance")]
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    elsewhere = [url for url in asked if not url.startswith(("data:", (folder / "report.html").as_uri()))]
    assert elsewhere == []
    assert driver.execute_script("return document.querySelectorAll('#chart-pr path.line').length") == 2
    assert not driver.execute_script("return document.querySelector('#chart-pr path.mean').getAttribute('d') === ''")


def test_names_of_strangers_are_shown_as_text(driver: webdriver.Chrome) -> None:
    headings = driver.find_elements(By.CSS_SELECTOR, "#class-table tbody th bdi")
    assert [one.get_attribute("textContent") for one in headings] == list(NAMES)
    legend = driver.find_elements(By.CSS_SELECTOR, "#legend li bdi")
    assert [one.get_attribute("textContent") for one in legend] == list(NAMES)
    assert driver.find_element(By.TAG_NAME, "h1").text == '<img src=x onerror="alert(3)">'
    assert driver.execute_script("return document.querySelectorAll('img[src=x], bdi *, b:not(.track b)').length") == 0
    scripts = driver.execute_script("return Array.from(document.scripts, (one) => one.textContent)")
    assert len(scripts) == 5
    assert not [one for one in scripts if one.startswith("alert")]


@pytest.mark.parametrize("column", [1, 2, 4])
def test_the_table_sorts_both_ways_and_what_is_not_measured_goes_last(driver: webdriver.Chrome, column: int) -> None:
    for direction in ("descending", "ascending"):
        heading = driver.find_elements(By.CSS_SELECTOR, "#class-table thead th")[column]
        heading.find_element(By.TAG_NAME, "button").click()
        assert heading.get_attribute("aria-sort") == direction
        values = column_values(driver, "#class-table", column)
        numbers = [value for value in values if value is not None]
        assert numbers == sorted(numbers, reverse=direction == "descending")
        assert len(set(numbers)) > 4
        if column > 1:  # "never annotated" has a number of objects, but no average precision
            assert values[-1] is None
            assert values.count(None) == 1
    sorted_by = driver.find_elements(By.CSS_SELECTOR, "#class-table thead th[aria-sort]")
    assert len(sorted_by) == 1


def test_names_sort_as_people_count(driver: webdriver.Chrome) -> None:
    driver.find_element(By.CSS_SELECTOR, "#class-table thead th button").send_keys(Keys.ENTER)
    names = [one.text for one in driver.find_elements(By.CSS_SELECTOR, "#class-table tbody th bdi")]
    assert names.index("class 9") < names.index("Class 10")


def test_the_filter_keeps_the_rows_with_the_text(driver: webdriver.Chrome) -> None:
    field = driver.find_element(By.CSS_SELECTOR, "#classes .filter input")
    field.send_keys("CLASS")
    shown = [row for row in driver.find_elements(By.CSS_SELECTOR, "#class-table tbody tr") if row.is_displayed()]
    assert sorted(row.find_element(By.TAG_NAME, "bdi").text for row in shown) == ["Class 10", "class 9"]
    assert driver.find_element(By.CSS_SELECTOR, "#classes .filter [role=status]").text == "2 of 11 rows"
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE)
    rows = driver.find_elements(By.CSS_SELECTOR, "#class-table tbody tr")
    assert all(row.is_displayed() for row in rows)


@pytest.mark.parametrize("threshold", [0.0, 0.07, 0.29, 0.58, 1.0])
def test_the_slider_gives_the_counts_of_metrics_json(
    driver: webdriver.Chrome, result: EvaluationResult, threshold: float
) -> None:
    driver.execute_script("document.getElementById('class-counts').open = true")
    move_slider(driver, threshold)
    place = round(100 * threshold)
    hits, wrong = result.true_positives[:, place], result.false_positives[:, place]
    instances = [one.instances for one in result.per_class]
    assert totals(driver)["tp"] == f"{hits.sum():,}"
    assert totals(driver)["fp"] == f"{wrong.sum():,}"
    assert totals(driver)["fn"] == f"{sum(instances) - hits.sum():,}"
    assert totals(driver)["precision"] == f"{hits.sum() / max(hits.sum() + wrong.sum(), 1):.3f}"
    assert totals(driver)["recall"] == f"{hits.sum() / sum(instances):.3f}"
    known = [index for index, count in enumerate(instances) if count]
    assert totals(driver)["mean-f1"] == f"{result.f1_curves[known, place].mean():.3f}"
    means = [hits[index] / max(hits[index] + wrong[index], 1) for index in known]
    assert totals(driver)["mean-precision"] == f"{sum(means) / len(means):.3f}"
    for index, row in class_counts(driver).items():
        assert row[:3] == [f"{hits[index]:,}", f"{wrong[index]:,}", f"{instances[index] - hits[index]:,}"]
        f1 = result.f1_curves[index, place]
        assert row[5] == ("–" if f1 != f1 else f"{f1:.3f}")


def test_slider_number_and_chart_move_together(driver: webdriver.Chrome) -> None:
    number = driver.find_element(By.ID, "threshold-number")
    number.send_keys(Keys.CONTROL, "a")
    number.send_keys("0.33")
    slider = driver.find_element(By.ID, "threshold-range")
    assert slider.get_attribute("value") == "0.33"
    slider.send_keys(Keys.ARROW_RIGHT)
    assert number.get_attribute("value") == "0.34"
    before = driver.execute_script("return document.querySelector('line.threshold').getAttribute('x1')")
    driver.find_element(By.ID, "threshold-reset").click()
    WebDriverWait(driver, 5).until(
        lambda browser: (
            browser.execute_script(
                "return document.querySelector('#chart-threshold line.threshold').getAttribute('x1')"
            )
            != before
        )
    )
    status = driver.find_element(By.ID, "threshold-status")
    # announced to those who do not see it, a moment after the last move
    wanted = f"Threshold {number.get_attribute('value')}:"
    WebDriverWait(driver, 5).until(lambda _: wanted in str(status.get_attribute("textContent")))


def test_the_keyboard_reads_the_curves(driver: webdriver.Chrome, result: EvaluationResult) -> None:
    surface = driver.find_element(By.CSS_SELECTOR, "#chart-pr .surface")
    surface.send_keys(Keys.HOME)
    surface.send_keys(Keys.ARROW_RIGHT)
    reading = driver.find_element(By.CSS_SELECTOR, "#chart-pr .reading").text
    known = [index for index, one in enumerate(result.per_class) if one.instances]
    assert reading.startswith(f"Recall 0.01: all classes {result.precision_curves[known, 1].mean():.3f}")


def test_a_class_is_chosen_in_the_legend_and_in_the_table(driver: webdriver.Chrome) -> None:
    def lines() -> int:
        return int(driver.execute_script("return document.querySelectorAll('#chart-threshold path.line').length"))

    before = lines()
    driver.find_element(By.CSS_SELECTOR, "#legend li button[aria-pressed=true]").send_keys(Keys.ENTER)
    assert lines() == before - 1
    driver.find_element(By.CSS_SELECTOR, "#class-table button.class-name[aria-pressed=false]").send_keys(Keys.ENTER)
    assert lines() == before


def test_the_confusion_matrix_has_every_count(driver: webdriver.Chrome, result: EvaluationResult) -> None:
    cells: list[list[str]] = driver.execute_script(
        "return Array.from(document.querySelectorAll('.matrix tbody tr'),"
        " (row) => Array.from(row.querySelectorAll('td'), (cell) => cell.textContent))"
    )
    assert [[int(text or 0) for text in row] for row in cells] == result.confusion_matrix.tolist()


def test_the_keyboard_reads_the_confusion_matrix(driver: webdriver.Chrome, result: EvaluationResult) -> None:
    holder, reading = (driver.find_element(By.ID, name) for name in ("confusion-holder", "confusion-reading"))
    walk = (Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT)  # the first key enters at the upper left cell
    holder.send_keys(*walk)
    assert driver.execute_script("return document.querySelector('.matrix td.at').dataset.place") == "1 1"
    text = reading.get_attribute("textContent") or ""
    assert f"{NAMES[1]}, detected as {NAMES[1]}: {result.confusion_matrix[1, 1]}" in text
    holder.send_keys(*[Keys.ARROW_UP] * 5)
    assert driver.execute_script("return document.querySelector('.matrix td.at').dataset.place") == "0 1"
    assert driver.execute_script("return document.querySelectorAll('.matrix td.at').length") == 1


def test_nothing_is_wider_than_a_phone(driver: webdriver.Chrome) -> None:
    for width in (375, 320):
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": True},
        )
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_printing_opens_what_is_folded(driver: webdriver.Chrome) -> None:
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert driver.find_elements(By.CSS_SELECTOR, "details:not([open])") == []
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert driver.find_elements(By.CSS_SELECTOR, "details:not([open])")


def test_controls_have_names_and_headings_are_in_order(driver: webdriver.Chrome) -> None:
    unnamed = driver.execute_script(
        "return Array.from(document.querySelectorAll('input'))"
        ".filter((one) => !one.labels.length && !one.ariaLabel).map((one) => one.outerHTML)"
    )
    assert unnamed == []
    levels = driver.execute_script("return Array.from(document.querySelectorAll('h1,h2,h3'), (one) => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(second <= first + 1 for first, second in pairwise(levels))
    assert driver.execute_script("return document.querySelectorAll('[id]').length") == driver.execute_script(
        "return new Set(Array.from(document.querySelectorAll('[id]'), (one) => one.id)).size"
    )


def test_nothing_is_reached_by_mouse_alone(driver: webdriver.Chrome) -> None:
    script = """
      const reachable = 'a[href], button, input, select, summary, [tabindex="0"]';
      return Array.from(document.querySelectorAll('*')).filter((one) =>
        getComputedStyle(one).cursor === 'pointer' && !one.closest(reachable) && !one.closest('label')).length"""
    assert driver.execute_script(script) == 0


def test_nothing_went_wrong_meanwhile(driver: webdriver.Chrome) -> None:
    assert console(driver) == []


def column_values(driver: webdriver.Chrome, table: str, column: int) -> list[float | None]:
    script = "return Array.from(document.querySelectorAll(arguments[0]), (row) => row.cells[arguments[1]].textContent)"
    texts: list[str] = driver.execute_script(script, f"{table} tbody tr", column)
    return [None if text.strip() == "–" else float(text.replace(",", "")) for text in texts]


def move_slider(driver: webdriver.Chrome, threshold: float) -> None:
    driver.execute_script(
        "const slider = document.getElementById('threshold-range'); slider.value = arguments[0];"
        "slider.dispatchEvent(new Event('input', {bubbles: true}))",
        threshold,
    )
    # numbers are drawn once a frame
    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def totals(driver: webdriver.Chrome) -> dict[str, str]:
    found: dict[str, str] = driver.execute_script(
        "return Object.fromEntries(Array.from(document.querySelectorAll('#threshold-totals [data-key]'),"
        " (cell) => [cell.dataset.key, cell.textContent]))"
    )
    return found


def class_counts(driver: webdriver.Chrome) -> dict[int, list[str]]:
    rows: list[tuple[str, list[str]]] = driver.execute_script(
        "return Array.from(document.querySelectorAll('#threshold-table tbody tr'), (row) =>"
        " [row.dataset.class, Array.from(row.querySelectorAll('td'), (cell) => cell.textContent)])"
    )
    found: dict[int, Any] = {int(index): cells for index, cells in rows}
    assert len(found) == len(NAMES)
    return found
