"""What the ids in `predictions.json` mean, from the file that gridyolo writes beside it.

COCO's results name images and classes by ids alone, which other ground truth counts in another way. `val` and `train`
write `ground_truth.json` beside them, `predict` `images.json`: with these, images go by file and classes by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from yolo.errors import DataError, printable
from yolo.formats.json_records import parse_json, read_json_bytes
from yolo.formats.paths import is_file
from yolo.formats.values import plain_id

RESULTS_NAME: Final = "predictions.json"
COMPANIONS: Final = ("ground_truth.json", "images.json")


class Companion(NamedTuple):
    """Images and categories by their ids in the results."""

    path: Path
    images: Mapping[Any, Mapping[str, Any]]  # records with `file_name`, `width` and `height`
    class_names: Mapping[Any, str]


def companion_of(results: Path) -> Path | None:
    """The file that says what the ids of a results file mean; None where no such file is beside it."""
    if results.name != RESULTS_NAME:
        return None
    return next((one for name in COMPANIONS if is_file(one := results.with_name(name))), None)


def read_companion(path: Path) -> Companion:
    """Read such a file.

    Raises:
        DataError: it is not JSON, or another one.
    """
    content = parse_json(read_json_bytes(path), path)
    if not isinstance(content, dict):
        raise DataError(f"{printable(path)}: is not what gridyolo writes beside {RESULTS_NAME}; copy it again")
    images, categories = _by_id(content.get("images"), "file_name"), _by_id(content.get("categories"), "name")
    return Companion(path, images, {own: record["name"] for own, record in categories.items()})


def _by_id(records: Any, name: str) -> dict[int | str, Mapping[str, Any]]:
    """The records that have an id and a name."""
    found: dict[int | str, Mapping[str, Any]] = {}
    for record in records if isinstance(records, list) else ():
        if isinstance(record, dict) and isinstance(record.get(name), str):
            own = plain_id(record.get("id"))
            if own is not None:
                found[own] = record
    return found
