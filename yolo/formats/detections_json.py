"""detections.json, what `gridyolo predict` finds: one object with a header and an entry for each image.

    {"format": "gridyolo-detections", "version": 1, "class_names": [...], ..., "images": [
    {"source": "a.jpg", "picture": "a.jpg", "width": 640, "height": 480, "detections": [
        {"class": "dog", "label": 0, "score": 0.87, "box": [x1, y1, x2, y2]}, ...]},
    {"source": "b.jpg", "error": "b.jpg: the file is empty"}
    ]}

detections.jsonl, for streams, has the header without `images` in its first line and an entry in each line after it. The
page docs/predict.md lists all keys. Boxes are xyxy in pixels of the image. Scores and boxes are float32, written with
the fewest digits that bring every bit back, so that reading them gives the numbers that the detector gave. Keys that a
reader does not know are ignored. A stream that was cut off in its last line is read up to that line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from yolo.arrays import Float64, Int64
from yolo.errors import DataError, printable, shown
from yolo.formats.issues import ReadReport
from yolo.formats.json_records import boxes, column, numbers, parse_json, read_json_bytes
from yolo.formats.results import RawDetections, Vocabulary
from yolo.growing_file import GrowingFile
from yolo.structures import Detections

FORMAT: Final = "gridyolo-detections"
VERSION: Final = 1
JSON_NAME: Final = "detections.json"
LINES_NAME: Final = "detections.jsonl"

_START = re.compile(rb'\s*\{\s*"format"\s*:\s*"' + FORMAT.encode() + rb'"')
_FIRST_BYTES = 4096
_LAST_KEY = '"images":['
_EXPECTED = "expected what gridyolo predict writes; write it again, or copy it again"


class DetectionsWriter:
    """Writes detections.json, or detections.jsonl where the path ends so.

    Args:
        path: file to write.
        header: further keys of the header, of JSON's own types.

    Raises:
        SaveError: the file could not be written; what it had stays valid.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        text = _json({"format": FORMAT, "version": VERSION, **header})
        if path.suffix == ".jsonl":
            self._file = GrowingFile(path, head=text + "\n", tail="")
            self._end = "\n"
        else:
            self._file = GrowingFile(path, head=f"{text[:-1]},{_LAST_KEY}\n", separator=",\n", tail="\n]}\n")
            self._end = ""

    def add(self, entry: Mapping[str, Any]) -> None:
        """Append the entry of an image, see `entry_of`."""
        self._file.add(_json(entry) + self._end)

    def close(self) -> None:
        """Close the file; it is complete already."""
        self._file.close()


