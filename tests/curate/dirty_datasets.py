"""Small datasets for the tests of the check: one without fault, and some with every fault planted once."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from tests.curate.pictures import damaged, save, scene, with_orientation
from tests.data.dataset_trees import coco_content, put_json, put_text, voc_object

SIZE_HW = (120, 160)
CAT, DOG, BIRD = "0 .5 .5 .25 .25\n", "1 .3 .4 .2 .3\n", "3 .6 .6 .3 .3\n"


def put(root: Path, split: str, name: str, label: str | None, image: Image.Image | None = None, seed: int = 0) -> Path:
    """images/<split>/<name> and its label file; a scene of that seed unless there is an image."""
    path = root / "images" / split / name
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or Image.fromarray(scene(seed, size_hw=SIZE_HW))).save(path, quality=90)
    if label is not None:
        put_text(root / "labels" / split / f"{path.stem}.txt", label)
    return path


def put_yaml(root: Path, names: list[str]) -> None:
    content = {"path": ".", "train": "images/train", "val": "images/val", "names": names}
    put_text(root / "data.yaml", yaml.safe_dump(content))


def clean(root: Path) -> Path:
    """Twelve different images, two splits, all classes in both; two backgrounds."""
    for place in range(8):
        put(root, "train", f"t{place}.jpg", CAT + DOG if place else "", seed=place)
    for place in range(4):
        put(root, "val", f"v{place}.png", CAT + DOG if place else "", seed=100 + place)
    put_yaml(root, ["cat", "dog"])
    return root


# Lines of one label file, and the kind that each is to be found as.
FAULTY_LINES = (
    ("0 .5 .5 x .1", "unparsable"),
    ("0 .5 .5 .1", "wrong_columns"),
    ("0 .5 .5 .1 .1 .9", "confidence_column"),
    ("0.5 .5 .5 .1 .1", "class_not_integer"),
    ("9 .5 .5 .1 .1", "class_out_of_range"),
    ("0 80 60 20 20", "not_normalised"),
    ("0 nan .5 .1 .1", "not_finite"),
    ("0 .8 .8 -.1 .1", "inverted"),
    ("0 .5 .5 0 .1", "degenerate"),
    ("0 .98 .2 .2 .1", "clipped"),
    # 32 x 24 pixels at (16, 12), and the same box again
    ("1 .2 .2 .2 .2", None),
    ("1 .2 .2 .2 .2", "duplicate"),
    # 32 x 24 pixels moved by 1: IoU 31 / 33
    ("1 .5 .2 .2 .2", None),
    ("1 .50625 .2 .2 .2", "nearly_duplicate"),
    ("0 .5 .7 .2 .2", None),
    ("1 .5 .7 .2 .2", "two_labels"),
    ("0 .5 .5 .99 .99", "box_covers_image"),
    ("0 .1 .9 .01 .01", "box_tiny"),
    ("0 .5 .95 .7 .035", "box_thin"),
)

# kind: the file that it is to be found in
IN_DIRTY_YOLO = {
    "class_names_alike": "",
    "class_unused": "",
    "class_not_in_train": "images/val/v0.jpg",
    "duplicate_image": "images/train/copy_a.jpg",
    "duplicate_across_splits": "images/train/leak_a.png",
    "conflicting_annotations": "images/train/leak_a.png",
    "near_duplicate_across_splits": "images/train/near_a.jpg",
    "near_duplicate": "images/train/burst_a.jpg",
    "same_file_in_splits": "images/train/both.jpg",
    "image_truncated": "images/train/cut.jpg",
    "image_corrupt": "images/train/hurt.jpg",
    "image_unreadable": "images/train/text.jpg",
    "image_grey": "images/train/grey.png",
    "image_cmyk": "images/train/print.jpg",
    "image_alpha": "images/train/glass.png",
    "image_suffix": "images/train/wrong.png",
    "exif_rotated": "images/train/turned.jpg",
    "label_without_image": "labels/train/gone.txt",
    "label_file_missing": "labels/train/unlabelled.txt",
    "shared_label_file": "labels/train/stem.txt",
    "case_collision": "images/train/CASE.jpg",
    "image_not_listed": "images/other/spare.jpg",
}


def dirty_yolo(root: Path) -> Path:
    """Every fault of files once, and those of `FAULTY_LINES`."""
    for place in range(4):
        put(root, "train", f"t{place}.jpg", CAT + DOG + "2 .7 .2 .2 .2\n", seed=place)
    put(root, "val", "v0.jpg", CAT + BIRD, seed=10)
    put(root, "train", "boxes.jpg", "".join(f"{line}\n" for line, _ in FAULTY_LINES), seed=11)
    _copies(root)
    _odd_files(root)
    put_text(root / "labels" / "train" / "gone.txt", CAT)
    put(root, "train", "unlabelled.jpg", None, seed=30)
    put(root, "train", "stem.jpg", CAT, seed=31)
    put(root, "train", "stem.png", CAT, seed=32)
    put(root, "train", "case.jpg", CAT, seed=33)
    put(root, "train", "CASE.jpg", CAT, seed=34)
    # the split val is a list, with one image of train; the folder of another one has a spare
    put(root, "other", "o.jpg", CAT, seed=35)
    put(root, "other", "spare.jpg", None, seed=36)
    listed = [*sorted((root / "images" / "val").iterdir()), root / "images/train/both.jpg", root / "images/other/o.jpg"]
    put(root, "train", "both.jpg", CAT, seed=37)
    put_text(root / "val.txt", "".join(f"./{path.relative_to(root).as_posix()}\n" for path in listed))
    names = ["cat", "dog", "Dogs", "bird", "fish"]
    put_text(
        root / "data.yaml", yaml.safe_dump({"path": ".", "train": "images/train", "val": "val.txt", "names": names})
    )
    return root


def _copies(root: Path) -> None:
    for name in ("copy_a.jpg", "copy_b.jpg"):
        put(root, "train", name, CAT, seed=12)
    put(root, "train", "leak_a.png", CAT, seed=13)
    leak = put(root, "val", "leak_b.png", DOG, seed=13)
    save(leak, scene(13, size_hw=SIZE_HW), compress_level=1)
    for split, name, seed, quality in (
        ("train", "near_a.jpg", 14, 95),
        ("val", "near_b.jpg", 14, 50),
        ("train", "burst_a.jpg", 15, 95),
        ("train", "burst_b.jpg", 15, 60),
    ):
        save(put(root, split, name, CAT), scene(seed, size_hw=SIZE_HW), quality=quality)


def _odd_files(root: Path) -> None:
    cut = put(root, "train", "cut.jpg", CAT, seed=20)
    cut.write_bytes(cut.read_bytes()[:-200])
    hurt = put(root, "train", "hurt.jpg", CAT, seed=21)
    hurt.write_bytes(damaged(hurt.read_bytes()))
    put(root, "train", "text.jpg", CAT).write_bytes(b"no image")
    picture = Image.fromarray(scene(22, size_hw=SIZE_HW))
    put(root, "train", "grey.png", CAT, picture.convert("L"))
    put(root, "train", "print.jpg", CAT, Image.fromarray(scene(23, size_hw=SIZE_HW)).convert("CMYK"))
    put(root, "train", "glass.png", CAT, Image.fromarray(scene(24, size_hw=SIZE_HW)).convert("RGBA"))
    save(put(root, "train", "wrong.png", CAT), scene(25, size_hw=SIZE_HW), format="JPEG")
    save(put(root, "train", "turned.jpg", CAT), scene(26, size_hw=SIZE_HW), exif=with_orientation(6))


IN_DIRTY_VOC = {
    "exif_ignored": "Annotations/lying.xml",
    "size_mismatch": "Annotations/resized.xml",
    "image_missing": "JPEGImages/gone.jpg",
    "annotation_unreadable": "Annotations/broken.xml",
    "annotation_not_listed": "Annotations/lone.xml",
    "image_listed_twice": "JPEGImages/a0.jpg",
    "missing_name": "Annotations/a1.xml",
    "missing_box": "Annotations/a2.xml",
    "unknown_class": "Annotations/v0.xml",
    "image_not_listed": "JPEGImages/spare.jpg",
}


def dirty_voc(root: Path) -> Path:
    """The faults that only Pascal VOC can have, once each."""
    good = voc_object("cat", (20, 20, 60, 60))
    for place in range(3):
        extra = {1: voc_object("", (5, 5, 30, 30)), 2: "<object><name>cat</name></object>"}.get(place, "")
        _put_voc(root, f"a{place}", good + extra, seed=place)
    _put_voc(root, "v0", good + voc_object("dog", (70, 20, 110, 60)), seed=10)
    _put_voc(root, "spare", good, seed=11)
    _put_voc(root, "resized", good, seed=12, stated="320 240")
    lying = _put_voc(root, "lying", good, seed=13, stated="160 120")
    save(lying, scene(13, size_hw=SIZE_HW), exif=with_orientation(6))
    _put_voc(root, "gone", good, seed=14).unlink()
    _put_voc(root, "lone", good, seed=16).unlink()
    _put_voc(root, "broken", good, seed=15)
    put_text(root / "Annotations" / "broken.xml", "<annotation><object>")
    for split, names in (("train", "a0 a1 a2 a0 resized lying gone broken"), ("val", "v0")):
        put_text(root / "ImageSets" / "Main" / f"{split}.txt", "\n".join(names.split()) + "\n")
    return root


def _put_voc(root: Path, name: str, objects: str, *, seed: int, stated: str = "160 120") -> Path:
    width, height = stated.split()
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    put_text(root / "Annotations" / f"{name}.xml", f"<annotation>{size}{objects}</annotation>")
    path = root / "JPEGImages" / f"{name}.jpg"
    path.parent.mkdir(exist_ok=True)
    return save(path, scene(seed, size_hw=SIZE_HW))


def coco_with_a_broken_split(root: Path) -> Path:
    """A train split in order, a val split of which nothing can be read."""
    (root / "train").mkdir(parents=True)
    for place in range(3):
        save(root / "train" / f"{place}.jpg", scene(place, size_hw=SIZE_HW))
    boxes = [{"image_id": 10 + place, "category_id": 1, "bbox": [10, 10, 40, 40]} for place in range(3)]
    content = coco_content([f"{place}.jpg" for place in range(3)], boxes, {1: "cat"})
    for image in content["images"]:
        image["height"], image["width"] = SIZE_HW
    put_json(root / "annotations" / "instances_train.json", content)
    put_text(root / "annotations" / "instances_val.json", "[")
    return root


def plain(size_hw: tuple[int, int], grey: int) -> Image.Image:
    return Image.fromarray(np.full((*size_hw, 3), grey, np.uint8))
