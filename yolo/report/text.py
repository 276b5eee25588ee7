"""Texts that pages, advice and summaries share: names and meanings of numbers, of kinds of errors and of label errors.

Also how numbers are written, and the calibration in a few sentences. Left out: escaping for HTML (`page`) and for
Markdown (`files`).
"""

from __future__ import annotations

import math
import unicodedata
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from yolo.evaluation.calibration import SHOWN_SCORE, Calibration
from yolo.evaluation.result import rate as format_rate

NO_NUMBER: Final = "–"
ONE_SIDED: Final = 0.5  # share of the calibration error in one direction, above which the direction is named
MAX_ECE_LEFT: Final = 0.8  # share of the calibration error that a temperature may leave and still be recommended
SMALL_ECE: Final = 0.02  # below it nothing is said about the direction

_MIN_P = 0.001
_MINUS = "\u2212"
_TURNING = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI"})


class ErrorText(NamedTuple):
    """What is said about one kind of error or of label error."""

    title: str  # for a heading
    one: str  # after "1"
    many: str  # after a number
    meaning: str  # one sentence
    action: str  # what usually helps
    problem: str = ""  # of errors: what is wrong, as a sentence without its full stop


ERROR_TEXT: Final[dict[str, ErrorText]] = {
    "class": ErrorText(
        "Wrong class",
        "detection with the wrong class",
        "detections with the wrong class",
        "The box is on an object, but the class is another one.",
        "Look at the pairs of classes that are confused: check that they are annotated consistently, add examples of "
        "both, or merge classes that nobody needs to tell apart.",
        "Classes are mixed up",
    ),
    "location": ErrorText(
        "Inexact box",
        "detection with an inexact box",
        "detections with inexact boxes",
        "The class is right, but the box overlaps the object too little (IoU from 0.1 to below 0.5).",
        "Check that annotated boxes are tight and consistent; a larger input size or longer training makes boxes more "
        "exact.",
        "Boxes are inexact",
    ),
    "both": ErrorText(
        "Wrong class and inexact box",
        "detection with wrong class and inexact box",
        "detections with wrong class and inexact box",
        "The box overlaps an object of another class, and too little.",
        "These mostly go away together with wrong classes and inexact boxes.",
        "Class and box are wrong together",
    ),
    "duplicate": ErrorText(
        "Duplicate",
        "duplicate detection",
        "duplicate detections",
        "The object was found already, by a detection with a higher score.",
        "Lower the IoU threshold of non-maximum suppression, and check for objects that are annotated only once "
        "where there are two.",
        "Objects are found twice",
    ),
    "background": ErrorText(
        "Background",
        "detection where nothing is annotated",
        "detections where nothing is annotated",
        "No annotated object is near (IoU below 0.1).",
        "Look at them in the gallery: some are objects that were not annotated. For the others add images without "
        "objects that show what is mistaken for one.",
        "Things are detected where nothing is annotated",
    ),
    "missed": ErrorText(
        "Missed",
        "missed object",
        "missed objects",
        "No detection matched the object, and no wrong-class or inexact detection explains it.",
        "Look at the misses in the gallery for what they share (small, dark, cut off, rare) and add training images "
        "of that; a larger input size helps small objects.",
        "Objects are missed",
    ),
}

LABEL_ERROR_TEXT: Final[dict[str, ErrorText]] = {
    "not_annotated": ErrorText(
        "Not annotated",
        "object that seems not to be annotated",
        "objects that seem not to be annotated",
        "A detection with a high score where nothing is annotated.",
        "If it is an object, annotate it.",
    ),
    "wrong_class": ErrorText(
        "Class looks wrong",
        "label whose class looks wrong",
        "labels whose class looks wrong",
        "A detection with a high score fits the box, but has another class.",
        "If the annotation is wrong, correct the class.",
    ),
    "inexact_box": ErrorText(
        "Box looks inexact",
        "box that looks inexact",
        "boxes that look inexact",
        "A detection with a high score of the same class has another extent.",
        "If the annotation is the worse one, correct the box.",
    ),
    "no_object": ErrorText(
        "No object there",
        "label where no object seems to be",
        "labels where no object seems to be",
        "Nothing was detected at the label, at any score.",
        "If there is none, remove the label; if it can hardly be seen, mark it as difficult.",
    ),
}

