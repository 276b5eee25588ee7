from pathlib import Path

import pytest

from tests.engine.input_files import kinds, put, put_image
from yolo.engine.ground_truth_files import read_ground_truth
from yolo.errors import DataError


def labels(root: Path, **texts: str | None) -> Path:
    """Images of 200 x 100 and their label files in the usual tree."""
    for name, text in texts.items():
        put_image(root / "images" / "val" / f"{name}.png")
        if text is not None:
            put(root / "labels" / "val" / f"{name}.txt", text)
    return root / "labels" / "val"


def test_a_folder_of_labels_with_images_beside_it(tmp_path: Path) -> None:
    # the second box is outside, the third has no width: both stay
    folder = labels(tmp_path, b="1 0.5 0.5 0.25 0.5\n0 1.2 0.5 0.1 0.1\n0 0.5 0.5 0 0.1\n", a="", c=None)
    put(tmp_path / "classes.txt", "cat\ndog\n")
    truth = read_ground_truth(folder)
    assert truth.images.image_ids == ("a", "b", "c")
    assert truth.class_names == ("cat", "dog")
    assert truth.truths.labels.tolist() == [1, 0, 0]
    assert truth.truths.image_index.tolist() == [1, 1, 1]
    assert truth.truths.boxes[0].tolist() == [75, 25, 125, 75]
    assert truth.truths.boxes[1:].round(9).tolist() == [[230, 45, 250, 55], [100, 45, 100, 55]]
    remarks = kinds(truth.warnings)
    assert remarks.keys() == {"empty_truth_box", "label_file_missing"}
    assert remarks["label_file_missing"].examples == (f"{folder}/c.txt: there is no such label file",)
    assert remarks["empty_truth_box"].examples == (f"{folder}/b.txt, line 3",)


def test_two_images_with_one_stem_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    folder = labels(tmp_path, a="0 .5 .5 .1 .1\n")
    put(tmp_path / "classes.txt", "cat\n")
    (tmp_path / "images" / "val" / "a.jpg").write_bytes((tmp_path / "images" / "val" / "a.png").read_bytes())
    truth = read_ground_truth(folder)
    assert len(set(truth.images.image_ids)) == len(truth.truths) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "names: [cat, dog]\nval: images/val\n"),
        ("obj.names", "cat\ndog\n"),
        ("x.yml", "names: {0: cat, 1: dog}"),
    ],
)
def test_where_class_names_stand(tmp_path: Path, name: str, text: str) -> None:
    folder = labels(tmp_path, a="0 .5 .5 .1 .1\n")
    put(tmp_path / name, text)
    assert read_ground_truth(folder).class_names == ("cat", "dog")
    assert read_ground_truth(folder, class_names=["x"]).class_names == ("x",)
    assert read_ground_truth(tmp_path / "labels").class_names == ("cat", "dog")
    (tmp_path / "labels").rename(tmp_path / "deeper")
    (tmp_path / "deeper" / "labels").mkdir()
    (tmp_path / "deeper" / "val").rename(tmp_path / "deeper" / "labels" / "val")
    # three folders up nothing is looked for
    deep = read_ground_truth(tmp_path / "deeper" / "labels" / "val", images=tmp_path / "images" / "val")
    assert deep.class_names == ("class0",)


def test_names_that_contradict_each_other_or_are_damaged(tmp_path: Path) -> None:
    folder = labels(tmp_path, a="0 .5 .5 .1 .1\n")
    put(tmp_path / "a.yaml", "names: [cat]\n")
    put(tmp_path / "b.yaml", "names: [dog]\n")
    with pytest.raises(DataError, match="different class names"):
        read_ground_truth(folder)
    put(tmp_path / "b.yaml", "names: [")
    with pytest.raises(DataError, match=r"b\.yaml, line 1: is not YAML"):
        read_ground_truth(folder)


def test_classes_without_names_are_called_by_their_number(tmp_path: Path) -> None:
    truth = read_ground_truth(labels(tmp_path, a="2 .5 .5 .1 .1\n"))
    assert truth.class_names == ("class0", "class1", "class2")
    assert kinds(truth.warnings)["nameless_classes"].count == 3
    with pytest.raises(DataError, match="nothing names the classes"):
        read_ground_truth(labels(tmp_path, a=""))


