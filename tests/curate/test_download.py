import io
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from tests.curate.download_server import FileServer, cut_after, manifest_of, tar_of, zip_of
from tests.data.dataset_trees import put_text
from yolo.config import DataDownloadConfig
from yolo.curate.download import MARKER, dataset_called, download, read_manifest
from yolo.curate.fetch import Archive, RetryPolicy
from yolo.data.dataset_yaml import read_dataset_yaml
from yolo.data.read import find_dataset, read_split
from yolo.errors import ConfigError, DataError
from yolo.images import write_image

QUICK = RetryPolicy(attempts=2, first_wait=0.0, timeout=2.0)


class Site:
    """A server, a manifest of what it has, an output folder."""

    def __init__(self, server: FileServer, folder: Path) -> None:
        self.server = server
        self.manifest = folder / "manifest.yaml"
        self.output = folder / "out"
        self.printed = io.StringIO()

    def describe(self, *archives: Archive, **descriptor: Any) -> None:
        put_text(self.manifest, manifest_of(*archives, **descriptor))

    def download(self, dataset: str = "things", **options: Any) -> Path:
        config = DataDownloadConfig(
            dataset=dataset, output=str(self.output), **({"manifest": str(self.manifest)} | options)
        )
        return download(config, Console(file=self.printed, width=500), policy=QUICK)

    def tree(self) -> list[str]:
        files = (path for path in self.output.rglob("*") if not path.is_dir())
        return sorted(path.relative_to(self.output).as_posix() for path in files)


@pytest.fixture
def site(server: FileServer, tmp_path: Path) -> Site:
    return Site(server, tmp_path)


def _voc_files(tmp_path: Path, name: str, split: str) -> dict[str, bytes]:
    """One image of a VOC tree with a box, and the list that has it."""
    write_image(tmp_path / "one.jpg", np.full((20, 40, 3), 99, np.uint8))
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    xml = f"<annotation><object><name>cat</name>{box}</object></annotation>"
    root = "VOCdevkit/VOC2007"
    return {
        f"{root}/Annotations/{name}.xml": xml.encode(),
        f"{root}/JPEGImages/{name}.jpg": (tmp_path / "one.jpg").read_bytes(),
        f"{root}/ImageSets/Main/{split}.txt": f"{name}\n".encode(),
    }


def _describe_voc(site: Site, tmp_path: Path) -> None:
    """Two archives that fill one folder, a third one for its neighbour, as VOC 2007 and 2012 do."""
    place = {"inside": "VOCdevkit/VOC2007", "folder": "VOCdevkit/VOC2007"}
    other = {"VOCdevkit/VOC2012/ImageSets/Main/trainval.txt": b""}
    site.describe(
        site.server.put("trainval.tar", tar_of(_voc_files(tmp_path, "000001", "trainval")), **place),
        site.server.put("test.tar", tar_of(_voc_files(tmp_path, "000002", "test")), **place),
        site.server.put("2012.tar", tar_of(other), inside="VOCdevkit/VOC2012", folder="VOCdevkit/VOC2012"),
        path="VOCdevkit",
        train="VOC2007/ImageSets/Main/trainval.txt",
        val="VOC2007/ImageSets/Main/test.txt",
        names=["cat"],
    )


def test_from_nothing_to_a_dataset_that_can_be_read(site: Site, tmp_path: Path) -> None:
    _describe_voc(site, tmp_path)
    path = site.download()
    assert path == site.output / "things.yaml"
    assert sorted(path.name for path in site.output.iterdir()) == ["VOCdevkit", "things.yaml"]
    assert sorted(path.name for path in (site.output / "VOCdevkit").iterdir()) == ["VOC2007", "VOC2012"]
    descriptor = find_dataset(path)
    for split, name in (("train", "000001"), ("val", "000002")):
        (image,) = read_split(descriptor, split).images
        assert image.path.name == f"{name}.jpg"
        assert image.ground_truth.boxes.tolist() == [[0, 0, 9, 9]]
    printed = site.printed.getvalue()
    assert printed.startswith("Do what you like.\n")
    assert re.search(r"^trainval\.tar: fetched in \d+:\d\d, ", printed, re.MULTILINE)
    assert printed.count("SHA-256 verified") == 3
    assert "\x1b" not in printed


