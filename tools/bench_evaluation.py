"""How long COCO's evaluation takes and how much memory it needs, beside pycocotools and faster-coco-eval.

    python tools/bench_evaluation.py [--detections 2000000] [--repeats 3] [--without pycocotools]

The problem is made up but of COCO val's size and habits: 5,000 images, 80 classes of very unequal frequency, 36,500
objects of all sizes, some of them crowds, and 100 detections an image, most of them of low score and on nothing.

Times: all three in this process, in turns, the best of the repeats. From what each loads (theirs: annotations as
dictionaries with their index; ours: arrays) to all numbers: 10 IoU thresholds, 4 area ranges, 3 limits, and the 12
numbers. Ours includes F1, thresholds and the confusion matrix, which the others do not have. Reading files is left
out.

Differences: the largest over all entries of precision, recall, scores and the 12 numbers.

Memory: each in a fresh process of its own, which loads the problem and then evaluates it once: what evaluation adds
at its peak to what was there before, and the whole peak. Linux only.

Needs pycocotools (a test dependency) and, where it is installed, faster-coco-eval.
"""

import argparse
import contextlib
import gc
import importlib.util
import io
import json
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet

CONTENDERS = ("pycocotools", "faster-coco-eval", "gridyolo")
IMAGES, CLASSES, OBJECTS = 5_000, 80, 36_500
WIDTH, HEIGHT = 640, 480


def made_up(num_detections: int, *, seed: int = 0) -> EvaluationData:
    """The problem; four of ten detections are near an object, most of them of its class."""
    generator = np.random.default_rng(seed)
    frequency = generator.permutation(1 / np.arange(1, CLASSES + 1))
    frequency[0] = frequency.sum() * 0.4  # people
    frequency /= frequency.sum()
    image = np.sort(generator.choice(IMAGES, OBJECTS, p=generator.dirichlet(np.ones(IMAGES))))
    labels = generator.choice(CLASSES, OBJECTS, p=frequency)
    truth_boxes = random_boxes(generator, OBJECTS)
    own_area = truth_boxes[:, 2] * truth_boxes[:, 3]
    crowd = generator.random(OBJECTS) < 0.01
    area = own_area * generator.uniform(0.4, 0.9, OBJECTS)
    truths = TruthSet.from_xywh(truth_boxes, labels, image, iscrowd=crowd, area=area)

    near = num_detections * 4 // 10
    source = generator.integers(0, OBJECTS, near)
    looseness = generator.exponential(0.12, near)[:, None]
    shift = generator.normal(0, 1, (near, 4)) * truth_boxes[source][:, [2, 3, 2, 3]] * looseness
    moved = truth_boxes[source] + shift
    right = generator.random(near) < 0.75
    found_labels = np.where(right, labels[source], generator.choice(CLASSES, near, p=frequency))
    score = np.clip(generator.beta(1.2, 2.0, near) * np.exp(-2 * looseness[:, 0]), 0.001, 1)
    far = num_detections - near
    boxes = np.concatenate((moved, random_boxes(generator, far)))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 1)
    found_labels = np.concatenate((found_labels, generator.choice(CLASSES, far, p=frequency)))
    scores = np.concatenate((score, generator.beta(1, 12, far)))
    found_image = np.concatenate((image[source], generator.integers(0, IMAGES, far)))
    order = np.argsort(found_image, kind="stable")
    # as detectors write them: hundredths of a pixel, five decimals of the score
    detections = DetectionSet.from_xywh(
        boxes[order].round(2), scores[order].round(5), found_labels[order], found_image[order]
    )
    images = ImageTable.of_ids([str(index + 1) for index in range(IMAGES)])
    return EvaluationData(images, tuple(f"class {index}" for index in range(CLASSES)), truths, detections)


def random_boxes(generator: np.random.Generator, count: int) -> Any:
    size = np.minimum(np.exp(generator.normal(4.0, 1.0, (count, 2))), (WIDTH, HEIGHT))
    corner = generator.random((count, 2)) * ((WIDTH, HEIGHT) - size)
    return np.concatenate((corner, size), axis=1).round(2)


