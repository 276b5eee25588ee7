import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import cv2
import numpy as np
import pytest

from yolo.arrays import UInt8
from yolo.errors import DataError
from yolo.media.items import Frame, Item, Reading, SourceOptions, Unreadable
from yolo.media.streams import Stream, _Reader, camera, network_stream, read_live


def picture(level: int, height: int = 4) -> UInt8:
    return np.full((height, 6, 3), level, np.uint8)


class Scripted:
    """A capture that gives some frames, one whenever it may, and then is lost."""

    fps: float | None = 30.0

    def __init__(self, frames: Sequence[UInt8], gate: threading.Semaphore | None = None) -> None:
        self.frames = list(frames)
        self.gate = gate
        self.is_closed = False

    def read(self) -> UInt8 | None:
        if self.gate is not None:
            assert self.gate.acquire(timeout=5)
        return self.frames.pop(0) if self.frames else None

    def close(self) -> None:
        self.is_closed = True


def in_turn(*captures: Scripted | str) -> Callable[[], Scripted]:
    """Connect to the first, then to the next; a text is the message of a connection that fails."""
    left = list(captures)

    def connect() -> Scripted:
        one = left.pop(0) if left else "gone for good"
        if isinstance(one, str):
            raise DataError(one)
        return one

    return connect


def start(*streams: Stream, **options: float) -> tuple[Iterator[Item], Reading]:
    chosen = SourceOptions(
        timeout=options.get("timeout", 5.0), reconnects=int(options.get("reconnects", 2)), limit=None
    )
    reading = Reading(chosen, threading.Event(), [])
    return read_live(streams, reading), reading


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.media.streams._FIRST_PAUSE", 0.001)


def test_the_newest_frame_and_what_was_dropped() -> None:
    gate = threading.Semaphore(1)
    capture = Scripted([picture(level) for level in range(10)], gate)
    items, reading = start(Stream("cam", in_turn(capture)), reconnects=0)
    first = next(items)
    assert isinstance(first, Frame)
    assert (first.index, first.time, first.fps, first.source) == (0, 0.0, 30.0, "cam")
    for _ in range(8):  # eight more come while the network computes
        gate.release()
    while len(capture.frames) > 1:
        time.sleep(0.001)
    time.sleep(0.02)
    second = next(items)
    assert isinstance(second, Frame)
    assert (second.index, int(second.image[0, 0, 0])) == (8, 8)
    assert second.time is not None
    assert second.time > 0
    gate.release(2)
    rest = list(items)
    assert [type(one) for one in rest][-1] is Unreadable
    assert reading.notes[0].startswith("cam: 7 of 10 frames were dropped")
    assert capture.is_closed


def test_a_lost_stream_is_reached_again_with_another_size() -> None:
    gates = [threading.Semaphore(1), threading.Semaphore(1)]
    captures = [Scripted([picture(1)], gates[0]), Scripted([picture(2, height=8)], gates[1])]
    items, reading = start(Stream("cam", in_turn(captures[0], "busy", captures[1])))
    first = next(items)
    gates[0].release()
    second = next(items)
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert (first.index, second.index) == (0, 1)
    assert (first.image.shape[0], second.image.shape[0]) == (4, 8)
    gates[1].release()
    (last,) = items
    assert isinstance(last, Unreadable)
    assert last.reason == "gone for good after 2 frames; it could not be reconnected (3 attempts)"
    assert reading.notes == ["cam: reconnected once"]
    assert all(capture.is_closed for capture in captures)


def test_pauses_grow_until_the_limit_and_attempts_count_anew_after_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.media.streams._FIRST_PAUSE", 1.0)
    monkeypatch.setattr("yolo.media.streams._LONGEST_PAUSE", 3.0)
    connect = in_turn(Scripted([picture(1)]), "a", "b", Scripted([picture(2)]))
    items, reading = start(Stream("cam", connect), reconnects=4)
    pauses: list[float] = []

    def wait(seconds: float | None = None) -> bool:
        assert seconds is not None
        pauses.append(seconds)
        time.sleep(0.005)
        return False

    monkeypatch.setattr(reading.stopped, "wait", wait)
    *_, last = items
    assert pauses == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 3.0]
    assert isinstance(last, Unreadable)


def test_a_stream_that_never_answers_is_given_up_at_once() -> None:
    items, _ = start(Stream("cam", in_turn("cam: nobody is there", Scripted([picture(1)]))))
    with pytest.raises(DataError, match="nobody is there"):
        next(items)
    items, _ = start(Stream("cam", in_turn(Scripted([]))))
    with pytest.raises(DataError, match="cam: gave no frame"):
        next(items)


