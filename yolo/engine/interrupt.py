"""Ctrl-C and SIGTERM as a wish, so that a training can save before it ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopWish:
    """False until the user or the system asks to stop."""

    def __init__(self) -> None:
        self.signal_name = ""

    def __bool__(self) -> bool:
        return bool(self.signal_name)


@contextmanager
def stop_wish() -> Iterator[StopWish]:
    """Note the first SIGINT or SIGTERM inside the block; a second SIGINT interrupts as usual."""
    wish = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield wish  # signals reach the main thread only
        return

    def note(number: int, frame: FrameType | None) -> None:
        wish.signal_name = signal.Signals(number).name
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
