"""Parsing XML files that nobody vouches for: entities and document types are refused, so that no file can grow."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

import defusedxml.ElementTree as SafeElementTree
from defusedxml.common import DefusedXmlException

from yolo.errors import DataError, printable
from yolo.files import read_bytes

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# What the fast parser may have: no document type in any disguise, so in plain ASCII or UTF-8.
_DANGEROUS = re.compile(rb"<!DOCTYPE|<!ENTITY|\0", re.IGNORECASE)
_OTHER_ENCODING = re.compile(rb"encoding\s*=\s*[\"'](?!utf-8[\"'])", re.IGNORECASE)


def xml_root(path: Path, *, limit: int | None = None) -> Element:
    """The root of an XML file of at most `limit` bytes, or a DataError that begins with its path."""
    try:
        data = read_bytes(path, what="the annotation of one image", limit=limit)
        # the parser that refuses entities is written in Python and ten times slower: it gets what may have some
        if _DANGEROUS.search(data) or _OTHER_ENCODING.search(data):
            root: Element = SafeElementTree.fromstring(data)
            return root
        return ElementTree.fromstring(data)
    except DefusedXmlException as error:
        raise DataError(
            f"{printable(path)}: declares XML entities, which are refused; an annotation has none"
        ) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        # ValueError: encodings that expat does not know
        raise DataError(f"{printable(path)}: is not well-formed XML ({error})") from error
