"""What to fix first: rules that turn the numbers of an analysis into an ordered list of advice.

Each rule is a function that gives at most one piece of advice for each thing it looks at, and `make_advice` puts them
in order: what makes the numbers themselves doubtful; then errors, weak classes and label errors by what they cost; then
other weaknesses; then what is merely uncertain. The thresholds of the rules are the constants below; they are
judgements, not statistics.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from yolo.arrays import Float64
from yolo.console import counted
from yolo.evaluation.analysis import Analysis
from yolo.evaluation.calibration import SHOWN_SCORE
from yolo.evaluation.errors import ERROR_KINDS
from yolo.evaluation.result import ClassResult, EvaluationResult
from yolo.formats.issues import InputWarning
from yolo.report.text import (
    ERROR_TEXT,
    LABEL_ERROR_TEXT,
    isolated_text,
    score_bias,
    share,
    temperature_advice,
)

MAX_ERROR_KINDS: Final = 3
MIN_COST: Final = 0.01  # of mAP@0.5; cheaper kinds of errors are not mentioned
MIN_CONFUSED: Final = 5  # objects, and
MIN_CONFUSED_SHARE: Final = 0.1  # of the class, before a pair of classes is mentioned
WEAK_CLASS: Final = 0.6  # of the mean over classes; below it a class is weak
WEAK_SIZE: Final = 0.6  # of the best size; below it a size is weak
MIN_SIZE_SHARE: Final = 0.05  # of all objects; rarer sizes are not judged
FEW_INSTANCES: Final = 20
FEW_IMAGES: Final = 50
WIDE_INTERVAL: Final = 0.3  # from low to high, of an AP
MUCH_ECE: Final = 0.05  # of the detections that people get to see, and
MIN_CALIBRATED: Final = 100  # such detections, before scores are judged
HARDLY_LEARNED: Final = 0.05  # mAP@0.5 below which errors, classes and labels say nothing of what to fix
TOO_GOOD: Final = 0.99  # mAP@0.5:0.95 from which on somebody should look for a mistake
MAX_LABEL_ERRORS: Final = 200  # the evaluation looks for no more, so that there may be more
MAX_NAMES: Final = 4
MAX_PAIRS: Final = 3
MAX_CLASSES_HIT: Final = 3

# warnings about files that leave every number as good as it is
HARMLESS_WARNINGS: Final = frozenset(
    {
        "beyond_detection_limit",
        "matched_by_name",
        "nameless_class",
        "nameless_classes",
        "dataset_note",
        "picture_missing",
    }
)
# `_nothing_to_measure` says the same with more detail
_EXPLAINED_WARNINGS: Final = frozenset({"no_detections", "no_objects"})
# the kind of error that a wrong label shows up as
_ERROR_OF_LABEL_ERROR: Final = {
    "not_annotated": "background",
    "wrong_class": "class",
    "inexact_box": "location",
    "no_object": "missed",
}


@dataclass(frozen=True, slots=True)
class Confusion:
    """Objects of one class that were detected as another."""

    annotated: str  # class name
    detected: str  # class name
    count: int  # objects
    objects: int  # of the annotated class, found or not: the sum of its row

    @property
    def share(self) -> float:
        """Of the objects of the annotated class."""
        return self.count / self.objects


def most_confused(result: EvaluationResult) -> list[Confusion]:
    """Pairs of different classes, the most frequent first, of equal ones the largest share; without the background."""
    matrix, names = result.confusion_matrix, result.class_names
    objects = matrix.sum(axis=1).tolist()
    pairs = [
        Confusion(names[row], names[column], int(matrix[row, column]), objects[row])
        for row, column in np.argwhere(matrix[:-1, :-1]).tolist()
        if row != column
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share))


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do."""

    level: str  # "error" (numbers are doubtful), "warning" (worth fixing), "note" or "good"
    title: str  # what is the matter, a short sentence
    text: str  # with the numbers, and what to do
    anchor: str  # the section of the report that shows it


_Costly = tuple[float, Advice]  # with the mAP@0.5 that is lost or at stake


