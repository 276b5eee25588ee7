import base64
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from tests.curate import dirty_datasets as dirty
from tests.data.dataset_trees import put_image, put_text, put_voc, put_yolo
from yolo.config import DataCheckConfig
from yolo.curate.check import check, file_findings
from yolo.curate.check_report import CheckReport
from yolo.curate.findings import FINDING_KINDS
from yolo.curate.images import inspect_image
from yolo.data.read import find_dataset, read_split
from yolo.errors import ConfigError, DataError


def run(data: Path, runs: Path, *, workers: int = 0, **options: Any) -> CheckReport:
    """Check a dataset; without workers this process reads the images, which saves the start of another one."""
    config = DataCheckConfig(data=str(data), runs=str(runs), workers=max(1, workers), **options)
    with pytest.MonkeyPatch.context() as patch:
        if not workers:
            patch.setattr("yolo.curate.check.inspect_images", lambda paths, **_: list(map(inspect_image, paths)))
        return check(config)


def files_by_kind(report: CheckReport, root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in report.findings:
        found.setdefault(item.kind, []).append(item.path.removeprefix(str(root)).lstrip("/"))
    return found


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def dirty_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dirty") / "set"
    dirty.dirty_yolo(root)
    if len(list((root / "images/train").glob("[cC][aA][sS][eE].jpg"))) < 2:
        pytest.skip("this file system does not tell capitals apart")
    return root


@pytest.fixture(scope="module")
def console() -> Console:
    return Console(file=io.StringIO(), width=80)


@pytest.fixture(scope="module")
def dirty_report(dirty_root: Path, console: Console, tmp_path_factory: pytest.TempPathFactory) -> CheckReport:
    return check(DataCheckConfig(data=str(dirty_root), runs=str(tmp_path_factory.mktemp("runs")), workers=1), console)


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    report = run(dirty.clean(tmp_path / "set"), tmp_path)
    assert report.findings == ()
    assert report.kinds == {}
    assert not report.has_errors
    assert "Nothing is wrong with this dataset." in (report.folder / "check.html").read_text()


def test_every_planted_fault_is_found_once_and_no_other(dirty_report: CheckReport, dirty_root: Path) -> None:
    planted = {kind: [file] for kind, file in dirty.IN_DIRTY_YOLO.items()}
    in_lines = [kind for _, kind in dirty.FAULTY_LINES if kind]
    found = files_by_kind(dirty_report, dirty_root)
    assert {kind: len(files) for kind, files in found.items()} == Counter([*planted, *in_lines])
    assert {kind: files for kind, files in found.items() if kind in planted} == planted
    assert all("boxes" in found[kind][0] for kind in in_lines)
    assert dirty_report.has_errors


def test_faults_of_lines_name_the_line_and_have_the_image(dirty_report: CheckReport) -> None:
    lines = {kind: f"line {place}" for place, (_, kind) in enumerate(dirty.FAULTY_LINES, start=1) if kind}
    for item in dirty_report.findings:
        if item.path.endswith("labels/train/boxes.txt"):
            assert item.where == lines[item.kind]
            assert item.images[0].path.endswith("images/train/boxes.jpg")


def test_faults_of_pascal_voc(tmp_path: Path) -> None:
    root = dirty.dirty_voc(tmp_path / "set")
    report = run(root, tmp_path)
    assert files_by_kind(report, root) == {kind: [file] for kind, file in dirty.IN_DIRTY_VOC.items()}


def test_a_split_that_cannot_be_read_is_an_error_and_the_others_are_checked(tmp_path: Path) -> None:
    root = dirty.coco_with_a_broken_split(tmp_path / "set")
    report = run(root, tmp_path)
    (item,) = [item for item in report.findings if item.kind == "split_unusable"]
    assert item.where == "val"
    assert "instances_val.json" in item.message
    assert [split["split"] for split in json.loads((report.folder / "check.json").read_text())["splits"]] == ["train"]
    alone = run(root, tmp_path, split="val")
    assert alone.kinds == {"split_unusable": 1}
    assert alone.has_errors


def test_file_names_that_are_no_unicode(tmp_path: Path) -> None:
    root = dirty.clean(tmp_path / "set")
    folder = root / "images" / "train"
    try:
        (folder / "t1.jpg").rename(folder / os.fsdecode(b"\xff\xfe.jpg"))
    except OSError:
        pytest.skip("this file system has Unicode names only")
    report = run(root, tmp_path)
    assert report.kinds == {"label_file_missing": 1, "label_without_image": 1, "unprintable_name": 1}
    json.loads((report.folder / "check.json").read_text())


def test_the_result_is_the_same_for_any_number_of_workers(
    dirty_report: CheckReport, dirty_root: Path, tmp_path: Path
) -> None:
    again = run(dirty_root, tmp_path, workers=2)
    assert repr(again.findings) == repr(dirty_report.findings)  # text, because NaN is not equal to itself
    for name in ("check.json", "check.html"):
        assert (again.folder / name).read_bytes() == (dirty_report.folder / name).read_bytes()


def test_the_dataset_is_only_read(tmp_path: Path) -> None:
    root = dirty.clean(tmp_path / "set")
    before = bytes_of(root)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        run(root, tmp_path / "runs")
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert bytes_of(root) == before


def test_the_json_says_everything(dirty_report: CheckReport, dirty_root: Path) -> None:
    content = json.loads((dirty_report.folder / "check.json").read_text())
    assert content["dataset"] == str(dirty_root)
    assert content["counts"] == dirty_report.counts
    assert sum(content["counts"].values()) == len(content["findings"]) == len(dirty_report.findings)
    assert {name: kind["count"] for name, kind in content["kinds"].items()} == dirty_report.kinds
    assert all(set(kind) == {"severity", "meaning", "action", "count"} for kind in content["kinds"].values())
    clipped = next(item for item in content["findings"] if item["kind"] == "clipped")
    # "0 .98 .2 .2 .1" of 160 x 120
    box = clipped["images"][0].pop("boxes")[0]
    assert box == pytest.approx([140.8, 18, 172.8, 30])
    assert clipped["file"] == "labels/train/boxes.txt"
    assert clipped["images"] == [{"file": "images/train/boxes.jpg"}]
    assert {split["split"] for split in content["splits"]} == {"train", "val"}


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def attributes(self, tag: str, name: str) -> list[str]:
        return [str(attributes[name]) for found, attributes in self.tags if found == tag and name in attributes]


def test_the_page_stands_alone_and_shows_each_kind(dirty_report: CheckReport) -> None:
    path = dirty_report.folder / "check.html"
    page = Page(path)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert page.attributes("details", "id") == list(dirty_report.kinds)
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.attributes("img", "src"))
    assert {target[1:] for target in page.attributes("a", "href")} <= set(dirty_report.kinds)
    assert not re.search(r"url\(|@import|https?://", path.read_text())
    assert "This dataset has errors." in page.text
    for item in dirty_report.findings:
        assert item.message in page.text


