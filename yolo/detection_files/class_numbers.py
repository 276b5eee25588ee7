"""Which class a detection is of: by COCO's category id, or by a class number counted from 0 or from 1.

Ids that are one off give a number that looks merely bad: such files are refused, with what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from yolo.detection_files.remarks import Remarks
from yolo.detection_files.truth_files import GroundTruthFiles
from yolo.errors import DataError, printable
from yolo.formats.paths import shown


def match_category_ids(
    keys: Iterable[Any], truth: GroundTruthFiles, remarks: Remarks, *, path: object
) -> dict[Any, int]:
    """The label of each category id, or class name, of COCO results; unknown ones are left out.

    Raises:
        DataError: the ids are those of another numbering, or none is known.
    """
    keys = [key for key in keys if type(key) in (int, str)]
    stated = {key for key in keys if type(key) is int}
    if truth.category_ids is not None:
        labels = {category_id: label for label, category_id in enumerate(truth.category_ids)}
        _refuse_other_numbering(stated, labels, path)
    else:
        labels = _counted(stated, len(truth.class_names), remarks)
    names = {name: label for label, name in enumerate(truth.class_names)}
    found = {key: labels[key] if type(key) is int else names[key] for key in keys if key in labels or key in names}
    _check_some_known(keys, found, list(labels), path)
    return found


def match_class_numbers(numbers: Iterable[int], num_classes: int, *, path: object) -> dict[int, int]:
    """The label of each class number of YOLO files, counted from 0; unknown ones are left out.

    Raises:
        DataError: the numbers are counted from 1, or none is known.
    """
    numbers = set(numbers)
    labels = {number: number for number in range(num_classes)}
    _refuse_other_numbering(numbers, labels, path, what="class number")
    found = {number: number for number in numbers if number in labels}
    _check_some_known(sorted(numbers), found, list(labels), path)
    return found


def _refuse_other_numbering(
    stated: set[int], known: dict[int, int], path: object, *, what: str = "category id"
) -> None:
    if stated <= known.keys() or not known:
        return
    place = printable(str(path))
    for shift in (1, -1):
        if {number + shift for number in stated} <= known.keys():
            raise DataError(
                f"{place}: the {what}s are one off: the detections have {min(stated)} to {max(stated)}, the "
                f"ground truth {min(known)} to {max(known)}; {'add 1 to' if shift > 0 else 'subtract 1 from'} the "
                f"{what} of each detection"
            )
    first = min(stated)
    numbered = set(range(first, first + len(known)))
    if first in (0, 1) and stated <= numbered and len(known) < max(known) - min(known) + 1:
        raise DataError(
            f"{place}: the category ids {min(stated)} to {max(stated)} look like class numbers counted from {first}, "
            f"but the ids of the ground truth have gaps ({len(known)} ids, {min(known)} to {max(known)}); write the "
            "ground truth's id of the class into category_id"
        )


def _counted(stated: set[int], num_classes: int, remarks: Remarks) -> dict[int, int]:
    """Labels of category ids where the ground truth has none: class numbers from 1, or from 0 where there is a 0."""
    first = 0 if 0 in stated and num_classes not in stated else 1
    if stated:
        sure = first == 0 or num_classes in stated
        remarks.add(
            "category_ids_counted",
            f"the ground truth has no category ids: category_id is taken as the class number counted from {first}"
            + ("" if sure else ", as COCO counts; if the detector counts from 0, every class is one off"),
        )
    return {number + first: number for number in range(num_classes)}


def _check_some_known(keys: list[Any], found: dict[Any, int], known: list[int], path: object) -> None:
    if keys and not found:
        raise DataError(
            f"{printable(str(path))}: not one detection is of a class of the ground truth; they have "
            f"{', '.join(map(shown, keys[:3]))}, the ground truth {', '.join(map(shown, known[:3]))}; "
            "use the files of the same set of classes"
        )
