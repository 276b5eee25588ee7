"""Detections of any detector as their files have them, and which image and class of the ground truth each is of.

Images go by id, else by the name of their file, never by both in one file: COCO's results name the id, many programs
write the name of the image file instead, with or without its folder and suffix, or the number that the name is (`12`
for `000012.jpg`). Classes go by COCO's category id, by name, or by a class number counted from 0 or from 1. Ids that
are one off give a number that looks merely bad: such files are refused, with what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np

from yolo.arrays import Float64, Int64
from yolo.errors import DataError, printable, shown
from yolo.formats.issues import ReadReport
from yolo.formats.json_records import types_of
from yolo.formats.paths import split_lines
from yolo.formats.values import number, plain_id, shown_id

DetectionFormat = Literal["gridyolo", "coco", "comp4", "yolo"]
Key = int | str

_PLAIN = frozenset({int, str, bytes})
_SEVERAL = -2
_NUM_COLUMNS = 6
_LONGEST_LINE = 4096  # bytes; a longer line is not a detection
_SHOWN = 100  # characters of a bad line that a message quotes


@dataclass(frozen=True, slots=True, eq=False)
class RawDetections:
    """K detections, in the order of their files.

    `boxes` are left, top, width, height in pixels (COCO), corners in pixels (comp4, gridyolo), or corners in fractions
    of the image (YOLO); anything, NaN included.
    """

    format: DetectionFormat
    boxes: Float64  # (K, 4)
    scores: Float64  # (K,)
    images: Sequence[Any]  # names of images
    image_codes: Int64  # (K,) place in `images`
    classes: Sequence[Any]  # names or numbers of classes
    class_codes: Int64  # (K,) place in `classes`
    place: Callable[[int], str]  # where the detection of a row stands, for messages


class _Codes(dict[Any, int]):
    def __missing__(self, key: Any) -> int:
        code = self[key] = len(self)
        return code


class Vocabulary:
    """The different values of a long column that comes part by part, so that each is looked up once."""

    def __init__(self) -> None:
        self._codes = _Codes()

    @property
    def values(self) -> list[Any]:
        """The different values, in the order of their first rows."""
        return list(self._codes)

    def add(self, values: Sequence[Any]) -> Int64:
        """The place of each value in `values`; 1.0 is 1, but `true` is not."""
        if not types_of(values) <= _PLAIN:
            values = [_key(value) for value in values]
        return np.fromiter(map(self._codes.__getitem__, values), np.int64, len(values))


class Unusable(str):
    """Stands for a value that cannot be a name."""

    __slots__ = ()


def _key(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if type(value) is float and (found := plain_id(value)) is not None:
        return found
    return Unusable(shown_id(value))


def as_table(parts: Iterable[Float64], columns: int) -> Float64:
    """(K, columns) float64 of parts with any number of rows."""
    return np.concatenate([np.zeros((0, columns)), *(part.reshape(-1, columns) for part in parts)])


class ResultLines(NamedTuple):
    """The K lines of a text file of detections that are not empty, in their order."""

    firsts: list[bytes]  # K first columns: an image or a class
    numbers: Float64  # (K, 5) the others
    line_numbers: Int64  # (K,) from 1


def read_result_lines(path: Path, layout: str, *, hint: str) -> ResultLines:
    """Read a file whose lines have six columns, of which all but the first are numbers.

    Args:
        path: of the file.
        layout: what the columns are, for messages.
        hint: what a wrong number of columns may come from.

    Raises:
        DataError: it cannot be read; or the first line that is not such a line, with what to do.
    """
    rows = [[] if _is_comment(row) else row for row in split_lines(path)]
    fields = list(chain.from_iterable(rows))
    firsts = fields[::_NUM_COLUMNS]
    del fields[::_NUM_COLUMNS]
    # float() allows underscores between digits, other programs do not
    odd = any(b"_" in field for field in fields) or max(map(len, firsts), default=0) > _LONGEST_LINE
    if not odd and set(map(len, rows)) <= {0, _NUM_COLUMNS}:
        try:
            numbers = np.fromiter(map(float, fields), np.float64, len(fields)).reshape(-1, _NUM_COLUMNS - 1)
        except ValueError:
            pass  # the message follows
        else:
            return ResultLines(firsts, numbers, np.flatnonzero(np.fromiter(map(len, rows), np.int64, len(rows))) + 1)
    raise DataError(f"{printable(path)}, {_first_fault(rows, layout, hint)}")


def _is_comment(row: Sequence[bytes]) -> bool:
    """Whether a line begins with `#` and is not a detection; the name of an image may begin so, too."""
    if not (row and row[0].startswith(b"#")):
        return False
    return len(row) != _NUM_COLUMNS or None in [number(field) for field in row[1:]]


def _first_fault(rows: Sequence[Sequence[bytes]], layout: str, hint: str) -> str:
    """The first line that is not a detection, and what to say of it."""
    for line, fields in enumerate(rows, start=1):
        if sum(map(len, fields)) > _LONGEST_LINE:
            return f"line {line}: is too long for {layout}; is this a detection file?"
        if len(fields) not in (0, _NUM_COLUMNS):
            columns = f"{len(fields)} columns instead of {_NUM_COLUMNS}"
            return f"line {line}: has {columns}, {layout}; correct or remove the line; {hint}"
        if None in [number(field) for field in fields[1:]]:
            text = b" ".join(fields).decode("utf-8", "replace")[:_SHOWN]
            return f"line {line}: {text!r} is not {layout} in numbers; correct or remove the line"
    raise AssertionError("every line is a detection")


class KnownImages(NamedTuple):
    """The images of the ground truth: n ids, and n names of their files (ids again where they have none)."""

    image_ids: Sequence[str]
    file_names: Sequence[str]

    def by_id(self) -> dict[Key, int]:
        """The place of each image by its id, as text and, where it is a plain number, as number."""
        places: dict[Key, int] = {_with_slashes(image_id): place for place, image_id in enumerate(self.image_ids)}
        for image_id, place in list(places.items()):
            if (number := plain_id(image_id)) is not None:
                places[number] = place
        return places

    def by_name(self) -> Mapping[Key, int]:
        """The place of each image by its file: path, name, without suffix, as number; -2 where it is not one image."""
        places: dict[Key, int] = {}
        for place, (file_name, image_id) in enumerate(zip(self.file_names, self.image_ids, strict=True)):
            text = _with_slashes(file_name)
            name = PurePosixPath(text)
            own: set[Key] = {text, text.removesuffix(name.suffix), name.name, name.stem} if file_name else set()
            if not image_id.removeprefix("-").isdecimal():
                own.add(_with_slashes(image_id))
            if name.stem.isascii() and name.stem.isdigit() and len(name.stem) <= 20:
                own.add(int(name.stem))
            for key in own:
                if places.setdefault(key, place) != place:
                    places[key] = _SEVERAL
        return places


def _with_slashes(key: Any) -> Any:
    """A name with the folders of Windows written as everywhere else; numbers as they are."""
    return key.replace("\\", "/") if isinstance(key, str) else key


def match_images(
    keys: Iterable[Any], images: KnownImages, report: ReadReport, *, path: object, named: bool = False
) -> dict[Any, int]:
    """The place of the image for each key that detections name it by; unknown ones are left out.

    Args:
        keys: the different ones; those that are neither whole numbers nor text are unknown.
        images: of the ground truth.
        report: gets a warning where file names were taken for ids.
        path: of the detections, for messages.
        named: the format names images by their files, so that there is nothing to warn of.

    Raises:
        DataError: a name belongs to several images, or no key belongs to any.
    """
    keys = [key for key in keys if type(key) in (int, str)]
    ids = images.by_id()
    found = {key: ids[plain] for key in keys if (plain := _with_slashes(key)) in ids}
    if len(found) < len(keys):
        names = images.by_name()
        by_name = {key: names[plain] for key in keys if (plain := _with_slashes(key)) in names}
        if len(by_name) > len(found):
            several = next((key for key in by_name if by_name[key] == _SEVERAL), None)
            if several is not None:
                raise DataError(
                    f"{printable(str(path))}: {shown(several)} is the name of several images of the ground truth; "
                    "name images by their id, or with their folder"
                )
            text = "an image is named by its file instead of its id: it is taken for the image with that file"
            if not named:
                report.warn("matched_by_name", text, shown(next(iter(by_name))), count=len(by_name))
            found = by_name
    if keys and not found:
        own = ", ".join(map(shown, images.image_ids[:3]))
        raise DataError(
            f"{printable(str(path))}: no detection is on an image of the ground truth; these are of images such "
            f"as {', '.join(map(shown, keys[:3]))}, the ground truth has {own}; use the files of the same set of images"
        )
    return found


def match_classes(
    keys: Iterable[Any],
    class_names: Sequence[str],
    category_ids: Sequence[int] | None,
    report: ReadReport,
    *,
    path: object,
) -> dict[Any, int]:
    """The label of each category id, or class name, of COCO results; unknown ones are left out.

    Raises:
        DataError: the ids are those of another numbering, or none is known.
    """
    keys = [key for key in keys if type(key) in (int, str)]
    stated = {number for key in keys if type(number := plain_id(key)) is int}
    names = {name: label for label, name in enumerate(class_names)}
    if category_ids is not None:
        labels = {category_id: label for label, category_id in enumerate(category_ids)}
        _refuse_other_numbering(stated, labels, path)
    else:
        labels = _counted({key for key in stated if str(key) not in names}, len(class_names), report)
    found = {}
    for key in keys:
        label = names.get(key) if key in names else labels.get(plain_id(key))  # type: ignore[arg-type]
        if label is not None:
            found[key] = label
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


def _counted(stated: set[int], num_classes: int, report: ReadReport) -> dict[int, int]:
    """Labels of category ids where the ground truth has none: class numbers from 1, or from 0 where there is a 0."""
    first = 0 if 0 in stated and num_classes not in stated else 1
    if stated:
        sure = first == 0 or num_classes in stated
        report.warn(
            "category_ids_counted",
            f"the ground truth has no category ids: category_id is taken as the class number counted from {first}"
            + ("" if sure else ", as COCO counts; if the detector counts from 0, every class is one off"),
        )
    return {number + first: number for number in range(num_classes)}


def _check_some_known(keys: list[Any], found: dict[Any, int], known: list[int], path: object) -> None:
    if keys and not found:
        raise DataError(
            f"{printable(str(path))}: no detection is of a class of the ground truth; they have "
            f"{', '.join(map(shown, keys[:3]))}, the ground truth {', '.join(map(shown, known[:3]))}; "
            "use the files of the same set of classes"
        )
