"""What a JSON, CSV, XML or other file beside images is, by its content, and what to do with one that is not read.

Nothing is guessed from names alone: every tool calls its file something else. Left out: reading the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from yolo.errors import DataError, printable, shown
from yolo.formats.csv import first_line, is_box_csv, load_csv
from yolo.formats.detections_json import is_detections_json
from yolo.formats.json_records import json_type, parse_json, read_json_bytes
from yolo.formats.label_studio import is_label_table
from yolo.formats.paths import SourceFormat, is_file, read_text
from yolo.formats.via import is_via_table
from yolo.formats.xml_root import xml_root

# A larger JSON is taken for COCO without a look: nothing else grows so large, and it is parsed only once so.
_LARGEST_LOOKED_AT = 64 * 2**20
_HEADER_LINES = 20  # VIA marks its header as a comment, and may have others before it
_COCO = "export COCO or Pascal VOC from the tool that made it"
_CONVERT = f"is not read; {_COCO}"
# of files that are not even opened
_CLOSED: Final[Mapping[str, str]] = {
    ".xlsx": "is an Excel table: save it as CSV with the columns image, class, xmin, ymin, xmax, ymax",
    ".xls": "is an Excel table: save it as CSV with the columns image, class, xmin, ymin, xmax, ymax",
    ".ods": "is a table: save it as CSV with the columns image, class, xmin, ymin, xmax, ymax",
    ".parquet": "is a Parquet table: write it as CSV with the columns image, class, xmin, ymin, xmax, ymax",
    ".tfrecord": f"is a TFRecord file, which is not read; {_COCO}",
    ".record": f"is a TFRecord file, which is not read; {_COCO}",
    ".ndjson": f"is a stream of JSON records, which is not read; {_COCO}",
    ".manifest": f"is a manifest of SageMaker, which is not read; {_COCO}",
    ".mat": f"is a file of MATLAB, which is not read; {_COCO}",
}
ANNOTATION_SUFFIXES: Final = frozenset({".json", ".jsonl", ".csv", ".tsv", ".xml", *_CLOSED})


class FileKind(NamedTuple):
    """What a file is."""

    format: SourceFormat | None  # what reads it; None where nothing does
    message: str = ""  # where nothing does: a sentence without subject, what it is and what to do
    harmless: bool = False  # it belongs beside annotations and has none


_RESULTS = (
    "these are detections (COCO results), not ground truth: gridyolo report --detections reads them; "
    "were the two files swapped?"
)
_WITHOUT_BOXES = frozenset({"categories", "info", "images", "licenses"})
_NOTHING = FileKind(None, "", harmless=True)


def with_path(path: Path, message: str) -> str:
    """A message about a file with its path in front."""
    return f"{printable(path)}{', ' if message.startswith('line ') else ': '}{message}"


def kind_of_file(path: Path) -> FileKind:
    """What a file is; a damaged one is described, with the line."""
    suffix = path.suffix.lower()
    if suffix in _CLOSED:
        return FileKind(None, _CLOSED[suffix])
    try:
        if suffix in (".csv", ".tsv"):
            return _kind_of_table(path)
        if suffix == ".xml":
            return _kind_of_xml(path)
        if suffix in (".json", ".jsonl"):
            return _kind_of_json(path)
    except DataError as error:
        return FileKind(None, str(error).removeprefix(printable(path)).lstrip(": ,"))
    return FileKind(None, "is not a kind of annotation file that is known")


def _kind_of_table(path: Path) -> FileKind:
    if is_box_csv(path):
        return FileKind("csv")
    text = read_text(path)
    line, header = first_line(text)
    if is_label_table(header):
        return FileKind("labelstudio")
    if any(map(is_via_table, text.split("\n", _HEADER_LINES)[:_HEADER_LINES])):
        return FileKind("via")
    if not header.strip():
        return FileKind(None, "is empty")
    if "score" in header.lower().replace(";", ",").split(","):
        return FileKind(None, f"line {line}: is {shown(header)}: these look like detections, not annotations")
    load_csv(path)  # says what is wrong
    return FileKind("csv")


def _kind_of_xml(path: Path) -> FileKind:
    root = xml_root(path)
    if root.tag == "annotation":
        return FileKind("voc")
    if root.tag == "annotations" and root.find("image") is not None:
        return FileKind("cvat")
    if root.tag == "annotations" and root.find("track") is not None:
        remedy = 'export the task as "CVAT for images 1.1", "COCO 1.0" or "Ultralytics YOLO Detection 1.0", with images'
        return FileKind(None, f"is CVAT for video, whose frames are not image files; {remedy}")
    if root.tag == "dataset" and root.find("images/image") is not None:
        return FileKind(None, f"is XML of dlib's imglab, which is not read; {_COCO}, or write CSV")
    return FileKind(
        None, f"is XML with the root <{printable(root.tag[:60])}>, which is not a known kind of annotation; {_COCO}"
    )


def _kind_of_json(path: Path) -> FileKind:
    if is_file(path) and path.stat().st_size > _LARGEST_LOOKED_AT:
        return FileKind("coco")
    if is_detections_json(path):
        return FileKind(None, "these are detections of gridyolo predict: gridyolo report --detections reads them")
    if path.suffix.lower() == ".jsonl":
        return FileKind(None, f"is a stream of JSON records, which {_CONVERT}")
    content = parse_json(read_json_bytes(path), path)
    if isinstance(content, list):
        return _kind_of_list(content)
    if isinstance(content, dict):
        return _kind_of_object(content)
    return FileKind(None, f"is a JSON {json_type(content)}, not an annotation file")


def _kind_of_list(content: list[Any]) -> FileKind:
    first = next((element for element in content if isinstance(element, dict)), None)
    if first is None:
        return FileKind(None, "is a JSON array without objects, not an annotation file")
    annotations = first.get("annotations")
    if "image_id" in first and "score" in first:
        return FileKind(None, _RESULTS)
    if isinstance(first.get("data"), dict) and {"annotations", "completions", "predictions"} & first.keys():
        return FileKind("labelstudio")
    if isinstance(annotations, list) and {"image", "imagefilename"} & first.keys():
        return FileKind("createml")
    if {"annotation_id", "annotator", "lead_time"} & first.keys() or _has_label_studio_boxes(first):
        return FileKind("labelstudio")
    if "labels" in first and "name" in first:
        return FileKind(None, f"looks like Scalabel or BDD100K, which {_CONVERT}")
    if {"Labeled Data", "data_row"} & first.keys():
        return FileKind(None, f"is an export of Labelbox, which {_CONVERT}")
    return FileKind(
        None, f"is a JSON array of objects with the keys {_keys(first)}, which is not a known layout; {_COCO}"
    )


def _has_label_studio_boxes(task: Mapping[str, Any]) -> bool:
    parts = [value for value in task.values() if isinstance(value, list)]
    return any(isinstance(one, dict) and "original_width" in one for part in parts for one in part[:1])


def _kind_of_object(content: Mapping[str, Any]) -> FileKind:
    for fits, kind in _OBJECTS:
        if fits(content):
            return kind
    return FileKind(None, f"is a JSON object with the keys {_keys(content)}, which is not a known layout; {_COCO}")


def _is_via(content: Mapping[str, Any]) -> bool:
    entries = content.get("_via_img_metadata", content)
    values = list(entries.values()) if isinstance(entries, dict) else []
    return bool(values) and isinstance(values[0], dict) and {"filename", "regions"} <= values[0].keys()


def _is_coco(content: Mapping[str, Any]) -> bool:
    return {"images", "annotations"} <= content.keys() or {"annotations", "categories"} <= content.keys()


_OBJECTS: Final[tuple[tuple[Callable[[Mapping[str, Any]], bool], FileKind], ...]] = (
    (_is_coco, FileKind("coco")),
    (lambda content: {"shapes", "imagePath"} <= content.keys(), FileKind("labelme")),
    (_is_via, FileKind("via")),
    (lambda content: "_via_img_metadata" in content, FileKind(None, "is a project of VIA without any image")),
    (
        lambda content: {"project", "metadata", "file"} <= content.keys(),
        FileKind(None, "is a project of VIA 3, which is not read; export it as COCO"),
    ),
    # what a COCO test set, Label Studio (notes.json) and FiftyOne put beside annotations
    (lambda content: "categories" in content and content.keys() <= _WITHOUT_BOXES, _NOTHING),
    (lambda content: "dataset_type" in content or "default_classes" in content, _NOTHING),
    (
        lambda content: {"classes", "labels"} <= content.keys() or "samples" in content,
        FileKind(None, "is an export of FiftyOne that is not read; export a COCODetectionDataset or YOLOv5Dataset"),
    ),
    (
        lambda content: {"items", "categories"} <= content.keys(),
        FileKind(None, 'is Datumaro\'s format, which is not read; export "COCO 1.0" or "YOLO 1.1"'),
    ),
    (
        lambda content: {"objects", "size"} <= content.keys(),
        FileKind(None, "is Supervisely's format, which is not read; export it as COCO or Pascal VOC"),
    ),
)


def _keys(content: Mapping[str, Any]) -> str:
    names = [printable(str(key))[:40] for key in list(content)[:6]]
    return (", ".join(names) or "none") + (", ..." if len(content) > 6 else "")
