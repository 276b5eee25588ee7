"""The exports of annotation tools are read as they are, by training and evaluation alike, folder or file."""

from pathlib import Path

import numpy as np
import pytest

from tests.formats.test_one_reading import both
from tests.formats.tool_trees import FILES, FOLDERS, OBJECTS, TRAIN, VAL
from yolo.data.read import Split, find_dataset, read_split
from yolo.engine.ground_truth_files import read_ground_truth

# a folder of XML or label files is the ground truth, as `report` reads it, where no list divides it
MEASURED_WHOLE = ("label_studio_voc", "cvat_voc", "labelimg_voc", "labelimg_yolo", "fiftyone_voc")


def check(split: Split) -> set[str]:
    """Every image has both objects; returns the names of the files."""
    assert split.class_names == tuple(OBJECTS)
    for image in split.images:
        np.testing.assert_allclose(image.ground_truth.boxes, list(OBJECTS.values()), atol=1e-5)
        assert image.ground_truth.labels.tolist() == [0, 1]
    assert not [issue for issue in split.report.issues if issue.kind != "unused_category"]
    return {image.path.stem.removeprefix("0a1b2c3d-") for image in split.images}


@pytest.mark.parametrize("layout", FOLDERS)
def test_a_folder_as_a_tool_exports_it(tmp_path: Path, layout: str) -> None:
    FOLDERS[layout](tmp_path)
    dataset = find_dataset(tmp_path)
    train, val = check(read_split(dataset, "train")), check(read_split(dataset, "val"))
    is_divided = dataset.splits["val"][0].part == "all"
    assert (train, val) == (set(TRAIN), set(VAL)) if is_divided else train | val == set(TRAIN)
    assert not [note for note in dataset.notes if note.startswith("not read")]
    measured = read_ground_truth(tmp_path, split="val")
    assert measured.class_names == tuple(OBJECTS)
    if layout not in MEASURED_WHOLE:
        both(tmp_path)
    else:
        assert len(measured.truths) == len(OBJECTS) * len(TRAIN)


@pytest.mark.parametrize("layout", FILES)
def test_the_file_itself(tmp_path: Path, layout: str) -> None:
    FOLDERS[layout](tmp_path)
    path = tmp_path / FILES[layout]
    dataset = find_dataset(path)
    assert check(read_split(dataset, "train")) | check(read_split(dataset, "val")) >= set(TRAIN)
    measured = read_ground_truth(path, split="train")
    np.testing.assert_allclose(measured.truths.boxes[:2], list(OBJECTS.values()), atol=1e-5)
    assert measured.class_names == tuple(OBJECTS)
