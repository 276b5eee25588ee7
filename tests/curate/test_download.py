import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.curate.download_server import FileServer, cut_after, manifest_of, tar_of, zip_of
from tests.data.dataset_trees import put_text
from yolo.config import DataDownloadConfig
from yolo.curate.download import MARKER, DownloadedDataset, download
from yolo.curate.fetch import RetryPolicy
from yolo.curate.manifest import Archive
from yolo.data.read import find_dataset, read_split
from yolo.errors import DataError
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

    def download(self, dataset: str = "things", **options: Any) -> DownloadedDataset:
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
    result = site.download()
    assert result.yaml == site.output / "things.yaml"
    assert result.next_command == f"gridyolo train --data {result.yaml}"
    assert result.new_folders == (site.output / "VOCdevkit/VOC2007", site.output / "VOCdevkit/VOC2012")
    assert result.archives == ()
    assert sorted(path.name for path in site.output.iterdir()) == ["VOCdevkit", "things.yaml"]
    assert sorted(path.name for path in (site.output / "VOCdevkit").iterdir()) == ["VOC2007", "VOC2012"]
    descriptor = find_dataset(result.yaml)
    for split, name in (("train", "000001"), ("val", "000002")):
        (image,) = read_split(descriptor, split).images
        assert image.path.name == f"{name}.jpg"
        assert image.ground_truth.boxes.tolist() == [[0, 0, 9, 9]]
    printed = site.printed.getvalue()
    assert printed.startswith("Do what you like.\n")
    assert "trainval.tar: fetched in 0:00" in printed
    assert printed.count("its SHA-256 is right") == 3
    assert printed.endswith(f"go on with: {result.next_command}\n")
    assert "\x1b" not in printed


def test_a_second_time_nothing_is_done(site: Site, tmp_path: Path) -> None:
    _describe_voc(site, tmp_path)
    first = site.download()
    before, asked = site.tree(), len(site.server.requests)
    again = site.download()
    assert again == first._replace(new_folders=())
    assert "differs" not in site.printed.getvalue()
    assert site.tree() == before
    assert len(site.server.requests) == asked
    assert "things is there already" in site.printed.getvalue()


def test_only_what_is_missing_is_fetched(site: Site) -> None:
    one = site.server.put("one.zip", zip_of({"one/a": b"a"}), inside="one", folder="d/one")
    two = site.server.put("two.tar.gz", tar_of({"two/b": b"b"}, mode="w:gz"), inside="two", folder="d/two")
    site.describe(one)
    site.download()
    site.describe(one, two)
    assert site.download().new_folders == (site.output / "d/two",)
    assert [path for path, _ in site.server.requests] == ["/one.zip", "/two.tar.gz"]
    assert [name for name in site.tree() if name.startswith("d/")] == [
        f"d/one/{MARKER}",
        "d/one/a",
        f"d/two/{MARKER}",
        "d/two/b",
    ]


def test_without_train_the_next_step_is_to_measure(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})), val="things")
    assert site.download().next_command == f"gridyolo val --weights WEIGHTS --data {site.output / 'things.yaml'}"


def test_archives_are_kept_on_request_and_used_again(site: Site) -> None:
    site.describe(site.server.put("a.zip", zip_of({"a": b"a"})))
    kept = site.download(keep_archives=True).archives
    assert kept == (site.output / "downloads" / "a.zip",)
    assert kept[0].is_file()
    for path in sorted((site.output / "things").iterdir()):
        path.unlink()
    (site.output / "things").rmdir()
    assert site.download().archives == kept  # it was there before this run: it is not this run's to delete
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
    assert "the same command continues" in site.printed.getvalue()
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
    with pytest.raises(DataError, match=r"things: is there already.*another --output"):
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