def test_images_elsewhere_and_missing_ones(tmp_path: Path) -> None:
    put(tmp_path / "truth" / "a.txt", "0 .5 .5 .1 .1\n")
    put(tmp_path / "truth" / "b.txt", "0 .5 .5 .1 .1\n")
    with pytest.raises(DataError, match="the images are needed for their sizes, and there are none; looked in"):
        read_ground_truth(tmp_path / "truth")
    put_image(tmp_path / "pictures" / "c.png")
    with pytest.raises(DataError, match="not one of its 2 label files has an image of the same name"):
        read_ground_truth(tmp_path / "truth", images=tmp_path / "pictures")
    put_image(tmp_path / "pictures" / "a.png")
    truth = read_ground_truth(tmp_path / "truth", images=tmp_path / "pictures")
    assert truth.images.image_ids == ("a", "c")
    assert kinds(truth.warnings)["label_file_without_image"].examples == (f"{tmp_path}/truth/b.txt",)


def test_labels_of_the_split_are_taken(tmp_path: Path) -> None:
    labels(tmp_path, a="0 .5 .5 .1 .1\n")
    put_image(tmp_path / "images" / "train" / "t.png")
    put(tmp_path / "labels" / "train" / "t.txt", "0 .5 .5 .1 .1\n")
    assert read_ground_truth(tmp_path / "labels").images.image_ids == ("a",)
    assert read_ground_truth(tmp_path / "labels", split="train").images.image_ids == ("t",)
    assert read_ground_truth(tmp_path, split="train").images.image_ids == ("t",)  # the root of the dataset
    with pytest.raises(DataError, match="there is no split 'test'; there are: train, val"):
        read_ground_truth(tmp_path, split="test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 .5 .5 .1\n", "line 1: 4 columns"),
        ("0 .5 .5 .1 .1 .9\n0 x\n", "line 1: 6 columns: looks like a prediction .*line 2: 2 columns"),
        ("0 .5 .5 x .1\n", "line 1: .* is not a row of numbers"),
        ("7 .5 .5 .1 .1\n", "line 1: class id 7 is not in 0..0"),
        ("0 50 50 10 10\n", "line 1: 50 is not a fraction of the image; are these pixels"),
        ("0 nan .5 .1 .1\n", "line 1: the box is not finite"),
        ("0 .5 .5 .1 .1 \udcff", "is not UTF-8"),
    ],
)
def test_labels_that_no_evaluation_can_use(tmp_path: Path, text: str, message: str) -> None:
    folder = labels(tmp_path, a="")
    (folder / "a.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=f"(?s){folder}: .*a.txt.*{message}"):
        read_ground_truth(folder, class_names=["cat"])
    truth = read_ground_truth(labels(tmp_path, b="0 .5 .5 .1 .1\n"), class_names=["cat"])
    assert len(truth.truths) == 1
    assert sum(warning.count for warning in truth.warnings) == len(text.splitlines())


def test_an_image_that_cannot_be_read_is_left_out_for_its_size(tmp_path: Path) -> None:
    folder = labels(tmp_path, a="0 .5 .5 .1 .1\n", b="0 .5 .5 .1 .1\n")
    put(tmp_path / "images" / "val" / "a.png", b"no image")
    truth = read_ground_truth(folder)
    assert truth.images.image_ids == ("b",)
    assert (
        "its boxes are fractions of its size, so it is needed" in kinds(truth.warnings)["image_unreadable"].examples[0]
    )


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    folder = labels(tmp_path, a="0 .5 .5 .1 .1\n")
    (folder / "again").symlink_to(folder)
    (folder / "b.txt").symlink_to(folder / "b.txt")
    truth = read_ground_truth(folder)
    assert kinds(truth.warnings)["label_file_without_image"].count == 1
    put_image(tmp_path / "images" / "val" / "b.png")
    assert kinds(read_ground_truth(folder).warnings)["annotation_unreadable"].count == 1