def pictures_of(path: Path) -> list[Image.Image]:
    return [
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        for source in Page(path).attributes("img", "src")
    ]


def test_pictures_are_small_and_shared_among_the_kinds(dirty_report: CheckReport) -> None:
    pictures = pictures_of(dirty_report.folder / "check.html")
    # none: broken files, classes as such, lines without a box, a label file without image, an image of no split
    without = 3 + 2 + 7 + 1 + 1
    pairs = 6
    assert len(pictures) == len(dirty_report.kinds) - without + pairs
    assert max(max(picture.size) for picture in pictures) == 360


def test_names_are_text_on_the_page_whatever_they_say(tmp_path: Path) -> None:
    root = tmp_path / "<b>set & 'co'"
    hostile = "<script>alert(1)</script>"
    dirty.put(root, "train", 'a" onerror="x.jpg', "0 .5 .5 1 1\n", seed=1)
    dirty.put(root, "train", "b.jpg", "0 .5 .5 .2 .2\n0 .5 .5 .21 .2\n", seed=2)
    dirty.put(root, "val", "c.jpg", "0 .5 .5 .2 .2\n", seed=3)
    dirty.put_yaml(root, [hostile, "{{ 7 * 7 }}"])
    report = run(root, tmp_path / "runs")
    assert set(report.kinds) == {"box_covers_image", "nearly_duplicate", "class_unused"}
    page = Page(report.folder / "check.html")
    assert "script" not in {tag for tag, _ in page.tags}
    assert "b" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert hostile in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_plain_images_are_no_duplicates_unless_equal(tmp_path: Path) -> None:
    root = dirty.clean(tmp_path / "set")
    for place, grey in enumerate((10, 90, 170, 170)):
        dirty.put(root, "train", f"plain{place}.png", dirty.CAT, dirty.plain((120, 160), grey))
    report = run(root, tmp_path)
    assert [(item.kind, Path(item.path).name) for item in report.findings] == [("duplicate_image", "plain2.png")]


