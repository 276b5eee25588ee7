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

from collections.abc import Callable
from pathlib import Path

from fuzzing import Target, run

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
    run(
        Target(
            script=Path(__file__),
            about=(__doc__ or "").partition("\n")[0],
            package="yolo.darknet",
            modules=("yolo.darknet.plan", "yolo.darknet.net_section", "yolo.darknet.weights"),
            megabytes=1024,
            words=WORDS,
            seeds=seeds,
            make_test=make_test,
        )
    )


def seeds() -> list[bytes]:
    """Good files to start from."""
    from yolo.darknet.lookup import NETWORKS, network_cfg
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
    from yolo.darknet.net_section import learning_rate
    from yolo.darknet.plan import describe, plan_network

    plan = plan_network(text)
    assert len(describe(plan)) == len(plan.layers) + 2
    for batch_number in (0, 1, 1000):
        learning_rate(plan.net.rate, batch_number, base=plan.net.learning_rate, max_batches=plan.net.max_batches)


def check_weights(source: Path, target: Path, plan: object) -> None:
    from yolo.darknet.plan import NetworkPlan
    from yolo.darknet.weights import read_weights, write_weights

    assert isinstance(plan, NetworkPlan)
    weights = read_weights(source, plan, partial=True)
    write_weights(target, plan, weights.arrays, weights.header, upto=weights.loaded_layers)
    assert source.read_bytes() == target.read_bytes()


if __name__ == "__main__":
    main()