def make_advice(analysis: Analysis, warnings: Sequence[InputWarning] = ()) -> tuple[Advice, ...]:
    """All advice, the most urgent first; never empty."""
    doubts, nothing = _doubtful_input(warnings), _nothing_to_measure(analysis)
    if nothing:
        return (doubts, nothing) if doubts else (nothing,)
    if analysis.result.map_50 < HARDLY_LEARNED:
        few = _few_images(analysis.result.num_images)
        return tuple(item for item in (doubts, _hardly_learned(analysis), few) if item)
    costly = [*_costly_errors(analysis), *_weak_classes(analysis), *_label_errors(analysis)]
    costly.sort(key=lambda pair: -pair[0])
    urgent = [
        doubts,
        *(advice for cost, advice in costly if cost >= MIN_COST),
        _confused_pair(analysis.result),
        _weak_size(analysis),
        *(advice for cost, advice in costly if cost < MIN_COST),
    ]
    notes = [
        _miscalibration(analysis),
        _few_images(analysis.result.num_images),
        _uncertain_classes(analysis),
        _classes_without_objects(analysis.result),
    ]
    first = [item for item in urgent if item] or [_nothing_stands_out(analysis)]
    return (*first, *(item for item in notes if item))


def _doubtful_input(warnings: Sequence[InputWarning]) -> Advice | None:
    grave = [one for one in warnings if one.kind not in HARMLESS_WARNINGS | _EXPLAINED_WARNINGS]
    if not grave:
        return None
    # a file that is read wrongly as a whole is worse than any number of lines left out
    worst = max(grave, key=lambda one: ("_look" in one.kind or "_fit_as" in one.kind, one.count))
    text = _capital(worst.message) + "." * (not worst.message.endswith((".", "!", "?")))
    if worst.count > 1:
        text += f" This happened {worst.count:,} times."
    if len(grave) == 2:
        text += " There is one more warning."
    elif len(grave) > 2:
        text += f" There are {len(grave) - 1} more warnings."
    return Advice("error", "Look at the input files before you trust a number.", text, "warnings")


def _nothing_to_measure(analysis: Analysis) -> Advice | None:
    if not analysis.result.num_objects:
        text = (
            "No object is annotated that a detector could be asked to find, so there is no precision or recall. Check "
            "that the annotations belong to these images."
        )
        return Advice("error", "There are no objects to be found.", text, "data")
    if not len(analysis.matches.problem.detections):
        text = (
            "Every number is 0 or undefined. After a short training this may be normal: train longer. Of a detections "
            "file check the score threshold it was written with, and the names of the images."
        )
        return Advice("error", "The detector found nothing at all.", text, "data")
    return None


def _hardly_learned(analysis: Analysis) -> Advice:
    text = (
        f"mAP@0.5 is {analysis.result.map_50:.3f}. Errors, classes and labels below say little as long as that is so. "
        "After a short training this is normal: train longer. Otherwise look at the "
        "pictures, and check that class names and boxes mean the same in the annotations and in the detections."
    )
    return Advice("warning", "Hardly anything is detected correctly.", text, "gallery")


def _costly_errors(analysis: Analysis) -> Iterator[_Costly]:
    errors = analysis.errors
    costs = {kind: errors.ap_cost[kind] for kind in ERROR_KINDS if errors.ap_cost[kind] >= MIN_COST}
    for kind in sorted(costs, key=lambda name: -costs[name])[:MAX_ERROR_KINDS]:
        described = ERROR_TEXT[kind]
        classes = _hit_hardest(errors.class_ap_cost[kind], analysis.result.per_class)
        at = "" if math.isnan(errors.score_threshold) else f" at the score threshold {errors.score_threshold:.3f}"
        where = f" Hit hardest: {classes}." if classes else ""
        number = counted(errors.counts[kind], described.one, described.many)
        title = f"{described.problem}: this costs {costs[kind]:.3f} of mAP@0.5."
        yield costs[kind], Advice("warning", title, f"{number}{at}.{where} {described.action}", "errors")


def _hit_hardest(costs: Float64, classes: Sequence[ClassResult]) -> str:
    """The classes in which a kind costs the most AP, of those with enough objects; empty where there is no choice."""
    enough = np.array([one.instances >= FEW_INSTANCES for one in classes])
    known = np.where(enough, np.nan_to_num(costs, nan=0.0), 0.0)
    if np.count_nonzero(known > 0) < 2:
        return ""
    ranked = np.argsort(-known, kind="stable")[:MAX_CLASSES_HIT].tolist()
    return _list([f"{isolated_text(classes[place].name)} ({known[place]:.3f})" for place in ranked if known[place] > 0])


