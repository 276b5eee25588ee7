"""How often the intervals of the bootstrap hold the true value, on simulated test sets whose truth is known.

    python tools/interval_coverage.py [--sets 150] [--images 150] [--replicates 200]

All sets are drawn from one world: images with four objects on average, a detector that finds most of them with boxes a
little off, takes some for another class, and sees some where there are none. The true value of a number is its mean
over all sets. Beside the intervals that gridyolo reports, which are moved so that the mean of the replicates is the
number, stand the plain percentiles.
"""

import argparse

import numpy as np

from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.bootstrap import centred, percentile_interval
from yolo.evaluation.matching import AREA_RANGES, match
from yolo.evaluation.replicates import class_replicates, draw_weights, mean_over_classes
from yolo.evaluation.summary import summarise

NUMBERS = ("map_50_95", "map_50", "f1")
OBJECTS_PER_IMAGE = 4
LEVEL = 0.95


def simulate(num_images: int, num_classes: int, seed: int) -> EvaluationData:
    generator = np.random.default_rng(seed)
    per_image = generator.poisson(OBJECTS_PER_IMAGE, num_images)
    image = np.repeat(np.arange(num_images), per_image)
    count = len(image)
    labels = generator.integers(0, num_classes, count)
    boxes = np.concatenate((generator.uniform(0, 500, (count, 2)), generator.uniform(30, 120, (count, 2))), axis=1)

    found = generator.random(count) < 0.8
    taken_for = np.where(generator.random(count) < 0.1, generator.integers(0, num_classes, count), labels)
    near = boxes + generator.normal(0, 0.1, boxes.shape) * boxes[:, [2, 3, 2, 3]]
    strangers = boxes[generator.permutation(count)]
    detections = DetectionSet.from_xywh(
        np.concatenate((near[found], strangers)),
        np.concatenate((generator.beta(5, 2, int(found.sum())), generator.beta(1, 4, count))),
        np.concatenate((taken_for[found], generator.integers(0, num_classes, count))),
        np.concatenate((image[found], image)),
    )
    names = tuple(f"class {index}" for index in range(num_classes))
    images = ImageTable.of_ids([str(index) for index in range(num_images)])
    return EvaluationData(images, names, TruthSet.from_xywh(boxes, labels, image), detections)


def measure(num_classes: int, options: argparse.Namespace) -> None:
    values: dict[str, list[float]] = {name: [] for name in NUMBERS}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in NUMBERS}
    for seed in range(options.sets):
        problem = simulate(options.images, num_classes, seed)
        result = summarise(problem)
        weights = draw_weights(options.images, replicates=options.replicates, seed=seed)
        matches = match(problem, area_ranges={"all": AREA_RANGES["all"]})
        replicates = class_replicates(matches, weights, score_threshold=result.score_threshold)
        for name in NUMBERS:
            values[name].append(getattr(result, name))
            drawn[name].append(mean_over_classes(replicates[name]))
    for name in NUMBERS:
        truth = np.mean(values[name])
        held = {"plain": 0, "moved": 0}
        for value, own in zip(values[name], drawn[name], strict=True):
            for kind, replicates in (("plain", own), ("moved", centred(own, value))):
                low, high = percentile_interval(replicates, LEVEL, bounds=(0.0, 1.0))
                held[kind] += low <= truth <= high
        shares = ", ".join(f"{kind} {count / options.sets:.1%}" for kind, count in held.items())
        print(f"{num_classes:3} classes  {name:<10} true {truth:.3f}  intervals that hold it: {shares}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=150)
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--replicates", type=int, default=200)
    options = parser.parse_args()
    for num_classes in (3, 20):
        measure(num_classes, options)


if __name__ == "__main__":
    main()
