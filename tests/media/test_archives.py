import io
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.curate.download_server import tar_of, zip_of
from yolo.errors import DataError
from yolo.images import write_image
from yolo.media.items import ImageFile, Item, Unreadable
from yolo.media.sources import Source, open_source


@pytest.fixture
def png(tmp_path: Path) -> bytes:
    write_image(tmp_path / "x.png", np.full((8, 8, 3), 7, np.uint8))
    return (tmp_path / "x.png").read_bytes()


def names(items: list[Item], archive: Path) -> list[str]:
    return [item.source.removeprefix(f"{archive}/") for item in items]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_images_of_an_archive_in_its_order(
    tmp_path: Path, png: bytes, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yolo.image_formats.find_spec", lambda name: None)
    files = {"b/z.png": png, "a.PNG": png, "notes.txt": b"x", "c.SVG": b"x", "._d.png": b"mac", "e.png": b"no image"}
    files["d.heic"] = b"\0\0\0\x18ftypheic"
    data = zip_of(files) if kind == "zip" else tar_of(files, mode="w:gz" if kind == "tar.gz" else "w")
    path = tmp_path / f"photos [1].{kind}"
    path.write_bytes(data)
    source = open_source(path)
    assert source.total is None
    items = list(source)
    assert names(items, path) == ["b/z.png", "a.PNG", "e.png"]
    first, second, third = items
    assert isinstance(first, ImageFile)
    assert isinstance(second, ImageFile)
    assert (second.read().image == 7).all()
    assert (first.read().image == 7).all()  # also later, and in another order
    assert isinstance(third, ImageFile)
    with pytest.raises(DataError, match=r"e\.png: is not an image"):
        third.read()
    assert source.notes() == [
        "2 files were not read: 1 .heic, 1 .svg; HEIC and AVIF need pip install 'gridyolo[heif]'; "
        "convert the others to JPEG or PNG"
    ]
    assert sorted(one.name for one in tmp_path.iterdir()) == [path.name, "x.png"]


def test_names_are_safe(tmp_path: Path, png: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of({"../../up.png": png, "/etc/root.png": png, "..\\win.png": png, "bell\x07.png": png}))
    assert names(list(open_source(path)), path) == ["up.png", "etc/root.png", "win.png", "bell%07.png"]


def test_links_are_not_followed(tmp_path: Path, png: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "x.png")
        archive.addfile(link)
        info = tarfile.TarInfo("b.png")
        info.size = len(png)
        archive.addfile(info, io.BytesIO(png))
    assert names(list(open_source(tmp_path / "a.tar")), tmp_path / "a.tar") == ["b.png"]


def test_a_damaged_entry_does_not_end_the_others(tmp_path: Path, png: bytes) -> None:
    data = bytearray(zip_of({"a.png": png, "b.png": png}))
    data[40] ^= 0xFF  # in the compressed bytes of a.png, behind 30 bytes of header and the name
    (tmp_path / "a.zip").write_bytes(data)
    first, second = open_source(tmp_path / "a.zip")
    assert isinstance(first, Unreadable)
    assert "a.zip/a.png: is damaged or encrypted" in first.reason
    assert isinstance(second, ImageFile)


def test_an_encrypted_entry(tmp_path: Path, png: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", png)
    data = bytearray(buffer.getvalue())
    data[6] |= 1  # the flag of encryption, in the entry's header and in the directory
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    (item,) = open_source(tmp_path / "a.zip")
    assert isinstance(item, Unreadable)
    assert "encrypted" in item.reason


def _each(source: Source) -> list[Item]:
    return list(source)


@pytest.mark.parametrize("cut", [0.5, 0.95])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_is_cut_off(tmp_path: Path, kind: str, cut: float) -> None:
    noise = np.random.default_rng(0)
    files = {f"{k}.bmp": noise.bytes(3000) for k in range(5)}
    data = zip_of(files) if kind == "zip" else tar_of(files, mode="w:gz")
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data[: int(len(data) * cut)])
    if kind == "zip":  # its table of contents is at the end
        with pytest.raises(DataError, match=r"is damaged or cut off .* 0 images"):
            _each(open_source(path))
    else:
        *whole, end = _each(open_source(path))
        assert whole
        assert all(isinstance(item, ImageFile) for item in whole[:-1])
        assert isinstance(end, Unreadable)
        assert re.search(rf"is damaged or cut off .* after {len(whole)} images", end.reason)
    write_image(tmp_path / "z.png", np.zeros((8, 8, 3), np.uint8))
    items = _each(open_source([path, tmp_path / "z.png"]))
    assert isinstance(items[-2], Unreadable)
    assert isinstance(items[-1], ImageFile)


def test_no_archive_and_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK no archive")
    (tmp_path / "b.zip").write_bytes(zip_of({"readme.txt": b"x"}))
    (tmp_path / "c.tar").write_bytes(b"")
    for name, message in (("a.zip", "is damaged"), ("b.zip", "holds no image"), ("c.tar", "is damaged")):
        with pytest.raises(DataError, match=f"{name}: {message}"):
            _each(open_source(tmp_path / name))


def test_bombs_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo.media.archives.MAX_IMAGE_BYTES", 1 << 20)
    monkeypatch.setattr("yolo.media.archives._ALWAYS_ALLOWED", 3 << 20)
    zeros = bytes(1 << 20)
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a.bmp": zeros + b"1", "b.bmp": zeros, "c.bmp": zeros, "d.bmp": zeros}))
    source = open_source(path)
    first = next(source)
    assert isinstance(first, Unreadable)
    assert "a.bmp: has 1,048,577 bytes" in first.reason
    assert isinstance(next(source), ImageFile)
    *_, end = source
    assert isinstance(end, Unreadable)
    assert "more than 200 times its size; reading stopped" in end.reason


def test_memory_is_flat_over_the_entries_of_a_tar(tmp_path: Path, png: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of({f"{k}.png": png for k in range(50)}))
    kept: list[int] = []
    original = tarfile.TarFile.next

    def watched(self: tarfile.TarFile) -> tarfile.TarInfo | None:
        kept.append(len(vars(self)["members"]))
        return original(self)

    monkeypatch.setattr(tarfile.TarFile, "next", watched)
    assert len(_each(open_source(path))) == 50
    assert max(kept) <= 1
