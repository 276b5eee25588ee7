import os
import time
from pathlib import Path

import pytest

from tests.inspection.test_image_facts import save, scene
from yolo.inspection.image_facts import ImageFacts, inspect_image, pixel_digest
from yolo.inspection.pool import inspect_images, pixel_digests

NUM_IMAGES = 70  # three chunks


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("images")
    return [str(save(folder / f"{seed}.jpg", scene(seed))) for seed in range(NUM_IMAGES)]


def die_on_some(path: str) -> ImageFacts:
    """Ends its process as a fault in a decoder would, or the lack of memory."""
    if Path(path).stem in ("5", "40"):
        os._exit(11)
    return inspect_image(path)


def slower_for_earlier_ones(path: str) -> ImageFacts:
    if int(Path(path).stem) < 32:
        time.sleep(0.005)
    return ImageFacts(((Path(path).stem, ""),))


def raise_on_one(path: str) -> ImageFacts:
    if Path(path).stem == "7":
        raise KeyError("what no decoder should raise")
    if Path(path).stem == "8":
        raise MemoryError
    return inspect_image(path)


def test_results_are_in_order_whatever_finishes_first(paths: list[str]) -> None:
    steps: list[int] = []
    facts = inspect_images(paths, workers=2, inspect=slower_for_earlier_ones, progress=steps.append)
    assert [one.notes[0][0] for one in facts] == [Path(path).stem for path in paths]
    assert steps == [32, 64, 70]


def test_processes_give_what_a_call_gives(paths: list[str]) -> None:
    assert inspect_images(paths, workers=1) == [inspect_image(path) for path in paths]


def test_images_that_end_their_process_are_reported_and_no_others(paths: list[str]) -> None:
    facts = inspect_images(paths, workers=2, inspect=die_on_some)
    assert [Path(path).stem for path, one in zip(paths, facts, strict=True) if one.broken] == ["5", "40"]
    assert facts[5].notes[0][0] == facts[40].notes[0][0] == "image_crashes"
    assert facts[6] == inspect_image(paths[6])


def test_exceptions_are_reported(paths: list[str]) -> None:
    facts = inspect_images(paths[:10], workers=1, inspect=raise_on_one)
    assert facts[7].notes == (("image_crashes", "the decoder failed: KeyError: 'what no decoder should raise'"),)
    assert facts[8].notes[0][0] == "image_crashes"
    assert [one.broken for one in facts].count(True) == 2


def test_what_decoders_say_reaches_the_facts_and_no_terminal(
    paths: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(Path(paths[0]).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100] = bytes(100)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(data)
    facts = inspect_images([paths[0], str(bad), paths[1]], workers=1)
    assert [[kind for kind, _ in one.notes] for one in facts] == [[], ["image_corrupt"], []]
    assert capfd.readouterr().err == ""


def test_nothing_to_do_starts_nothing() -> None:
    assert inspect_images([]) == []
    assert pixel_digests([]) == []


def test_digests_of_pixels(paths: list[str]) -> None:
    assert pixel_digests(paths, workers=2) == [pixel_digest(path) for path in paths]
    assert pixel_digests(paths[:2]) == [pixel_digest(path) for path in paths[:2]]
