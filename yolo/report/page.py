"""What every page is made with: templates and scripts of this folder, inlined, and text that cannot do harm.

All text that comes from outside is escaped by Jinja2. Scripts read their data from a JSON block and write it with
textContent only; a content security policy forbids the page to load anything.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from yolo.detection_sets import ImageTable
from yolo.errors import printable
from yolo.report.text import NO_NUMBER, count, exact, places, rate, share, signed

NO_OBJECTS: Final = "no objects of this class"

# of JSON within HTML: what could end the script block, and the line ends of older JavaScript
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def make_environment() -> Environment:
    """Jinja2 with the templates of this folder.

    Templates can use `asset("page.css")`, a file of this folder as it is; `json_block(value)`, JSON for a script
    element; and the filters `rate` (0.412), `signed` (+0.412), `share` (41 %), `count` (12,345), `name` (text from
    outside, isolated from the direction of what is around it) and `exact` (all digits, for data-value and title).
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
        rate=rate,
        signed=signed,
        share=share,
        count=count,
        places=places,
        exact=exact,
        name=isolated,
        printable=printable,
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