def test_a_second_time_nothing_is_done(site: Site, tmp_path: Path) -> None:
    _describe_voc(site, tmp_path)
    first = site.download()
    before, asked = site.tree(), len(site.server.requests)
    assert site.download() == first
    assert "differs" not in site.printed.getvalue()
    assert site.tree() == before
    assert len(site.server.requests) == asked
    assert "things exists already" in site.printed.getvalue()


def test_only_what_is_missing_is_fetched(site: Site) -> None:
    one = site.server.put("one.zip", zip_of({"one/a": b"a"}), inside="one", folder="d/one")
    two = site.server.put("two.tar.gz", tar_of({"two/b": b"b"}, mode="w:gz"), inside="two", folder="d/two")
    site.describe(one)
    site.download()
    site.describe(one, two)
    site.download()
    assert [path for path, _ in site.server.requests] == ["/one.zip", "/two.tar.gz"]
    assert [name for name in site.tree() if name.startswith("d/")] == [
        f"d/one/{MARKER}",
        "d/one/a",
        f"d/two/{MARKER}",
        "d/two/b",
    ]


def test_archives_are_kept_on_request_and_used_again(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    site.download(keep_archives=True)
    kept = site.output / "downloads" / "a.zip"
    assert kept.is_file()
    for path in sorted((site.output / "things").iterdir()):
        path.unlink()
    (site.output / "things").rmdir()
    site.download()
    assert kept.is_file()  # it was there before this run: it is not this run's to delete
    assert len(site.server.requests) == 1
    assert "a.zip: is there" in site.printed.getvalue()


def test_after_a_failure_the_same_command_continues(site: Site) -> None:
    archive = site.server.put("a.zip", zip_of({"a": bytes(5000)}))
    site.describe(archive)
    site.server.behaviours = [cut_after(50)] * 2
    with pytest.raises(DataError, match="50 of"):
        site.download()
    assert site.tree() == ["downloads/a.zip.part"]
    site.download()
    assert site.server.ranges[-1] == "bytes=50-"
    assert site.tree() == ["things.yaml", f"things/{MARKER}", "things/a"]


def test_an_interrupt_tells_how_to_go_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> object:
        raise KeyboardInterrupt

    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    monkeypatch.setattr("yolo.curate.download.unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        site.download()
    assert site.tree() == ["downloads/a.zip"]
    assert "run the same command to resume" in site.printed.getvalue()
    monkeypatch.undo()
    site.download()
    assert len(site.server.requests) == 1


@pytest.mark.parametrize(
    "content",
    [
        zip_of({"a": b"a", "../b": b"b"}),
        zip_of({"a": bytes(2 << 20)}),
        tar_of({"a": b"a", "b": bytes(9000)})[:5000],
        b"<html>" * 500,
    ],
)
def test_of_a_bad_archive_nothing_is_left(site: Site, content: bytes) -> None:
    """The sum is right, so that it is the unpacking that refuses it."""
    site.describe(site.server.put("a.zip", content, folder="some/where/things"))
    with pytest.raises(DataError):
        site.download()
    assert site.tree() == ["downloads/a.zip"]
    assert [path.name for path in site.output.iterdir()] == ["downloads"]


@pytest.mark.parametrize("marker", [None, "no json", "[]", '{"sha256": {"a.zip": "00"}}'])
def test_a_folder_of_the_user_is_not_touched(site: Site, marker: str | None) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    put_text(site.output / "things" / "mine.txt", "mine")
    if marker is not None:
        put_text(site.output / "things" / MARKER, marker)
    before = site.tree()
    with pytest.raises(DataError, match=r"things: already exists.*another --output"):
        site.download()
    assert site.tree() == before
    assert site.server.requests == []


def test_a_yaml_of_the_user_stays(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    put_text(site.output / "things.yaml", "train: elsewhere\n")
    site.download()
    assert (site.output / "things.yaml").read_text() == "train: elsewhere\n"
    assert "differs from what would be written" in site.printed.getvalue()


def test_too_little_space_is_seen_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = site.server.put("a.zip", zip_of({"a": b"a"}), max_bytes=1000)
    site.describe(archive)
    # what has come already needs no space
    put_text(site.output / "downloads" / "a.zip.part", "").write_bytes(site.server.files["/a.zip"][:60])
    needed = archive.num_bytes - 60 + 1000
    free = SimpleNamespace(free=needed - 1)
    monkeypatch.setattr("yolo.curate.download.shutil.disk_usage", lambda place: free)
    with pytest.raises(DataError, match=r"up to 0\.0 GB are needed .* make room"):
        site.download()
    assert site.server.requests == []
    free.free = needed
    site.download()
    assert site.server.ranges == ["bytes=60-"]


def test_files_of_something_else_are_mentioned(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a/x": b"a", "b/y": b"b"}), inside="a"))
    site.download()
    assert site.tree() == ["things.yaml", f"things/{MARKER}", "things/x"]
    assert "1 files of the archives belong to something else" in site.printed.getvalue()


DATA = Path(__file__).parents[2] / "data"


def _content() -> dict[str, Any]:
    return {
        "terms": {"free": "Do what you like."},
        "archives": {
            "a.zip": {
                "addresses": ["https://example.org/a.zip"],
                "bytes": 10,
                "sha256": "AB" * 32,
                "inside": "./a/",
                "folder": "things/a",
                "max_bytes": 20,
                "max_files": 3,
            }
        },
        "datasets": {
            "things": {"archives": ["a.zip"], "terms": "free", "yaml": "t.yaml", "descriptor": {"train": "things/a"}}
        },
    }


def _write(path: Path, content: Any) -> Path:
    return put_text(path / "manifest.yaml", yaml.safe_dump(content))


def test_every_key(tmp_path: Path) -> None:
    (dataset,) = read_manifest(_write(tmp_path, _content())).values()
    (archive,) = dataset.archives
    assert dataset.name == "things"
    assert dataset.terms == "Do what you like."
    assert dataset.yaml == "t.yaml"
    assert dataset.descriptor == {"train": "things/a"}
    assert dataset.folders == {"things/a": (archive,)}
    assert archive == ("a.zip", ("https://example.org/a.zip",), 10, "ab" * 32, "a", "things/a", 20, 3)


def _set(section: str, name: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content[section][name][key] = value

    return change


def _archive(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return _set("archives", "a.zip", key, value)


def _dataset(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return _set("datasets", "things", key, value)


BAD_FOLDERS: list[Any] = ["", "/etc", "a/../../b", "c:\\x", ["a"]]
BAD_ADDRESSES: list[Any] = [
    "https://example.org/a.zip",
    [],
    ["https://a.org/a", "https://a.org/a"],
    ["ftp://example.org/a.zip"],
    ["file:///etc/passwd"],
    ["https:///a.zip"],
    ["https://me:secret@example.org/a.zip"],
    ["https://example.org/a\r\nHost: b"],
    ["https://[::1/a"],
]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.update(archive={}), r"unknown key 'archive'; did you mean 'archives'\?"),
        (lambda content: content.pop("terms"), "'terms' is missing"),
        (lambda content: content.update(archives=[]), r"'archives' is \[\], expected names with values"),
        (lambda content: content.update(datasets={3: {}}), "'datasets' is .*, expected names with values"),
        (lambda content: content["archives"].update({"../a.zip": content["archives"]["a.zip"]}), "letters, digits"),
        (lambda content: content["archives"].update({".a": content["archives"]["a.zip"]}), "letters, digits"),
        (lambda content: content["datasets"].update({"a/b": content["datasets"]["things"]}), "letters, digits"),
        (lambda content: content["archives"]["a.zip"].pop("sha256"), r"archives\.a\.zip: 'sha256' is missing"),
        (_archive("sha265", "x"), "unknown key 'sha265'; did you mean 'sha256'"),
        *((_archive("sha256", value), "expected 64 hexadecimal digits") for value in ("ab" * 31, 10**63, "zz" * 32)),
        *((_archive("bytes", value), f"'bytes' is {value!r}, expected a whole number") for value in ("10", True, 0)),
        (_archive("max_bytes", 1.5), "'max_bytes' is 1.5"),
        (_archive("max_files", -1), "'max_files' is -1"),
        *((_archive("addresses", value), "'addresses' is .* expected a list") for value in BAD_ADDRESSES),
        *((_archive("folder", value), "'folder' is .* expected a new") for value in (*BAD_FOLDERS, ".")),
        *((_archive("inside", value), "'inside' is .* expected a relative folder") for value in BAD_FOLDERS),
        (_dataset("archives", ["b.zip"]), "'b.zip', which is not described"),
        (_dataset("archives", ["a.zip", "a.zip"]), "'archives' is .* expected a list of different names"),
        (_dataset("terms", "none"), "'terms' is 'none', expected a name under terms with a text"),
        (_dataset("terms", ["free"]), "expected a name under terms"),
        (_dataset("yaml", "../t.yaml"), "'yaml' is '../t.yaml', expected a file name such as things.yaml"),
        (_dataset("yaml", "t.json"), "expected a file name such as things.yaml"),
        (_dataset("descriptor", "train"), "'descriptor' is 'train', expected names"),
    ],
)
def test_wrong_values(tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str) -> None:
    content = _content()
    change(content)
    with pytest.raises(DataError, match=words) as caught:
        read_manifest(_write(tmp_path, content))
    assert "manifest.yaml" in str(caught.value)


def test_a_folder_in_a_folder(tmp_path: Path) -> None:
    content = _content()
    content["archives"]["b.zip"] = content["archives"]["a.zip"] | {"folder": "things"}
    content["datasets"]["things"]["archives"].append("b.zip")
    with pytest.raises(DataError, match="folder 'things/a' lies in folder 'things'"):
        read_manifest(_write(tmp_path, content))


@pytest.mark.parametrize("text", ["", "3", "[a, b]", "a: [", "a: !!python/object:os.system {}"])
def test_no_manifest_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"manifest\.yaml"):
        read_manifest(put_text(tmp_path / "manifest.yaml", text))
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "absent.yaml")


def test_names_are_found_and_guessed() -> None:
    known = read_manifest(None)
    assert dataset_called("VOC2007", known).name == "voc2007"
    with pytest.raises(ConfigError, match=r"did you mean coco2017\? \(it has voc2007, voc2012, voc, coco2017, coco"):
        dataset_called("coco-2017", known)
    with pytest.raises(ConfigError, match=r"no such dataset in the manifest \(it has"):
        dataset_called("imagenet", known)


def test_the_shipped_manifest() -> None:
    known = read_manifest(None)
    assert {name: [archive.name for archive in dataset.archives] for name, dataset in known.items()} == {
        "voc2007": ["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"],
        "voc2012": ["VOCtrainval_11-May-2012.tar"],
        "voc": ["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar", "VOCtrainval_11-May-2012.tar"],
        "coco2017": ["annotations_trainval2017.zip", "val2017.zip", "train2017.zip"],
        "coco2017-val": ["annotations_trainval2017.zip", "val2017.zip"],
    }
    archives = {archive for dataset in known.values() for archive in dataset.archives}
    assert len({archive.sha256 for archive in archives}) == len(archives) == 6
    for archive in archives:
        assert archive.addresses[0].startswith("https://")
        assert all(address.endswith(f"/{archive.name}") for address in archive.addresses)
        # a tar holds its files as they are; of the zips those of images hardly shrink
        limit = 5 * archive.num_bytes if "annotations" in archive.name else 1.3 * archive.num_bytes
        assert archive.num_bytes <= archive.max_bytes <= limit


@pytest.mark.parametrize("name", ["voc", "coco2017"])
def test_the_descriptors_in_the_repository_say_the_same(name: str) -> None:
    dataset = read_manifest(None)[name]
    path = DATA / dataset.yaml
    if not path.is_file():
        pytest.skip("the repository's data folder is not here")
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == dataset.descriptor


@pytest.mark.parametrize("name", read_manifest(None))
def test_the_descriptors_can_be_read(tmp_path: Path, name: str) -> None:
    dataset = read_manifest(None)[name]
    root = tmp_path / dataset.descriptor["path"]
    for key in ("train", "val", "test"):
        sources = dataset.descriptor.get(key, [])
        for source in sources if isinstance(sources, list) else [sources]:
            put_text(root / source, "")
    content = read_dataset_yaml(put_text(tmp_path / dataset.yaml, yaml.safe_dump(dict(dataset.descriptor))))
    assert content.class_names is not None
    assert len(content.class_names) == (20 if name.startswith("voc") else 80)
    assert content.notes == ()
    assert content.root == root
    assert {archive.folder.split("/")[0] for archive in dataset.archives} == {root.name}
