"""Counting by hand: x to the right, y down."""

import pytest
import torch

from yolo.engine.counting import Point, Shape, SourceCounts, contains, parse_shapes, side_of
from yolo.engine.result import Result
from yolo.errors import ConfigError
from yolo.structures import Detections

# from (50, 0) down to (50, 100): who walks down has smaller x to the right
LINE = parse_shapes("line", "50,0,50,100")
SQUARE = parse_shapes("zone", "20,20,60,20,60,60,20,60")


def count(*frames: dict[int, Point], lines: tuple[Shape, ...] = (), zones: tuple[Shape, ...] = ()) -> SourceCounts:
    """Counts after frames of 100 x 100 pixels, each with the place of every id; odd ids are cars."""
    counts = SourceCounts("video.mp4", lines, zones)
    for frame in frames:
        centres = torch.tensor(list(frame.values())).reshape(-1, 2)
        boxes = torch.cat((centres - 2, centres + 2), dim=1)
        labels = torch.tensor([track_id % 2 for track_id in frame], dtype=torch.int64)
        found = Detections(boxes, torch.ones(len(boxes)), labels, (100, 100))
        ids = torch.tensor(list(frame), dtype=torch.int64)
        counts.update(Result(found, class_names=("bus", "car"), track_ids=ids))
    return counts


def crossings(*places: Point | None, line: str = "50,0,50,100") -> tuple[int, int]:
    """Crossings to the right and to the left of one object that is at these places, None where it is not seen."""
    frames = [{} if place is None else {1: place} for place in places]
    (one,) = count(*frames, lines=parse_shapes("line", line)).lines
    return sum(one.to_right.values()), sum(one.to_left.values())


def test_sides_of_a_line() -> None:
    assert side_of((40, 50), (50, 0), (50, 100)) == 1
    assert side_of((60, 50), (50, 0), (50, 100)) == -1
    assert side_of((60, 50), (50, 100), (50, 0)) == 1
    assert side_of((50, 500), (50, 0), (50, 100)) == 0


def test_crossings_in_both_directions() -> None:
    assert crossings((40, 50), (60, 50)) == (0, 1)
    assert crossings((60, 50), (40, 50)) == (1, 0)
    assert crossings((60, 50), (40, 50), line="50,100,50,0") == (0, 1)


def test_touching_is_not_crossing() -> None:
    assert crossings((40, 50), (50, 50), (40, 50)) == (0, 0)
    assert crossings((50, 50), (60, 50)) == (0, 0)  # first seen on the line: nobody knows where it came from


def test_standing_on_the_line_counts_once_when_it_is_left() -> None:
    assert crossings((40, 50), (50, 50), (50, 50), (50, 52), (60, 50)) == (0, 1)


def test_crossing_again_counts_again() -> None:
    assert crossings((40, 50), (60, 50), (45, 50), (70, 50)) == (1, 2)


def test_a_gap_between_frames() -> None:
    assert crossings((40, 50), None, None, (60, 50)) == (0, 1)


def test_passing_beside_the_end_of_the_line() -> None:
    assert crossings((40, 50), (60, 50), line="50,60,50,100") == (0, 0)
    # the ends belong to it
    assert crossings((40, 60), (60, 60), line="50,60,50,100") == (0, 1)
    # the way from (40, 90) to (60, 110) meets x = 50 at y = 100; to (60, 114) at 102
    assert crossings((40, 90), (60, 110)) == (0, 1)
    assert crossings((40, 90), (60, 114)) == (0, 0)
    # round the end: the straight line between the places off the line is not the way that was taken
    assert crossings((40, 50), (50, 120), (60, 50)) == (0, 0)


def test_fractions_are_of_the_frame() -> None:
    assert crossings((40, 50), (60, 50), line="0.5,0,0.5,1") == (0, 1)
    assert crossings((10, 50), (40, 50), line="0.5,0,0.5,1") == (0, 0)


def test_crossings_are_by_class_and_need_an_id() -> None:
    counts = count({1: (40, 50), 2: (60, 20), -1: (40, 80)}, {1: (60, 50), 2: (40, 20), -1: (60, 80)}, lines=LINE)
    assert counts.to_dict() == {
        "source": "video.mp4",
        "objects": {"car": 1, "bus": 1},
        "lines": [{"line": "50,0,50,100", "to_right": {"bus": 1}, "to_left": {"car": 1}}],
        "zones": [],
    }


def test_points_in_a_polygon_and_on_its_outline() -> None:
    (square,) = SQUARE
    for inside in ((40, 40), (20, 20), (60, 40), (40, 60), (21, 59)):
        assert contains(square.points, inside)
    for outside in ((19, 40), (61, 40), (40, 61), (0, 20), (80, 60), (20, 61)):
        assert not contains(square.points, outside)
    # a U: between its legs is outside
    u = ((0, 0), (10, 0), (10, 30), (20, 30), (20, 0), (30, 0), (30, 40), (0, 40))
    assert contains(u, (5, 5))
    assert contains(u, (15, 35))
    assert not contains(u, (15, 10))


def test_zone_counts_now_at_most_and_in_all() -> None:
    frames: list[dict[int, Point]] = [
        {1: (30, 30), 3: (40, 40), 2: (90, 90)},
        {1: (70, 30), 2: (50, 50)},
        {1: (30, 30)},
    ]
    (zone,) = count(*frames, zones=SQUARE).zones
    assert zone.to_dict() == {
        "zone": "20,20,60,20,60,60,20,60",
        "now": {"car": 1},
        "max": {"car": 2, "bus": 1},
        "unique": {"car": 2, "bus": 1},
    }


def test_what_is_known_of_lost_objects_does_not_grow() -> None:
    frames: list[dict[int, Point]] = [{number: (30, 30)} for number in range(1, 4001)]
    counts = count(*frames, lines=LINE, zones=SQUARE)
    assert sum(counts.num_objects.values()) == sum(counts.zones[0].unique.values()) == 4000
    assert max(len(counts._last_seen), len(counts.lines[0]._last), len(counts.zones[0]._seen)) <= 1000


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5,6", "a,b,c,d", "1,2,1,2", "-1,0,5,5", "nan,0,1,1", "1;2"])
def test_what_is_no_line(text: str) -> None:
    with pytest.raises(ConfigError, match="two different points"):
        parse_shapes("line", text)


@pytest.mark.parametrize("text", ["1,2,3,4", "1,2,3,4,5", "1,2,1,2,3,3", "inf,0,1,1,2,2"])
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(ConfigError, match="at least three points"):
        parse_shapes("zone", text)


def test_several_shapes() -> None:
    assert [shape.points for shape in parse_shapes("line", "0,0,5,5; 1,1,9,9;")] == [((0, 0), (5, 5)), ((1, 1), (9, 9))]