HEADLINE_TEXT: Final[dict[str, tuple[str, str]]] = {
    # name of the number -> (what it is called, what it means in a few words)
    "map_50_95": ("mAP@0.5:0.95", "average precision, mean over IoU 0.5 to 0.95 and classes"),
    "map_50": ("mAP@0.5", "average precision at IoU 0.5, mean over classes"),
    "precision": ("Precision", "share of detections that are right, mean over classes"),
    "recall": ("Recall", "share of objects that are found, mean over classes"),
    "f1": ("F1", "harmonic mean of precision and recall, mean over classes"),
    "map_75": ("mAP@0.75", "average precision at IoU 0.75"),
    "map_small": ("mAP small", "objects up to 32² pixels"),
    "map_medium": ("mAP medium", "objects up to 96² pixels"),
    "map_large": ("mAP large", "larger objects"),
    "ar_1": ("AR 1", "mean recall with one detection of each class and image"),
    "ar_10": ("AR 10", "mean recall with ten detections of each class and image"),
    "ar_100": ("AR 100", "mean recall with a hundred detections of each class and image"),
    "ar_small": ("AR small", "mean recall of objects up to 32² pixels"),
    "ar_medium": ("AR medium", "mean recall of objects up to 96² pixels"),
    "ar_large": ("AR large", "mean recall of larger objects"),
}


rate = partial(format_rate, missing=NO_NUMBER)  # 0.41249 as 0.412


def isolated_text(text: str) -> str:
    """A name that cannot turn the direction of the sentence around it: in Unicode isolates where it could.

    >>> isolated_text("dog"), isolated_text("\u202edog")
    ('dog', '\u2068\u202edog\u2069')
    """
    turns = any(unicodedata.bidirectional(character) in _TURNING for character in text)
    return f"\u2068{text}\u2069" if turns else text


def share(value: float) -> str:
    """Per cent for people.

    >>> share(0.416), share(0.0004), share(float("nan"))
    ('42 %', '0.04 %', '–')
    """
    if not math.isfinite(value):
        return NO_NUMBER
    return f"{100 * value:.0f} %" if value == 0 or abs(value) >= 0.1 else f"{100 * value:.2g} %"


def exact(value: float | None) -> str:
    """All digits; empty where there is nothing to measure.

    >>> exact(0.1), exact(float("nan")), exact(7)
    ('0.1', '', '7')
    """
    return "" if value is None or not math.isfinite(value) else repr(value)


def signed(value: float) -> str:
    """Three decimals with their sign, a dash where there is nothing to measure.

    >>> signed(0.0312), signed(-0.5), signed(-0.0001), signed(float("nan"))
    ('+0.031', '−0.500', '0.000', '–')
    """
    if not math.isfinite(value):
        return NO_NUMBER
    text = f"{abs(value):.3f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else _MINUS}{text}"


def p_value(value: float, replicates: int) -> str:
    """Three decimals; what the bootstrap cannot tell from 0 as an upper limit.

    >>> p_value(0.0312, 1000), p_value(0.0, 1000), p_value(0.004, 100), p_value(float("nan"), 10)
    ('0.031', '< 0.001', '< 0.01', '–')
    """
    if not math.isfinite(value):
        return NO_NUMBER
    smallest = max(_MIN_P, 1 / max(replicates, 1))
    return f"< {smallest:.3g}" if value < smallest else f"{value:.3f}"


def calibration_text(found: Calibration) -> str:
    """What the calibration means, in plain words."""
    if math.isnan(found.ece):
        return found.note or "There is nothing to measure."
    text = f"Score and truth differ by {found.ece:.3f} on average, over {found.num_detections:,} detections"
    if not math.isnan(found.ece_shown):
        text += f"; by {found.ece_shown:.3f} over the {found.num_shown:,} that score {SHOWN_SCORE} or more"
    direction = score_bias(found) if found.ece_shown >= SMALL_ECE else ""
    text += {
        "high": ". In that range scores are overconfident: fewer detections are correct than they suggest.",
        "low": ". In that range scores are underconfident: more detections are correct than they suggest.",
    }.get(direction, ".")
    return f"{text}{temperature_advice(found)} {found.note}".strip()


def score_bias(found: Calibration) -> str:
    """Whether scores that people get to see are too "high", too "low", or "" where neither says most of the error."""
    shown = (found.edges[:-1] >= SHOWN_SCORE) & (found.counts > 0)
    if not shown.any():
        return ""
    gaps, counts = (found.mean_score - found.precision)[shown], found.counts[shown]
    all_gaps = float(np.abs(gaps) @ counts)
    part = float(gaps @ counts) / all_gaps if all_gaps else 0.0
    return "high" if part > ONE_SIDED else "low" if part < -ONE_SIDED else ""


def temperature_advice(found: Calibration) -> str:
    """What a temperature would do, as a sentence with a space before it; empty where it would not help."""
    if not found.ece_after < MAX_ECE_LEFT * found.ece:
        return ""
    return (
        f" Dividing the logits by a temperature of {found.temperature:.2f} brings the error over all detections from "
        f"{found.ece:.3f} to {found.ece_after:.3f}."
    )