def entry_of(
    found: Detections,
    class_names: Sequence[str],
    *,
    category_ids: Sequence[int] | None = None,
    track_ids: Sequence[int] | None = None,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The entry of an image.

    Args:
        found: in pixels of the image.
        class_names: what the labels mean.
        category_ids: id of each class in the COCO dataset that the detector learned, if it did.
        track_ids: of each detection, -1 for none; None where nothing is tracked.
        about: `source` and whatever else is known of the image; stands before the size.
    """
    height, width = found.size_hw
    rows = zip(_float32(found.boxes), _float32(found.scores), found.labels.tolist(), strict=True)
    detections = [
        {
            "class": printable(class_names[label]),
            "label": label,
            **({"category_id": int(category_ids[label])} if category_ids else {}),
            **({"track_id": track_ids[place]} if track_ids is not None and track_ids[place] >= 0 else {}),
            "score": score,
            "box": box,
        }
        for place, (box, score, label) in enumerate(rows)
    ]
    return {**about, "width": width, "height": height, "detections": detections}


def _float32(values: Any) -> Any:
    return np.ascontiguousarray(values.detach().cpu().numpy(), np.float32)


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


class DetectionsContent(NamedTuple):
    """What is in a file."""

    header: Mapping[str, Any]
    entries: list[Mapping[str, Any]]  # of images, in their order
    cut_off: bool  # the last line of a stream is not complete


def is_detections_json(path: Path) -> bool:
    """Whether a file begins as detections.json and detections.jsonl do; False for what cannot be read."""
    try:
        with path.open("rb") as file:
            return _START.match(file.read(_FIRST_BYTES)) is not None
    except (OSError, ValueError):
        return False


def load_detections(path: Path) -> DetectionsContent:
    """Read a file.

    Raises:
        DataError: it cannot be read, is not of this format, or was written by a later version.
    """
    data, place = read_json_bytes(path), printable(path)
    if path.suffix == ".jsonl":
        content, cut_off = _read_lines(data.split(b"\n"), path)
    else:
        content, cut_off = parse_json(data, path), False
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{place}: does not begin with the format {FORMAT!r}; {_EXPECTED}")
    version = content.get("version")
    if type(version) is not int or version > VERSION:
        raise DataError(
            f"{place}: has the version {shown(version)}, and this gridyolo reads {VERSION}; update gridyolo"
        )
    entries = content.pop("images", None)
    if not isinstance(entries, list):
        raise DataError(f"{place}: has no list 'images'; {_EXPECTED}")
    for number, entry in enumerate(entries):
        is_image = isinstance(entry, dict) and isinstance(entry.get("source"), str | None)
        if not is_image or not (isinstance(entry.get("detections"), list) or "error" in entry):
            raise DataError(f"{place}: image {number} is {shown(entry)}, expected source and detections, or an error")
    return DetectionsContent(content, entries, cut_off)


def _read_lines(lines: Sequence[bytes], path: Path) -> tuple[Any, bool]:
    """Header and entries of JSON lines as one object, and whether the last line is incomplete."""
    found: list[Any] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            if found and number == len(lines):
                return {**_header(found[0]), "images": found[1:]}, True
            raise DataError(f"{printable(path)}, line {number}: is not JSON ({error}); remove the line") from error
    return {**_header(found[0]), "images": found[1:]}, False


def _header(value: Any) -> Any:
    return value if isinstance(value, dict) else {}


def frame_name(source: str, frame: int) -> str:
    """The name of a frame as if it were an image file without suffix: `clip_000012` of clip.mp4.

    >>> frame_name("videos/clip.mp4", 12)
    'videos/clip_000012'
    """
    folder, slash, name = source.rpartition("/")
    return f"{folder}{slash}{numbered_frame(name.rpartition('.')[0] or name, frame)}"


def numbered_frame(video: str, frame: int) -> str:
    """The name of a frame of a video without suffix.

    >>> numbered_frame("clip", 12)
    'clip_000012'
    """
    return f"{video}_{frame:06d}"


def read_detections_json(path: Path, report: ReadReport) -> RawDetections:
    """Read a file for an evaluation.

    Args:
        path: detections.json or detections.jsonl.
        report: gets images that could not be read, and a cut off end.

    Returns:
        `images` are the sources of all images that could be read, also of those without detections; frames have the
        name of `frame_name`. `boxes` are corners in pixels.

    Raises:
        DataError: it is not such a file, has a detection without box, score or class, or has an image twice.
    """
    return raw_detections(load_detections(path), path, report)


def raw_detections(content: DetectionsContent, path: Path, report: ReadReport) -> RawDetections:
    """The detections of a file that was read by `load_detections`; see `read_detections_json`."""
    if content.cut_off:
        report.warn("cut_off", "the last line is not complete: it is left out", printable(path))
    failed = [str(entry.get("source")) for entry in content.entries if "error" in entry]
    if failed:
        text = "an image could not be read when the detector ran: it counts as an image without detections"
        report.warn("image_unreadable", text, *map(printable, failed[:5]), count=len(failed))
    good = [entry for entry in content.entries if "error" not in entry]
    names = list(map(_name_of, good))
    images = Vocabulary()
    codes = images.add(names)
    if len(images.values) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise DataError(f"{printable(path)}: has the image {shown(twice)} twice; keep one of them")
    counts = [len(entry["detections"]) for entry in good]
    image_codes = np.repeat(codes, counts)
    starts = np.cumsum([0, *counts])
    records = [one if isinstance(one, dict) else {} for entry in good for one in entry["detections"]]

    def place(row: int) -> str:
        image = int(np.searchsorted(starts, row, side="right")) - 1
        return f"image {shown(names[image])}, detection {row - starts[image]}"

    found, scores = _columns(records, path, place)
    classes = Vocabulary()
    class_codes: Int64 = classes.add(column(records, "class"))
    return RawDetections(
        format="gridyolo",
        boxes=found,
        scores=scores,
        images=images.values,
        image_codes=image_codes,
        classes=classes.values,
        class_codes=class_codes,
        place=place,
    )


def _name_of(entry: Mapping[str, Any]) -> str:
    source, frame = entry.get("source") or "", entry.get("frame")
    return frame_name(source, frame) if type(frame) is int else source


def _columns(records: Sequence[Mapping[str, Any]], path: Path, place: Callable[[int], str]) -> tuple[Float64, Float64]:
    """(K, 4) boxes and (K,) scores, rounded to the float32 that they were."""
    stated_boxes, stated_scores = column(records, "box"), column(records, "score")
    (found, good_boxes), (scores, good_scores) = boxes(stated_boxes), numbers(stated_scores)
    for key, stated, good, expected in (
        ("box", stated_boxes, good_boxes, "[x1, y1, x2, y2]"),
        ("score", stated_scores, good_scores, "a number"),
    ):
        if not good.all():
            row = int(np.flatnonzero(~good)[0])
            message = f"{key} is {shown(stated[row])}, expected {expected}; correct or remove it"
            raise DataError(f"{printable(path)}: {place(row)}: {message}")
    with np.errstate(over="ignore"):
        return found.astype(np.float32).astype(np.float64), scores.astype(np.float32).astype(np.float64)
