"""The XML of one Pascal VOC annotation: parsed safely, and its parts as values.

Entities and document types are refused, so that no file can grow or reach out. Left out: which files there are, and
what is made of them (voc.py).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING, Any

import defusedxml.ElementTree as SafeElementTree
from defusedxml.common import DefusedXmlException

from yolo.data.account import printable
from yolo.data.listing import LARGEST_LABEL_FILE, read_bytes, shown
from yolo.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_TRUE = frozenset({"1", "true", "yes"})
# What the fast parser may have: no document type in any disguise, so in plain ASCII or UTF-8.
_DANGEROUS = re.compile(rb"<!DOCTYPE|<!ENTITY|\0", re.IGNORECASE)
_OTHER_ENCODING = re.compile(rb"encoding\s*=\s*[\"'](?!utf-8[\"'])", re.IGNORECASE)
_DECLARATION = 200  # bytes, in which the encoding stands


def parse_annotation(path: Path) -> Element:
    """The root of an annotation file, or a DataError that begins with its path."""
    try:
        root = _root(read_bytes(path, limit=LARGEST_LABEL_FILE))
    except DefusedXmlException as error:
        raise DataError(
            f"{printable(path)}: declares XML entities, which are refused; an annotation has none"
        ) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        # ValueError: encodings that expat does not know
        raise DataError(f"{printable(path)}: is not well-formed XML ({error})") from error
    if root.tag != "annotation":
        raise DataError(f"{printable(path)}: is not a VOC annotation, its root is <{root.tag[:60]}>")
    return root


def _root(data: bytes) -> Element:
    """The parser that refuses entities is written in Python and ten times slower: it gets what may have some."""
    if _DANGEROUS.search(data) or _OTHER_ENCODING.search(data[:_DECLARATION]):
        root: Element = SafeElementTree.fromstring(data)
        return root
    return ElementTree.fromstring(data)


def corners_of(item: Element) -> tuple[float, float, float, float] | None:
    """xmin, ymin, xmax, ymax as written."""
    try:
        xmin, ymin, xmax, ymax = (_number(text_of(item, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return xmin, ymin, xmax, ymax


def _number(text: str) -> float:
    if "_" in text:  # Python reads 1_0 as 10
        raise ValueError(text)
    return float(text)


def stated_size(annotation: Element) -> tuple[Any, Any]:
    """Height and width as `<size>` has them: numbers where they are whole, else text; None where there is none."""
    height, width = (text_of(annotation, f"size/{key}") for key in ("height", "width"))
    return _whole(height), _whole(width)


def _whole(text: str) -> int | str | None:
    digits = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if digits else (shown(text) if text else None)


def name_of(item: Element) -> str:
    """The class of an object, empty where there is none."""
    return printable(text_of(item, "name"))


def is_set(item: Element, key: str) -> bool:
    """Whether a flag of an object is set."""
    return text_of(item, key).lower() in _TRUE


def text_of(element: Element, path: str) -> str:
    """The text at a path below an element without surrounding spaces, empty where there is none."""
    return (element.findtext(path) or "").strip()
