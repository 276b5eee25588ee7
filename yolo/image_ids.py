"""How image ids are written and ordered: as integers where all of them are, as COCO has them."""

from __future__ import annotations

from collections.abc import Iterable

# longer ones would not be exact in every program that reads JSON
_LONGEST_INTEGER_ID = 15


def coco_image_ids(image_ids: Iterable[str]) -> dict[str, int | str]:
    """The `image_id` to write for each image: integers if all are plain integers, else the strings.

    pycocotools sorts images by these, which decides between equal scores.

    >>> coco_image_ids(["9", "10"])
    {'9': 9, '10': 10}
    >>> coco_image_ids(["9", "000010"])
    {'9': '9', '000010': '000010'}
    """
    image_ids = list(image_ids)
    if all(_is_plain_integer(image_id) for image_id in image_ids):
        return {image_id: int(image_id) for image_id in image_ids}
    return {image_id: image_id for image_id in image_ids}


def _is_plain_integer(text: str) -> bool:
    return text.isdecimal() and len(text) <= _LONGEST_INTEGER_ID and str(int(text)) == text
