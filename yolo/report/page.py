"""What every page is made with: templates and scripts of this folder, inlined, and names that cannot do harm.

All text that comes from outside is escaped by Jinja2. Scripts read their data from a JSON block and write it with
textContent only; a content security policy forbids the page to load anything.
"""

from __future__ import annotations

import json
import math
import re
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from yolo.detection_sets import ImageTable
from yolo.errors import printable

NO_NUMBER: Final = "–"
NO_OBJECTS: Final = "no objects of this class"

# of JSON within HTML: what could end the script block, and the line ends of older JavaScript
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def make_environment() -> Environment:
    """Jinja2 with the templates of this folder.

    Templates can use `asset("page.css")`, a file of this folder as it is; `json_block(value)`, JSON for a script
    element; and the filters `rate` (0.412), `share` (41 %), `count` (12,345), `name` (text of a stranger, isolated
    from the direction of what is around it) and `exact` (all digits, for data-value and title).
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(_read),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(asset=asset, json_block=json_block, no_number=NO_NUMBER, no_objects=NO_OBJECTS)
    environment.filters.update(
        rate=rate, share=share, count=count, name=isolated, exact=exact, printable=printable, places=places
    )
    return environment


def asset(file_name: str) -> Markup:
    """A style sheet or script of this folder, as it is."""
    return Markup(_read(file_name))


def json_block(value: Any) -> Markup:
    r"""JSON that can stand inside a script element, whatever texts are in it.

    >>> str(json_block({"name": "</script>"}))
    '{"name":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in _UNSAFE.items():
        text = text.replace(character, escape)
    return Markup(text)


def rate(value: float | None) -> str:
    """Three decimals, a dash where there is nothing to measure.

    >>> rate(0.41249), rate(float("nan"))
    ('0.412', '–')
    """
    return NO_NUMBER if value is None or not math.isfinite(value) else f"{value:.3f}"


def share(value: float) -> str:
    """Per cent for people.

    >>> share(0.416), share(0.0004), share(float("nan"))
    ('42 %', '0.04 %', '–')
    """
    if not math.isfinite(value):
        return NO_NUMBER
    return f"{100 * value:.0f} %" if value == 0 or abs(value) >= 0.1 else f"{100 * value:.2g} %"


def count(value: int) -> str:
    """With separators of thousands.

    >>> count(36335)
    '36,335'
    """
    return f"{value:,}"


def places(value: float, digits: int = 2) -> str:
    """So many decimals, for the geometry of drawings.

    >>> places(1 / 3)
    '0.33'
    """
    return f"{value:.{digits}f}"


def exact(value: float) -> str:
    """All digits; empty where there is nothing to measure.

    >>> exact(0.1), exact(float("nan")), exact(7)
    ('0.1', '', '7')
    """
    return repr(value) if math.isfinite(value) else ""


def isolated(text: str) -> Markup:
    """A name as it is, kept from turning the text around it to the right.

    >>> str(isolated("<b>"))
    '<bdi>&lt;b&gt;</bdi>'
    """
    return Markup("<bdi>{}</bdi>").format(printable(text))


def image_name(images: ImageTable, place: int) -> str:
    """What people call an image: its file, and its id where that says something else.

    >>> import numpy as np
    >>> table = ImageTable(["17", "dog", "a/cat"], ["x/000017b.jpg", "y/dog.png", ""], np.zeros((3, 2), np.int32))
    >>> [image_name(table, place) for place in range(3)]
    ['000017b.jpg (image 17)', 'dog.png', 'image a/cat']
    """
    image_id, file_name = images.image_ids[place], re.split(r"[\\/]", images.paths[place])[-1]
    if not file_name:
        return f"image {image_id}"
    return file_name if image_id in (file_name, file_name.rpartition(".")[0]) else f"{file_name} (image {image_id})"


def _read(file_name: str) -> str:
    return (resources.files("yolo.report") / file_name).read_text(encoding="utf-8")
