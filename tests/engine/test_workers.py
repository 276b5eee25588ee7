import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import cv2
import pytest
import torch

from yolo.engine.workers import Workers
from yolo.process import StopRequest


def slow_square(number: int) -> int:
    time.sleep(random.random() / 200)
    return number * number


def test_results_are_in_the_order_of_the_items_through_chained_maps() -> None:
    with Workers(3) as workers:
        squares = workers.map(slow_square, range(40), ahead=4)
        again = workers.map(slow_square, squares, ahead=4)
        assert list(again) == [number**4 for number in range(40)]


def test_work_overlaps_and_each_thread_computes_alone() -> None:
    meeting = threading.Barrier(2)

    def work(_: int) -> int:
        meeting.wait(timeout=5)  # passes only where two are at it
        return torch.get_num_threads()

    before = torch.get_num_threads(), cv2.getNumThreads()
    with Workers(2) as workers:
        assert list(workers.map(work, range(4), ahead=4)) == [1, 1, 1, 1]
        assert cv2.getNumThreads() == 1
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before


def test_items_are_taken_a_few_ahead_only() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    with Workers(2) as workers:
        results = workers.map(slow_square, items(), ahead=3)
        for _ in range(5):
            next(results)
        time.sleep(0.05)
        assert len(taken) <= 5 + 3
        results.close()


def test_a_result_does_not_wait_for_the_next_item() -> None:
    may_go_on = threading.Event()

    def camera() -> Iterator[int]:
        yield 1
        assert may_go_on.wait(timeout=5)
        yield 2

    with Workers(1) as workers:
        results = workers.map(slow_square, camera(), ahead=4)
        assert next(results) == 1
        may_go_on.set()
        assert next(results) == 4


def test_what_the_work_raises_comes_after_the_results_before_it() -> None:
    def fail_at_three(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return slow_square(number)

    seen: list[Any] = []
    with Workers(2) as workers, pytest.raises(ValueError, match="three"):
        seen.extend(workers.map(fail_at_three, range(1000), ahead=4))
    assert seen == [0, 1, 4]


def test_what_the_items_raise_comes_after_the_results_before_it() -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from (1, 2)
            raise OSError("the disk is gone")
        finally:
            closed.append(True)

    seen: list[Any] = []
    with Workers(2) as workers, pytest.raises(OSError, match="the disk is gone"):
        seen.extend(workers.map(slow_square, items(), ahead=1))
    assert seen == [1, 4]
    assert closed == [True]


def test_closing_closes_the_items_and_leaves_no_thread() -> None:
    closed = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    before = threading.active_count()
    with Workers(2) as workers:
        results = workers.map(slow_square, workers.map(slow_square, endless(), ahead=2), ahead=2)
        next(results)
        results.close()
        assert closed == [True]
    assert threading.active_count() == before


def test_a_stop_ends_a_map_whose_source_gives_nothing_more() -> None:
    stop = StopRequest()
    gone = threading.Event()

    def silent_camera() -> Iterator[int]:
        yield 1
        gone.wait(timeout=5)

    with Workers(1, stop) as workers:
        results = workers.map(slow_square, silent_camera(), ahead=2)
        assert next(results) == 1
        stop.signal_name = "SIGINT"
        threading.Timer(0.2, gone.set).start()
        began = time.monotonic()
        assert list(results) == []
        assert time.monotonic() - began < 3


def test_opencv_gets_its_threads_back_whoever_ends_last() -> None:
    before = cv2.getNumThreads()
    first, second = Workers(1), Workers(1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cv2.getNumThreads() == 1
    second.__exit__(None, None, None)
    assert cv2.getNumThreads() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_items_that_cannot_be_closed_end_the_map_all_the_same() -> None:
    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            raise RuntimeError("cannot be closed")

    with Workers(1) as workers, closing(workers.map(lambda item: item, items(), ahead=2)) as found:
        assert next(found) == 0
