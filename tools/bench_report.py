"""How long `gridyolo report` takes on a problem of COCO val's size, stage by stage, and how large its page is.

    python tools/bench_report.py [--detections 500000] [--keep FOLDER]

The problem is that of bench_evaluation.py, written as COCO files, with an image for each of the 5,000 (one drawing,
linked under every name: the pictures of the gallery are read and drawn as for a user). The stages are timed in this
process; then the command itself is run as a user types it, in a process of its own. Last, where chromium and
chromedriver are installed, the page is opened, its slider moved 60 times, each move timed to the end of the next frame,
and its table sorted.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_evaluation import HEIGHT, WIDTH, annotations, made_up

from yolo.config import ReportConfig
from yolo.detection_sets import EvaluationData
from yolo.engine.detection_files import read_problem
from yolo.engine.evaluate_files import report
from yolo.evaluation.bootstrap import bootstrap_intervals
from yolo.evaluation.breakdown import break_down
from yolo.evaluation.calibration import calibrate
from yolo.evaluation.errors import analyse_errors
from yolo.evaluation.examples import error_examples
from yolo.evaluation.label_errors import find_label_errors
from yolo.evaluation.matching import match
from yolo.evaluation.summary import summarise
from yolo.images import write_image


def write_files(problem: EvaluationData, folder: Path) -> tuple[Path, Path]:
    """The problem as COCO's two files, with images."""
    images, names = problem.images.image_ids, problem.class_names
    drawing = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    write_image(folder / "drawing.jpg", np.kron(drawing, np.ones((8, 8, 1), np.uint8)))
    (folder / "images").mkdir()
    for image in images:
        os.link(folder / "drawing.jpg", folder / "images" / f"{image}.jpg")
    truth = {
        "images": [
            {"id": int(image), "file_name": f"{image}.jpg", "width": WIDTH, "height": HEIGHT} for image in images
        ],
        "categories": [{"id": place, "name": name} for place, name in enumerate(names, start=1)],
        "annotations": annotations(problem.truths),
    }
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "found.json").write_text(json.dumps(annotations(problem.detections)))
    return folder / "truth.json", folder / "found.json"


def timed(name: str, function: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = function()
    print(f"{name:<28}{time.perf_counter() - began:8.2f} s", flush=True)
    return result


def time_stages(truth: Path, found: Path) -> None:
    problem, _, _ = timed("read the files", lambda: read_problem(truth, found))
    result = timed("every number (summarise)", lambda: summarise(problem))
    matches = timed("match", lambda: match(problem))
    errors = timed("errors", lambda: analyse_errors(matches, score_threshold=result.score_threshold))
    timed("intervals", lambda: bootstrap_intervals(matches, result))
    timed("sizes, aspects, crowding", lambda: break_down(problem, result))
    timed("calibration", lambda: calibrate(matches))
    timed("examples", lambda: error_examples(matches, errors))
    timed("label errors", lambda: find_label_errors(matches, errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detections", type=int, default=500_000)
    parser.add_argument("--keep", help="write everything into this folder, which must not exist, and keep it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.keep or temporary)
        folder.mkdir(parents=True, exist_ok=not options.keep)
        truth, found = write_files(made_up(options.detections), folder)
        time_stages(truth, found)
        config = ReportConfig(
            ground_truth=str(truth), detections=str(found), images=str(folder / "images"), runs=str(folder / "runs")
        )
        run = timed("all in this process", lambda: report(config))
        print(f"{'report.html':<28}{run.page.stat().st_size / 1e6:8.2f} MB")
        words = [f"--{name}={value}" for name, value in vars_of(config).items()]
        command = [sys.executable, "-m", "yolo", "report", *words]
        timed("the command", lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
        time_page(run.page.absolute())


# moves the slider and waits for the frame that shows it; milliseconds of each move
_MOVE_SLIDER = """
const done = arguments[0], slider = document.getElementById("threshold-range"), times = [];
function step() {
  const began = performance.now();
  slider.value = (times.length % 100) / 100;
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  requestAnimationFrame(() => setTimeout(() => {
    times.push(performance.now() - began);
    if (times.length < 60) step(); else done(times);
  }, 0));
}
step();
"""
_SORT = """
const began = performance.now();
document.querySelectorAll("#class-table th button.sort")[2].click();
document.body.offsetHeight;
return performance.now() - began;
"""


def time_page(page: Path) -> None:
    from selenium import webdriver

    chromium, driver_path = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver_path):
        print("no chromium or chromedriver: the page was not opened")
        return
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    try:
        timed("the page loads", lambda: driver.get(page.as_uri()))
        moves = sorted(driver.execute_async_script(_MOVE_SLIDER))
        print(f"{'a move of the slider':<28}{moves[30]:8.0f} ms, the slowest {moves[-1]:.0f}")
        print(f"{'sorting the table':<28}{driver.execute_script(_SORT):8.0f} ms")
    finally:
        driver.quit()


def vars_of(config: ReportConfig) -> dict[str, str]:
    names = ("ground_truth", "detections", "images", "runs")
    return {name.replace("_", "-"): getattr(config, name) for name in names}


if __name__ == "__main__":
    main()
