"""Text that XML can hold: what all XML formats have in common."""

from __future__ import annotations

import re

from yolo.errors import printable

# What XML 1.0 has no place for, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def can_be_xml(text: str) -> bool:
    r"""Whether XML can hold a text.

    >>> can_be_xml("a & b"), can_be_xml("a\x01")
    (True, False)
    """
    return _NOT_XML.search(text) is None


def xml_text(text: str) -> str:
    r"""A name that XML can hold, not escaped yet; `?` for what it cannot.

    >>> xml_text("a\uffff & b")
    'a? & b'
    """
    return _NOT_XML.sub("?", printable(text))