def test_one_split_alone(dirty_root: Path, tmp_path: Path) -> None:
    report = run(dirty_root, tmp_path, split="val")
    # nothing can be said of what other splits use
    assert set(report.kinds) == {"class_names_alike"}
    with pytest.raises(DataError, match="there is no split 'test'"):
        run(dirty_root, tmp_path, split="test")


def test_near_copies_need_not_be_looked_for_and_pictures_may_be_few(dirty_root: Path, tmp_path: Path) -> None:
    report = run(dirty_root, tmp_path, near_duplicates=-1, max_pictures=5)
    assert 4 <= len(pictures_of(report.folder / "check.html")) <= 5
    assert not {"near_duplicate", "near_duplicate_across_splits"} & set(report.kinds)
    assert "duplicate_image" in report.kinds


def test_the_repaired_copy_is_in_order(dirty_root: Path, tmp_path: Path) -> None:
    before = bytes_of(dirty_root)
    console = Console(file=io.StringIO(), width=200)
    target = tmp_path / "fixed"
    config = DataCheckConfig(data=str(dirty_root), runs=str(tmp_path), fix_into=str(target), format="coco", workers=1)
    check(config, console)
    assert bytes_of(dirty_root) == before
    report = run(target, tmp_path / "again")
    left = {kind for kind in report.kinds if FINDING_KINDS[kind].severity == "error"}
    # what needs a person: which of two annotations is right, which split an image belongs to
    assert left == {"duplicate_across_splits", "conflicting_annotations"}
    assert not {"exif_rotated", "image_cmyk", "image_alpha", "inverted", "clipped"} & set(report.kinds)
    assert "images left out" in console.file.getvalue()  # type: ignore[attr-defined]
    names = {Path(path).stem for path in read_split(find_dataset(target), "train").images.paths}
    assert "turned" in names
    assert not {"cut", "hurt", "text"} & names


def test_images_whose_turn_was_ignored_are_not_in_the_copy(tmp_path: Path) -> None:
    root = dirty.dirty_voc(tmp_path / "set")
    run(root, tmp_path, fix_into=str(tmp_path / "fixed"))
    split = read_split(find_dataset(tmp_path / "fixed"), "train")
    assert sorted(Path(path).stem for path in split.images.paths) == ["a0", "a1", "a2", "resized"]


def test_the_copy_is_new_and_outside_of_the_dataset(tmp_path: Path) -> None:
    root = dirty.clean(tmp_path / "set")
    beside = put_text(tmp_path / "lists" / "pets.yaml", "train: ../set/images/train\nnames: [cat, dog]\n")
    for data, inside in (
        (root, root),
        (root, root / "sub"),
        (root, root / "images/train"),
        (beside, root / "images/train/x"),
    ):
        with pytest.raises(ConfigError, match=r"--fix-into .* lies in the dataset"):
            run(data, tmp_path / "runs", fix_into=str(inside))
    put_text(tmp_path / "full" / "a.txt", "")
    with pytest.raises(DataError, match="name a new one"):
        run(root, tmp_path / "runs", fix_into=str(tmp_path / "full"))
    assert not (tmp_path / "runs").exists()