def _confused_pair(result: EvaluationResult) -> Advice | None:
    pairs = [pair for pair in most_confused(result) if pair.count >= MIN_CONFUSED and pair.share >= MIN_CONFUSED_SHARE][
        :MAX_PAIRS
    ]
    if not pairs:
        return None
    listed = [
        f"{isolated_text(pair.annotated)} as {isolated_text(pair.detected)} ({pair.count:,} of {pair.objects:,})"
        for pair in pairs
    ]
    title = f"{isolated_text(pairs[0].annotated)} is taken for {isolated_text(pairs[0].detected)}."
    text = f"Taken for another class: {_list(listed)}. {ERROR_TEXT['class'].action}"
    return Advice("warning", title, text, "confusion")


def _weak_classes(analysis: Analysis) -> Iterator[_Costly]:
    result = analysis.result
    known = [one for one in result.per_class if one.instances]
    weak = [one for one in known if one.instances >= FEW_INSTANCES and one.ap_50_95 < WEAK_CLASS * result.map_50_95]
    others = [one.ap_50 for one in known if one not in weak]
    if not weak or not others:
        return
    weak.sort(key=lambda one: one.ap_50_95)
    usual = float(np.mean(others))
    lost = sum(max(usual - one.ap_50, 0.0) for one in weak) / len(known)
    listed = _list([f"{isolated_text(one.name)} ({one.ap_50_95:.3f}, {one.instances:,} objects)" for one in weak])
    alone = len(weak) == 1
    which = f"The class {isolated_text(weak[0].name)} is" if alone else f"{len(weak)} classes are"
    text = (
        f"AP@0.5:0.95 is far below the mean of {result.map_50_95:.3f}: {listed}. If "
        f"{'it' if alone else 'they'} matched the other classes, mAP@0.5 would rise by {lost:.3f}. First look at the "
        "labels; then add more, and more varied, training images."
    )
    yield lost, Advice("warning", f"{which} much weaker than the others.", text, "classes")


def _weak_size(analysis: Analysis) -> Advice | None:
    bins = [item for one in analysis.breakdowns if one.name == "size" for item in one.bins]
    objects = sum(item.instances for item in bins)
    usual = [item for item in bins if item.instances >= MIN_SIZE_SHARE * objects and not math.isnan(item.ap_50_95)]
    if len(usual) < 2:
        return None
    worst, best = min(usual, key=lambda item: item.ap_50_95), max(usual, key=lambda item: item.ap_50_95)
    if worst.ap_50_95 >= WEAK_SIZE * best.ap_50_95:
        return None
    action = (
        "A larger input size, or cutting images into tiles, is what usually helps."
        if bins.index(worst) < bins.index(best)
        else "Check that there are enough such objects in the training images."
    )
    rare = [f"{_bare(item.label)} ({item.instances:,})" for item in bins if item.instances and item not in usual]
    left_out = f" Too few to judge: {_list(rare)}." if rare else ""
    text = (
        f"AP@0.5:0.95 is {worst.ap_50_95:.3f}, against {best.ap_50_95:.3f} for {_bare(best.label)} objects; "
        f"{share(worst.recall)} of {worst.instances:,} are found. They are "
        f"{share(worst.instances / objects)} of all objects.{left_out} {action}"
    )
    return Advice("warning", f"{_capital(_bare(worst.label))} objects are the weakest.", text, "breakdowns")


def _label_errors(analysis: Analysis) -> Iterator[_Costly]:
    """With the part of the cost of errors that would be theirs if the detector were right about all of them."""
    errors, number = analysis.errors, len(analysis.label_errors)
    if not number:
        return
    kinds = Counter(case.kind for case in analysis.label_errors)
    stake = 0.0
    for kind, error in _ERROR_OF_LABEL_ERROR.items():
        cost = errors.ap_cost[error]
        if cost > 0:  # NaN is no cost
            stake += cost * min(kinds[kind] / max(errors.counts[error], 1), 1.0)
    listed = [counted(kinds[kind], text.one, text.many) for kind, text in LABEL_ERROR_TEXT.items() if kinds[kind]]
    text = (
        f"{_list(listed)}. If the detector were right about all of them, some {stake:.3f} of mAP@0.5 would be lost to "
        "labels. It will be wrong about many: look at the pictures from the top, correct the labels that are wrong, "
        "and evaluate again. errors.csv lists all."
    )
    title = f"{counted(number, 'label is', 'labels are')} worth a look."
    if number >= MAX_LABEL_ERRORS:
        title = f"The {number} labels most likely to be wrong are worth a look."
    yield stake, Advice("warning", title, text, "labels")


