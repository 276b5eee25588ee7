"""Feed damaged and invented files to the readers of darknet's formats, guided by the lines that they reach.

    pip install atheris          # wheels for Linux; not part of the development tools
    python tools/fuzz_darknet.py [--seconds 60]

Half of the inputs are cfgs: they must become a plan, its table and its learning rates, or an error for people. The
others are weights files of a small network that has every kind of layer: they must be refused the same way, or be
written back byte for byte. Any other exception, an input that takes longer than five seconds, or a gigabyte of memory
ends the run with status 1 and leaves the input as `crash-*`, `timeout-*` or `oom-*` in the current folder; to see it
again, name it: `python tools/fuzz_darknet.py crash-...`.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SECONDS_PER_INPUT = 5
MEGABYTES = 1024
LONGEST_INPUT = 4096
CFG, WEIGHTS = b"c", b"w"  # the first byte of an input says what the rest is

SMALL_NETWORK = """[net]
width=4
height=3
channels=2
[conv]
filters=2
size=3
pad=1
batch_normalize=1
[conv]
filters=3
flipped=1
[batchnorm]
[local]
filters=1
[connected]
output=2
batch_normalize=1
[connected]
output=6
[detection]
side=1
coords=4
"""
WORDS = (
    *("[net]", "[conv]", "[local]", "[connected]", "[maxpool]", "[avgpool]", "[dropout]", "[crop]", "[softmax]"),
    *("[cost]", "[detection]", "[batchnorm]", "[activation]", "filters=", "size=", "stride=", "pad=1", "padding="),
    *("groups=", "batch_normalize=1", "flipped=1", "numload=", "dontload=1", "dontsave=1", "dontloadscales=1"),
    *("activation=leaky", "output=", "inputs=", "policy=steps", "policy=poly", "policy=exp", "steps=1,2"),
    *("scales=.1,2", "gamma=", "power=", "max_batches=", "burn_in=", "learning_rate=", "1e38", "2147483647", "-1"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="how long to search")
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("inputs", nargs="*", type=Path, help="inputs to run once, instead of searching")
    arguments = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.exit("fuzz_darknet needs atheris, which is not installed: pip install atheris")
    if arguments.corpus is not None:
        fuzz(arguments.corpus, arguments.inputs, arguments.seconds)
        return
    with tempfile.TemporaryDirectory() as folder:
        # The fuzzer leaves by exiting the whole process, without any cleaning up: so it gets one of its own.
        command = [sys.executable, __file__, "--seconds", str(arguments.seconds), "--corpus", folder]
        done = subprocess.run([*command, *map(str, arguments.inputs)], check=False)
    sys.exit(min(done.returncode, 1) if done.returncode >= 0 else 1)


def fuzz(folder: Path, inputs: list[Path], seconds: int) -> None:
    """Search with `folder` for the corpus, or run `inputs`; never returns."""
    import atheris  # type: ignore[import-not-found]

    sys.path.insert(0, str(Path(__file__).parent.parent))
    with atheris.instrument_imports(include=["yolo.darknet"]):
        import yolo.darknet.catalogue
        import yolo.darknet.learning_rate
        import yolo.darknet.weights  # noqa: F401

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(seeds()):
        (corpus / str(number)).write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS))
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-max_len={LONGEST_INPUT}",
        f"-dict={words}",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, *(map(str, inputs) if inputs else [str(corpus)])], make_test(folder))
    atheris.Fuzz()


def seeds() -> list[bytes]:
    """Good files to start from."""
    from yolo.darknet.catalogue import NETWORKS, network_cfg
    from yolo.darknet.plan import plan_network
    from yolo.darknet.weights import WeightsHeader

    # of the shipped networks the lines without comments, which would fill the length of an input
    texts = ["\n".join(line for line in network_cfg(name).split("\n") if line[:1] != "#") for name in NETWORKS]
    body = bytes(4 * plan_network(SMALL_NETWORK).num_floats)
    headers = (
        WeightsHeader.new(seen=1),
        WeightsHeader(major=0, minor=1, revision=0, seen=1),
        WeightsHeader.oldest(rate=0.001, momentum=0.9, decay=0.0005),
    )
    return [CFG + text.encode() for text in (SMALL_NETWORK, *texts)] + [
        WEIGHTS + header.to_bytes() + body for header in headers
    ]


def make_test(folder: Path) -> Callable[[bytes], None]:
    """The function that gets each input; raises for what must not happen."""
    from yolo.darknet.plan import plan_network
    from yolo.errors import GridYoloError

    plan = plan_network(SMALL_NETWORK)
    source, target = folder / "a.weights", folder / "b.weights"

    def test(data: bytes) -> None:
        try:
            if data[:1] == WEIGHTS:
                source.write_bytes(data[1:])
                check_weights(source, target, plan)
            else:
                check_cfg(data[1:].decode("utf-8", errors="replace"))
        except GridYoloError as error:
            if not str(error):
                raise AssertionError("an error without a message") from error

    return test


def check_cfg(text: str) -> None:
    from yolo.darknet.learning_rate import learning_rate
    from yolo.darknet.plan import describe, plan_network

    plan = plan_network(text)
    assert len(describe(plan)) == len(plan.layers) + 2
    for batch_number in (0, 1, 1000):
        learning_rate(plan.net, batch_number)


def check_weights(source: Path, target: Path, plan: object) -> None:
    from yolo.darknet.plan import NetworkPlan
    from yolo.darknet.weights import read_weights, write_weights

    assert isinstance(plan, NetworkPlan)
    weights = read_weights(source, plan, partial=True)
    write_weights(target, plan, weights.arrays, weights.header, upto=weights.loaded_layers)
    assert source.read_bytes() == target.read_bytes()


if __name__ == "__main__":
    main()
