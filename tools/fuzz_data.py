"""Feed damaged and invented files to the readers of datasets, guided by the lines that they reach.

    pip install atheris          # wheels for Linux; not part of the development tools
    python tools/fuzz_data.py [--seconds 60]

The first byte of an input chooses the format: Pascal VOC, COCO, YOLO txt, CSV or a dataset YAML. The rest becomes the
annotation file of a small dataset, which must be read, with a report that adds up, or be refused with an error for
people. Any other exception, an input that takes longer than five seconds, or a gigabyte of memory ends the run with
status 1 and leaves the input as `crash-*`, `timeout-*` or `oom-*` in the current folder; to see it again, name it:
`python tools/fuzz_data.py crash-...`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fuzzing import Target, run

FORMATS = {b"v": "voc", b"c": "coco", b"y": "yolo", b"s": "csv", b"d": "yaml"}
VOC = """<annotation><filename>a.png</filename><size><width>40</width><height>20</height></size><object><name>cat</name>
<difficult>1</difficult><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>12.5</ymax></bndbox></object></annotation>"""
COCO = """{"images":[{"id":1,"file_name":"a.png","width":40,"height":20}],"categories":[{"id":7,"name":"cat"}],
"annotations":[{"id":5,"image_id":1,"category_id":7,"bbox":[1,2,3.5,4],"area":14,"iscrowd":0,"difficult":1}]}"""
YOLO = "0 0.5 0.5 0.25 0.5\n1 .1 .1 .2 .2 .3 .1\n"
CSV = "image,class,xmin,ymin,xmax,ymax,width,height,area\na.png,cat,1,2,9,12.5,40,20,\na.png,,,,,,,,\n"
YAML = """path: .
train: [images, {path: images, format: yolo, names: [cat, dog], only: only.txt}]
val: x.json
names: {0: cat, 1: dog}
rename: {dog: cat}
classes: [cat]
category_ids: [7]
extra: extra.csv
"""
WORDS = (
    *(
        "<annotation>",
        "</object>",
        "<object>",
        "<bndbox>",
        "<xmin>",
        "<name>",
        "<!DOCTYPE a [",
        "<!ENTITY b 'c'>",
        "&b;",
    ),
    *(
        "image_id",
        "category_id",
        "bbox",
        "file_name",
        "iscrowd",
        "NaN",
        "Infinity",
        "1e999",
        "null",
        "true",
        "\\xef\\xbb\\xbf",
    ),
    *(
        "xmin",
        "XMin",
        "IsGroupOf",
        "ImageID",
        "image",
        "class",
        "nan",
        "inf",
        "-1",
        "path:",
        "train:",
        "val:",
        "names:",
    ),
    *("rename:", "classes:", "category_ids:", "extra:", "format:", "only:", "images:", "../", "&a", "*a", "!!", "? "),
)


def main() -> None:
    run(
        Target(
            script=Path(__file__),
            about=(__doc__ or "").partition("\n")[0],
            package="yolo.formats",
            modules=("yolo.data.read",),
            megabytes=1536,  # what is imported needs half of it
            words=WORDS,
            seeds=seeds,
            make_test=make_test,
        )
    )


def seeds() -> list[bytes]:
    """Good files to start from."""
    texts = {b"v": VOC, b"c": COCO, b"y": YOLO, b"s": CSV, b"d": YAML}
    return [first + text.encode() for first, text in texts.items()]


def make_test(root: Path) -> Callable[[bytes], None]:
    """The function that gets each input; raises for what must not happen."""
    from yolo.data.read import find_dataset, read_split
    from yolo.errors import GridYoloError

    files = make_dataset(root)

    def test(data: bytes) -> None:
        file, dataset = files[FORMATS.get(data[:1], "yolo")]
        file.write_bytes(data[1:])
        try:
            descriptor = find_dataset(dataset)
            for split in descriptor.splits:
                read = read_split(descriptor, split)
                check(read.report.to_dict(), len(read.images), len(read.images.objects))
        except GridYoloError as error:
            if not str(error):
                raise AssertionError("an error without a message") from error
            str(error).encode()  # printable

    return test


def check(report: dict[str, object], num_images: int, num_objects: int) -> None:
    """That the report adds up, and can be written."""
    import json

    assert (report["images_kept"], report["objects_kept"]) == (num_images, num_objects)
    json.dumps(report, allow_nan=False, ensure_ascii=False).encode()


def make_dataset(root: Path) -> dict[str, tuple[Path, Path]]:
    """For each format the file to be replaced, and the dataset that has it; two images each, one good."""
    import numpy as np

    from yolo.images import write_image

    folders = ("voc/Annotations", "voc/JPEGImages", "yolo/images", "yolo/labels", "coco", "csv", "yaml/images")
    for folder in folders:
        (root / folder).mkdir(parents=True)
    for folder in ("voc/JPEGImages", "yolo/images", "coco", "csv", "yaml/images"):
        for name in "ab":
            write_image(root / folder / f"{name}.png", np.zeros((20, 40, 3), np.uint8))
    (root / "voc/Annotations/b.xml").write_text(VOC)
    (root / "yolo/labels/b.txt").write_text(YOLO)
    (root / "yaml/images/a.txt").write_text(YOLO)
    (root / "yaml/only.txt").write_text("images/a.png\n")
    (root / "yaml/x.json").write_text(COCO)
    (root / "yaml/extra.csv").write_text("image,image_id,object,difficult,iscrowd,area\nimages/a.png,7,,,,\n")
    (root / "voc.yaml").write_text("path: voc\ntrain: .\nval: .\nformat: voc\n")
    (root / "yolo.yaml").write_text("path: yolo\ntrain: images\nval: images\nnames: [cat, dog]\n")
    return {
        "voc": (root / "voc/Annotations/a.xml", root / "voc.yaml"),
        "coco": (root / "coco/val.json", root / "coco/val.json"),
        "yolo": (root / "yolo/labels/a.txt", root / "yolo.yaml"),
        "csv": (root / "csv/val.csv", root / "csv/val.csv"),
        "yaml": (root / "yaml/data.yaml", root / "yaml/data.yaml"),
    }


if __name__ == "__main__":
    main()
