"""What the fuzzers of this folder share: the command line, a process for the search, the settings of atheris."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

SECONDS_PER_INPUT = 5
LONGEST_INPUT = 4096


class Target(NamedTuple):
    """What is fuzzed.

    Attributes:
        script: the file of the fuzzer.
        about: one line for --help.
        package: whose lines guide the search.
        modules: are imported with it.
        megabytes: more memory than this is a finding.
        words: that inputs are made with.
        seeds: makes good inputs to start from.
        make_test: from a folder to the function that gets each input and raises for what must not happen.
    """

    script: Path
    about: str
    package: str
    modules: Sequence[str]
    megabytes: int
    words: Sequence[str]
    seeds: Callable[[], list[bytes]]
    make_test: Callable[[Path], Callable[[bytes], None]]


def run(target: Target) -> None:
    """Search as the command line says; exits with status 1 if something was found."""
    parser = argparse.ArgumentParser(description=target.about)
    parser.add_argument("--seconds", type=int, default=60, help="how long to search")
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("inputs", nargs="*", type=Path, help="inputs to run once, instead of searching")
    arguments = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit(f"{target.script.stem} needs atheris, which is not installed: pip install atheris")
    if arguments.corpus is not None:
        _fuzz(target, arguments.corpus, arguments.inputs, arguments.seconds)
        return
    with tempfile.TemporaryDirectory() as folder:
        # The fuzzer leaves by exiting the whole process, without any cleaning up: so it gets one of its own.
        command = [sys.executable, str(target.script), "--seconds", str(arguments.seconds), "--corpus", folder]
        done = subprocess.run([*command, *map(str, arguments.inputs)], check=False)
    sys.exit(min(done.returncode, 1) if done.returncode >= 0 else 1)


def _fuzz(target: Target, folder: Path, inputs: list[Path], seconds: int) -> None:
    """Search with `folder` for the corpus, or run `inputs`; never returns."""
    import atheris  # type: ignore[import-not-found]

    sys.path.insert(0, str(Path(__file__).parent.parent))
    with atheris.instrument_imports(include=[target.package]):
        for module in target.modules:
            importlib.import_module(module)

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds()):
        (corpus / str(number)).write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{word}"\n' for word in target.words))
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={target.megabytes}",
        f"-max_len={LONGEST_INPUT}",
        f"-dict={words}",
        "-print_final_stats=1",
    ]
    scratch = folder / "data"
    scratch.mkdir()
    atheris.Setup([sys.argv[0], *options, *(map(str, inputs) if inputs else [str(corpus)])], target.make_test(scratch))
    atheris.Fuzz()
