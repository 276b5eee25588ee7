"""Type invented command lines, and report those that end in any way but a documented one.

    python tools/fuzz_cli.py [--seconds 60] [--seed 0] [--command predict]

Hypothesis makes up the lines (`tests/cli/command_lines.py`): every command and option, values that are right, nearly
right or hostile, YAML files, environments and encodings. Each runs in this process on small real files; what takes long
is interrupted as by Ctrl-C. A line fails (`tests/cli/command_judge.py`) if an exception comes out, the exit code is not
a documented one, a message is long or has words of libraries in it, or a file of the user changed. Every kind of
failure is reported once, with words left out for as long as it stays; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long to search")
    parser.add_argument("--seed", type=int, default=0, help="of the first lines")
    parser.add_argument("--command", default="", help="only lines of this command, such as predict or 'data check'")
    parser.add_argument("--slow", type=float, default=60.0, help="say which lines took longer than this many seconds")
    options = parser.parse_args()
    # imported here, because processes that a command starts import this file again
    sys.path.insert(0, str(Path(__file__).parent.parent))
    import torch

    from tests.cli.command_search import Search
    from tests.cli.command_world import World

    torch.set_num_threads(1)  # the work is tiny
    with tempfile.TemporaryDirectory() as folder:
        search = Search(World(Path(folder)), until=time.monotonic() + options.seconds, slow=options.slow)
        number = options.seed
        while not search.is_over:
            search.lines_of(number, options.command or None)
            number += 1
    search.summarise()
    sys.exit(1 if search.found else 0)


if __name__ == "__main__":
    main()
