"""A dataset in numbers: classes, image sizes, box sizes, objects per image, where they are, which come together.

Everything is counted from the flat arrays of `AnnotatedImages`, without pixels. Boxes are described by the objects
that training teaches; difficult objects and crowds are counted per class and left out of the rest. Left out: what a
grid makes of it (grid_limits.py, recommendation.py), pictures (plots.py), faults (account.py).

A dataset's numbers as tables and lines for the console. Prints nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yolo.arrays import Bool, Int64
from yolo.curate.grid_fit import GridLimits, taught_objects
from yolo.formats.objects import AnnotatedImages
from yolo.geometry import ResizeMode, plan_resizes
from yolo.structures import GroundTruth

if TYPE_CHECKING:
    from rich.table import Table


# COCO's borders between small, medium and large objects: areas in pixels².
SMALL_AREA, MEDIUM_AREA = 32.0**2, 96.0**2

_MAP_SIDE = 20
_MOST_FREQUENT = 20  # sizes and pairs of classes that are listed
_IMAGES_AT_A_TIME = 8192  # bounds the memory where there are many classes


@dataclass(frozen=True, slots=True)
class Spread:
    """How values are spread; quantiles by their per cent."""

    min: float
    q5: float
    q25: float
    median: float
    q75: float
    q95: float
    max: float
    mean: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Spread | None:
        """Of any values; None if there are none."""
        if not values.size:
            return None
        quantiles = np.quantile(values.astype(np.float64), (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)).tolist()
        return cls(*(*quantiles, float(values.mean(dtype=np.float64))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCount:
    """How often a class occurs.

    Attributes:
        name: of the class.
        objects: all of its objects.
        images: images with at least one of them.
        difficult: how many of them are difficult (VOC).
        crowd: how many of them are crowds (COCO).
        shorter_side: median of the taught ones' shorter side as a share of the image's; None if there are none.
    """

    name: str
    objects: int
    images: int
    difficult: int
    crowd: int
    shorter_side: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaShares:
    """Shares of the taught objects by area, COCO's borders: small below 32², medium below 96², large above, in pixels².

    Attributes:
        input_size: side of the input on which they are measured; None: the images themselves.
        small: share in [0, 1].
        medium: share in [0, 1].
        large: share in [0, 1].
        shorter_side: in pixels of that input or image.
    """

    input_size: int | None
    small: float
    medium: float
    large: float
    shorter_side: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatistics:
    """A dataset in numbers. Spreads are None where there is nothing to describe.

    Attributes:
        images: how many.
        background_images: those without any object.
        objects: all.
        taught_objects: those that are neither difficult nor crowds; what follows on boxes is about these.
        classes: each class, by label.
        image_width: in pixels.
        image_height: in pixels.
        image_aspect: width over height.
        image_sizes: the most frequent (width, height, images).
        objects_per_image: taught objects.
        images_by_objects: element k is the number of images with k taught objects.
        box_width: in pixels of the image.
        box_height: in pixels of the image.
        box_aspect: width over height.
        box_side_relative: square root of the box's share of the image's area.
        areas: small, medium and large ones, on the images themselves and on inputs of several sizes.
        centres: taught objects by the place of their centre in the image, 20 rows from the top of 20 columns.
        class_pairs: the most frequent pairs of classes on one image, as (name, name, images).
    """

    images: int
    background_images: int
    objects: int
    taught_objects: int
    classes: tuple[ClassCount, ...]
    image_width: Spread | None
    image_height: Spread | None
    image_aspect: Spread | None
    image_sizes: tuple[tuple[int, int, int], ...]
    objects_per_image: Spread | None
    images_by_objects: tuple[int, ...]
    box_width: Spread | None
    box_height: Spread | None
    box_aspect: Spread | None
    box_side_relative: Spread | None
    areas: tuple[AreaShares, ...]
    centres: tuple[tuple[int, ...], ...]
    class_pairs: tuple[tuple[str, str, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold."""
        return asdict(self)


def measure_dataset(
    images: AnnotatedImages, class_names: Sequence[str], *, resize: ResizeMode, input_sizes: Sequence[int]
) -> DatasetStatistics:
    """Count everything.

    Args:
        images: the dataset; may be empty.
        class_names: by label.
        resize: how images are placed on the input, for `areas`.
        input_sizes: sides of the inputs for `areas`.
    """
    taught = taught_objects(images)
    image_index, objects = images.image_index[taught], images.objects[taught]
    sizes_wh = images.sizes_hw[:, ::-1].astype(np.float64)
    sides = box_sides(objects)
    relative = sides / sizes_wh[image_index]
    occurrences = _occurrences(images, len(class_names))
    per_image = np.bincount(image_index, minlength=len(images))
    return DatasetStatistics(
        images=len(images),
        background_images=int((np.diff(images.offsets) == 0).sum()),
        objects=len(images.objects),
        taught_objects=len(objects),
        classes=_count_classes(images, taught, class_names, occurrences),
        image_width=Spread.of(sizes_wh[:, 0]),
        image_height=Spread.of(sizes_wh[:, 1]),
        image_aspect=Spread.of(sizes_wh[:, 0] / sizes_wh[:, 1]),
        image_sizes=_frequent_sizes(images),
        objects_per_image=Spread.of(per_image),
        images_by_objects=tuple(np.bincount(per_image).tolist()),
        box_width=Spread.of(sides[:, 0]),
        box_height=Spread.of(sides[:, 1]),
        box_aspect=Spread.of(sides[:, 0] / np.maximum(sides[:, 1], 1e-9)),
        box_side_relative=Spread.of(np.sqrt(relative.prod(axis=1))),
        areas=tuple(_areas(images, taught, size, resize) for size in (None, *input_sizes)),
        centres=_centre_map(objects, sizes_wh[image_index]),
        class_pairs=_frequent_pairs(occurrences, len(images), class_names),
    )