def test_a_log_has_no_control_characters_and_says_what_was_found(dirty_report: CheckReport, console: Console) -> None:
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in text
    assert "\r" not in text
    assert "This dataset has errors." in text
    assert (
        "error: image files that end too early: a part of the picture is missing: 1, e.g. images/train/cut.jpg" in text
    )


def test_a_real_dataset_with_its_defects(tmp_path: Path) -> None:
    """BCCD as published; each of these was seen by eye, or computed apart from this program."""
    bccd = Path(__file__).parents[2].parent / "shared" / "data" / "bccd"
    if not bccd.is_dir():
        pytest.skip(f"the dataset {bccd.name!r} is not on this machine")
    report = run(bccd, tmp_path)
    found = {
        kind: sorted({int(re.findall(r"\d{5}", file)[0]) for file in files})
        for kind, files in files_by_kind(report, bccd).items()
    }
    assert found == {
        # points in place of boxes
        "degenerate": [338, 343],
        # the same field of the microscope, photographed twice: 37 is in val, 38 in train
        "near_duplicate_across_splits": [37],
        # copies of a box, most of them 2 pixels beside it
        "nearly_duplicate": [13, 20, 100, 104, 251, 284, 331, 403],
        # a platelet called WBC, two white cells called Platelets
        "unlike_its_class": [113, 133, 135],
        # white cells, or all red cells, that nobody marked
        "usual_class_missing": [
            *(133, 134, 135, 147, 150, 152, 171, 178, 224, 228, 249, 250, 258, 267, 268, 303, 322, 327, 330, 350),
        ],
    }
    assert report.kinds["usual_class_missing"] == 21  # image 327 lacks both


def found(root: Path, images: list[Path], dataset_format: str = "yolo") -> list[tuple[str, str]]:
    items = file_findings([str(path) for path in images], [dataset_format], {root / "train.txt"})
    return [(item.kind, Path(item.path).relative_to(root).as_posix()) for item in items]


def yolo_images(root: Path) -> list[Path]:
    return sorted((root / "images").rglob("*.png"))


def test_a_tree_in_order(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "0 .5 .5 .1 .1\n", "b": "", "c": None})
    put_text(tmp_path / "labels" / "train" / "classes.txt", "cat\n")
    assert found(tmp_path, yolo_images(tmp_path)) == []


