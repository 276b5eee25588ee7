"""A report context for tests: everything filled, pictures of a few bytes."""

from __future__ import annotations

from yolo.evaluation.examples import Example
from yolo.formats.issues import InputWarning
from yolo.report.context import CasePicture, ReportContext

# the smallest GIF there is
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


MADE = CasePicture(PIXEL, 320, 240, alt='a "cat" & <dog>', caption="image <b>1</b>")


def make_picture(case: Example) -> CasePicture | None:
    """No picture of every fifth image."""
    return MADE if case.image % 5 else None


def make_context(title: str = "val of runs/train on blood") -> ReportContext:
    """A context with a warning that has examples, and values of several types."""
    return ReportContext(
        title=title,
        command="gridyolo val --weights best.safetensors --data 'my <data>.yaml'",
        data_account=("val: 60 images read.", "3 objects fixed."),
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
