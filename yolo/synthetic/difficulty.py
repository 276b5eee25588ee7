"""What makes a synthetic scene easy or hard: how many things, how small, how much hidden, how bad the photograph."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Difficulty = Literal["easy", "normal", "hard"]


class Look(NamedTuple):
    """The numbers behind a difficulty; pairs are the least and the most.

    Attributes:
        background_share: of the images, without any object.
        objects: that are laid on an image, if there is room for them.
        clutter: things without a label.
        sizes: of the patch of an object, in shorter sides of the image; the object is 0.67..0.95 of it.
        min_visible: of an object's silhouette; with less of it to be seen it is laid elsewhere.
        min_apart: between the centres of two boxes, in shorter sides: a grid cell has room for few objects, and a cell
            with two at the same place teaches nothing.
        exposure: brightness of the photograph; 1 is right.
        blurred_share: of the photographs.
        blur: standard deviation, in pixels of an image whose shorter side is 320.
        noisy_share: of the photographs.
        noise: the largest standard deviation, in grey values.
    """

    background_share: float
    objects: tuple[int, int]
    clutter: tuple[int, int]
    sizes: tuple[float, float]
    min_visible: float
    min_apart: float
    exposure: tuple[float, float]
    blurred_share: float
    blur: tuple[float, float]
    noisy_share: float
    noise: float


LOOKS: Mapping[Difficulty, Look] = MappingProxyType(
    {
        "easy": Look(
            background_share=0.02,
            objects=(1, 3),
            clutter=(0, 1),
            sizes=(0.38, 0.6),
            min_visible=0.9,
            min_apart=0.2,
            exposure=(0.9, 1.08),
            blurred_share=0.0,
            blur=(0.4, 0.4),
            noisy_share=0.3,
            noise=3.0,
        ),
        "normal": Look(
            background_share=0.05,
            objects=(2, 7),
            clutter=(0, 4),
            sizes=(0.26, 0.56),
            min_visible=0.5,
            min_apart=0.1,
            exposure=(0.7, 1.12),
            blurred_share=0.3,
            blur=(0.4, 1.1),
            noisy_share=0.6,
            noise=7.0,
        ),
        "hard": Look(
            background_share=0.08,
            objects=(4, 16),
            clutter=(3, 10),
            sizes=(0.09, 0.45),
            min_visible=0.35,
            min_apart=0.05,
            exposure=(0.35, 1.25),
            blurred_share=0.5,
            blur=(0.5, 1.7),
            noisy_share=0.8,
            noise=20.0,
        ),
    }
)
