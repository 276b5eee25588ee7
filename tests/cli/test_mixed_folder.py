"""`predict` over a folder such as people have ends with a count of everything that it could not read."""

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.mixed_folder import fill_mixed_folder
from tests.engine.shapes import write_untrained
from yolo.cli.main import run

# What the lines of the end say of a kind of file.
_COUNTED = {
    "damaged": "damaged",
    "too large": "too large",
    "no image": "that are not images",
    "empty": "empty",
    "damaged video": "damaged videos?",
}


@pytest.mark.parametrize("count", [69, pytest.param(500, marks=pytest.mark.slow)])
def test_what_could_not_be_read_is_counted_by_kind(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill_mixed_folder(tmp_path / "mixed", count)
    before = states(tmp_path / "mixed")
    weights = write_untrained(tmp_path / "net.safetensors")
    monkeypatch.chdir(tmp_path)
    assert run(["predict", str(weights), "mixed", "device=cpu", "conf=0.99"]) == 0
    out, err = capsys.readouterr()
    said = " ".join((out + err).split())
    for kind, words in _COUNTED.items():
        assert re.search(rf"\b{made[kind]} {words}", said), kind
    unread = sum(made[kind] for kind in _COUNTED)
    assert f"{unread} images or videos could not be read" in said
    num_images = made["good"] + 2 * made["video"]
    seen = f"{made['good']} images and {2 * made['video']} frames of {made['video']} videos"
    assert re.search(f"{seen}|{num_images} images", said)
    no_files = sum(made[kind] for kind in ("loop", "pipe", "socket", "nowhere"))
    assert f"{no_files} paths that are named like images are not files" in said
    assert len([line for line in err.splitlines() if line.startswith("warning: ")]) < 12, (
        "what is counted at the end is not listed before"
    )
    entries = json.loads((tmp_path / "runs" / "predict" / "detections.json").read_text())["images"]
    assert Counter("error" in entry for entry in entries) == {True: unread, False: num_images}
    assert len(list((tmp_path / "runs" / "predict").rglob("*.jpg"))) == made["good"]
    assert states(tmp_path / "mixed") == before


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of everything in a folder."""
    found = [path.lstat() for path in sorted(folder.rglob("*"))]
    return {str(number): (status.st_size, status.st_mtime_ns) for number, status in enumerate(found)}


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_what_may_not_be_read_is_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_mixed_folder(tmp_path / "mixed", 3)
    next((tmp_path / "mixed").rglob("*.png")).chmod(0)
    monkeypatch.chdir(tmp_path)
    assert run(["predict", str(write_untrained(tmp_path / "net.safetensors")), "mixed", "device=cpu"]) == 0
    assert "1 image or video could not be read" in "".join(capsys.readouterr())


def test_one_file_of_a_kind_is_counted_in_the_singular(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_mixed_folder(tmp_path / "mixed", 3)
    (tmp_path / "mixed" / "text.jpg").write_text("There is no image in this file.")
    (tmp_path / "mixed" / "cut.mp4").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert run(["predict", str(write_untrained(tmp_path / "net.safetensors")), "mixed", "device=cpu"]) == 0
    counted = capsys.readouterr().err.splitlines()[-1].partition("read: ")[2]
    assert sorted(counted.split(", ")) == ["1 damaged video", "1 that is not an image"]
