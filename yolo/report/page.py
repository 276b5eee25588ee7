"""What every page is made with: what it says beside numbers, its templates, styles and scripts, and harmless text.

All text that comes from outside is made printable and escaped. Scripts read their data from a JSON block and write it
with textContent only; a content security policy forbids the page to load anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from yolo._version import __version__
from yolo.detection_sets import ImageTable
from yolo.errors import printable, printable_text
from yolo.evaluation.examples import Example
from yolo.formats.issues import InputWarning
from yolo.report.history import TrainingHistory
from yolo.report.text import NO_NUMBER, exact, p_value, rate, share, signed

PROTOCOL_NOTES: Final = (
    "mAP and AR are COCO's: IoU 0.5 to 0.95, 101 recall points, the best 100 detections of each class and image; "
    "crowd regions and difficult objects need not be found, and detections on them do not count as wrong.",
    "Precision, recall and F1 hold at IoU 0.5 and one score threshold, at which the mean F1 of the classes is highest.",
)


class CasePicture(NamedTuple):
    """A picture for a page."""

    source: str  # data URI of a JPEG
    width: int  # pixels
    height: int  # pixels
    alt: str  # what it shows, for those who cannot see it
    caption: str  # the same, shorter; names as they are


@dataclass(frozen=True, slots=True)
class ReportContext:
    """Everything on a page that is not a number of the analysis or of the comparison."""

    title: str  # such as "val of runs/train on blood"
    command: str  # as typed
    data_summary: tuple[str, ...] = ()  # lines for people: what was read, fixed, dropped
    warnings: tuple[InputWarning, ...] = ()  # about the input files; they stand on top
    configuration: dict[str, Any] = field(default_factory=dict)  # shown as a table
    environment: dict[str, str] = field(default_factory=dict)  # name -> version and the like
    protocol_notes: tuple[str, ...] = PROTOCOL_NOTES  # how the numbers were measured, a line each
    seconds_per_stage: dict[str, float] | None = None  # in all; None where nothing was timed
    voc: dict[str, Any] | None = None  # `VocResult.to_dict()`, where VOC's protocol was asked for
    # draws a case, None where it cannot; None where there are no images at hand
    pictures: Callable[[Example], CasePicture | None] | None = None
    history: TrainingHistory | None = None  # of the training, where this is its report
    first_batch: CasePicture | None = None  # what the network saw first


def render(template: str, values: dict[str, Any]) -> str:
    """A page made of a template of this folder.

    Templates can use `asset("page.css")`, a file of this folder as it is, and the filters `rate` (0.412), `signed`
    (+0.412), `share` (41 %), `count` (12,345), `places` (0.41), `exact` (all digits, for data-value and title) and
    `name` (text from outside, isolated from the direction of what is around it).
    """
    return make_environment().get_template(template).render(values, version=__version__)


def make_environment() -> Environment:
    """Jinja2 with the templates of this folder, see `render`; whatever text they put out is printable."""
    environment = Environment(
        autoescape=True,
        finalize=_fit,
        undefined=StrictUndefined,
        loader=FunctionLoader(_read),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.globals.update(
        asset=lambda file_name: Markup(_read(file_name)),
        p_value=p_value,
        no_number=NO_NUMBER,
        no_objects="no objects of this class",
    )
    environment.filters.update(
        rate=rate,
        signed=signed,
        share=share,
        count="{:,}".format,
        places=lambda value, digits=2: f"{value:.{digits}f}",
        exact=exact,
        name=isolated,
    )
    return environment


def isolated(text: Any) -> Markup:
    """A name as it is, kept from turning the text around it to the right.

    >>> str(isolated("<b>"))
    '<bdi>&lt;b&gt;</bdi>'
    """
    return Markup("<bdi>{}</bdi>").format(printable(str(text)))


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


def _fit(value: Any) -> Any:
    return printable_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(file_name: str) -> str:
    return (resources.files("yolo.report") / file_name).read_text(encoding="utf-8")