def test_label_files_without_image(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": "0 .5 .5 .1 .1\n"})
    images = yolo_images(tmp_path)
    put_text(tmp_path / "labels" / "train" / "gone.txt", "0 .5 .5 .1 .1\n")
    put_text(tmp_path / "labels" / "train" / "empty.txt", "")
    put_text(tmp_path / "labels" / "train" / "notes.txt", "these images were taken in spring\n")
    put_text(tmp_path / "labels" / "train" / "four.txt", "0 .5 .5 .1\n")  # fewer columns than a label has
    assert found(tmp_path, images) == [
        ("label_without_image", "labels/train/empty.txt"),
        ("label_without_image", "labels/train/gone.txt"),
    ]


def test_images_that_no_split_names_and_their_label_files(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": "0 .5 .5 .1 .1\n"})
    # b is not listed: that is one finding, not a second one for its label file
    assert found(tmp_path, [tmp_path / "images" / "train" / "a.png"]) == [("image_not_listed", "images/train/b.png")]


def test_a_folder_may_be_named_in_several_ways(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": "", "b": ""})
    put_yolo(tmp_path, "val", {"c": ""})
    folder = tmp_path / "images" / "train"
    images = [folder / "a.png", folder / ".." / "train" / "b.png", folder / ".." / "val" / "c.png"]
    assert found(tmp_path, images) == []


def test_a_folder_that_cannot_be_listed_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_yolo(tmp_path, "train", {"a": ""})

    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert found(tmp_path, [tmp_path / "images" / "train" / "a.png"]) == []


def test_label_files_beside_images(tmp_path: Path) -> None:
    image = put_image(tmp_path / "a.png")
    put_text(tmp_path / "a.txt", "0 .5 .5 .1 .1\n")
    put_text(tmp_path / "train.txt", "a.png\n")
    put_text(tmp_path / "b.txt", "0 .5 .5 .1 .1\n")
    assert found(tmp_path, [image]) == [("label_without_image", "b.txt")]


def test_names_that_differ_in_capitals_only(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"dog": "", "Dog": "", "cat": ""})
    images = yolo_images(tmp_path)
    if len(images) < 3:
        pytest.skip("this file system does not tell capitals apart")
    assert found(tmp_path, images) == [("case_collision", "images/train/Dog.png")]


def test_names_that_differ_in_the_coding_of_accents_only(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"caf\u00e9": "", "cafe\u0301": ""})
    images = yolo_images(tmp_path)
    if len(images) < 2:
        pytest.skip("this file system joins both codings")
    assert [kind for kind, _ in found(tmp_path, images)] == ["case_collision"]


def test_annotations_that_no_list_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_voc(tmp_path, name)
    put_text(tmp_path / "Annotations" / "c.xml", "<annotation/>")
    items = file_findings([str(tmp_path / "JPEGImages" / "a.jpg")], ["voc"], set())
    assert [(item.kind, Path(item.path).name, item.message) for item in items] == [
        ("image_not_listed", "b.jpg", "no split names it, though it is annotated"),
        ("annotation_not_listed", "c.xml", "there is no image c"),
    ]


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    assert found(tmp_path, [tmp_path / "images" / "gone.png"]) == []


def test_a_label_whose_image_is_of_a_kind_that_is_not_read(tmp_path: Path) -> None:
    put_yolo(tmp_path, "train", {"a": ""})
    put_text(tmp_path / "labels" / "train" / "IMG_1.txt", "0 .5 .5 .1 .1\n")
    put_text(tmp_path / "images" / "train" / "IMG_1.CR2", "raw")
    put_voc(tmp_path, "b")
    put_text(tmp_path / "Annotations" / "drawing.xml", "<annotation/>")
    put_text(tmp_path / "JPEGImages" / "drawing.svg", "<svg/>")
    images = [str(tmp_path / "images" / "train" / "a.png"), str(tmp_path / "JPEGImages" / "b.jpg")]
    said = {item.kind: item.message for item in file_findings(images, ["yolo", "voc"], set())}
    not_read = "is of a kind that is not read; convert it to JPEG or PNG"
    assert said["label_without_image"] == f"its image IMG_1.CR2 {not_read}"
    assert said["annotation_not_listed"] == f"its image drawing.svg {not_read}"
    assert said["pictures_not_read"] == "1 file was not read: 1 .cr2; convert it to JPEG or PNG"


def test_what_the_readers_note_is_printed(tmp_path: Path) -> None:
    root = tmp_path / "set"
    put_yolo(root, "train", {"a": "0 .5 .5 .5 .5"})
    put_yolo(root, "val", {"b": "0 .5 .5 .4 .4"})
    put_text(root / "images" / "train" / "x.svg", "<svg/>")
    put_text(root / "data.yaml", "train: images/train\nval: images/val\nnames: [cat]\nminival: x\n")
    console = Console(file=io.StringIO(), width=200)
    check(DataCheckConfig(data=str(root), runs=str(tmp_path), workers=1), console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count("note: keys of other programs in data.yaml are ignored: minival") == 1
    assert said.count("1 file was not read: 1 .svg") == 1  # a finding, and no note beside it
