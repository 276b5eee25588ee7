import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.curate.download_server import tar_of, zip_of
from yolo.curate.archives import Unpacked, unpack
from yolo.errors import DataError

FILES = {"top/a.txt": b"abc", "top/deep/er/b.bin": bytes(3000), "top/empty": b"", "other/c.txt": b"c"}
MAKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "tar": tar_of,
    "tar.gz": lambda files: tar_of(files, mode="w:gz"),
    "zip": zip_of,
}


def _unpack(content: bytes, folder: Path, **changes: object) -> Unpacked:
    """Into folder/out, from folder/archive."""
    (folder / "archive").write_bytes(content)
    (folder / "out").mkdir(exist_ok=True)
    options: dict[str, object] = {"max_bytes": 1 << 20, "max_files": 50}
    return unpack(folder / "archive", folder / "out", **(options | changes))  # type: ignore[arg-type]


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _tar_with(*entries: tarfile.TarInfo, **files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for info in entries:
            opened.addfile(info, io.BytesIO(bytes(info.size)))
        for name, content in ({"good.txt": b"good"} | files).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _entry(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def _zip_with(name: str, content: bytes = b"x", *, mode: int = 0, again: bool = False) -> bytes:
    buffer = io.BytesIO()
    info = zipfile.ZipInfo("placeholder" if "\0" in name else name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(info, content)
        if again:
            with pytest.warns(UserWarning, match="Duplicate"):
                opened.writestr(name, b"other")
        opened.writestr("good.txt", b"good")
    if "\0" in name:
        return buffer.getvalue().replace(b"placeholder", name.ljust(11).encode())
    return buffer.getvalue()


@pytest.mark.parametrize("kind", MAKERS)
def test_one_folder_of_it(tmp_path: Path, kind: str) -> None:
    assert _unpack(MAKERS[kind](FILES), tmp_path, inside="top") == Unpacked(3, 3003, 1)
    assert _tree(tmp_path / "out") == {"a.txt": b"abc", "deep/er/b.bin": bytes(3000), "empty": b""}


@pytest.mark.parametrize("kind", MAKERS)
@given(
    files=st.dictionaries(
        st.lists(st.sampled_from(["a", "b b", "é", "c.txt", ".d"]), min_size=1, max_size=3).map("/".join),
        st.binary(max_size=2000),
        min_size=1,
        max_size=6,
    )
)
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, kind: str, files: dict[str, bytes]) -> None:
    if any(f"{other}/".startswith(f"{name}/") for name in files for other in files if other != name):
        return  # a file cannot be a folder as well
    folder, total, seen = tmp_path_factory.mktemp("tree"), sum(map(len, files.values())), [0]
    assert _unpack(MAKERS[kind](files), folder, advance=seen.append) == Unpacked(len(files), total, 0)
    assert seen[-1] == total
    assert _tree(folder / "out") == files


def test_folders_and_dots_in_names(tmp_path: Path) -> None:
    folder = _entry("./d", tarfile.DIRTYPE)
    _unpack(_tar_with(folder, _entry("./d/./e.txt", size=2), folder), tmp_path)
    assert _tree(tmp_path / "out") == {"d/e.txt": bytes(2), "good.txt": b"good"}


def test_permissions_and_owners_are_those_of_new_files(tmp_path: Path) -> None:
    wicked = _entry("run.sh")
    wicked.mode, wicked.uid = 0o7777, 0
    _unpack(_tar_with(wicked), tmp_path)
    (tmp_path / "new").touch()
    assert (tmp_path / "out" / "run.sh").stat().st_mode == (tmp_path / "new").stat().st_mode
    (tmp_path / "zip").mkdir()
    _unpack(_zip_with("run.sh", mode=stat.S_IFREG | 0o7777), tmp_path / "zip")
    assert (tmp_path / "zip" / "out" / "run.sh").stat().st_mode == (tmp_path / "new").stat().st_mode


HOSTILE_NAMES = {
    "../out.txt": "leads out",
    "a/../../out.txt": "leads out",
    "a/..": "leads out",
    "TMP/out.txt": "absolute",
    "//host/share/x": "absolute",
    "C:/x.txt": "absolute",
    "C:x.txt": "absolute",
    "a\\..\\..\\x": "backslash",
    "\\x": "backslash",
}


@pytest.mark.parametrize(("name", "words"), HOSTILE_NAMES.items())
@pytest.mark.parametrize("kind", MAKERS)
def test_names_that_lead_out(tmp_path: Path, kind: str, name: str, words: str) -> None:
    name = name.replace("TMP", tmp_path.as_posix())
    with pytest.raises(DataError, match=words):
        _unpack(MAKERS[kind]({name: b"x", "good/good.txt": b"good"}), tmp_path, inside="good")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "out"]
    assert _tree(tmp_path / "out") == {}


def test_a_zero_byte_in_a_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="zero byte"):
        _unpack(_zip_with("a.txt\0.sh"), tmp_path)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (_entry("l", tarfile.SYMTYPE, link="/etc/passwd"), "is a link"),
        (_entry("l", tarfile.SYMTYPE, link="good.txt"), "is a link"),
        (_entry("l", tarfile.LNKTYPE, link="../../x"), "is a link"),
        (_entry("l", tarfile.CHRTYPE), "is a device"),
        (_entry("l", tarfile.BLKTYPE), "is a device"),
        (_entry("l", tarfile.FIFOTYPE), "pipe"),
        (_entry("l", tarfile.GNUTYPE_SPARSE), "sparse|damaged"),
    ],
)
def test_links_and_devices_in_a_tar(tmp_path: Path, entry: tarfile.TarInfo, words: str) -> None:
    with pytest.raises(DataError, match=words):
        _unpack(_tar_with(entry), tmp_path)
    assert not os.path.lexists(tmp_path / "out" / "l")


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (stat.S_IFLNK | 0o777, "is a link"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFIFO, "pipe"),
        (stat.S_IFSOCK, "socket"),
    ],
)
def test_links_and_devices_in_a_zip(tmp_path: Path, mode: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        _unpack(_zip_with("l", b"/etc/passwd", mode=mode), tmp_path)
    assert not os.path.lexists(tmp_path / "out" / "l")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    content = bytearray(_zip_with("secret"))
    central = content.index(b"PK\1\2")
    content[central + 8] |= 1
    with pytest.raises(DataError, match="is encrypted"):
        _unpack(bytes(content), tmp_path)


def test_the_same_name_twice(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'\./a': appears twice"):
        _unpack(_tar_with(_entry("a", size=1), _entry("./a", size=2)), tmp_path)
    (tmp_path / "zip").mkdir()
    with pytest.raises(DataError, match="'a': appears twice"):
        _unpack(_zip_with("a", again=True), tmp_path / "zip")


def test_a_file_that_is_a_folder_as_well(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a file and a folder"):
        _unpack(_tar_with(_entry("a"), _entry("a/b")), tmp_path)
    (tmp_path / "2").mkdir()
    with pytest.raises(DataError, match="twice"):
        _unpack(_tar_with(_entry("a/b"), _entry("a")), tmp_path / "2")


def test_nothing_that_exists_is_overwritten_or_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "good.txt").write_text("mine")
    with pytest.raises(DataError, match="twice"):
        _unpack(_tar_with(), tmp_path)
    assert (tmp_path / "out" / "good.txt").read_text() == "mine"
    (tmp_path / "out" / "good.txt").unlink()
    (tmp_path / "out" / "good.txt").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="twice"):
        _unpack(_tar_with(), tmp_path)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", MAKERS)
def test_bombs_end_at_the_limit(tmp_path: Path, kind: str) -> None:
    content = MAKERS[kind]({"a": bytes(40_000), "b": bytes(60_001)})
    assert kind == "tar" or len(content) < 2000
    with pytest.raises(DataError, match="more than the 100000 bytes"):
        _unpack(content, tmp_path, max_bytes=100_000)
    assert sum(len(data) for data in _tree(tmp_path / "out").values()) <= 100_000
    (tmp_path / "fits").mkdir()
    assert _unpack(content, tmp_path / "fits", max_bytes=100_001).num_bytes == 100_001


def test_a_zip_that_lies_about_its_sizes(tmp_path: Path) -> None:
    """Header and directory say 10 bytes; the content is a megabyte of zeros."""
    content = bytearray(zip_of({"a": bytes(1 << 20)}))
    for signature, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", content, content.index(signature) + place, 10)
    with pytest.raises(DataError):
        _unpack(bytes(content), tmp_path, max_bytes=1000)
    assert sum(len(data) for data in _tree(tmp_path / "out").values()) <= 1000


@pytest.mark.parametrize("kind", MAKERS)
def test_too_many_entries(tmp_path: Path, kind: str) -> None:
    content = MAKERS[kind]({str(number): b"" for number in range(11)})
    with pytest.raises(DataError, match="more than the 10 entries"):
        _unpack(content, tmp_path, max_files=10)
    (tmp_path / "fits").mkdir()
    assert _unpack(content, tmp_path / "fits", max_files=11).num_files == 11


def test_skipped_bytes_count_for_the_limit(tmp_path: Path) -> None:
    """A small tar.gz whose unwanted file is long: to reach the next entry it has to be unzipped all the same."""
    content = tar_of({"junk": bytes(3 << 20), "good/a": b"a"}, mode="w:gz")
    with pytest.raises(DataError, match="entry 'junk': the archive has more than the 1000 bytes"):
        _unpack(content, tmp_path, inside="good", max_bytes=1000)


def test_a_header_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    long_name = _entry("x", tarfile.GNUTYPE_LONGNAME, size=2 << 20)
    content = gzip.compress(_tar_with(long_name))
    assert len(content) < 10_000
    with pytest.raises(DataError, match="a header of 2097152 bytes"):
        _unpack(content, tmp_path, max_bytes=1 << 30)


@given(
    content=st.binary(max_size=1500), start=st.sampled_from([b"", b"PK\3\4", b"\x1f\x8b\x08\0", tar_of(FILES)[:700]])
)
def test_any_bytes_give_a_clear_error(tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    with pytest.raises(DataError, match="archive"):
        _unpack(start + content, folder)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_cut_file_is_damaged(tmp_path: Path, kind: str) -> None:
    whole = MAKERS[kind]({"a": os.urandom(1500), "b": os.urandom(700)})
    for length in (0, 1, 3, 100, 511, 600, 1024):
        folder = tmp_path / str(length)
        folder.mkdir()
        with pytest.raises(DataError, match="is damaged, encrypted or cut off"):
            _unpack(whole[:length], folder)


def test_a_flipped_bit_in_a_zip_is_damage(tmp_path: Path) -> None:
    content = bytearray(zip_of({"a": os.urandom(5000)}))
    content[2500] ^= 4
    with pytest.raises(DataError, match="damaged"):
        _unpack(bytes(content), tmp_path)


def test_unusual_compressions_are_refused(tmp_path: Path) -> None:
    """Four kilobytes of bzip2 can unpack to gigabytes at once."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as opened:
        opened.writestr("a", b"a")
    with pytest.raises(DataError, match="'a': is compressed in an unusual way"):
        _unpack(buffer.getvalue(), tmp_path)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_folder_asked_for_is_not_in_it(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match="no files in 'absent'"):
        _unpack(MAKERS[kind](FILES), tmp_path, inside="absent")
    with pytest.raises(DataError, match="is a file, expected a folder"):
        _unpack(MAKERS[kind](FILES), tmp_path, inside="top/a.txt")


def test_folders_are_not_counted_as_skipped_files(tmp_path: Path) -> None:
    entries = [_entry(name, tarfile.DIRTYPE) for name in ("kit", "kit/a", "kit/b")]
    content = _tar_with(*entries, _entry("kit/a/x", size=1), _entry("kit/b/y", size=1))
    assert _unpack(content, tmp_path, inside="kit/a") == Unpacked(1, 1, 2)  # kit/b/y and good.txt
