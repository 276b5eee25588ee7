import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.curate.pictures import damaged, jpeg, save, scene, with_orientation
from yolo.curate.findings import Finding, FindingImage
from yolo.curate.images import (
    ImageFacts,
    fingerprint,
    image_findings,
    inspect_image,
    inspect_images,
    pixel_digest,
    pixel_digests,
)
from yolo.images import Decoded


def kinds(facts: ImageFacts) -> list[str]:
    return [kind for kind, _ in facts.notes]


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file in place of the stderr of this process, as workers have it."""
    saved = os.dup(2)
    with tempfile.TemporaryFile(buffering=0) as file:
        os.dup2(file.fileno(), 2)
        with io.FileIO(2, "r+", closefd=False) as own:
            monkeypatch.setattr("yolo.curate.images._messages", own)
            yield
        os.dup2(saved, 2)
    os.close(saved)


def test_a_good_image_has_no_notes(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "a.bmp", "a.webp", "a.tif"):
        facts = inspect_image(str(save(tmp_path / name, scene())))
        assert facts.notes == ()
        assert (facts.broken, facts.stored_wh, facts.orientation) == (False, (160, 120), 1)
        assert len(facts.thumbnail) == 256


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "image_unreadable"),
        (b"version https://git-lfs.github.com/spec/v1\n", "image_unreadable"),
        (b"\xff\xd8\xff", "image_truncated"),
        (jpeg(scene())[:-300], "image_truncated"),
        (jpeg(scene(), progressive=True)[:-2], "image_truncated"),
    ],
)
def test_files_that_cannot_be_used(content: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    facts = inspect_image(str(path))
    assert kinds(facts) == [kind]
    assert facts.broken
    (found,) = image_findings(str(path), facts, None)
    assert (found.kind, found.path, found.images) == (kind, str(path), ())


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    assert kinds(inspect_image(str(tmp_path / "none.jpg"))) == ["image_unreadable"]


@pytest.mark.usefixtures("messages")
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tif"])
def test_truncated_files_of_other_formats(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"a{suffix}", np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    facts = inspect_image(str(path))
    assert facts.broken


@pytest.mark.usefixtures("messages")
def test_damage_in_the_middle_is_what_the_decoder_tells(tmp_path: Path) -> None:
    good, path = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(jpeg(scene(size_hw=(480, 640)), quality=95))
    path.write_bytes(damaged(good.read_bytes(), 300))
    facts = inspect_image(str(path))
    assert kinds(facts) == ["image_corrupt"]
    assert facts.broken
    # what one file made the decoder say is not laid at the door of the next
    assert inspect_image(str(good)).notes == ()


@pytest.mark.usefixtures("messages")
def test_bytes_too_many_at_the_end_of_a_jpeg_are_harmless(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(scene())[:-2] + b"\x00\x00\x00\xff\xd9")
    assert inspect_image(str(path)).notes == ()


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 15_000)).save(path)  # 300 million pixels in a few kilobytes
    assert kinds(inspect_image(str(path))) == ["image_too_large"]  # by Pillow's own limit
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)  # as in the workers

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("yolo.curate.images.decode_image", refuse)
    facts = inspect_image(str(path))
    assert facts.notes == (("image_too_large", "20000 x 15000 pixels"),)
    assert facts.broken


grey = scene()[:, :, 0]


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("a.png", Image.fromarray(grey), ["image_grey"]),
        ("a.jpg", Image.fromarray(scene()).convert("CMYK"), ["image_cmyk"]),
        ("a.png", Image.fromarray(scene()).convert("P"), ["image_palette"]),
        ("a.png", Image.fromarray(scene()).convert("RGBA"), ["image_alpha"]),
        ("a.png", Image.fromarray(grey.astype(np.uint16) * 256), ["image_16bit"]),
        ("a.png", Image.new("RGB", (15, 40)), ["image_tiny"]),
        ("a.png", Image.new("RGB", (10_001, 16)), ["image_huge"]),
        ("a.png", Image.new("RGB", (10_000, 16)), []),
    ],
)
def test_odd_kinds_of_images(name: str, image: Image.Image, expected: list[str], tmp_path: Path) -> None:
    image.save(tmp_path / name)
    facts = inspect_image(str(tmp_path / name))
    assert kinds(facts) == expected
    assert not facts.broken


def test_16_bit_colour_which_pillow_does_not_tell(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scene().astype(np.uint16) * 256)
    assert kinds(inspect_image(str(tmp_path / "a.png"))) == ["image_16bit"]


def test_several_frames(tmp_path: Path) -> None:
    frames = [Image.fromarray(scene(seed)) for seed in range(3)]
    for name in ("a.tif", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert inspect_image(str(tmp_path / name)).notes == (("image_animated", "3 frames"),)


def test_a_png_called_jpg(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", scene(), format="PNG")
    assert inspect_image(str(tmp_path / "a.jpg")).notes == (("image_suffix", "is a PNG file"),)


def test_orientation_is_a_note_unless_the_annotation_states_the_size_without_it(tmp_path: Path) -> None:
    path = str(save(tmp_path / "a.jpg", scene(), exif=with_orientation(6)))
    facts = inspect_image(path)
    assert (facts.orientation, facts.stored_wh) == (6, (160, 120))
    (note,) = image_findings(path, facts, None)
    assert (note.kind, note.message) == ("exif_rotated", "EXIF orientation 6: turned by 90 degrees")
    # upright the image is 120 x 160; a tool that states 160 x 120 showed it lying
    stated = Finding(
        "size_mismatch", "a.xml", "", "<size> says 160 x 120, the image is 120 x 160", (FindingImage(path),)
    )
    (fault,) = image_findings(path, facts, stated)
    assert (fault.kind, fault.path) == ("exif_ignored", "a.xml")
    assert "160 x 120, the size without the turn" in fault.message
    other = stated._replace(message="<size> says 80 x 60, the image is 120 x 160")
    assert [item.kind for item in image_findings(path, facts, other)] == ["exif_rotated"]


@pytest.mark.parametrize("orientation", [1, 0, 9])
def test_upright_and_senseless_orientations_are_nothing(orientation: int, tmp_path: Path) -> None:
    path = str(save(tmp_path / "a.jpg", scene(), exif=with_orientation(orientation)))
    assert image_findings(path, inspect_image(path), None) == []


@pytest.mark.parametrize(("side", "reduction"), [(95, 1), (96, 2), (191, 2), (192, 4), (383, 4), (384, 8)])
def test_at_least_48_pixels_of_a_side_are_decoded(
    side: int, reduction: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reductions = []

    def decode(_: bytes, *, name: str, reduction: int) -> Decoded:
        reductions.append(reduction)
        return Decoded(scene())

    monkeypatch.setattr("yolo.curate.images.decode", decode)
    inspect_image(str(save(tmp_path / "a.jpg", scene(size_hw=(side, 400)))))
    assert reductions == [reduction]


def distance(first: ImageFacts, second: ImageFacts) -> int:
    return (first.fingerprint ^ second.fingerprint).bit_count()


def test_the_fingerprint_survives_compression_size_format_and_turning_by_exif(tmp_path: Path) -> None:
    image = scene(3, size_hw=(480, 640))
    original = inspect_image(str(save(tmp_path / "a.png", image)))
    lying = np.ascontiguousarray(np.rot90(image))
    copies = [
        save(tmp_path / "a.jpg", image, quality=60),
        save(tmp_path / "half.jpg", np.asarray(Image.fromarray(image).resize((320, 240)))),
        save(tmp_path / "darker.jpg", (image * 0.7).astype(np.uint8)),
        save(tmp_path / "turned.jpg", lying, exif=with_orientation(6)),
    ]
    assert [distance(original, inspect_image(str(path))) <= 4 for path in copies] == [True] * 4


def test_fingerprints_are_of_32_by_32_grey_values(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def dct(values: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(values.shape)
        return values

    monkeypatch.setattr("yolo.curate.images.cv2.dct", dct)
    fingerprint(scene())
    assert seen == [(32, 32)]


def test_fingerprints_of_different_pictures_differ_in_about_half_of_the_bits() -> None:
    prints = [fingerprint(scene(seed)) for seed in range(30)]
    assert all(value.bit_count() == 32 for value in prints)  # by the median
    distances = [(a ^ b).bit_count() for a in prints for b in prints if a < b]
    assert min(distances) > 8
    assert 28 < np.mean(distances) < 36


def test_digests_tell_bytes_and_pixels_apart(tmp_path: Path) -> None:
    first = inspect_image(str(save(tmp_path / "a.png", scene(), compress_level=1)))
    same = inspect_image(str(save(tmp_path / "b.png", scene(), compress_level=9)))
    image = scene()
    image[60, 80] ^= 1
    other = inspect_image(str(save(tmp_path / "c.png", image)))
    assert first.content != same.content
    assert first.pixels == same.pixels
    digests = [pixel_digest(str(tmp_path / f"{name}.png")) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
    assert other.content != first.content
    assert pixel_digest(str(tmp_path / "none.png")) == b""


NUM_IMAGES = 70  # three chunks


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("images")
    return [str(save(folder / f"{seed}.jpg", scene(seed))) for seed in range(NUM_IMAGES)]


def die_on_one(path: str) -> ImageFacts:
    """Ends its process as a fault in a decoder would, or the lack of memory."""
    if Path(path).stem == "40":
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


def test_an_image_that_ends_its_process_is_reported_and_no_other(paths: list[str]) -> None:
    facts = inspect_images(paths, workers=1, inspect=die_on_one)
    assert [Path(path).stem for path, one in zip(paths, facts, strict=True) if one.broken] == ["40"]
    assert facts[40].notes[0][0] == "image_crashes"
    assert facts[41] == inspect_image(paths[41])


def test_exceptions_are_reported(paths: list[str]) -> None:
    facts = inspect_images(paths[:10], workers=1, inspect=raise_on_one)
    assert facts[7].notes == (("image_crashes", "the decoder failed: KeyError: 'what no decoder should raise'"),)
    assert facts[8].notes[0][0] == "image_crashes"
    assert [one.broken for one in facts].count(True) == 2


def test_what_decoders_say_reaches_the_facts_and_no_terminal(
    paths: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(damaged(Path(paths[0]).read_bytes()))
    facts = inspect_images([paths[0], str(bad), paths[1]], workers=1)
    assert [[kind for kind, _ in one.notes] for one in facts] == [[], ["image_corrupt"], []]
    assert capfd.readouterr().err == ""


def test_nothing_to_do_starts_nothing() -> None:
    assert inspect_images([]) == []
    assert pixel_digests([]) == []


def test_digests_of_pixels(paths: list[str]) -> None:
    assert pixel_digests(paths, workers=2) == [pixel_digest(path) for path in paths]
    assert pixel_digests(paths[:2]) == [pixel_digest(path) for path in paths[:2]]
