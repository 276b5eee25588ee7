"""`python -m yolo` and the command `gridyolo`."""

import signal
import sys

from yolo.cli.main import run
from yolo.console import open_closed_streams
from yolo.process import silence_libraries


def main() -> None:
    """Run the command line and leave with its exit code."""
    open_closed_streams()  # before standard error is copied
    silence_libraries()
    code = run(sys.argv[1:])
    # a second Ctrl-C while Python ends would be a traceback
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


if __name__ == "__main__":
    main()
