"""For the tests of reports: the analysis of a made-up problem, and a context with everything in it."""

from __future__ import annotations

import numpy as np

from yolo.detection_sets import DetectionSet, EvaluationData, ImageTable, TruthSet
from yolo.evaluation.analysis import Analysis, analyse
from yolo.evaluation.examples import Example
from yolo.formats.issues import InputWarning
from yolo.report.page import CasePicture, ReportContext

# the smallest GIF there is
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
PICTURE = CasePicture(PIXEL, 320, 240, alt='a "cat" & <dog>', caption="image <b>1</b>")
HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "=cmd|' /C calc'!A0",
    "كرسي متحرك",
    "🐈 & ünï|code`_*",
    "</script><b>bold",
    "{{ 7 * 7 }}",
    "\u202egnp.exe",
    "never annotated",
)


def make_problem(names: tuple[str, ...], *, num_images: int, per_image: int = 7, seed: int = 0) -> EvaluationData:
    """Objects, and detections that hit, miss, double and confuse them; the last class has no objects."""
    generator = np.random.default_rng(seed)
    num_classes, count = len(names), num_images * per_image
    labels = (generator.beta(0.7, 1.6, count) * (num_classes - 1)).astype(np.int64)
    image_index = np.sort(generator.integers(0, num_images, count))
    sizes = np.exp(generator.normal(4.2, 0.9, (count, 2))).clip(8, 400)
    corners = generator.uniform(0, 1, (count, 2)) * (np.array([640, 480]) - sizes).clip(1)
    boxes = np.concatenate((corners, corners + sizes), axis=1)
    truths = TruthSet.from_xyxy(boxes, labels, image_index)
    skill = np.linspace(0.95, 0.45, num_classes)[labels]
    found = np.flatnonzero(generator.uniform(size=count) < skill)
    again = generator.choice(found, count // 12)
    of_truth = np.concatenate((found, again))
    noise = generator.normal(0, 0.08, (len(of_truth), 4)) * np.tile(sizes[of_truth], 2)
    wrong = generator.uniform(size=len(of_truth)) < 0.08
    found_labels = np.where(wrong, (labels[of_truth] + 1) % num_classes, labels[of_truth])
    background = count // 2
    corners = generator.uniform(0, 400, (background, 2))
    stray = np.concatenate((corners, corners + generator.uniform(15, 120, (background, 2))), axis=1)
    detections = DetectionSet.from_xyxy(
        np.concatenate((boxes[of_truth] + noise, stray)),
        np.concatenate((generator.beta(4, 2, len(of_truth)), generator.beta(1.2, 4, background))),
        np.concatenate((found_labels, generator.integers(0, num_classes, background))),
        np.concatenate((image_index[of_truth], generator.integers(0, num_images, background))),
    )
    ids = [f"{place:06d}" for place in range(num_images)]
    paths = [f"images/{image_id}.jpg" for image_id in ids]
    images = ImageTable(ids, paths, np.tile(np.array([[480, 640]], np.int32), (num_images, 1)))
    return EvaluationData(images, names, truths, detections)


def make_analysis(names: tuple[str, ...], *, num_images: int = 60) -> Analysis:
    """An analysis of `make_problem`."""
    return analyse(make_problem(names, num_images=num_images), replicates=50)


def make_picture(case: Example) -> CasePicture | None:
    """No picture of every fifth image."""
    return PICTURE if case.image % 5 else None


def make_context(title: str = "val of runs/train on blood") -> ReportContext:
    """A context with a warning that has examples, and values of several types."""
    return ReportContext(
        title=title,
        command="gridyolo val --weights best.safetensors --data 'my <data>.yaml'",
        data_summary=("val: 60 images read.", "3 objects fixed."),
        warnings=(
            InputWarning("unknown_image", 12, "detections for images without ground truth", ("<i>1.jpg</i>", "2.jpg")),
            InputWarning("duplicate_id", 1, "an image id that is there twice"),
        ),
        configuration={"input_size": 448, "classes": None, "scales": [0.5, float("inf")]},
        environment={"gridyolo": "0.1.0", "numpy": "2.4"},
        protocol_notes=("COCO's protocol.", "Crowds are not asked for."),
        seconds_per_stage={"load": 1.5, "inference": 6.0, "evaluation": 0.0},
        voc={
            "class_names": ["a", "b"],
            "ap_per_class": [0.25, None],
            "mean_ap": 0.25,
            "interpolation": "11-point",
            "match_iou": 0.5,
            "plus_one": True,
        },
        pictures=make_picture,
    )