def annotations(part: DetectionSet | TruthSet) -> list[dict[str, Any]]:
    """Objects or detections as COCO has them; ids start at 1."""
    rows = np.concatenate((part.boxes[:, :2], part.sizes_wh), axis=1).tolist()
    columns = zip(rows, (part.labels + 1).tolist(), (part.image_index + 1).tolist(), strict=True)
    values = [{"bbox": box, "category_id": label, "image_id": image} for box, label, image in columns]
    if isinstance(part, DetectionSet):
        for value, score in zip(values, part.scores.tolist(), strict=True):
            value["score"] = score
        return values
    for place, (value, crowd, area) in enumerate(zip(values, part.iscrowd.tolist(), part.area.tolist(), strict=True)):
        value |= {"id": place + 1, "iscrowd": int(crowd), "area": area}
    return values


def load_coco(problem: EvaluationData, coco_class: Any) -> tuple[Any, Any]:
    """Ground truth and detections as the other two have them."""
    truth = coco_class()
    truth.dataset = {
        "images": [{"id": index + 1} for index in range(len(problem.images))],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(problem.class_names)],
        "annotations": annotations(problem.truths),
        "info": {},
    }
    truth.createIndex()
    return truth, truth.loadRes(annotations(problem.detections))


Numbers = tuple[Any, Any, Any, Any]  # precision, recall, scores, stats


def prepare(name: str, problem: EvaluationData) -> tuple[Callable[[], Any], Callable[[Any], Numbers]]:
    """What is timed, and how to get the numbers from what it returns."""
    if name == "gridyolo":
        from yolo.evaluation.summary import summarise

        return lambda: summarise(problem), lambda _: our_arrays(problem)
    if name == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval as Run
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as Run
    truth, found = load_coco(problem, COCO)

    def run() -> Any:
        one = Run(truth, found, "bbox")
        one.evaluate()
        one.accumulate()
        one.summarize()
        return one

    return run, lambda one: (*(np.asarray(one.eval[key]) for key in ("precision", "recall", "scores")), one.stats[:12])


def our_arrays(problem: EvaluationData) -> Numbers:
    from yolo.evaluation.coco import evaluate_coco

    result = evaluate_coco(problem)
    return result.precision, result.recall, result.scores, result.stats


def quietly(function: Callable[[], Any]) -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return function()


def compare_times(names: list[str], problem: EvaluationData, repeats: int) -> None:
    prepared = {name: quietly(partial(prepare, name, problem)) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    numbers: dict[str, Numbers] = {}
    for _ in range(repeats):
        for name, (run, read) in prepared.items():
            gc.collect()
            began = time.perf_counter()
            result = quietly(run)
            seconds[name].append(time.perf_counter() - began)
            if name not in numbers:
                numbers[name] = read(result)
    ours = numbers["gridyolo"]
    best = {name: min(one) for name, one in seconds.items()}
    print(f"{'':18}{'seconds':>9}{'ratio':>8}   largest difference: precision, recall, scores, 12 numbers")
    for name in names:
        differences = (
            f"{np.abs(a - np.reshape(b, a.shape)).max():.1e}" for a, b in zip(ours, numbers[name], strict=True)
        )
        print(f"{name:18}{best[name]:9.3f}{best[name] / best['gridyolo']:8.1f}   {'  '.join(differences)}", flush=True)
    print("12 numbers:", *(f"{value:.4f}" for value in ours[-1]))


def megabytes(field: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(status.split(f"{field}:")[1].split()[0]) / 1024


def measure_memory(name: str, num_detections: int) -> None:
    """In a process of its own: print what evaluation adds at its peak, and the whole peak, as JSON."""
    run, _ = quietly(partial(prepare, name, made_up(num_detections)))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    before = megabytes("VmRSS")
    result = quietly(run)
    peak = megabytes("VmHWM")
    del result
    print(json.dumps([peak - before, peak]))


def compare_memory(names: list[str], num_detections: int) -> None:
    print(f"{'':18}{'evaluation adds':>18}{'whole peak':>14}")
    for name in names:
        command = [sys.executable, __file__, "--detections", str(num_detections), "--memory-of", name]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        added, peak = json.loads(answer.splitlines()[-1])
        print(f"{name:18}{added:15.0f} MB{peak:11.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detections", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], choices=CONTENDERS[:2])
    parser.add_argument("--memory-of", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        measure_memory(options.memory_of, options.detections)
        return
    names = [name for name in CONTENDERS if name not in options.without]
    if "faster-coco-eval" in names and importlib.util.find_spec("faster_coco_eval") is None:
        names.remove("faster-coco-eval")
    problem = made_up(options.detections)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"{len(problem.images)} images, {len(problem.truths)} objects, {len(problem.detections)} detections")
    compare_times(names, problem, options.repeats)
    if sys.platform == "linux":
        compare_memory(names, options.detections)


if __name__ == "__main__":
    main()
