import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.data.dataset_trees import put_image, put_text
from yolo.config import DataConvertConfig
from yolo.curate.write import convert
from yolo.data.find import find_dataset
from yolo.data.read import read_split
from yolo.errors import DataError
from yolo.formats.voc_copy import VocOriginals, elements_beyond_boxes

ANNOTATION = """<annotation verified="yes">
  <folder>somewhere</folder>
  <filename>a.jpg</filename>
  <path>C:\\photos\\a.jpg</path>
  <source><database>mine &amp; yours</database></source>
  <size><width>40</width><height>20</height><depth>3</depth></size>
  <segmented>1</segmented>
  <object>
    <name>dog</name><pose>Left</pose><truncated>1</truncated><occluded>0</occluded><difficult>0</difficult>
    <bndbox><xmin>3.25</xmin><ymin>2</ymin><xmax>10</xmax><ymax>12</ymax></bndbox>
    <polygon><x1>3</x1><y1>2</y1><x2>10</x2><y2>12</y2></polygon>
    <part><name>head</name><bndbox><xmin>3</xmin><ymin>2</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></part>
  </object>
  <object><name>cat</name><bndbox><xmin>30</xmin><ymin>2</ymin><xmax>60</xmax><ymax>12</ymax></bndbox></object>
  <object><name>cat</name><pose>Rear</pose><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>
  </object>
  <object><name>cat</name><bndbox><xmin>0</xmin><ymin>1</ymin><xmax>40</xmax><ymax>20</ymax></bndbox></object>
</annotation>
"""


def put(root: Path, text: str = ANNOTATION) -> Path:
    put_image(root / "JPEGImages" / "a.jpg")
    put_image(root / "JPEGImages" / "b.jpg")
    put_text(root / "Annotations" / "a.xml", text)
    for name in ("train", "val"):
        put_text(root / "ImageSets" / "Main" / f"{name}.txt", "a\nb\n")
    return root


def run(data: Path, output: Path, **options: str) -> str:
    screen = io.StringIO()
    config = DataConvertConfig(data=str(data), output=str(output), split="train", **options)  # type: ignore[arg-type]
    convert(config, Console(file=screen, width=200))
    return screen.getvalue()


def test_elements_and_attributes_stay(tmp_path: Path) -> None:
    run(put(tmp_path / "voc"), tmp_path / "new", format="voc")
    lines = (tmp_path / "new" / "Annotations" / "a.xml").read_text().splitlines()
    old = ANNOTATION.splitlines()
    stray = old.index(next(line for line in old if "Rear" in line))
    expected = [*old[:stray], *old[stray + 2 :]]  # the stray click goes with all that is in it
    expected = [line.replace("<xmax>60<", "<xmax>40<") for line in expected]  # cut to the image
    assert [line.strip() for line in lines] == [line.strip() for line in expected]
    # an image without annotation gets one without objects
    assert "<filename>b.jpg</filename>" in (tmp_path / "new" / "Annotations" / "b.xml").read_text()


def test_a_copy_of_a_copy_is_the_same(tmp_path: Path) -> None:
    run(put(tmp_path / "voc"), tmp_path / "new", format="voc")
    run(tmp_path / "new", tmp_path / "again", format="voc")
    first, second = (tmp_path / name / "Annotations" / "a.xml" for name in ("new", "again"))
    assert first.read_bytes() == second.read_bytes()


def test_changed_names_are_written(tmp_path: Path) -> None:
    put(tmp_path / "voc")
    yaml = put_text(
        tmp_path / "data.yaml",
        "train: voc/ImageSets/Main/train.txt\nval: voc/ImageSets/Main/val.txt\nrename: {dog: wolf & co}\nformat: voc\n",
    )
    run(yaml, tmp_path / "new", format="voc", classes="wolf & co")
    text = (tmp_path / "new" / "Annotations" / "a.xml").read_text()
    assert "<name>wolf &amp; co</name><pose>Left</pose>" in text
    assert "<name>cat" not in text
    assert "head" in text


def test_other_formats_say_what_is_lost_in_one_line(tmp_path: Path) -> None:
    said = run(put(tmp_path / "voc"), tmp_path / "new", format="yolo")
    (line,) = (line for line in said.splitlines() if "has no place" in line and "extra" not in line)
    for what in ("pose (1 objects)", "truncated (1 objects)", "polygon (1 objects)", "part (1 objects)"):
        assert what in line
    assert line.endswith(": left out")
    assert "occluded" not in line  # 0 says nothing


def test_a_polygon_gets_the_box_that_other_programs_need(tmp_path: Path) -> None:
    corners = "<x1>3</x1><y1>2</y1><x2>10</x2><y2>12</y2><x3>3</x3><y3>12</y3>"
    item = f"<object><name>dog</name><polygon>{corners}</polygon></object>"
    run(put(tmp_path / "voc", f"<annotation>{item}</annotation>"), tmp_path / "new", format="voc")
    text = (tmp_path / "new" / "Annotations" / "a.xml").read_text()
    assert f"<polygon>{corners}</polygon>" in text
    assert "<xmax>10</xmax><ymax>12</ymax></bndbox>" in text


def test_what_changed_meanwhile_is_an_error(tmp_path: Path) -> None:
    split = read_split(find_dataset(put(tmp_path / "voc")), "train")
    assert elements_beyond_boxes(split.images)[("pose", "objects")] == 1
    put_text(tmp_path / "voc" / "Annotations" / "a.xml", "<annotation/>")
    with pytest.raises(DataError, match=r"a\.xml: was changed while it was read; run the command again"):
        VocOriginals(split.images).find(0)
