"""Which image of a ground truth a path means, from wherever the detector was started.

The ground truth says `val/7.jpg` or `/data/photos/val/7.jpg`, the detections `../photos/val/7.jpg`: the name of the
file decides, and among several of that name the folders before it. A frame of a video, `clip_000012`, has no suffix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from yolo.errors import DataError, printable, shown
from yolo.formats.paths import is_image_name
from yolo.formats.results import KnownImages

_Agreement = tuple[bool, int]  # the names are equal to the suffix; how many of the folders before it are equal


def match_sources(sources: Iterable[Any], images: KnownImages, *, path: Path) -> dict[Any, int]:
    """The place of the image for each source; those that are not in the ground truth are left out.

    Args:
        sources: paths or addresses, each once; what is not text is unknown.
        images: of the ground truth.
        path: of the detections, for messages.

    Raises:
        DataError: a source may be any of several images, or several sources may be one image.
    """
    named: dict[str, list[tuple[list[str], int]]] = defaultdict(list)
    for place, (file_name, image_id) in enumerate(zip(images.file_names, images.image_ids, strict=True)):
        parts = _parts(file_name or image_id)
        named[_stem(parts[-1])].append((parts, place))
    best: dict[int, list[tuple[_Agreement, str]]] = defaultdict(list)
    for source in sources:
        if not isinstance(source, str):
            continue
        parts = _parts(source)
        ranked = sorted(((_agreement(parts, other), place) for other, place in named.get(_stem(parts[-1]), ())))
        if not ranked:
            continue
        if len(ranked) > 1 and ranked[-1][0] == ranked[-2][0]:
            raise DataError(
                f"{printable(path)}: {shown(source)} may be several images of the ground truth, such as "
                f"{shown(images.file_names[ranked[-2][1]])} and {shown(images.file_names[ranked[-1][1]])}; give the "
                "images names of their own"
            )
        best[ranked[-1][1]].append((ranked[-1][0], source))
    found: dict[Any, int] = {}
    for place, candidates in best.items():
        candidates.sort()
        if len(candidates) > 1 and candidates[-1][0] == candidates[-2][0]:
            raise DataError(
                f"{printable(path)}: has several results for the image {shown(images.file_names[place])}: "
                f"{shown(candidates[-2][1])} and {shown(candidates[-1][1])}; keep one of them"
            )
        found[candidates[-1][1]] = place
    return found


def _parts(path: str) -> list[str]:
    return printable(path).replace("\\", "/").split("/")


def _stem(name: str) -> str:
    return name.rpartition(".")[0] if is_image_name(name) else name


def _agreement(one: list[str], other: list[str]) -> _Agreement:
    """How well two paths agree, from their ends.

    >>> _agreement(["photos", "val", "7.jpg"], ["val", "7.jpg"])
    (True, 1)
    """
    count = 0
    for first, second in zip(reversed(one[:-1]), reversed(other[:-1]), strict=False):
        if first != second:
            break
        count += 1
    return one[-1] == other[-1], count