def box_sides(objects: GroundTruth) -> NDArray[np.float64]:
    """(T, 2) widths and heights in pixels of the images."""
    boxes = objects.boxes.astype(np.float64)
    return boxes[:, 2:] - boxes[:, :2]


def _occurrences(images: AnnotatedImages, num_classes: int) -> Int64:
    """Which classes are on which image, by any object: image * C + label, each once, ascending."""
    return np.unique(images.image_index * num_classes + images.objects.labels)


def _count_classes(
    images: AnnotatedImages, taught: Bool, class_names: Sequence[str], occurrences: Int64
) -> tuple[ClassCount, ...]:
    objects, count = images.objects, len(class_names)
    shorter = (box_sides(objects) / images.sizes_hw[images.image_index, ::-1]).min(axis=1)
    order = np.argsort(objects.labels[taught], kind="stable")
    ends = np.cumsum(np.bincount(objects.labels[taught], minlength=count))
    by_class = np.split(shorter[taught][order], ends[:-1]) if count else []
    return tuple(
        ClassCount(
            name=name,
            objects=number,
            images=with_it,
            difficult=difficult,
            crowd=crowd,
            shorter_side=float(np.median(own)) if own.size else None,
        )
        for name, number, with_it, difficult, crowd, own in zip(
            class_names,
            np.bincount(objects.labels, minlength=count).tolist(),
            np.bincount(occurrences % max(1, count), minlength=count).tolist(),
            np.bincount(objects.labels[objects.difficult], minlength=count).tolist(),
            np.bincount(objects.labels[objects.iscrowd], minlength=count).tolist(),
            by_class,
            strict=True,
        )
    )


def _frequent_sizes(images: AnnotatedImages) -> tuple[tuple[int, int, int], ...]:
    sizes, counts = np.unique(images.sizes_hw, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_FREQUENT]
    return tuple((int(sizes[k, 1]), int(sizes[k, 0]), int(counts[k])) for k in order)


def _areas(images: AnnotatedImages, taught: Bool, input_size: int | None, resize: ResizeMode) -> AreaShares:
    areas, sides = images.objects.area[taught].astype(np.float64), box_sides(images.objects[taught])
    if input_size is not None:
        scales, _ = plan_resizes(images.sizes_hw, (input_size, input_size), resize)
        own = scales[images.image_index[taught]]
        areas, sides = areas * own.prod(axis=1), sides * own
    count = max(1, len(areas))
    small, below_large = int((areas < SMALL_AREA).sum()), int((areas < MEDIUM_AREA).sum())
    return AreaShares(
        input_size=input_size,
        small=small / count,
        medium=(below_large - small) / count,
        large=(len(areas) - below_large) / count,
        shorter_side=Spread.of(sides.min(axis=1)),
    )


def _centre_map(objects: GroundTruth, sizes_wh: NDArray[np.float64]) -> tuple[tuple[int, ...], ...]:
    centres = (objects.boxes[:, :2] + objects.boxes[:, 2:]).astype(np.float64) / 2 / sizes_wh
    col, row = np.clip(np.floor(centres * _MAP_SIDE), 0, _MAP_SIDE - 1).astype(np.int64).T
    counts = np.bincount(row * _MAP_SIDE + col, minlength=_MAP_SIDE**2).reshape(_MAP_SIDE, _MAP_SIDE)
    return tuple(map(tuple, counts.tolist()))


def _frequent_pairs(
    occurrences: Int64, num_images: int, class_names: Sequence[str]
) -> tuple[tuple[str, str, int], ...]:
    count = len(class_names)
    together = np.zeros((count, count))
    for start in range(0, num_images, _IMAGES_AT_A_TIME):
        stop = min(start + _IMAGES_AT_A_TIME, num_images)
        first, last = np.searchsorted(occurrences, (start * count, stop * count))
        present = np.zeros((stop - start) * count, np.float32)
        present[occurrences[first:last] - start * count] = 1
        table = present.reshape(stop - start, count)
        together += table.T @ table  # exact: counts stay below 2²⁴
    first, second = np.triu_indices(count, k=1)
    counts = together[first, second]
    order = np.argsort(-counts, kind="stable")[:_MOST_FREQUENT]
    return tuple((class_names[first[k]], class_names[second[k]], int(counts[k])) for k in order if counts[k])


