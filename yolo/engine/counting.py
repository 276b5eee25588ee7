"""Counts of tracked objects: how many cross a line, and how many are in a zone.

An object is where the centre of its box is. Coordinates are pixels of the frame, or fractions of its width and height
where none is above 1. Left out: finding out which detections are one object (`tracking`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from yolo.engine.result import Result
from yolo.errors import ConfigError

Point = tuple[float, float]  # x, y in pixels of the frame

# An id that was not seen for so many frames does not come back: the tracker has given it up long before.
_FORGOTTEN_AFTER = 1000


@dataclass(frozen=True, slots=True)
class Shape:
    """The points of a line or of a zone as the user gave them."""

    text: str
    points: tuple[Point, ...]

    def on(self, size_hw: tuple[int, int]) -> tuple[Point, ...]:
        """The points in pixels of a frame of this size."""
        if max(map(max, self.points)) > 1:
            return self.points
        return tuple((x * size_hw[1], y * size_hw[0]) for x, y in self.points)


def parse_shapes(option: str, text: str) -> tuple[Shape, ...]:
    """The shapes of --line or --zone: x1,y1,x2,y2,... with a semicolon between two of them.

    Raises:
        ConfigError: the text is not a list of points, or has too few.

    >>> parse_shapes("line", "0.5,0,0.5,1")
    (Shape(text='0.5,0,0.5,1', points=((0.5, 0.0), (0.5, 1.0))),)
    """
    return tuple(_shape(option, one.strip()) for one in text.split(";") if one.strip())


def _shape(option: str, text: str) -> Shape:
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    usable = len(values) % 2 == 0 and all(0 <= value < float("inf") for value in values)
    points = tuple(zip(values[::2], values[1::2], strict=False))
    if option == "line" and not (usable and len(points) == 2 and points[0] != points[1]):
        raise ConfigError(f"--line {text!r}: give two different points as x1,y1,x2,y2, in pixels or as fractions")
    if option == "zone" and not (usable and len(set(points)) >= 3):
        raise ConfigError(f"--zone {text!r}: give at least three points as x1,y1,x2,y2,x3,y3, in pixels or fractions")
    return Shape(text, points)


def side_of(point: Point, start: Point, end: Point) -> int:
    """1 where a point lies to the right of who walks from start to end, -1 to the left, 0 on their straight line.

    >>> side_of((5, 9), (0, 5), (10, 5)), side_of((5, 1), (0, 5), (10, 5)), side_of((99, 5), (0, 5), (10, 5))
    (1, -1, 0)
    """
    cross = _cross(point, start, end)
    return (cross > 0) - (cross < 0)


def contains(polygon: tuple[Point, ...], point: Point) -> bool:
    """Whether a point lies in a polygon or on its outline, by the even-odd rule."""
    inside = False
    x, y = point
    for start, end in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        (x1, y1), (x2, y2) = start, end
        between = min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2)
        if between and side_of(point, start, end) == 0:
            return True
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside


def _cross(point: Point, start: Point, end: Point) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


@dataclass(slots=True)
class LineCount:
    """Crossings of one line, by class: `to_right` and `to_left` of who walks from its first point to its second."""

    shape: Shape
    to_right: Counter[str] = field(default_factory=Counter)
    to_left: Counter[str] = field(default_factory=Counter)
    # of each id: the side and the place where it was off the line last, and where it stood on the line since
    _last: dict[int, tuple[int, Point, Point | None]] = field(default_factory=dict)

    def update(self, places: dict[int, Point], names: dict[int, str], size_hw: tuple[int, int]) -> None:
        """Take a frame: where each id is, and its class."""
        start, end = self.shape.on(size_hw)
        for track_id, point in places.items():
            side = side_of(point, start, end)
            before = self._last.get(track_id)
            if side == 0:  # not across yet
                if before is not None:
                    self._last[track_id] = (before[0], before[1], point)
                continue
            if before is not None and before[0] != side:
                at = before[2] or _meeting(before[1], point, start, end)
                if _within(at, start, end):
                    (self.to_right if side > 0 else self.to_left)[names[track_id]] += 1
            self._last[track_id] = (side, point, None)

    def forget(self, ids: set[int]) -> None:
        """Drop what is known of ids that do not come back."""
        for track_id in ids:
            self._last.pop(track_id, None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"line": self.shape.text, "to_right": dict(self.to_right), "to_left": dict(self.to_left)}


def _meeting(a: Point, b: Point, start: Point, end: Point) -> Point:
    """Where the way from a to b, on the two sides, meets the straight line through start and end."""
    from_a, from_b = _cross(a, start, end), _cross(b, start, end)
    share = from_a / (from_a - from_b)
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))


def _within(point: Point, start: Point, end: Point) -> bool:
    """Whether a point of the straight line lies between start and end, or on one of them."""
    along = [(b - a, p - a) for a, b, p in zip(start, end, point, strict=True)]
    length = sum(side * side for side, _ in along)
    return 0 <= sum(side * way for side, way in along) <= length


@dataclass(slots=True)
class ZoneCount:
    """Objects in one zone, by class: in the last frame, at most in any frame, and different ones in all."""

    shape: Shape
    now: Counter[str] = field(default_factory=Counter)
    max: Counter[str] = field(default_factory=Counter)
    unique: Counter[str] = field(default_factory=Counter)
    _seen: set[int] = field(default_factory=set)

    def update(self, places: dict[int, Point], names: dict[int, str], size_hw: tuple[int, int]) -> None:
        """Take a frame: where each id is, and its class."""
        polygon = self.shape.on(size_hw)
        inside = [track_id for track_id, point in places.items() if contains(polygon, point)]
        self.now = Counter(names[track_id] for track_id in inside)
        self.max |= self.now
        self.unique.update(names[track_id] for track_id in inside if track_id not in self._seen)
        self._seen.update(inside)

    def forget(self, ids: set[int]) -> None:
        """Drop what is known of ids that do not come back."""
        self._seen -= ids

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "zone": self.shape.text,
            "now": dict(self.now),
            "max": dict(self.max),
            "unique": dict(self.unique),
        }


class SourceCounts:
    """The counts of one video or stream."""

    def __init__(self, source: str, lines: tuple[Shape, ...], zones: tuple[Shape, ...]) -> None:
        self.source = source
        self.lines = [LineCount(shape) for shape in lines]
        self.zones = [ZoneCount(shape) for shape in zones]
        self.num_objects: Counter[str] = Counter()  # different ids, by the class they had first
        self._last_seen: dict[int, int] = {}
        self._frames = 0

    def update(self, result: Result) -> None:
        """Take the next frame, whose objects are tracked."""
        assert result.track_ids is not None
        self._frames += 1
        places: dict[int, Point] = {}
        names: dict[int, str] = {}
        for track_id, box, name in zip(result.track_ids.tolist(), result.boxes.tolist(), result.names, strict=True):
            if track_id < 0:
                continue
            x1, y1, x2, y2 = box
            places[track_id], names[track_id] = ((x1 + x2) / 2, (y1 + y2) / 2), name
        self.num_objects.update(names[track_id] for track_id in names if track_id not in self._last_seen)
        self._last_seen.update(dict.fromkeys(places, self._frames))
        for line in self.lines:
            line.update(places, names, result.size_hw)
        for zone in self.zones:
            zone.update(places, names, result.size_hw)
        if self._frames % _FORGOTTEN_AFTER == 0:
            self._forget()

    def _forget(self) -> None:
        gone = {one for one, frame in self._last_seen.items() if self._frames - frame >= _FORGOTTEN_AFTER}
        for track_id in gone:
            del self._last_seen[track_id]
        for line in self.lines:
            line.forget(gone)
        for zone in self.zones:
            zone.forget(gone)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "source": self.source,
            "objects": dict(self.num_objects),
            "lines": [line.to_dict() for line in self.lines],
            "zones": [zone.to_dict() for zone in self.zones],
        }

    def summary(self) -> Iterator[str]:
        """What is said on the console, a line each."""
        yield f"{self.source}: {_listed(self.num_objects)} tracked"
        for line in self.lines:
            right, left = _listed(line.to_right), _listed(line.to_left)
            yield f"  line {line.shape.text}: {right} to the right, {left} to the left"
        for zone in self.zones:
            yield (
                f"  zone {zone.shape.text}: {_listed(zone.now)} in the last frame, at most {_listed(zone.max)}, "
                f"{_listed(zone.unique)} in all"
            )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