def _miscalibration(analysis: Analysis) -> Advice | None:
    found = analysis.calibration
    if not found.ece_shown >= MUCH_ECE or found.num_shown < MIN_CALIBRATED:  # NaN is no reason
        return None
    bias = score_bias(found)
    title = f"Scores are too {bias}." if bias else "Scores do not say how likely a detection is to be correct."
    text = (
        f"Scores differ from precision by {found.ece_shown:.3f} on average, where the score is {SHOWN_SCORE} or more. "
        f"The order of detections, and so AP, does not suffer, but do not read a score as a probability."
        f"{temperature_advice(found)}"
    )
    return Advice("note", title, text, "calibration")


def _few_images(number: int) -> Advice | None:
    if number >= FEW_IMAGES:
        return None
    text = (
        "Every number may be quite different on other images, and intervals from so few are too narrow. Measure on "
        f"at least {FEW_IMAGES} images before you decide anything."
    )
    return Advice("note", f"Only {counted(number, 'image was', 'images were')} measured.", text, "numbers")


def _uncertain_classes(analysis: Analysis) -> Advice | None:
    shaky = [one for one, wide in zip(analysis.result.per_class, uncertain_classes(analysis), strict=True) if wide]
    if not shaky:
        return None
    shaky.sort(key=lambda one: one.instances)
    listed = _list([f"{isolated_text(one.name)} ({one.instances:,})" for one in shaky])
    text = (
        f"The numbers of these classes could be quite different on other images, by chance alone: {listed}. "
        "Do not decide by them; annotate more validation images that show them."
    )
    title = f"{counted(len(shaky), 'class is', 'classes are')} measured on too few objects."
    return Advice("note", title, text, "classes")


def _classes_without_objects(result: EvaluationResult) -> Advice | None:
    empty = [isolated_text(one.name) for one in result.per_class if not one.instances]
    if not empty:
        return None
    text = f"{_list(empty)}: no such object is in these images, so detections of them are excluded from all means."
    return Advice("note", f"{counted(len(empty), 'class is', 'classes are')} not measured.", text, "classes")


def _nothing_stands_out(analysis: Analysis) -> Advice:
    highest = np.nan_to_num(list(analysis.errors.ap_cost.values())).max(initial=0.0)
    text = (
        "No kind of error, class or size stands out. The costliest kind of error costs "
        f"{float(highest):.3f} of mAP@0.5."
    )
    if analysis.result.map_50_95 >= TOO_GOOD:
        text += (
            " Such a result is rare: make sure that the detections are not a copy of the annotations, and that no "
            "image was trained on."
        )
    return Advice("good", "Nothing stands out.", text, "errors")


def uncertain_classes(analysis: Analysis) -> list[bool]:
    """For each class, whether its AP has too few objects, or too wide an interval, to decide anything by."""
    wide = [False] * len(analysis.result.per_class)
    if analysis.intervals is not None:
        wide = [high - low > WIDE_INTERVAL for low, high in analysis.intervals.class_ap_50_95]
    return [
        one.instances > 0 and (one.instances < FEW_INSTANCES or far)
        for one, far in zip(analysis.result.per_class, wide, strict=True)
    ]


def _list(texts: Sequence[str]) -> str:
    """The first few texts with commas and an "and".

    >>> _list(["a", "b", "c"]), _list(["a"]), _list(["a", "b", "c", "d", "e", "f"])
    ('a, b and c', 'a', 'a, b, c, d and 2 more')
    """
    shown = [*texts[:MAX_NAMES], *[f"{len(texts) - MAX_NAMES} more"][: len(texts) > MAX_NAMES]]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _bare(label: str) -> str:
    """A bin's label without what is in brackets."""
    return label.split(" (")[0]
