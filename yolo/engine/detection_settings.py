"""Which detections a detector keeps: its own settings, what the user gives, and thresholds by class.

A detector keeps what reaches one score threshold, or one for each class from a validation: `auto` takes what the
validation in training counted, which the weights file holds; a metrics.json, from `gridyolo val`, holds the same for
weights that have none, or for images of another kind.
"""

from __future__ import annotations

import difflib
import json
import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from yolo.console import listed
from yolo.engine.detector_file import DetectorMetadata
from yolo.errors import ConfigError, DataError, printable
from yolo.files import expand_home
from yolo.postprocess.pipeline import PostprocessSettings
from yolo.postprocess.tiles import Tiling
from yolo.thresholds import ChosenThresholds, ThresholdTable

AUTO = "auto"
_SHOWN = 12
# With two decimals a lower threshold would be shown as 0.00 or 0.01.
_LOWEST_SHOWN = 0.01


class ChosenSettings(NamedTuple):
    """What is kept of the candidates."""

    settings: PostprocessSettings
    lines: list[str]  # what is to be said of them on the console


def choose_settings(
    metadata: DetectorMetadata,
    *,
    score_threshold: float | str | None,
    iou_threshold: float | None = None,
    max_detections: int | None = None,
    min_precision: float | None = None,
    min_recall: float | None = None,
    classes: Sequence[str | int] | str | int | None = None,
    class_agnostic: bool = False,
    tiling: Tiling | None = None,
) -> ChosenSettings:
    """What `predict` and a detector keep; None stands for the detector's own.

    Args:
        metadata: of the detector.
        score_threshold: a number; `auto`; the path of a metrics.json.
        iou_threshold: where None, and thresholds come from a validation, it is that of the validation: they hold for
            its suppression.
        max_detections: per image.
        min_precision: wanted of each class, in place of the best F1.
        min_recall: likewise.
        classes: that are wanted, see `chosen_labels`.
        class_agnostic: suppress what overlaps a better one of any class.
        tiling: how images are cut; None for not at all.

    Raises:
        ConfigError: `auto` of weights without thresholds; an unknown class.
        DataError: a metrics.json that cannot be used.
    """
    labels = chosen_labels(classes, metadata.class_names)
    own = replace(metadata.predict, classes=labels, class_agnostic=class_agnostic, tiling=tiling)
    own = own.changed(max_detections=max_detections)
    if not isinstance(score_threshold, str):
        return ChosenSettings(own.changed(score_threshold=score_threshold, iou_threshold=iou_threshold), [])
    table = _table(score_threshold, metadata)
    chosen, what = _choose(table, min_precision, min_recall)
    default = metadata.predict.score_threshold
    values = np.where(np.isnan(chosen.values), default, chosen.values)
    if iou_threshold is None:
        iou_threshold = metadata.val.iou_threshold
    settings = own.changed(
        # decoding wants more than its threshold, a class threshold is reached
        score_threshold=max(0.0, float(np.nextafter(np.float32(values.min()), np.float32(-1)))),
        iou_threshold=iou_threshold,
        class_thresholds=tuple(values.tolist()),
    )
    return ChosenSettings(settings, _describe(table, chosen, what, default))


def chosen_labels(
    classes: Sequence[str | int] | str | int | None, class_names: Sequence[str]
) -> tuple[int, ...] | None:
    """Labels of the classes that are wanted, in ascending order; None, for all, stays None.

    Args:
        classes: names or labels, also one alone. Text that is not a name may be a label, as on the command line.
        class_names: by label.

    Raises:
        ConfigError: an unknown class.

    >>> chosen_labels(["dog", 0], ["cat", "cow", "dog"]), chosen_labels("1", ["cat", "cow", "dog"])
    ((0, 2), (1,))
    """
    if classes is None:
        return None
    # one alone, also an integer of NumPy or torch
    is_one = isinstance(classes, str) or not isinstance(classes, Iterable) or getattr(classes, "ndim", 1) == 0
    wanted: Iterable[str | int] = [classes] if is_one else classes  # type: ignore[assignment, list-item]
    return tuple(sorted({_label_of(one, class_names) for one in wanted}))


def _label_of(wanted: str | int, class_names: Sequence[str]) -> int:
    if isinstance(wanted, str) and wanted in class_names:
        return class_names.index(wanted)
    try:
        label = operator.index(int(wanted) if isinstance(wanted, str) else wanted)
    except (TypeError, ValueError):
        label = -1
    if 0 <= label < len(class_names) and not isinstance(wanted, bool):
        return label
    same = [name for name in class_names if name.casefold() == str(wanted).casefold()]
    near = same or difflib.get_close_matches(str(wanted), class_names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise ConfigError(f"class {wanted!r} is unknown: {hint}the detector's classes are {listed(class_names, _SHOWN)}")


def _choose(
    table: ThresholdTable, min_precision: float | None, min_recall: float | None
) -> tuple[ChosenThresholds, str]:
    if min_precision is not None:
        return table.for_precision(min_precision), f"precision {min_precision:g}"
    if min_recall is not None:
        return table.for_recall(min_recall), f"recall {min_recall:g}"
    return table.best_f1(), "the best F1"


def _describe(table: ThresholdTable, chosen: ChosenThresholds, what: str, default: float) -> list[str]:
    pairs = list(zip(table.class_names, chosen.values.tolist(), strict=True))
    known = [f"{name} {value:.2f}" for name, value in pairs if math.isfinite(value) and value >= _LOWEST_SHOWN]
    low = [name for name, value in pairs if value < _LOWEST_SHOWN]
    nothing = [name for name, value in pairs if math.isinf(value)]
    unknown = [name for name, value in pairs if value != value]
    lines = [f"score thresholds for {what} in validation: {listed(known, _SHOWN)}"] if known else []
    if low:
        lines.append(
            f"{listed(low, _SHOWN)}: thresholds below {_LOWEST_SHOWN:g} for {what}, so nearly every box is kept: "
            "validation hardly found any; train longer, or give a number such as --conf 0.25"
        )
    if unknown:
        lines.append(f"validation has no threshold for {listed(unknown, _SHOWN)}; using {default:g}")
    if nothing:
        lines.append(f"no useful threshold for {listed(nothing, _SHOWN)}; detections of it are hidden")
    closest = [name for name in chosen.out_of_reach if name not in nothing]
    if closest:
        lines.append(f"{listed(closest, _SHOWN)} cannot reach it; using the closest threshold")
    return lines


def _table(source: str, metadata: DetectorMetadata) -> ThresholdTable:
    """The detector's own table, or that of a metrics.json."""
    if source == AUTO:
        if metadata.thresholds is None:
            raise ConfigError(
                "--conf auto: these weights hold no thresholds, because gridyolo train has not validated them; run "
                "gridyolo val --weights ... --data ... and pass its metrics.json: --conf runs/val/metrics.json"
            )
        return metadata.thresholds
    path = expand_home(source)
    # predicting needs nothing of the evaluation but this
    from yolo.evaluation.result import EvaluationResult
    from yolo.evaluation.thresholds import threshold_table

    try:
        table = threshold_table(EvaluationResult.from_dict(json.loads(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise ConfigError(
            f"--conf {printable(path)}: is neither a number, nor auto, nor a metrics.json ({error.strerror or error})"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is not a metrics.json of gridyolo val ({type(error).__name__}: {error})") from error
    if table.class_names != metadata.class_names:
        raise DataError(
            f"{path}: is about the classes {listed(table.class_names, _SHOWN)}, "
            f"the detector's are {listed(metadata.class_names, _SHOWN)}"
        )
    return table