MAX_ROWS = 30  # classes


@dataclass(frozen=True, slots=True)
class TextTable:
    """A title, a header and rows of text; the first column is left-aligned."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def plain(self) -> str:
        """Aligned text without colours, for files and pipes; no line break at the end."""
        lines = (self.header, *self.rows)
        widths = [max(len(row[column]) for row in lines) for column in range(len(self.header))]
        text = [self.title]
        for row in lines:
            first, *others = row
            cells = [
                first.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)),
            ]
            text.append("  ".join(cells).rstrip())
        return "\n".join(text)

    def rich(self) -> Table:
        """For a terminal, to be printed by a rich console."""
        from rich.table import Table
        from rich.text import Text

        # Text, because class names may hold brackets, which rich would read as markup
        table = Table(
            box=None, header_style="bold", pad_edge=False, title=Text(self.title, "bold"), title_justify="left"
        )
        for place, name in enumerate(self.header):
            table.add_column(Text(name), justify="right" if place else "left", no_wrap=place > 0)
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table


def overview_lines(statistics: DatasetStatistics) -> list[str]:
    """Images, objects and the sizes of both, a line each."""
    one = statistics
    share = one.background_images / one.images if one.images else 0.0
    ignored = one.objects - one.taught_objects
    lines = [
        f"images: {one.images}, without objects {one.background_images} ({share:.1%})",
        f"objects: {one.objects}" + (f", of them {ignored} difficult or crowds, not in what follows" * (ignored > 0)),
    ]
    spreads = (
        ("objects per image", one.objects_per_image, ""),
        ("image width", one.image_width, " px"),
        ("image height", one.image_height, " px"),
        ("box width", one.box_width, " px"),
        ("box height", one.box_height, " px"),
        ("box width / height", one.box_aspect, ""),
    )
    return lines + [f"{name}: {_spread(spread, unit)}" for name, spread, unit in spreads if spread is not None]


def class_table(statistics: DatasetStatistics) -> TextTable:
    """A row per class, the most frequent first, `MAX_ROWS` at most."""
    shown = sorted(statistics.classes, key=lambda one: -one.objects)
    rows = [
        (
            one.name,
            str(one.objects),
            f"{one.objects / max(1, statistics.objects):.1%}",
            str(one.images),
            str(one.difficult),
            str(one.crowd),
            "-" if one.shorter_side is None else f"{one.shorter_side:.1%}",
        )
        for one in shown[:MAX_ROWS]
    ]
    more = f"; {len(shown) - MAX_ROWS} rarer ones are in stats.json" if len(shown) > MAX_ROWS else ""
    return TextTable(
        f"Classes (side: the median shorter side, as a share of the image's{more})",
        ("class", "objects", "share", "images", "difficult", "crowd", "side"),
        tuple(rows),
    )


def size_table(statistics: DatasetStatistics) -> TextTable:
    """Small, medium and large objects on the images and on inputs of several sizes."""
    rows = []
    for one in statistics.areas:
        side = one.shorter_side
        numbers = ("-", "-") if side is None else (f"{side.q5:.0f}", f"{side.median:.0f}")
        name = "as in the files" if one.input_size is None else f"{one.input_size} px"
        rows.append((name, f"{one.small:.1%}", f"{one.medium:.1%}", f"{one.large:.1%}", *numbers))
    return TextTable(
        "Object sizes by input (small: below 32² px, large: from 96² px; sides: the shorter ones, in pixels)",
        ("input", "small", "medium", "large", "side 5 %", "median side"),
        tuple(rows),
    )


def grid_table(grids: Sequence[GridLimits]) -> TextTable:
    """What each grid loses by the rules of grid_limits.py."""
    rows = []
    for one in grids:
        lost = (one.lost_one_object, *one.lost_boxes[1:4], one.lost_one_class[1])
        shares = tuple(f"{one.share(count):.2%}" for count in lost)
        rows.append(
            (f"{one.grid_size}x{one.grid_size}", f"{one.input_size}/{one.input_size // one.grid_size}", *shares)
        )
    return TextTable(
        "Objects that a grid cannot hold, because too many centres share a cell",
        ("grid", "input/stride", "1 object", "2 boxes", "3 boxes", "4 boxes", "2 boxes, 1 class"),
        tuple(rows),
    )


def _spread(spread: Spread, unit: str) -> str:
    if spread.min == spread.max:
        return f"{_number(spread.min)}{unit}"
    return (
        f"{_number(spread.min)} to {_number(spread.max)}{unit}, median {_number(spread.median)}{unit}, "
        f"90 % in {_number(spread.q5)} to {_number(spread.q95)}{unit}"
    )


def _number(value: float) -> str:
    """Three digits, whole numbers from 100 on.

    >>> _number(0.4567), _number(12.34), _number(1234.5)
    ('0.457', '12.3', '1234')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
