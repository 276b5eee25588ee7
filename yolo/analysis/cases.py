"""Single detections and objects worth looking at: the worst errors, and labels that are probably wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to look at.

    Attributes:
        kind: of the worst errors a name of `ERROR_KINDS`; of suspicious labels "not_annotated", "wrong_class",
            "inexact_box" or "no_object".
        image: place in the image table.
        detection: place in the detections of the matched problem, -1 where it is about an object alone.
        truth: place in the objects, -1 where it is about a detection alone.
        score: by which cases of a kind are ranked, the highest first: the score of the detection, or how sure it is
            that the label is wrong, 0..1.
        iou: between detection and object, 0 where one is missing.
        message: one sentence for people, names as they are.
    """

    kind: str
    image: int
    detection: int
    truth: int
    score: float
    iou: float
    message: str
