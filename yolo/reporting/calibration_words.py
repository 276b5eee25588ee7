"""Calibration in words: whether scores promise too much, and what would mend it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from yolo.analysis.calibration import SHOWN_SCORE, Calibration

ONE_SIDED: Final = 0.5  # share of the error of scores that goes one way, from where on it is named
WORTH_SOFTENING: Final = 0.8  # of the error that a temperature may leave, to be worth telling
SMALL_ECE: Final = 0.02  # below it nothing is said about the direction


def calibration_words(found: Calibration) -> str:
    """What calibration means here, in plain words."""
    if math.isnan(found.ece):
        return found.note or "There is nothing to measure."
    off = f"Score and truth differ by {found.ece:.3f} on average, over {found.num_detections:,} detections"
    shown = (
        ""
        if math.isnan(found.ece_shown)
        else f"; by {found.ece_shown:.3f} over the {found.num_shown:,} that score {SHOWN_SCORE} or more"
    )
    way = ""
    if found.ece_shown >= SMALL_ECE:
        way = {
            "high": " There scores are too high: fewer detections are right than they promise.",
            "low": " There scores are too low: more detections are right than they promise.",
        }.get(score_bias(found), "")
    return f"{off}{shown}.{way}{cure(found)} {found.note}".strip()


def score_bias(found: Calibration) -> str:
    """Whether scores that people get to see are too "high", too "low", or "" where neither says most of the error."""
    shown = (found.edges[:-1] >= SHOWN_SCORE) & (found.counts > 0)
    if not shown.any():
        return ""
    gaps, counts = (found.mean_score - found.precision)[shown], found.counts[shown]
    all_gaps = float(np.abs(gaps) @ counts)
    part = float(gaps @ counts) / all_gaps if all_gaps else 0.0
    return "high" if part > ONE_SIDED else "low" if part < -ONE_SIDED else ""


def cure(found: Calibration) -> str:
    """What a temperature would do, as a sentence with a space before it; empty where it would not help."""
    if not found.ece_after < WORTH_SOFTENING * found.ece:
        return ""
    return (
        f" Dividing the logits by a temperature of {found.temperature:.2f} brings the error over all detections from "
        f"{found.ece:.3f} to {found.ece_after:.3f}."
    )