def test_one_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    def hang() -> Scripted:
        release.wait(5)
        return Scripted([])

    items, _ = start(Stream("cam", hang), timeout=0.05)
    with pytest.raises(DataError, match=r"has not responded for 0\.15 seconds"):
        next(items)
    release.set()


def test_several_streams_in_turn_and_one_that_fails() -> None:
    gates = {name: threading.Semaphore(1) for name in "ab"}
    streams = [Stream(name, in_turn(Scripted([picture(k), picture(k)], gates[name]))) for k, name in enumerate("ab")]
    items, _ = start(*streams, Stream("c", in_turn("c: is off")), reconnects=0)
    firsts = [next(items) for _ in range(3)]
    assert sorted(one.source for one in firsts) == ["a", "b", "c"]
    assert [one.reason for one in firsts if isinstance(one, Unreadable)] == ["c: is off"]
    for name, level in (("b", 1), ("a", 0)):
        gates[name].release()
        frame = next(items)
        assert isinstance(frame, Frame)
        assert (frame.source, frame.index, int(frame.image[0, 0, 0])) == (name, 1, level)
    for gate in gates.values():
        gate.release()
    assert sorted(one.source for one in items) == ["a", "b"]


def test_one_that_waits_drops_nothing() -> None:
    capture = Scripted([picture(level) for level in range(5)])
    items, reading = start(Stream("screen:1", in_turn(capture), waits=True), reconnects=0)
    levels = []
    for item in items:
        time.sleep(0.005)
        if isinstance(item, Frame):
            levels.append(int(item.image[0, 0, 0]))
    assert levels == [0, 1, 2, 3, 4]
    assert reading.notes == []


def test_closing_ends_the_threads() -> None:
    before = threading.active_count()
    endless = [Scripted([picture(1)] * 10_000, None) for _ in range(2)]
    items, reading = start(*[Stream(str(k), in_turn(one)) for k, one in enumerate(endless)])
    with closing(items):  # type: ignore[type-var]
        next(items)
    assert reading.stopped.is_set()
    for _ in range(100):
        if threading.active_count() == before:
            break
        time.sleep(0.01)
    assert threading.active_count() == before
    assert all(one.is_closed for one in endless)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (camera(77), "camera:77: there is no such camera"),
        (
            network_stream("rtsp://me:secret@127.0.0.1:9/a", 0.5),
            r"rtsp://me:\*\*\*@127.0.0.1:9/a: could not be opened; check the address",
        ),
    ],
)
def test_a_camera_and_a_stream_that_are_not_there(stream: Stream, message: str) -> None:
    items, _ = start(stream)
    with pytest.raises(DataError, match=message):
        next(items)


def test_an_unexpected_error_in_the_thread_is_raised_where_frames_are_awaited() -> None:
    def break_down() -> Scripted:
        raise AssertionError("a mistake of ours")

    items, _ = start(Stream("cam", break_down))
    with pytest.raises(AssertionError, match="a mistake of ours") as caught:
        next(items)
    assert caught.value.__notes__ == ["while reading cam"]


@pytest.mark.parametrize("last", [[picture(1)], []])
def test_the_end_is_reported_after_the_last_frame(last: list[UInt8]) -> None:
    """Also where the last frame and the end came between two looks."""
    reading = Reading(SourceOptions(reconnects=0), threading.Event(), [])
    reader = _Reader(Stream("cam", in_turn(Scripted(last))), reading, threading.Condition())
    assert reader.poll() == (None, None)
    reader.run()
    if last:
        frame, reason = reader.poll()
        assert isinstance(frame, Frame)
        assert (frame.index, frame.is_live, reason) == (0, True, None)
    assert reader.poll() == (None, "cam: was lost after 1 frames" if last else "cam: gave no frame")


def test_the_log_level_of_opencv_is_restored_after_the_last_of_several_openings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is one for the process: the second to open must not take the silence of the first for the user's level."""
    inside, gates = threading.Semaphore(0), {number: threading.Event() for number in (71, 72)}

    class Absent:
        def __init__(self, number: int) -> None:
            inside.release()
            assert gates[number].wait(5)

        def isOpened(self) -> bool:  # noqa: N802
            return False

        def release(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(cv2, "VideoCapture", Absent)
    before = cv2.utils.logging.getLogLevel()
    assert before != cv2.utils.logging.LOG_LEVEL_SILENT

    def open_it(number: int) -> None:
        with pytest.raises(DataError, match="no such camera"):
            camera(number).connect()

    threads = {number: threading.Thread(target=open_it, args=(number,)) for number in gates}
    for thread in threads.values():
        thread.start()
        assert inside.acquire(timeout=5)
    for number, level in ((71, cv2.utils.logging.LOG_LEVEL_SILENT), (72, before)):
        gates[number].set()
        threads[number].join(5)
        assert cv2.utils.logging.getLogLevel() == level
